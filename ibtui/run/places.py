"""The files of a worker in a folder of the user's own: its socket, its log, its end, its first recording.

New runs go to one folder, which depends on the environment. Whoever looks for runs looks in every folder that
this user's may be in, for they may have been started in another environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ibtui.errors import UsageError, explain, printable

OWN = "IBTUI_RUNTIME_DIR"
"""The variable that names the one folder for runs; then no other is looked into."""
_SOCKET_PATH_BYTES = 100
"""Unix limits the path of a socket to 108 bytes, macOS to 104."""
UNREADY = ".new"
"""The suffix of a socket on which nobody listens yet."""
_SUFFIXES = (".sock", ".log", ".npz", ".end")
_ELSEWHERE = ".at"
"""The suffix of a link to another folder that holds runs."""
SHARED = ("/tmp", "/var/tmp")
"""Folders for temporary files that are looked into in any environment."""
OPENED = "/proc/self/fd"
"""Linux has every open folder under its number here."""
_ABANDONED_S = 24 * 3600.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}\Z")


def folder() -> Path:
    """Return the folder for sockets and logs of new runs, made if missing; refused if not ours alone."""
    path = _chosen()
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        there = os.path.lexists(path)
        raise _refused(path, _fault(path) if there else f"cannot be made: {explain(error)}") from error
    if not _is_private(path):
        raise _refused(path, _fault(path))
    return path


def _chosen() -> Path:
    if own := os.environ.get(OWN):
        return Path(own).absolute()
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and _is_private(Path(base)):
        return Path(base, "ibtui").absolute()
    try:
        return _temporary(tempfile.gettempdir())
    except FileNotFoundError:
        raise UsageError("no temporary folder can be written to; set TMPDIR to a folder of yours") from None


def _temporary(base: str) -> Path:
    return Path(base, f"ibtui-{os.getuid()}")


def _is_private(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _fault(path: Path) -> str:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    return "belongs to another user" if status.st_uid != os.getuid() else "can be entered by others"


def _refused(path: Path, fault: str) -> UsageError:
    variables = OWN if os.environ.get(OWN) else "XDG_RUNTIME_DIR or TMPDIR"
    return UsageError(
        f"{printable(str(path))}: {fault}; runs need a folder of yours that nobody else can enter (0700): "
        f"set {variables} to one"
    )


def folders() -> list[Path]:
    """Return this user's folders for runs, the one for new runs first; `UsageError` where there is none."""
    found, trouble = [], None
    try:
        found.append(folder())
    except UsageError as error:
        trouble = error
    if not os.environ.get(OWN):
        found += filter(_is_private, (*_usual(), *_elsewhere()))
    if trouble is not None and not found:
        raise trouble
    known: dict[tuple[int, int], Path] = {}
    for path in found:
        with contextlib.suppress(OSError):  # it has been removed meanwhile
            status = path.stat()
            known.setdefault((status.st_dev, status.st_ino), path)
    return list(known.values())


def _fixed() -> list[Path]:
    """Return the folders that are the same in every environment of this user's."""
    return [Path(f"/run/user/{os.getuid()}/ibtui"), *map(_temporary, SHARED)]


def _usual() -> Iterator[Path]:
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(base, "ibtui").absolute()
    yield from _fixed()
    with contextlib.suppress(FileNotFoundError):
        yield _temporary(tempfile.gettempdir())


def _elsewhere() -> Iterator[Path]:
    """Return the folders that `make_known` has left word of."""
    for base in filter(_is_private, map(_temporary, SHARED)):
        for link in base.glob(f"*{_ELSEWHERE}"):
            with contextlib.suppress(OSError):
                yield Path(os.readlink(link))


def make_known(path: Path) -> None:
    """Leave word of a folder to which only this environment leads, where any other looks."""
    if os.environ.get(OWN) or path in _fixed():
        return
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16] + _ELSEWHERE
    for base in map(_temporary, SHARED):
        with contextlib.suppress(OSError):
            base.mkdir(mode=0o700, exist_ok=True)
            if _is_private(base):
                with contextlib.suppress(FileExistsError):
                    (base / name).symlink_to(path)
                return


def _place(name: str, suffix: str) -> Path:
    """Return a file of a run, where its others are or will be; `UsageError` for what is no run's name."""
    if not _NAME.match(name):
        raise UsageError(f"{printable(name)}: not the name of a run; ibtui ls lists them")
    known = folders()
    for kind in _SUFFIXES:
        for path in known:
            if os.path.lexists(path / f"{name}{kind}"):
                return path / f"{name}{suffix}"
    return folder() / f"{name}{suffix}"


socket_path = partial(_place, suffix=".sock")
"""The socket of the worker of this name."""
log_path = partial(_place, suffix=".log")
"""The file that takes its output."""
recording_path = partial(_place, suffix=".npz")
"""The recording that is handed to it to begin with."""
end_path = partial(_place, suffix=".end")
"""The file that says how the run ended."""


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """Give a socket a name that is short enough for the system, good in this block and in this process."""
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        yield str(path)
        return
    opened = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        through = Path(OPENED, str(opened))
        if through.is_dir():
            yield str(through / path.name)
            return
    finally:
        os.close(opened)
    base = next((base for base in SHARED if os.access(base, os.W_OK | os.X_OK)), None)
    with tempfile.TemporaryDirectory(prefix="ib", dir=base) as place:
        link = Path(place, "at")
        link.symlink_to(path.parent)
        yield str(link / path.name)


def clear(name: str) -> None:
    """Remove what a worker that has ended has left."""
    with contextlib.suppress(UsageError):
        for path in folders():
            for suffix in _SUFFIXES:
                with contextlib.suppress(OSError):
                    (path / f"{name}{suffix}").unlink()


def sweep() -> None:
    """Remove what workers that have gone left in the folders: logs and half-made files, after a day."""
    from ibtui.recording.files import TEMPORARY  # it brings NumPy, which `ibtui doctor` may find broken

    for place in folders():
        for path in place.iterdir():
            with contextlib.suppress(OSError):
                if path.suffix == _ELSEWHERE:
                    abandoned = not path.exists()
                else:
                    abandoned = path.suffix in (".log", ".npz", ".end", UNREADY, TEMPORARY)
                    abandoned = abandoned and not path.with_suffix(".sock").exists()
                    abandoned = abandoned and time.time() - path.lstat().st_mtime > _ABANDONED_S
                if abandoned:
                    path.unlink()
