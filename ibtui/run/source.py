"""The base of a worker's sources, which its measurements come from: training, or playback of a recording."""

from __future__ import annotations

import math
import queue
from abc import ABC, abstractmethod

from ibtui.run.protocol import Command, Stop
from ibtui.run.state import Rebinned, RunState
from ibtui.run.worker_saver import WorkerSaver

SLOWEST_S = 1e6
"""A pace of less than one step in this time stands still for anyone who looks."""


class Source(ABC):
    """Runs in the worker's main thread: measures, or moves through what was measured, and obeys commands.

    How sources differ is declared: `trains` and `plays` reach the screens in each `Status`, and nobody asks
    which source it is.
    """

    trains: bool
    """Epochs are trained here: the run grows, up to `Status.epochs`, and can be restarted."""
    plays: bool
    """A position moves through the measurements: it is the present, and the pace is measurements a second."""
    accepts: frozenset[type[Command]]
    """The commands that it carries out, besides `Stop`; it ignores others."""

    def __init__(self, state: RunState, saver: WorkerSaver) -> None:
        self._state, self._saver = state, saver

    @abstractmethod
    def prepare(self) -> None:
        """Import and compile what is needed, and begin the first run."""

    def serve(self) -> bool:
        """Go on, and obey, until told to stop; return whether to save first."""
        while True:
            try:
                command = self._state.commands.get(timeout=self._patience())
            except queue.Empty:
                self._advance()
                continue
            if isinstance(command, Stop):
                return command.save
            self._take(command)

    def _take(self, command: Command | Rebinned) -> None:
        if isinstance(command, Rebinned):
            self._rebinned()
        elif type(command) in self.accepts:
            self._obey(command)

    @abstractmethod
    def _patience(self) -> float | None:
        """Seconds to wait for a command before it goes on; None: for ever."""

    @abstractmethod
    def _advance(self) -> None:
        """Go on by a little, for no command has come."""

    @abstractmethod
    def _rebinned(self) -> None:
        """Measure again what no recording holds."""

    @abstractmethod
    def _obey(self, command: Command) -> None: ...

    def _set_pace(self, pace: float) -> None:
        self._state.update(pace=pace if pace > 0 and math.isfinite(pace) else 0.0, story=False)

    def close(self) -> None:  # noqa: B027 - a source need not hold anything
        """Release what it holds."""
