"""Where workers live on a machine: the user's runtime folder, with a socket and a log for each."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import stat
import struct
import tempfile
import threading
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


def clear(name: str) -> None:
    """Remove what a worker that has ended has left."""
    for place in (socket_path, log_path, recording_path):
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
        if path.suffix not in (".log", ".npz", _UNREADY) or path.with_suffix(".sock").exists():
            continue
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _ABANDONED_S:
                path.unlink()


LOG_CHUNK = 64 << 10
"""Bytes of a worker's output that are read at a time; of more, the newest."""
LOG_BYTES = 4 << 20
"""A longer log is cut, from its beginning, to a quarter of this."""
_LINE = 2000
"""Characters of a line that are shown."""
_writing = threading.RLock()
"""Held while a line is written, and while a log is cut: what came between would be lost."""


class Log:
    """A worker's output: the file behind its standard output, never longer than it has to be.

    Places in it are counted from the first byte ever written, so they stay what they are when it is cut.

    Parameters
    ----------
    handle : int
        The open file; one that cannot be read or is no file gives no lines.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._gone = 0
        self._lock = threading.Lock()

    def _size(self) -> int:
        status = os.fstat(self._handle)
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def lines(self, since: int) -> tuple[tuple[str, ...], int]:
        """Whole lines from the place `since` on, and where they end."""
        with self._lock:
            try:
                size = self._size()
                begin = max(since - self._gone, size - LOG_CHUNK, 0)
                if size <= begin:
                    return (), since
                text = os.pread(self._handle, LOG_CHUNK, begin)
            except OSError:
                return (), since
            whole = text.rfind(b"\n") + 1
            return _split(text[:whole]), self._gone + begin + whole

    def cut(self) -> None:
        """Drop the oldest lines of a log that has become long."""
        with self._lock, _writing, contextlib.suppress(OSError):
            if (size := self._size()) <= LOG_BYTES:
                return
            kept = os.pread(self._handle, LOG_BYTES // 4, size - LOG_BYTES // 4)
            kept = kept[kept.find(b"\n") + 1 :]
            os.ftruncate(self._handle, 0)
            self._gone += size - len(kept)
            os.write(self._handle, kept)  # it was opened to append

    def renew(self, path: Path) -> None:
        """Go on in a new file where this one has been removed, as the folder is after the last logout."""
        if os.path.lexists(path):
            return
        with self._lock, contextlib.suppress(OSError):
            written = self._size()
            with open(path, "a+b") as new:
                os.dup2(new.fileno(), self._handle)
            self._gone += written


def log_tail(name: str, lines: int = 20) -> tuple[str, ...]:
    """The end of a worker's output, for one that has died."""
    try:
        with open(log_path(name), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_CHUNK))
            return _split(file.read(LOG_CHUNK))[-lines:]
    except OSError:
        return ()


def _split(text: bytes) -> tuple[str, ...]:
    return tuple(line.decode("utf-8", "replace")[:_LINE] for line in text.splitlines())


class Output(io.TextIOBase):
    """A standard output that never fails: no full disk and no closed terminal ends a run that has news."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def write(self, text: str, /) -> int:
        """Write at once, or not at all."""
        with _writing, contextlib.suppress(OSError):
            os.write(self._handle, text.encode("utf-8", "replace"))
        return len(text)

    def fileno(self) -> int:
        """The file's number."""
        return self._handle

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._handle)

    def writable(self) -> bool:
        """It is."""
        return True
