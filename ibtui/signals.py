"""The signals that end a command: heard at once, and heeded where nothing is left half done."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_IMPATIENCE_S = 0.5
"""A second signal that comes sooner belongs to the first: systems send SIGHUP and SIGTERM together."""


class Interrupted(BaseException):
    """A signal asked the command to end; `status` is what it exits with."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(signal.Signals(status - 128).name)


class Signals:
    """In its block signals that end a command are noted: `status` is 0, or 128 and the number of the first.

    From `break_off_at` on they also break off what is done. One that was ignored before (`nohup`) still is.
    """

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.status = 0
        self._arrivals = self._nth = 0
        self._first = 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Signals:
        for number in self._NUMBERS:
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def break_off_at(self, nth: int) -> None:
        """From now on the first, or second, signal raises `Interrupted`, also where it has come; 0: none."""
        self._nth = nth
        self._break_off()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Nothing in this block is broken off; a signal that would have done so does it afterwards."""
        nth, self._nth = self._nth, 0
        try:
            yield
        finally:
            self.break_off_at(nth)

    def ignore(self) -> None:
        """From now on nothing arrives."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._arrivals and now - self._first < _IMPATIENCE_S:
            return
        if not self._arrivals:
            self.status, self._first = 128 + number, now
        self._arrivals += 1
        self._break_off()

    def _break_off(self) -> None:
        if self._nth and self._arrivals >= self._nth:
            self.ignore()
            raise Interrupted(self.status)
