"""The worker's desk: the thread for heavy work on the history, one job after another.

It re-estimates measurements after a change of binning and writes files, while training goes on.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibtui.core.information import Binning
from ibtui.quantities.meter import Meter
from ibtui.recording import Recording
from ibtui.run.measuring import activations_of, meter_of

_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class SaveJob:
    """Write a recording up to the moment of the asking."""

    recording: Recording
    write: Callable[[], None]

    def do(self) -> None:
        """Write it. Whatever goes wrong, others are still to be written."""
        try:
            self.write()
        except Exception:
            traceback.print_exc()


class Desk(threading.Thread):
    """See the module.

    Parameters
    ----------
    rebinned : callable
        Called, in this thread, when the recording has taken another binning.
    refused : callable
        Called, in this thread, with what has gone wrong with a binning or an estimate.
    """

    def __init__(
        self,
        recording: Recording,
        rebinned: Callable[[], None],
        refused: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(name="desk", daemon=True)
        self._recording = recording
        self._meter = self._meter_of(recording)
        self._wanted = recording.binning
        self._jobs: list[SaveJob] = []
        self._writing: SaveJob | None = None
        self._rebinned, self._refused = rebinned, refused
        self._changed = threading.Condition()
        self._busy = self._closed = False

    @staticmethod
    def _meter_of(recording: Recording) -> Meter:
        return meter_of(recording)

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
        """Turn to the recording of a new run; jobs for the old one are still done.

        The binning asked for last stays the one that is wanted, also where the old run had not taken it yet.
        """
        with self._changed:
            self._recording = recording
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

    def close(self) -> list[SaveJob]:
        """Begin nothing more; returns what is left to write, once the file that is being written is."""
        with self._changed:
            self._closed = True
            left = [job for job in self._jobs if job is not self._writing]
            while self._writing is not None:
                self._changed.wait()
            self._jobs = []
        return left

    def run(self) -> None:
        """Work until closed."""
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while self._closed or (work := self._next()) is None:
                    self._changed.wait()
                self._busy = True
            work()

    def _next(self) -> Callable[[], None] | None:
        # What is worked on is bound here, under the lock: `take` may come at any moment.
        recording, meter, wanted = self._recording, self._meter, self._wanted
        stale = [job for job in self._jobs if job.recording is not recording]
        if stale:
            return self._write_next(stale[0])
        if wanted != recording.binning:
            return lambda: self._adopt(recording, meter, wanted)
        if len(pending := recording.pending()):
            return lambda: self._estimate(recording, meter, pending[:_ROWS_AT_ONCE])
        if self._jobs:
            return self._write_next(self._jobs[0])
        return None

    def _adopt(self, recording: Recording, meter: Meter, binning: Binning) -> None:
        before = recording.binning
        try:
            meter.binning = binning
            recording.rebin(binning, meter.ceilings)
        except Exception as error:
            traceback.print_exc()
            meter.binning = before
            with self._changed:
                if self._wanted == binning:
                    self._wanted = before
            self._refused(f"{binning.kind}, {binning.x_bins} and {binning.t_bins} bins: {error}")
            return
        self._rebinned()

    def _estimate(self, recording: Recording, meter: Meter, rows: np.ndarray[Any, Any]) -> None:
        for row in rows:
            if self._closed or self._wanted != meter.binning:
                return
            try:
                activations = activations_of(recording, int(row), meter)
                values = meter.estimates(activations, recording.rebinned)
            except Exception as error:  # such as a lack of memory: no reason to try for ever
                traceback.print_exc()
                self._refused(f"a measurement could not be estimated: {error or type(error).__name__}")
                values = {}
            recording.estimate(int(row), meter.binning, values)

    def _write_next(self, job: SaveJob) -> Callable[[], None]:
        self._writing = job

        def write() -> None:
            try:
                job.do()
            finally:
                with self._changed:
                    self._jobs.remove(job)
                    self._writing = None
                    self._changed.notify_all()

        return write
