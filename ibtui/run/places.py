"""Where workers live on a machine: the user's runtime folder, with a socket and a log for each."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import struct
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from ibtui.errors import UsageError, printable

_SOCKET_PATH_BYTES = 100
"""Unix limits the path of a socket to 108 bytes, macOS to 104."""
_UNREADY = ".new"
_QUEUE = 64
_ABANDONED_S = 24 * 3600.0
CONNECT_S = 5.0
"""How long a worker may take to let someone in."""
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


def listen(name: str) -> socket.socket:
    """A listening socket for a worker. Its path appears only once somebody listens there."""
    path = socket_path(name)
    unready = path.with_suffix(_UNREADY)
    unready.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(unready))
        unready.chmod(0o600)
        listener.listen(_QUEUE)
        unready.rename(path)
    except BaseException:
        listener.close()
        raise
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
    path = str(socket_path(name))
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end = time.monotonic() + CONNECT_S
    try:
        peer.settimeout(CONNECT_S)
        while True:
            try:
                peer.connect(path)
                break
            except BlockingIOError:  # others wait there already
                if time.monotonic() > end:
                    raise TimeoutError(f"{name} does not answer") from None
                time.sleep(0.01)
        if not _is_own(peer):
            raise PermissionError("the worker belongs to another user")
        peer.setblocking(True)
        return Connection(peer.detach())
    finally:
        peer.close()


def hang_up(connection: Connection) -> None:
    """End a connection that another thread may be waiting on: that thread is told, and so is the peer."""
    with contextlib.suppress(OSError):
        peer = socket.socket(fileno=os.dup(connection.fileno()))
        with peer:
            peer.shutdown(socket.SHUT_RDWR)


def peer_process(connection: Connection) -> int | None:
    """The process number of whoever listens at the other end, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    with socket.socket(fileno=os.dup(connection.fileno())) as peer:
        return _credentials(peer)[0]


def _is_own(peer: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):  # not Linux: the folder's mode keeps others out
        return True
    return _credentials(peer)[1] == os.getuid()


def _credentials(peer: socket.socket) -> tuple[int, int]:
    pid, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid), int(uid)


def sweep() -> None:
    """Remove what workers that have gone left in the folder: logs and half-made files, after a day."""
    place = folder()
    for path in place.iterdir():
        if path.suffix not in (".log", ".npz", ".end", _UNREADY) or path.with_suffix(".sock").exists():
            continue
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _ABANDONED_S:
                path.unlink()
