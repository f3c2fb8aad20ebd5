"""A worker's output: a standard output that never fails, and the file behind it, read while it grows."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from pathlib import Path

from ibtui.run import places

CHUNK_BYTES = 64 << 10
"""Bytes of a worker's output that are read at a time; of more, the newest."""
MOST_BYTES = 4 << 20
"""The longest that a log becomes."""
_LINE = 2000
"""Characters of a line that are shown."""
_writing = threading.RLock()
"""Held while a line is written and while a log is cut, or the line could be lost."""


class LogFile:
    """A worker's output: the file behind its standard output, never longer than it has to be.

    Places in it are counted from the first byte ever written, so they stay what they are when it is cut, from
    its beginning, to a quarter of `most_bytes`. A handle that cannot be read or is no file gives no lines.
    """

    def __init__(self, handle: int, most_bytes: int = MOST_BYTES) -> None:
        self._handle, self._most = handle, most_bytes
        self._gone = 0
        self._lock = threading.Lock()

    def _size(self) -> int:
        status = os.fstat(self._handle)
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def lines(self, since: int) -> tuple[tuple[str, ...], int]:
        """Return whole lines from the place `since` on, and the place where they end."""
        with self._lock:
            try:
                size = self._size()
                begin = max(since - self._gone, size - CHUNK_BYTES, 0)
                if size <= begin:
                    return (), since
                text = os.pread(self._handle, CHUNK_BYTES, begin)
            except OSError:
                return (), since
            whole = text.rfind(b"\n") + 1
            return _split(text[:whole]), self._gone + begin + whole

    def cut(self) -> None:
        """Drop the oldest lines of a log that has become long."""
        with self._lock, _writing, contextlib.suppress(OSError):
            if (size := self._size()) <= self._most:
                return
            kept = os.pread(self._handle, self._most // 4, size - self._most // 4)
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


def tail(name: str, lines: int = 20) -> tuple[str, ...]:
    """Return the end of a worker's output, for one that has died."""
    try:
        with open(places.log_path(name), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - CHUNK_BYTES))
            return _split(file.read(CHUNK_BYTES))[-lines:]
    except OSError:
        return ()


def _split(text: bytes) -> tuple[str, ...]:
    return tuple(line.decode("utf-8", "replace")[:_LINE] for line in text.splitlines())


class Output(io.TextIOBase):
    """A standard output that never fails: no full disk and no closed terminal ends a run."""

    def __init__(self, handle: int, encoding: str = "utf-8") -> None:
        self._handle, self._encoding = handle, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def write(self, text: str, /) -> int:
        with _writing, contextlib.suppress(OSError):
            os.write(self._handle, text.encode(self._encoding, "backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        return self._handle

    def isatty(self) -> bool:
        return os.isatty(self._handle)

    def writable(self) -> bool:
        return True
