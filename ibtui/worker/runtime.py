"""Where workers live on a machine: the user's runtime folder, with a socket and a log for each."""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from ..errors import UsageError, printable

_SOCKET_PATH_BYTES = 100
"""Unix limits the path of a socket to 108 bytes, macOS to 104."""
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
        raise UsageError(f"{printable(str(path))}: cannot be made: {error.strerror}") from error
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


def listen(name: str) -> socket.socket:
    """A listening socket for a worker."""
    path = socket_path(name)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(8)
    return listener


def accept(listener: socket.socket) -> Connection | None:
    """The next connection; None where it comes from another user."""
    peer, _ = listener.accept()
    if not _is_own(peer):
        peer.close()
        return None
    return Connection(peer.detach())


def connect(name: str) -> Connection:
    """A connection to a worker; `OSError` where none listens, or where it is another user's."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.connect(str(socket_path(name)))
        if not _is_own(peer):
            raise PermissionError("the worker belongs to another user")
        return Connection(peer.detach())
    finally:
        peer.close()


def _is_own(peer: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):  # not Linux: the folder's mode keeps others out
        return True
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return bool(uid == os.getuid())


LOG_CHUNK = 64 << 10
"""Bytes of a worker's output that are read at a time; of more, the newest."""


def log_lines(path: Path, since: int) -> tuple[tuple[str, ...], int]:
    """Whole lines of a worker's output from byte `since` on, and where they end."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= since:
                return (), min(since, size)
            begin = max(since, size - LOG_CHUNK)
            file.seek(begin)
            text = file.read(LOG_CHUNK)
    except OSError:
        return (), since
    whole = text.rfind(b"\n") + 1
    return _split(text[:whole]), begin + whole


def log_tail(name: str, lines: int = 20) -> tuple[str, ...]:
    """The end of a worker's output, for one that has died."""
    try:
        with open(log_path(name), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_CHUNK))
            return _split(file.read())[-lines:]
    except OSError:
        return ()


def _split(text: bytes) -> tuple[str, ...]:
    return tuple(line.decode("utf-8", "replace") for line in text.splitlines())
