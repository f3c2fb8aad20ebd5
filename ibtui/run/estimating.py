"""The worker's thread for heavy work on the history: it re-estimates measurements and writes files.

Training goes on meanwhile, and never waits for it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

from ibtui.core.information import Binning
from ibtui.errors import IbtuiError, explain
from ibtui.quantities import Array
from ibtui.quantities.meter import Meter
from ibtui.recording import Recording
from ibtui.run import effects
from ibtui.run.measuring import check_derivable, estimate_row, fitted, meter_of

_ROWS_AT_ONCE = 16


def _asked(binning: Binning) -> Binning:
    """Return what can be asked for of a binning: its ranges follow from the run."""
    return replace(binning, tops=())


@dataclass(frozen=True, eq=False)
class FileJob:
    """Something to write of a recording."""

    recording: Recording
    write: Callable[[], None]

    def do(self) -> None:
        """Write it. If that goes wrong, other files are still to be written."""
        try:
            self.write()
        except Exception:
            traceback.print_exc()


class HistoryThread(threading.Thread):
    """Keeps the estimates of one recording at the binning asked for last, and writes files one by one.

    A file waits until the estimates agree with the binning, but a run that has been replaced by a new one is
    written as it is. In this thread `rebinned` is called when the recording has changed its binning, and
    `refused` with what has gone wrong with a binning or an estimate.
    """

    def __init__(
        self, rebinned: Callable[[], None] = lambda: None, refused: Callable[[str], None] = lambda text: None
    ) -> None:
        super().__init__(name="history", daemon=True)
        self._recording: Recording | None = None
        self._meter: Meter | None = None
        self._reference: tuple[Recording | None, Meter | None] = None, None
        """The run before, which is estimated with the same binning once nothing else is to be done."""
        self._wanted: Binning | None = None
        self._jobs: list[FileJob] = []
        self._writing: FileJob | None = None
        self._rebinned, self._refused = rebinned, refused
        self._asked_of: tuple[Recording, Binning, float] | None = None
        """The recording whose binning was changed, from which one, and when; until its estimates are made."""
        self._changed = threading.Condition()
        self._busy = self._closed = False

    @property
    def binning(self) -> Binning | None:
        """The binning asked for last; None before there is a recording."""
        return self._wanted

    @property
    def pending(self) -> int:
        """Measurements that still wait for that binning."""
        if (recording := self._recording) is None:
            return 0
        if self._wanted != _asked(recording.binning):
            return len(recording)
        return len(recording.pending())

    def work_on(self, recording: Recording) -> None:
        """Turn to the recording of a new run; files of the old one are still written.

        The binning asked for last is the new run's too, even if the old one had not changed to it yet.
        """
        with self._changed:
            self._reference = self._recording, self._meter
            self._recording, self._meter = recording, meter_of(recording)
            self._wanted = self._wanted or _asked(recording.binning)
            self._changed.notify_all()

    def rebin(self, binning: Binning) -> None:
        """Have the history estimated with this binning; the newest asked for wins."""
        with self._changed:
            self._wanted = _asked(binning)
            self._changed.notify_all()

    def write(self, job: FileJob) -> None:
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def wake(self) -> None:
        """Say that a measurement was appended, which may wait for its estimates."""
        with self._changed:
            self._changed.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until nothing is left to do; return False if that takes longer."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._busy or self._jobs or self.pending:
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    return False
        return True

    def close(self) -> list[FileJob]:
        """Begin nothing more; return what is left to write, once the file that is being written is."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            left = [job for job in self._jobs if job is not self._writing]
            while self._writing is not None:
                self._changed.wait()
            self._jobs = []
        return left

    def run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                work = None
                while not self._closed and (work := self._next()) is None:
                    self._changed.wait()
                if work is None:
                    return
                self._busy = True
            work()

    def _next(self) -> Callable[[], None] | None:
        # What is worked on is bound here, under the lock: `work_on` may be called at any time.
        recording, meter, wanted = self._recording, self._meter, self._wanted
        if recording is None or meter is None or wanted is None:
            return None
        stale = [job for job in self._jobs if job.recording is not recording]
        if stale:
            return self._write_next(stale[0])
        if wanted != _asked(recording.binning):
            return lambda: self._change_binning(recording, meter, wanted)
        if len(pending := recording.pending()):
            return lambda: self._estimate(recording, meter, pending[-_ROWS_AT_ONCE:])
        if self._jobs:
            return self._write_next(self._jobs[0])
        return self._next_of_reference(wanted)

    def _next_of_reference(self, wanted: Binning) -> Callable[[], None] | None:
        reference, meter = self._reference
        if reference is None or meter is None or not len(reference):
            return None
        if wanted != _asked(reference.binning):
            return lambda: self._change_binning(reference, meter, wanted)
        if len(pending := reference.pending()):
            return lambda: self._estimate(reference, meter, pending[-_ROWS_AT_ONCE:])
        return None

    def _change_binning(self, recording: Recording, meter: Meter, binning: Binning) -> None:
        before, began = recording.binning, time.monotonic()
        try:
            check_derivable(recording)
            meter.binning = fitting = fitted(recording, binning, meter)
            recording.rebin(fitting, meter.ceilings)
        except Exception as error:
            if not isinstance(error, IbtuiError):
                traceback.print_exc()
            meter.binning = before
            with self._changed:
                if recording is self._reference[0]:
                    self._reference = None, None  # it stays as it is
                elif self._wanted == binning:
                    self._wanted = _asked(before)
            self._refused(f"{binning.kind}, {binning.x_bins} and {binning.t_bins} bins: {explain(error)}")
            return
        if recording is self._recording and (self._asked_of is None or self._asked_of[0] is not recording):
            self._asked_of = recording, before, began
        self._rebinned()
        if not len(recording):
            self._tell(recording)

    def _tell(self, recording: Recording) -> None:
        """Say in the log that a history has the binning that was asked for, once it has it."""
        if self._asked_of is None or self._asked_of[0] is not recording or self.pending:
            return
        (_, before, began), self._asked_of = self._asked_of, None
        took = time.monotonic() - began
        effects.tell(effects.of_binning(before, recording.binning, len(recording), took))

    def _estimate(self, recording: Recording, meter: Meter, rows: Array) -> None:
        for row in map(int, rows[::-1]):  # the newest first
            if self._closed or self._wanted != _asked(recording.binning):
                return
            try:
                estimate_row(recording, row, meter)
            except Exception as error:  # such as a lack of memory: no reason to try for ever
                traceback.print_exc()
                self._refused(f"a measurement could not be estimated: {explain(error)}")
                recording.estimate(row, recording.binning, {})
        self._tell(recording)

    def _write_next(self, job: FileJob) -> Callable[[], None]:
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
