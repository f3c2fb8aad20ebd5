"""The line to the terminal drops: what ends with it, and what outlives it."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ibtui.errors import RecordingError
from ibtui.recording import files
from ibtui.run import wire
from tests.faults.boxes import (
    ENDLESS,
    FUSED,
    LONG_S,
    Lost,
    asked,
    children_of,
    example,
    folder,
    gone,
    ibtui,
    resumes_exactly,
    sockets,
    tidy,
    wait_for,
    worst,
)  # fmt: skip
from tests.terminal import Terminal

WAYS = (signal.SIGHUP, signal.SIGTERM, None)
"""None: the terminal is closed."""
SCENES = ("running", "starting", "a dialog", "enlarged")
SOON_S = 2.0
"""In which a snapshot is there, and everything has ended."""
_ENTERED, _LEFT = b"\x1b[?1049h", b"\x1b[?1049l"


@dataclass
class _Ends:
    """Counts of what was found after lines had dropped."""

    missing: int = 0
    unrestored: int = 0
    remained: int = 0
    statuses: int = 0
    saved_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)


def line_drops(tries: int) -> list[Lost]:
    """SIGHUP, SIGTERM and a closed terminal, at random moments of the real screen."""
    moments, found = random.Random(5), _Ends()
    with folder() as place:
        for count in range(tries):
            at = place / str(count)
            at.mkdir()
            _drop(WAYS[count % 3], SCENES[count // 3 % 4], at, moments, found)
        found.remained += len(sockets())
        tidy()
    return [
        Lost(
            "The line drops (SIGHUP, SIGTERM, the terminal closed): while starting, running, in a dialog, "
            "enlarged",
            tries,
            f"{found.missing} snapshots, there and whole after {worst(found.saved_s):.2f} s at most; "
            f"{found.remained} processes or sockets left after {worst(found.ended_s):.2f} s; "
            f"{found.unrestored} terminals not restored; {found.statuses} wrong exit statuses",
            not (found.missing or found.remained or found.unrestored or found.statuses),
            prompt=worst(found.saved_s) < SOON_S and worst(found.ended_s) < SOON_S,
        )
    ]


def _drop(way: signal.Signals | None, scene: str, at: Path, moments: random.Random, found: _Ends) -> None:
    with Terminal(*FUSED, "--epochs", str(ENDLESS), "--snapshot-dir", str(at)) as terminal:
        _play(terminal, scene, moments)
        screen, workers = terminal.process, children_of(terminal.process.pid)
        began = time.monotonic()
        if way is None:
            terminal.hang_up()
        else:
            screen.send_signal(way)

        def everything_has_ended() -> bool:
            if way is not None:
                terminal.read(0)
            return screen.poll() is not None and all(map(gone, workers))

        try:
            wait_for(everything_has_ended, 10)
            found.ended_s.append(time.monotonic() - began)
        except AssertionError:
            found.remained += 1
        written = list(at.glob("*.npz"))
        if written or scene != "starting":  # before the first measurement there is nothing to save
            found.missing += not _whole(written)
            found.saved_s += [max(0.0, _on_this_clock(file.stat().st_ctime) - began) for file in written]
        number = signal.SIGHUP if way is None else way
        early = scene == "starting" and not workers and screen.returncode == -number  # Python itself starts
        found.statuses += screen.returncode != 128 + number and not early
        if way is not None:
            terminal.settle(0.1)
            found.unrestored += terminal.raw.rfind(_ENTERED) > terminal.raw.rfind(_LEFT)


def _play(terminal: Terminal, scene: str, moments: random.Random) -> None:
    if scene == "starting":
        terminal.settle(moments.uniform(0.05, 1.2))
        return
    terminal.until(r"running +epoch [1-9]")
    terminal.settle(moments.uniform(0, 0.5))
    if scene == "a dialog":
        terminal.type("q")
        terminal.until("without saving")
    elif scene == "enlarged":
        terminal.type("i")
        terminal.until("Esc back")


def _whole(written: list[Path]) -> bool:
    try:
        return len(written) == 1 and len(files.load(written[0])) > 0
    except RecordingError:
        return False


def _on_this_clock(written: float) -> float:
    return written - time.time() + time.monotonic()


def detached(tries: int) -> list[Lost]:
    """Runs that outlive their terminal: left in every way, attached to again, listed, stopped."""
    moments, wrong, unequal, left, attached = random.Random(6), [], 0, 0, 0
    with folder() as place:
        for count in range(tries):
            at = place / str(count)
            at.mkdir()
            name, epoch = _detach(count % 2 == 1, at)
            for way in moments.sample(_LEAVES, 3):
                attached += 1
                epoch = _attach(name, epoch, way, moments, wrong)
            if not re.search(rf"{name}  running  epoch .*  detached", _said("ls")):
                wrong.append("not listed")
            if not re.search(rf"stopped {name} at epoch [\d,]+; saved ", _said("stop", name)):
                wrong.append("not stopped")
            written = list(at.glob("*.npz"))
            recording = files.load(written[0])
            whole = recording.column("epoch")[0] == 0 and recording.checkpoint.epoch >= epoch
            unequal += len(written) != 1 or not whole or not resumes_exactly(written[0])
            left += len(sockets())
            tidy()
    return [
        Lost(
            "Detached (`--detach`, D): its terminal closed, its screens left by q, `kill -9`, SIGTERM and a "
            "closed terminal; attached to again, listed, stopped",
            tries,
            f"{len(wrong)} of {attached} screens that left or came back in another way than they should"
            f"{example(wrong)}; after `stop` {tries - unequal} of {tries} equal, from epoch 0 on, to a run "
            f"never left, to the bit; {left} sockets left",
            not wrong and not unequal and not left,
        )
    ]


_LEAVES = ("q", "kill", "term", "hang up")


def _detach(by_key: bool, at: Path) -> tuple[str, int]:
    """The name of a run whose first terminal has been closed, and an epoch that it had reached."""
    flag = () if by_key else ("--detach",)
    pace = ("--epochs-per-second", "3000", "--epochs", str(ENDLESS))
    with Terminal(*FUSED, *pace, "--snapshot-dir", str(at), *flag) as terminal:
        terminal.until(r"running +epoch [1-9]")
        if by_key:
            terminal.type("D")
            terminal.until("the run goes on when this screen is left")
        epoch = terminal.epoch()
        terminal.hang_up()
        assert terminal.process.wait(LONG_S) == 129
    (socket,) = sockets()
    return socket.stem, epoch


def _attach(name: str, epoch: int, way: str, moments: random.Random, wrong: list[str]) -> int:
    """Attach, see the run going on from where it was, and leave; the epoch that it has then."""
    with wire.connect(name) as line, Terminal("attach", name) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.settle(moments.uniform(0, 0.5))
        shown = terminal.epoch()
        if shown < epoch:
            wrong.append(f"epoch {shown} after {epoch}")
        status = _leave(terminal, way)
        if status != {"q": 0, "kill": -9, "term": 143, "hang up": 129}[way]:
            wrong.append(f"{way}: exit status {status}")
        before = asked(line).epoch
        wait_for(lambda: asked(line).epoch > before)
        return asked(line).epoch


def _leave(terminal: Terminal, way: str) -> int:
    if way == "hang up":
        terminal.hang_up()
        return terminal.process.wait(LONG_S)
    if way == "q":
        terminal.type("q")
        return terminal.wait()
    os.kill(terminal.process.pid, signal.SIGKILL if way == "kill" else signal.SIGTERM)
    return terminal.wait()


def _said(*command: str) -> str:
    process = ibtui(*command, stderr=subprocess.STDOUT)
    return process.communicate(timeout=LONG_S)[0]
