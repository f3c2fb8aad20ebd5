"""The terminal: whether it has taken what was written to it, and how it is given back in a hurry."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import termios
import threading
import time
from functools import partial
from typing import IO, Any

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from ibtui import tty

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
_FOREGROUND_S = 0.1


class TerminalDriver(LinuxDriver):
    """Textual's own, which queues what a slow terminal does not take, and at last waits for it.

    It draws on the terminal that keys come from, not on the standard error, and is of the size that this
    says. The shell can stop and continue it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        ignored = signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        super().__init__(*arguments, **options)
        file = open(  # noqa: SIM115  # it is there until the process ends
            tty.screen(), "w", encoding=tty.encoding(), errors="replace", closefd=False
        )
        self._output = _Output(file)
        self._file = self._output  # type: ignore[assignment]  # for the thread that writes
        self._size = self._size or self._get_terminal_size()
        self._stopping = signal.SIG_IGN if ignored else signal.SIG_DFL
        self._taken = self._continued = False

    def _get_terminal_size(self) -> tuple[int, int]:
        columns, rows = shutil.get_terminal_size()
        return tty.size(self._output.fileno()) or (columns, rows)

    def start_application_mode(self) -> None:
        self._app.watch_for_ends()  # type: ignore[attr-defined]  # ours is the only app with this driver
        self._wait_for_foreground()
        if self._ends:
            return
        self._taken = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # Textual gives up without a word where the terminal has gone.
        self._taken = self._writer_thread is not None and self._writer_thread.is_alive()

    def stop_application_mode(self) -> None:
        if self._taken:
            super().stop_application_mode()
            self._taken = False

    def disable_input(self) -> None:
        """Read no more keys, if the terminal was taken: the system stops who touches another's."""
        if self._taken:
            super().disable_input()

    def run_input_thread(self) -> None:
        """Read keys; bytes that are no UTF-8 are none."""
        while not self.exit_event.is_set():
            try:
                super().run_input_thread()
            except UnicodeDecodeError as error:
                for event in XTermParser(self._debug).feed(error.object.decode("utf-8", "ignore")):
                    self.process_message(event)

    def write(self, data: str) -> None:
        """Queue what is to be written; nothing while the terminal is another's."""
        if self._taken:
            self._output.expect()
            super().write(data)

    def suspend(self, *, group: bool = True) -> bool:
        """Give the terminal back, stop until a shell continues this process, and take it again.

        With `group` the whole process group stops, as by a key: what has started this process stands with it.
        Return False where it was not stopped, for nothing here would ever continue it.
        """
        self.suspend_application_mode()
        self._continued = False
        self._stop(group)
        self._take_again()
        return self._continued

    def _stop(self, group: bool) -> None:
        # Not by SIGSTOP: the system ignores SIGTSTP where no shell would continue us.
        signal.signal(signal.SIGTSTP, self._stopping)
        os.kill(0 if group else os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)

    def _take_again(self) -> None:
        self.resume_application_mode()
        self._app.refresh(layout=True)

    @property
    def _ends(self) -> bool:
        return bool(self._app.ends)  # type: ignore[attr-defined]

    def _wait_for_foreground(self) -> None:
        """Stand until the shell gives us the terminal, as after `bg` and then `fg`."""
        while not self._ends and not tty.in_foreground():
            os.kill(os.getpid(), signal.SIGTTOU)
            time.sleep(_FOREGROUND_S)  # it may be ignored

    def _sigtstp_application(self, *_: object) -> None:
        # In the event loop, for this may have come in the middle of a write.
        if self._taken:
            self._loop.call_soon_threadsafe(partial(self.suspend, group=False))
        else:
            self._stop(group=False)

    def _sigcont_application(self, *_: object) -> None:
        self._continued = True
        if self._taken:
            self._loop.call_soon_threadsafe(self._continued_unasked)

    def _continued_unasked(self) -> None:
        """Draw anew after a SIGSTOP, which nobody is told of: others have used the terminal."""
        if self._taken:
            self._wait_for_foreground()
            self.suspend_application_mode()
            self._take_again()

    @property
    def behind(self) -> bool:
        """True while the terminal has not taken all that was written."""
        return self._output.expected > 0

    def restore(self) -> None:
        """Give the terminal back past all that it has not taken yet; a fraction of a second at most."""
        if not (self._taken or self.behind):  # what gives it back may be among what it has not taken
            return
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
