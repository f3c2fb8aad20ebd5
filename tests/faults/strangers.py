"""Hostile files: recordings, snapshots and configurations from a stranger."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

from ibtui.config import build, read_toml
from ibtui.errors import UsageError
from tests.faults.boxes import LONG_S, Lost, example, folder, ibtui
from tests.recording.fuzz import (
    MUTATIONS,
    as_member,
    flip_bytes,
    fuzz,
    originals,
    put_together,
    take_apart,
    truncate,
)  # fmt: skip
from tests.terminal import Terminal

EVIL = "\x1b]0;owned\x07\x1b[66;6H\x9b31mowned\x0d\u202e"
"""Sets a title, moves the cursor, colours, returns, turns the text round; ibtui writes none of these."""
_SIGNS = (b"owned\x07", b"\x1b[66;6H", "\x9b31m".encode(), b"\x9b31m", "\u202e".encode(), b"\x1b]0;")
SOON_S = 20.0
_KEYS = ("engine", "ctx", "activation", "binning", "layers", "epochs", "lr", "x", EVIL)
_TOML = """
engine = "fused"
ctx = "cpu"
epochs = 100
layers = "2,2"
lr = 0.1
binning = "closed"
snapshot_dir = "."
paused = false
"""


def hostile_files(mutants: int) -> list[Lost]:
    """So many mutated recordings, a fifth as many configurations, and some through the commands."""
    outcomes, failures, grown = fuzz(mutants, seed=0)
    refused, configured = _configurations(mutants // 5)
    tried, wrong = _commands(max(6, mutants // 200))
    return [
        Lost(
            "Recordings from a stranger, mutated: loaded as they are, or refused in a line",
            mutants,
            f"{outcomes['failed']} that crashed, took long, loaded as something else or were refused "
            f"uncleanly{example(failures)}; {outcomes['refused']} refused, {outcomes['loaded']} loaded; "
            f"{grown:.0f} MB more memory",
            not failures,
        ),
        Lost(
            "Configurations (TOML) from a stranger, mutated",
            mutants // 5,
            f"{len(configured)} that crashed or were refused uncleanly{example(configured)}; "
            f"{refused} refused",
            not configured,
        ),
        Lost(
            "`replay`, `report`, `--resume`, `--config` with files whose bytes, names and texts hold "
            "control sequences",
            tried,
            f"{len(wrong)} tracebacks, exit statuses other than 0 and 2, files written elsewhere, or control "
            f"characters that reached the terminal{example(wrong)}",
            not wrong,
        ),
    ]


def _configurations(mutants: int) -> tuple[int, list[str]]:
    """Count the mutants of a TOML file that are refused, and say what went wrong with others."""
    refused, wrong = 0, []
    with folder() as place:
        path = place / "mutant.toml"
        for number in range(mutants):
            path.write_bytes(_mutant_toml(random.Random(f"toml/{number}")))
            try:
                build(read_toml(str(path)))
            except UsageError as error:
                refused += 1
                if not str(error).isprintable() or len(str(error)) > 600:
                    wrong.append(f"{number}: {str(error)[:60]!r}")
            except BaseException as error:
                wrong.append(f"{number}: {type(error).__name__}")
    return refused, wrong


def _mutant_toml(chance: random.Random) -> bytes:
    values = (
        EVIL,
        0,
        1,
        7,
        0.5,
        -1,
        1e400,
        True,
        [2, 2],
        [[[]]],
        {"a": 1},
        "x" * 100_000,
        "gpu0",
        "auto",
        "relu",
    )
    lines = _TOML.strip().splitlines()
    for _ in range(chance.choice((1, 1, 2))):
        key, value = chance.choice(_KEYS), json.dumps(chance.choice(values))
        lines = [line for line in lines if not line.startswith(key)]  # given twice, no value is looked at
        lines.append(f"{json.dumps(key)} = {value}")
    content = "\n".join(lines).encode()
    if chance.random() < 0.6:  # TOML still, so that its values are looked at
        return content
    return chance.choice((flip_bytes, truncate, _splice))(content, chance)


def _splice(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    piece = chance.choice(
        (EVIL.encode(), b"[" * 5000, b"{a=" * 2000, b"\0", b"\xff\xfe", b"[[x]]\n", b"x.y.z=1\n")
    )
    return content[:at] + piece + content[at:]


def _commands(tries: int) -> tuple[int, list[str]]:
    """Mutants through the commands, on a pipe and on a terminal by turns; what went wrong."""
    wrong = []
    with folder() as place:
        contents = originals(place)
        for number in range(tries):
            chance, at = random.Random(f"command/{number}"), place / str(number)
            at.mkdir()
            path = at / chance.choice(("mutant.npz", f"{EVIL}.npz"))
            path.write_bytes(_hostile(chance.choice(contents), chance))
            toml = at / "mutant.toml"
            toml.write_bytes(_mutant_toml(chance))
            own = {path.name, toml.name}
            if trouble := _command(number, at, path, toml) or _strays(place, at, own):
                wrong.append(f"{number}: {trouble}")
            shutil.rmtree(at)
    return tries, wrong


def _command(number: int, at: Path, path: Path, toml: Path) -> str:
    """Say what is wrong with one of four commands."""
    match number % 4:
        case 0:
            return _piped("report", str(path))
        case 1:
            return _on_a_terminal("replay", str(path), "--snapshot-dir", str(at))
        case 2:
            return _piped("--resume", str(path), "--epochs", "40", "--record", str(at / "ibtui-more.npz"))
        case _:
            return _on_a_terminal("--config", str(toml), "--snapshot-dir", str(at))


def _strays(place: Path, at: Path, own: set[str]) -> str:
    """A file that is where none should be."""
    known = {place / "original.npz", place / "home", at, *(at / name for name in own)}
    strays = [
        p for p in place.rglob("*") if p not in known and not (p.parent == at and p.match("ibtui-*.npz"))
    ]
    return f"wrote {strays[0].name!r}" if strays else ""


def _hostile(content: bytes, chance: random.Random) -> bytes:
    """A mutant, or a valid archive whose texts are hostile."""
    members = take_apart(content)
    at = next(i for i, (name, _) in enumerate(members) if name == "config.npy")
    match chance.randrange(4):
        case 0:
            return content
        case 1:
            config = json.dumps({chance.choice(_KEYS): EVIL})
            members[at] = ("config.npy", as_member(config))
            return put_together(members)
        case 2:
            other = chance.randrange(len(members))
            members[other] = (f"{EVIL}.npy", members[other][1])
            members.append((f"../../{EVIL}.npy", members[at][1]))
            return put_together(members)
        case _:
            try:
                return chance.choice(MUTATIONS)(content, chance)
            except Exception:
                return flip_bytes(content, chance)


def _piped(*command: str) -> str:
    """Say what is wrong with what a command says on a pipe."""
    process = ibtui(*command, stderr=subprocess.STDOUT)
    said, _ = process.communicate(timeout=LONG_S)
    strange = [c for c in said if not (c.isprintable() or c in "\n\t")]
    if strange:
        return f"{command[0]} writes {strange[0]!r}"
    return _trouble(command[0], said, process.returncode)


def _on_a_terminal(*command: str) -> str:
    """Say what is wrong with a command on a terminal; one that shows a screen is left again."""
    with Terminal(*command, columns=100, rows=30) as terminal:
        end = time.monotonic() + SOON_S
        while terminal.read(0.05) and not re.search(r"epoch [\d,]+ of|the run failed", terminal.text):
            if time.monotonic() > end:
                return f"{command[0]}: shows nothing"
        if terminal.process.poll() is None:
            terminal.type("wiq")
            terminal.settle(0.3)
        if terminal.process.poll() is None:
            terminal.type("q")
        status = terminal.wait()
    if any(sign in terminal.raw for sign in _SIGNS):
        return f"{command[0]}: a control sequence reached the terminal"
    return _trouble(command[0], terminal.raw.decode("utf-8", "replace"), status)


def _trouble(command: str, said: str, status: int) -> str:
    if "Traceback" in said:
        return f"{command}: a traceback"
    return "" if status in (0, 2) else f"{command}: exit status {status}"
