"""The worker's desk: the thread for heavy work on the history, one job after another.

It re-estimates measurements after a change of binning and writes files, while training goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.information import Binning
from ..measuring import Meter
from ..recording import Checkpoint, Recording

_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class SaveJob:
    """Write the recording up to the moment of the asking."""

    recording: Recording
    rows: int
    checkpoint: Checkpoint | None
    write: Callable[[Recording, int, Checkpoint | None], None]


class Desk(threading.Thread):
    """See the module.

    Parameters
    ----------
    rebinned : callable
        Called, in this thread, when the recording has taken another binning.
    """

    def __init__(self, recording: Recording, rebinned: Callable[[], None]) -> None:
        super().__init__(name="desk", daemon=True)
        self._recording = recording
        self._meter = self._meter_of(recording)
        self._wanted = recording.binning
        self._jobs: list[SaveJob] = []
        self._rebinned = rebinned
        self._changed = threading.Condition()
        self._busy = False

    @staticmethod
    def _meter_of(recording: Recording) -> Meter:
        return Meter(recording.dataset, recording.config.activation, recording.binning)

    @property
    def binning(self) -> Binning:
        """The binning asked for last."""
        return self._wanted

    @property
    def pending(self) -> int:
        """Measurements that still wait for that binning."""
        if self._wanted != self._recording.binning:
            return len(self._recording)
        return len(self._recording.pending())

    def take(self, recording: Recording) -> None:
        """Turn to the recording of a new run; jobs for the old one are still done."""
        with self._changed:
            self._recording, self._wanted = recording, recording.binning
            self._meter = self._meter_of(recording)
            self._changed.notify_all()

    def rebin(self, binning: Binning) -> None:
        """Have the history estimated with this binning; the newest asked for wins."""
        with self._changed:
            self._wanted = binning
            self._changed.notify_all()

    def save(self, job: SaveJob) -> None:
        """Have a file written, once the estimates agree with the binning."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def nudge(self) -> None:
        """A measurement was appended that may wait for its estimates."""
        with self._changed:
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False where that takes longer."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._busy or self._jobs or self._wanted != self._recording.binning or self.pending:
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    return False
        return True

    def run(self) -> None:
        """Work for ever."""
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while (work := self._next()) is None:
                    self._changed.wait()
                self._busy = True
            work()

    def _next(self) -> Callable[[], None] | None:
        recording, wanted = self._recording, self._wanted
        stale = [job for job in self._jobs if job.recording is not recording]
        if stale:
            return lambda: self._write(stale[0])
        if wanted != recording.binning:
            return lambda: self._adopt(wanted)
        if len(pending := recording.pending()):
            return lambda: self._estimate(pending[:_ROWS_AT_ONCE])
        if self._jobs:
            job = self._jobs[0]
            return lambda: self._write(job)
        return None

    def _adopt(self, binning: Binning) -> None:
        self._meter.binning = binning
        self._recording.rebin(binning, self._meter.estimator.h_x)
        self._rebinned()

    def _estimate(self, rows: np.ndarray[Any, Any]) -> None:
        recording, meter = self._recording, self._meter
        for row in rows:
            if self._wanted != meter.binning:
                return
            estimates = meter.estimator.estimate(meter.activations(recording, int(row)))
            recording.estimate(int(row), meter.binning, estimates)

    def _write(self, job: SaveJob) -> None:
        try:
            job.write(job.recording, job.rows, job.checkpoint)
        finally:
            with self._changed:
                self._jobs.remove(job)
