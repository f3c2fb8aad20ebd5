"""Ends of the screen that its user did not choose: a signal, or a terminal that has gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from ibtui.console import ENDING

PATIENCE_S = 1.5
"""Time for the screen to end in order; then the process ends without it."""


class Ending:
    """Sees to it that the process ends, whatever its terminal does.

    `leave` ends the screen in order; it is called in the event loop with the exit status. `let_go` lets go
    of the worker; it is called in a thread where the screen cannot be ended in order any more, for writing
    to a terminal that has gone would block or spin. `heard` returns the exit status that a signal has asked
    for already; 0: none has.
    """

    def __init__(
        self, leave: Callable[[int], None], let_go: Callable[[], None], heard: Callable[[], int] = int
    ) -> None:
        self._leave, self._let_go, self._heard = leave, let_go, heard
        self.begun = False
        """True once a signal has asked for the end."""
        self._over = False
        self._insist: threading.Timer | None = None

    def watch(self) -> None:
        """Begin, in the event loop."""
        self._loop = asyncio.get_running_loop()
        for number in ENDING:
            # Not the loop's own handler: the loop may be waiting for a terminal that takes nothing.
            signal.signal(number, self._signalled)
        if status := self._heard():
            self._signalled(status - 128, None)
        if sys.__stdin__ is not None and sys.__stdin__.isatty():
            terminal = sys.__stdin__.fileno()
            threading.Thread(target=self._wait_for_hang_up, args=(terminal,), daemon=True).start()

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if self.begun or self._over:
            return
        self.begun = True
        status = 128 + number
        self._insist = threading.Timer(PATIENCE_S, self._end_at_once, (status,))
        self._insist.daemon = True
        self._insist.start()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and `over` is about to be called
            self._loop.call_soon_threadsafe(self._leave, status)

    def _wait_for_hang_up(self, terminal: int) -> None:
        poll = select.poll()
        poll.register(terminal, 0)  # a hang-up is told of unasked
        poll.poll()
        self._end_at_once(128 + signal.SIGHUP)

    def over(self) -> None:
        """Stand back, for the screen has ended in order: the rest may take its time, or be interrupted."""
        self._over = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._insist is not None:
            self._insist.cancel()

    def _end_at_once(self, status: int) -> None:
        if self._over:
            return
        try:
            self._let_go()
        finally:
            os._exit(status)
