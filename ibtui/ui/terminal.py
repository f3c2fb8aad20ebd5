"""The terminal: whether it has taken what was written to it, and how it is given back in a hurry."""

from __future__ import annotations

import contextlib
import os
import termios
import threading
from typing import IO, Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

_RESTORED = b"".join(
    b"\x1b" + sequence
    for sequence in (
        *(b"[?2026l", b"[0m"),  # no picture half way through, no colour
        *(b"[?1000l", b"[?1003l", b"[?1015l", b"[?1006l", b"[?1016l", b"[?2004l", b"[?1004l", b"[?2048l"),
        *(b"[?7h", b"[<u", b"[?1049l", b"[?25h"),
    )
)
"""Mouse, paste, focus and size not told of; lines that wrap, plain keys, the former screen, a cursor."""
_RESTORE_S = 0.3


class TerminalDriver(LinuxDriver):
    """Textual's own, which queues what a slow terminal does not take, and at last waits for it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        assert self._file is not None
        self._output = _Output(self._file)
        self._file = self._output  # type: ignore[assignment]  # for the thread that writes

    def start_application_mode(self) -> None:
        """Take the terminal, once its end is watched for."""
        self._app.watch_for_ends()  # type: ignore[attr-defined]  # ours is the only app with this driver
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def write(self, data: str) -> None:
        """Queue what is to be written."""
        self._output.expect()
        super().write(data)

    @property
    def behind(self) -> bool:
        """True while the terminal has not taken all that was written."""
        return self._output.expected > 0

    def restore(self) -> None:
        """Give the terminal back past all that it has not taken yet; a fraction of a second at most."""
        self._output.closed = True
        told = threading.Thread(target=self._tell_restored, daemon=True)
        told.start()
        for _ in range(10):
            with contextlib.suppress(termios.error):
                termios.tcflush(self.fileno, termios.TCOFLUSH)
                for action in (termios.TCOOFF, termios.TCOON):  # who waits to write is not told of the room
                    termios.tcflow(self.fileno, action)
            told.join(_RESTORE_S / 10)
            if not told.is_alive():
                break

    def _tell_restored(self) -> None:
        with contextlib.suppress(OSError, termios.error):
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            os.write(self._output.fileno(), _RESTORED)


class _Output:
    """The file of a driver's thread; what it is given is on its way when `write` returns."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.expected = 0
        """Pieces that are still to be written."""
        self.closed = False
        """True once nothing more is to reach the terminal."""

    def expect(self) -> None:
        """Count another one that will come."""
        with self._lock:
            self.expected += 1

    def write(self, text: str) -> None:
        if not self.closed:
            self._file.write(text)
            self._file.flush()
        with self._lock:
            self.expected -= 1

    def flush(self) -> None:
        """Do nothing, for nothing is held back."""

    def fileno(self) -> int:
        return self._file.fileno()


class Patient:
    """A screen that is drawn anew only when the terminal has taken the last picture.

    What changes meanwhile is one change. Pictures that wait in a queue would be old when they are shown, and
    once the queue is full keys and signals would wait for the line as well.
    """

    def _on_timer_update(self) -> None:
        if not behind(self.app):  # type: ignore[attr-defined]  # else asked again, 60 times a second
            super()._on_timer_update()  # type: ignore[misc]


def behind(app: App[Any]) -> bool:
    """Return True while an app's terminal has not taken all that was written to it."""
    return isinstance(app._driver, TerminalDriver) and app._driver.behind
