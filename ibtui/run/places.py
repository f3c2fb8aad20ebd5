"""The files of a worker in the user's runtime folder: its socket, its log, its end, its first recording."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from pathlib import Path

from ibtui.errors import UsageError, explain, printable
from ibtui.recording.files import TEMPORARY

_SOCKET_PATH_BYTES = 100
"""Unix limits the path of a socket to 108 bytes, macOS to 104."""
UNREADY = ".new"
"""The suffix of a socket on which nobody listens yet."""
_ABANDONED_S = 24 * 3600.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}\Z")


def folder() -> Path:
    """The user's own folder for sockets and logs, made if it is missing.

    Raises
    ------
    UsageError
        It belongs to somebody else, or others could look into it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    path = Path(base, "ibtui") if base and _is_private(Path(base)) else None
    if path is None or len(os.fsencode(path)) > _SOCKET_PATH_BYTES - 50:
        path = Path(tempfile.gettempdir(), f"ibtui-{os.getuid()}")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{printable(str(path))}: cannot be made: {explain(error)}") from error
    if not _is_private(path):
        raise UsageError(
            f"{printable(str(path))}: must be a folder of yours that nobody else can enter (0700)"
        )
    return path


def _is_private(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def socket_path(name: str) -> Path:
    """The socket of the worker of this name; `UsageError` where it could be no worker's name."""
    if not _NAME.match(name):
        raise UsageError(f"{printable(name)}: not the name of a run; ibtui ls lists them")
    return folder() / f"{name}.sock"


def log_path(name: str) -> Path:
    """The file that takes a worker's output."""
    return socket_path(name).with_suffix(".log")


def recording_path(name: str) -> Path:
    """The recording that is handed to a worker to begin with."""
    return socket_path(name).with_suffix(".npz")


def end_path(name: str) -> Path:
    """The file that says how a run ended."""
    return socket_path(name).with_suffix(".end")


def clear(name: str) -> None:
    """Remove what a worker that has ended has left."""
    for place in (socket_path, log_path, recording_path, end_path):
        with contextlib.suppress(OSError, UsageError):
            place(name).unlink()


def sweep() -> None:
    """Remove what workers that have gone left in the folder: logs and half-made files, after a day."""
    place = folder()
    for path in place.iterdir():
        if (
            path.suffix not in (".log", ".npz", ".end", UNREADY, TEMPORARY)
            or path.with_suffix(".sock").exists()
        ):
            continue
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _ABANDONED_S:
                path.unlink()
