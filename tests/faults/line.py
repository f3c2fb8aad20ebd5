"""A terminal that nobody looks at: what is written is taken, at some speed, and counted."""

from __future__ import annotations

import os
import select
import threading
import time

from tests.terminal import Terminal

_TURN_S = 0.05
_TAIL = 4096


class Line(Terminal):
    """Takes `bytes_per_second`, from its start on; nothing goes through pyte, which is slow.

    Attributes
    ----------
    taken : int
        Bytes so far.
    tail : bytes
        The last of them.
    """

    def __init__(self, *arguments: str, bytes_per_second: float = float("inf"), **options) -> None:
        super().__init__(*arguments, **options)
        self.taken, self.tail = 0, b""
        self._speed = bytes_per_second
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        limited = self._speed < float("inf")
        most = max(1, int(self._speed * _TURN_S)) if limited else 1 << 16
        while not self._closing.is_set():
            if not select.select([self._fd], [], [], _TURN_S)[0]:
                continue
            try:
                piece = os.read(self._fd, most)
            except OSError:  # how Linux says that nobody has the other end any more
                return
            self.taken += len(piece)
            self.tail = (self.tail + piece)[-_TAIL:]
            if limited:
                time.sleep(_TURN_S)  # a slow line

    def __exit__(self, *about: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._closing.set()
        self._thread.join()
        super().__exit__(*about)
