"""What the threads of a worker share: where the run stands, and the answers to a screen that asks."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.quantities import Measurement
from ibtui.quantities.meter import Meter
from ibtui.recording import Recording
from ibtui.run import representation as looks
from ibtui.run.estimating import Desk
from ibtui.run.log import LogFile
from ibtui.run.measuring import meter_of
from ibtui.run.protocol import (
    Command,
    Detach,
    Frame,
    Notice,
    Pause,
    Pull,
    Rebin,
    Representation,
    Save,
    Status,
    Welcome,
)

SPEED_WINDOW_S = 2.0
NOTICES = 100
"""Notices that are kept for a screen that is slow to ask."""
NOTICES_FOR_NEWCOMERS = 5
SETTLED = 10
"""Answers to those who wait for a file that are kept."""
SAVED = 1000
"""Names of snapshots that are kept."""


@dataclass(frozen=True)
class Rebinned:
    """From the desk to the source: the recording has another binning now."""


@dataclass
class Speed:
    """Epochs per second over the last seconds."""

    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=256))

    def mark(self, epoch: int) -> None:
        """Say how far training is."""
        now = time.monotonic()
        if not self._marks or now - self._marks[-1][0] > SPEED_WINDOW_S / 200:
            self._marks.append((now, epoch))

    def forget(self) -> None:
        """Training stands still."""
        self._marks.clear()

    def __call__(self) -> float:
        """The speed now."""
        now = time.monotonic()
        marks = [m for m in list(self._marks) if now - m[0] <= SPEED_WINDOW_S] or list(self._marks)[-2:]
        if len(marks) < 2:
            return 0.0
        (t0, e0), (t1, e1) = marks[0], marks[-1]
        return (e1 - e0) / max(t1 - t0, 1e-9)


class RunState:
    """State written by the source's thread, read by the threads that answer screens.

    Two locks: one for the few assignments by which anything here changes, and one for drawing looks, which
    takes long and for which the source never waits.

    Parameters
    ----------
    options : WatchOptions
        Pace, folder for snapshots, memory for the history.
    log : LogFile
        The process's output.
    """

    def __init__(self, options: WatchOptions, log: LogFile) -> None:
        self.options = options
        self.folder = Path(options.snapshot_dir).absolute()
        self.commands: queue.SimpleQueue[Command | Rebinned] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.detached = options.detach
        self.saves_asked = 0
        """Files that were asked for and that the desk has not been given yet."""
        self.status = Status(
            run=-1, state="starting", epoch=0, epochs=0, epochs_per_second=0.0,
            pace=options.epochs_per_second, engine="", device="", why="",
            binning=Binning(), pending=0, unsaved=False,
        )  # fmt: skip
        self.speed = Speed()
        self.pausing = False
        self.recording: Recording | None = None
        self.desk: Desk | None = None
        self.log = log
        self._lock = threading.RLock()
        self._looking = threading.Lock()
        self._asked: Binning | None = None
        self._present: Measurement | None = None
        self._serial = 0
        self._meter: Meter | None = None
        self._look: Representation | None = None
        self._undrawable: tuple[int, ...] = ()
        self._notices: deque[Notice] = deque(maxlen=NOTICES)
        self._noted = 0
        self._saved_at: tuple[int, int] | None = None
        self._last_row = -1

    # From the source's thread.

    def begin(self, recording: Recording, **status: object) -> None:
        """A new run, or the first one: screens are sent it whole."""
        with self._lock:
            self.recording = recording
            self._meter = meter_of(recording)
            self._present, self._last_row = None, -1
            self.status = replace(self.status, run=self.status.run + 1, **status)  # type: ignore[arg-type]
            if self.desk is None:
                self.desk = Desk(recording, lambda: self.commands.put(Rebinned()), self._refused)
                if self._asked is not None:
                    self.desk.rebin(self._asked)
                self.desk.start()
            else:
                self.desk.take(recording)

    def _refused(self, text: str) -> None:
        with self._lock:
            if not self._notices or self._notices[-1].text != text:
                self.note(text, "error")

    def update(self, **status: object) -> None:
        """Change fields of the status."""
        with self._lock:
            self.status = replace(self.status, **status)  # type: ignore[arg-type]

    def show(self, present: Measurement | None) -> None:
        """What is to be looked at as the present: weights off the schedule, or None for the last row."""
        with self._lock:
            self._present = present
            self._serial += 1

    def show_running(self) -> None:
        """The present is the last measurement."""
        if self._present is not None:
            self.show(None)

    def note(self, text: str, severity: str = "information") -> None:
        """Tell the user something, once."""
        with self._lock:
            self._notices.append(Notice(text, severity))
            self._noted += 1

    # From whoever saves.

    def standing_still(self) -> AbstractContextManager[object]:
        """In this block the status, and the recording that it belongs to, don't change."""
        return self._lock

    def held(self, run: int, epoch: int) -> None:
        """Some file holds a run up to an epoch."""
        with self._lock:
            self._saved_at = max(self._saved_at or (run, epoch), (run, epoch))

    def taken_care_of(self) -> None:
        """The desk has been given a file that was asked for, or there is nothing to write."""
        with self._lock:
            self.saves_asked -= 1

    def kept(self, path: Path, run: int, epoch: int) -> None:
        """This file now holds a run up to an epoch."""
        with self._lock:
            self.held(run, epoch)
            saved = tuple(name for name in self.status.saved if name != str(path))
            self.status = replace(
                self.status, saved=(*saved, str(path))[-SAVED:], saves=self.status.saves + 1
            )

    def settle(self, ticket: int, trouble: str = "") -> None:
        """A file that was asked for has been written, or could not be, and why."""
        with self._lock:
            if trouble:
                self.note(trouble, "error")
            if ticket:
                settled = (*self.status.settled, (ticket, trouble))[-SETTLED:]
                self.status = replace(self.status, settled=settled)

    @property
    def unsaved(self) -> bool:
        """Whether there is history that no file holds."""
        with self._lock:
            return self._unsaved(self.status, self._saved_at)

    def _unsaved(self, status: Status, saved_at: tuple[int, int] | None) -> bool:
        if self.recording is None or not len(self.recording) or status.source == "replay":
            return False
        return saved_at is None or saved_at < (status.run, status.epoch)

    # From the threads that answer screens.

    def obey(self, command: Command) -> None:
        """Pass a command on to whoever carries it out."""
        match command:
            case Rebin(binning):
                with self._lock:
                    if self.desk is not None:
                        self.desk.rebin(binning)
                    else:
                        self._asked = binning
                        self.status = replace(self.status, binning=binning)
                return
            case Detach():
                self.detached = True
                return
            case Pause():
                self.pausing = True
            case Save():
                with self._lock:
                    self.saves_asked += 1
            case _:
                pass
        self.commands.put(command)

    def frame(self, pull: Pull) -> Frame:
        """What is new since the asker's last frame."""
        log, log_end = self.log.lines(pull.log)
        with self._lock:
            status, saved_at = self.where(), self._saved_at
            notices = self._notices_since(NOTICES_FOR_NEWCOMERS if pull.run < 0 else NOTICES, pull.notice)
            noted = self._noted
            recording, meter, present, serial = self.recording, self._meter, self._present, self._serial
        told = {"log": log, "log_end": log_end, "notices": notices, "notice_end": noted}
        if recording is None or meter is None:
            return Frame(status, **told)  # type: ignore[arg-type]
        fresh = pull.run != status.run
        # Before the rows: what goes on from a checkpoint older than its last rows makes them again to the
        # bit, from one that is newer than its last rows it would leave a hole.
        checkpoint = recording.checkpoint
        update = recording.update_since(0 if fresh else pull.tick)
        if status.source == "training":  # a stretch of epochs says where it stands when it is over
            status = replace(status, epoch=max((status.epoch, *recording.column("epoch")[-1:].tolist())))
            status = replace(status, unsaved=self._unsaved(status, saved_at))
        row = None if fresh and pull.run >= 0 else pull.row  # a row of the run before means nothing now
        look = self._look_at(row, status, recording, meter, present, serial)
        if look is not None and look.row is not None and pull.row is None:
            status = replace(status, skipped=self._skipped(look.row, recording))
        if look is not None and look.key == pull.look:
            look = None
        reached = checkpoint.epoch if checkpoint else -1
        return Frame(
            status,
            Welcome(status.run, recording.experiment, recording.ceilings) if fresh else None,
            update,
            look,
            None if not fresh and reached == pull.checkpoint else checkpoint,
            **told,  # type: ignore[arg-type]
        )

    def _notices_since(self, most: int, since: int) -> tuple[Notice, ...]:
        first = max(since, self._noted - min(most, len(self._notices)))
        return tuple(self._notices)[first - self._noted :] if first < self._noted else ()

    def _skipped(self, row: int, recording: Recording) -> int:
        """Count the measurements that were passed over since the last one that was shown as the present."""
        with self._lock:
            if recording is self.recording:
                passed = max(0, row - self._last_row - 1) if self._last_row >= 0 else 0
                self._last_row = max(row, self._last_row)
                self.status = replace(self.status, skipped=self.status.skipped + passed)
            return self.status.skipped

    def where(self) -> Status:
        """Where the run stands at this moment."""
        with self._lock:
            state = self.status.state
            running = state == "running"
            return replace(
                self.status,
                state="pausing" if running and self.pausing else state,
                epochs_per_second=self.speed() if running else 0.0,
                binning=self.desk.binning if self.desk else self.status.binning,
                pending=self.desk.pending if self.desk else 0,
                unsaved=self.unsaved,
                detached=self.detached,
            )

    def _look_at(
        self,
        row: int | None,
        status: Status,
        recording: Recording,
        meter: Meter,
        present: Measurement | None,
        serial: int,
    ) -> Representation | None:
        rows = len(recording)
        if row is None and present is None and status.source == "replay":
            row = self.position
        if row is not None or present is None:
            if not rows:
                return None
            row, present = rows - 1 if row is None else min(max(row, 0), rows - 1), None
            key: tuple[int, ...] = (status.run, row, recording.stamp(row))
        else:
            key = (status.run, -1, serial)
        with self._looking:
            if self._look is not None and self._look.key == key:
                return self._look
            if self._undrawable == key:
                return None
            try:
                meter.binning = recording.binning
                if present is not None:
                    self._look = looks.of_measurement(present, meter, key)
                else:
                    assert row is not None
                    self._look = looks.of_row(recording, row, meter, key)
            except Exception:  # such as a lack of memory; curves and weights still go out
                traceback.print_exc()
                self._undrawable = key
                return None
            return self._look

    position = 0
    """In a replay, the row that is shown."""
