"""The standard streams of a command, and the signals that end it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from ibtui.errors import IbtuiError, explain, printable

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_TOGETHER_S = 0.5
"""A second signal that comes sooner belongs to the first: systems send SIGHUP and SIGTERM together."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command."""
_AGAIN_S = 0.01
"""From an interruption that came to nothing to the next try."""


class OutputError(IbtuiError):
    """The standard output cannot be written to."""


class ClosedError(OutputError):
    """Nobody reads the standard output any more, as after `| head`."""


@contextmanager
def standard_output() -> Iterator[None]:
    """Write all that is printed in this block before it ends; characters the encoding lacks are escaped.

    `OutputError` as soon as something cannot be written.
    """
    with open(os.devnull, "w") as null:
        stream: Any = sys.stdout or null  # None: the command was started without one
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        output = _Output(stream, null)
        with redirect_stdout(output):
            try:
                yield
            finally:
                output.flush()


class _Output:
    """A stream that fails with `OutputError`."""

    def __init__(self, stream: Any, null: TextIO) -> None:
        self._stream, self._null = stream, null

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> Any:
        return self._try(self._stream.write, text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, call: Callable[..., Any], *arguments: str) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            # Python flushes once more as it ends.
            os.dup2(self._null.fileno(), self._stream.fileno())
            if isinstance(error, BrokenPipeError):
                raise ClosedError from error
            raise OutputError(f"the output could not be written: {explain(error)}") from error


def tell_warnings() -> None:
    """Have what any part of ibtui warns of go to the standard error, a line each, as errors do."""
    logger = logging.getLogger("ibtui")
    if not logger.handlers:
        logger.addHandler(_Lines())
        logger.propagate = False


class _Lines(logging.Handler):
    """Prints each record as a line."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            print(f"ibtui: {printable(record.getMessage())}", file=sys.stderr)


class Interrupted(BaseException):
    """A signal asked the command to end; `status` is the exit status that follows."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(signal.Signals(status - 128).name)


class Signals:
    """Notes the signals that end a command while its block runs, and interrupts only where that is allowed.

    `status` is 0, or 128 and the number of the first signal. A signal that was ignored before (`nohup`) still
    is. From `break_off_at` on they also interrupt what is done.

    Parameters
    ----------
    together_s : float
        A signal that comes sooner than so many seconds after the first belongs to it.
    """

    def __init__(self, together_s: float = _TOGETHER_S) -> None:
        self.status = 0
        self._together_s = together_s
        self._arrivals = self._nth = 0
        self._first = 0.0
        self._before: dict[signal.Signals, object] = {}
        self._hook = sys.unraisablehook
        self._again: threading.Timer | None = None

    def __enter__(self) -> Signals:
        for number in ENDING:
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                self._before[number] = before
        self._listen()
        self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def __exit__(self, *_: object) -> None:
        if self._again is not None:
            self._again.cancel()
        sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def break_off_at(self, nth: int) -> None:
        """Raise `Interrupted` at the first or second signal from now on, at once if it has come; 0: never."""
        self._nth = nth
        self._break_off()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Interrupt nothing in this block; a signal that would have done so does it at the end."""
        nth, self._nth = self._nth, 0
        try:
            yield
        finally:
            self.break_off_at(nth)

    def ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _listen(self) -> None:
        for number in self._before:
            signal.signal(number, self._arrived)

    def _dropped(self, what: UnraisableHookArgs) -> None:
        """Have the signal come again, where Python dropped what it raised: in a destructor, a callback."""
        if not isinstance(what.exc_value, Interrupted):
            self._hook(what)
            return
        self._arrivals -= 1
        self._listen()
        self._again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), self.status - 128))
        self._again.daemon = True
        self._again.start()

    def _arrived(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._arrivals and now - self._first < self._together_s:
            return
        if not self._arrivals:
            self.status, self._first = 128 + number, now
        self._arrivals += 1
        self._break_off()

    def _break_off(self) -> None:
        if self._nth and self._arrivals >= self._nth:
            self.ignore()
            raise Interrupted(self.status)
