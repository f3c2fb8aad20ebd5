"""A worker's source that plays a recording."""

from __future__ import annotations

import math
import queue

from ibtui.config import RunConfig
from ibtui.core.information import Binning
from ibtui.errors import UsageError
from ibtui.recording.files import load
from ibtui.run.protocol import Pause, Restart, Resume, Save, SetPace, Step, Stop
from ibtui.run.saver import Keeper
from ibtui.run.state import RunState

_LONGEST_S = 1e6
"""A slower pace than this stands still for anyone who looks."""


class ReplaySource:
    """Moves a position through the measurements of a file."""

    def __init__(self, session: RunState, keeper: Keeper, path: str) -> None:
        self._session, self._keeper, self._path = session, keeper, path
        self._playing = False

    def prepare(self) -> None:
        """Read the file; it is at its end at first, as a run that has just finished."""
        session = self._session
        session.update(message="reading", source="replay")
        recording = load(self._path, history_bytes=session.options.history_mb << 20)
        if not len(recording):
            raise UsageError(f"{self._path}: holds no measurements")
        self._recording = recording
        c: RunConfig = recording.config
        session.position = len(recording) - 1
        session.begin(
            recording,
            source="replay",
            engine=c.engine,
            device=c.ctx,
            epochs=c.epochs,
            message="",
            binning=Binning(c.binning, c.x_bins, c.t_bins),
        )
        self._settle()

    def serve(self) -> bool:
        """Play and obey until told to stop."""
        while True:
            pace = self._session.status.pace or 1000.0
            try:
                patience = min(1 / pace, _LONGEST_S) if self._playing else None
                command = self._session.commands.get(timeout=patience)
            except queue.Empty:
                self._move(1)
                continue
            match command:
                case Stop():
                    return False
                case Pause():
                    self._playing = False
                case Resume():
                    self._playing = True
                    if self._session.position == len(self._recording) - 1:
                        self._session.position = 0
                case Step(count):
                    self._playing = False
                    self._move(count)
                case SetPace(pace):
                    self._session.update(pace=pace if pace > 0 and math.isfinite(pace) else 0.0)
                case Restart():
                    self._session.position = 0
                case Save():
                    self._keeper.save(command)
                case _:
                    pass
            self._settle()

    def _move(self, count: int) -> None:
        last = len(self._recording) - 1
        self._session.position = min(max(self._session.position + count, 0), last)
        if self._session.position == last:
            self._playing = False
        self._settle()

    def _settle(self) -> None:
        session = self._session
        epoch = int(self._recording.column("epoch")[session.position])
        session.pausing = False
        if self._playing:
            session.speed.mark(epoch)
        else:
            session.speed.forget()
        session.update(state="running" if self._playing else "paused", epoch=epoch)

    def close(self) -> None:
        """Nothing is held."""
