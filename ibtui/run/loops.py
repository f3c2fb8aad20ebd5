"""Watched loops: where each one listens for commands, and where the streams are that loops have written.

A loop listens on `NAME.loop` in the folder for runs. Where its stream is stands in a small file, in a folder
that outlives a logout, so that `ibtui attach` finds it from any folder. Both sides use this: the loop, which
may have NumPy and the standard library alone, and the front ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ibtui.errors import UsageError
from ibtui.run import peers, places

SOCKET = ".loop"
"""The suffix of a loop's socket."""
_INDEX = "streams"
_MOST_INDEXED = 1000
_MOST_BYTES = 16 << 10
_NAMES = 10_000
_LOCK_S = 1.0
"""Seconds that a loop waits for another one that is about to listen."""
_CONNECT_S = 2.0


@dataclass(frozen=True)
class Stream:
    """A stream that a loop has written, as far as the index knows it."""

    name: str
    """The loop's name."""
    path: Path
    began: float
    """The time, in seconds since 1970."""


def listen(name: str) -> tuple[str, socket.socket, Path]:
    """Listen under a loop's name or, where a live loop has that, under one with a number.

    Returns
    -------
    (str, socket, Path)
        The name, the listening socket, and its path.

    Raises
    ------
    OSError, UsageError
        There is no folder to listen in.
    """
    folder = places.folder()
    with _alone(folder):
        for number in range(1, _NAMES):
            free = name if number == 1 else f"{name}-{number}"
            path = folder / f"{free}{SOCKET}"
            if not os.path.lexists(path) or not _answers(path):
                return free, peers.listen(path), path
    raise FileExistsError(17, "too many loops have this name")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other loops that begin out of this block; one that hangs in it is not waited for."""
    handle = os.open(folder / "loops.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _LOCK_S
        while time.monotonic() < end:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _answers(path: Path) -> bool:
    """Return whether anyone listens there; the socket of one that has gone is removed."""
    try:
        peers.connect(path, _CONNECT_S).close()
    except ConnectionRefusedError:
        peers.remove(path)
        return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # somebody listens, and is busy
        return True
    return True


def sockets() -> dict[str, Path]:
    """Return where the user's loops listen, by their names; some of them may have gone."""
    found: dict[str, Path] = {}
    for folder in places.folders():
        for path in sorted(folder.glob(f"*{SOCKET}")):
            if is_name(path.stem):
                found.setdefault(path.stem, path)
    return found


def sockets_of(name: str) -> list[Path]:
    """Return where loops of one name may listen: at most one in each folder for runs."""
    if not is_name(name):
        return []
    paths = (folder / f"{name}{SOCKET}" for folder in places.folders())
    return [path for path in paths if os.path.lexists(path)]


def is_name(name: str) -> bool:
    """Return True for what can be the name of a loop."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", name) is not None


def _index() -> Path:
    """Return the folder that says where streams are: it outlives the runs' own folder."""
    if own := os.environ.get(places.OWN):
        return Path(own, _INDEX).absolute()
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path("~/.local/state").expanduser()
    return base / "ibtui" / _INDEX


def remember(stream: Stream) -> None:
    """Leave word of a stream, for whoever looks for it from elsewhere; `OSError` where that fails."""
    folder = _index()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = hashlib.sha256(os.fsencode(stream.path)).hexdigest()[:16]
    text = json.dumps([stream.name, os.fspath(stream.path), stream.began])
    unready = folder / f"{where}.{os.getpid()}.new"
    unready.write_text(text)  # surrogates, which paths may hold, are escaped
    unready.rename(folder / f"{where}.json")


def streams(name: str | None = None) -> list[Stream]:
    """Return the streams that are known and there, or those of a name, the newest first."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted(_index().glob("*.json")):
            if (stream := _read(path)) is not None:
                found.append((stream, path))
            else:
                peers.remove(path)
    found.sort(key=lambda pair: -pair[0].began)
    for _, path in found[_MOST_INDEXED:]:
        peers.remove(path)
    there = [stream for stream, _ in found[:_MOST_INDEXED] if os.path.isfile(stream.path)]
    return [s for s in there if name is None or name == s.name] or [s for s in there if name == s.path.stem]


def _read(path: Path) -> Stream | None:
    try:
        with open(path, "rb") as file:
            match json.loads(file.read(_MOST_BYTES)):
                case [str(name), str(where), int() | float() as began] if is_name(name) and "\0" not in where:
                    return Stream(name, Path(where), float(began))
    except (OSError, ValueError, RecursionError, OverflowError):
        pass
    return None


def check_name(name: str) -> None:
    """Raise `UsageError` for what cannot be a loop's name."""
    if not is_name(name):
        raise UsageError(f"name {name!r}: must be up to 41 letters, digits, dots, - and _")


def started(process: int) -> int | None:
    """Return when a process was started, in the system's own ticks; None where that is not to be had.

    With its number, it tells a process from a later one of the same number.
    """
    state = _state(process)
    return int(state[1]) if state is not None else None


def is_alive(process: int, host: str, began: int | None) -> bool:
    """Return whether the process of a loop lives, as far as that can be known from here.

    Parameters
    ----------
    process : int
    host : str
        Where it runs. Of another host's nothing is known, and it is taken to live.
    began : int or None
        What `started` said of it there.
    """
    if host != socket.gethostname():
        return True
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    state = _state(process)
    return state is None or (state[0] not in "ZX" and (began is None or int(state[1]) == began))


def _state(process: int) -> tuple[str, str] | None:
    """Return the letter of a process's state, and when it was started."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(errors="replace")
        fields = text[text.rindex(")") + 2 :].split()
        return (fields[0], fields[19]) if fields[19].isdecimal() else None
    except (OSError, ValueError, IndexError):
        return None
