"""What the threads of a worker share: where the run stands, and the answers to a screen that asks."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import storage
from ..config import Session as Options
from ..core.information import Binning
from ..measuring import Meter
from ..recording import Checkpoint, Measurement, Recording
from . import look as looks
from . import runtime
from .desk import Desk, SaveJob
from .protocol import Command, Detach, Frame, Look, Notice, Pause, Pull, Rebin, Save, Status, Stop, Welcome

SPEED_WINDOW_S = 2.0


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
        now = time.monotonic()
        marks = [m for m in list(self._marks) if now - m[0] <= SPEED_WINDOW_S] or list(self._marks)[-2:]
        if len(marks) < 2:
            return 0.0
        (t0, e0), (t1, e1) = marks[0], marks[-1]
        return (e1 - e0) / max(t1 - t0, 1e-9)


class Session:
    """State written by the source's thread, read by the threads that answer screens.

    Parameters
    ----------
    options : Options
        Pace, folder for snapshots, memory for the history.
    log : Path
        The file that takes the process's output.
    """

    def __init__(self, options: Options, log: Path) -> None:
        self.options = options
        self.commands: queue.SimpleQueue[Command | Rebinned] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.detached = options.detach
        self.status = Status(
            run=-1, state="starting", epoch=0, epochs=0, epochs_per_second=0.0, pace=options.epochs_per_second,
            engine="", device="", why="", binning=Binning(), pending=0, unsaved=False,
        )  # fmt: skip
        self.speed = Speed()
        self.pausing = False
        self.recording: Recording | None = None
        self.desk: Desk | None = None
        self._log = log
        self._lock = threading.RLock()
        self._present: Measurement | None = None
        self._serial = 0
        self._meter: Meter | None = None
        self._look: Look | None = None
        self._notices: list[Notice] = []
        self._saved_at: tuple[int, int] | None = None
        self._last_row = -1

    # From the source's thread.

    def begin(self, recording: Recording, **status: object) -> None:
        """A new run, or the first one: screens are sent it whole."""
        with self._lock:
            self.recording = recording
            self._meter = Meter(recording.dataset, recording.config.activation, recording.binning)
            self._present, self._look, self._last_row = None, None, -1
            self.status = replace(self.status, run=self.status.run + 1, **status)  # type: ignore[arg-type]
            if self.desk is None:
                self.desk = Desk(recording, lambda: self.commands.put(Rebinned()))
                self.desk.start()
            else:
                self.desk.take(recording)

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

    # Saving.

    def save(self, path: str | None, epoch: int, checkpoint: Checkpoint | None) -> None:
        """Have the desk write a snapshot of this moment; the outcome becomes a notice."""
        assert self.recording is not None and self.desk is not None
        run = self.status.run

        def write(recording: Recording, rows: int, checkpoint: Checkpoint | None) -> None:
            self._write(recording, rows, checkpoint, path, run, epoch)

        self.desk.save(SaveJob(self.recording, len(self.recording), checkpoint, write))

    def _write(
        self,
        recording: Recording,
        rows: int,
        checkpoint: Checkpoint | None,
        path: str | None,
        run: int,
        epoch: int,
    ) -> None:
        try:
            if path is None:
                stem = f"ibtui-{time.strftime('%Y%m%d-%H%M%S')}-epoch{epoch}"
                written = storage.save_new(
                    recording,
                    Path(self.options.snapshot_dir).resolve(),
                    stem,
                    rows=rows,
                    checkpoint=checkpoint,
                )
            else:
                written = Path(path)
                storage.save(recording, written, rows=rows, checkpoint=checkpoint)
        except Exception as error:
            where = path or self.options.snapshot_dir
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self.note(f"not saved: {where}: {reason}", "error")
            return
        with self._lock:
            self._saved_at = max(self._saved_at or (run, epoch), (run, epoch))
            saved = (*self.status.saved, str(written))
            self.status = replace(self.status, saved=saved)
        print(f"saved {written}", flush=True)
        self.note(f"saved {written}")

    @property
    def unsaved(self) -> bool:
        """Whether there is history that no file holds."""
        if self.recording is None or not len(self.recording) or self.status.source == "replay":
            return False
        return self._saved_at is None or self._saved_at < (self.status.run, self.status.epoch)

    def save_at_once(self) -> None:
        """Write what there is in the calling thread: the worker is about to end."""
        if self.recording is None or self.desk is None or not self.unsaved:
            return
        self.desk.settle(0.5)
        checkpoint = self.recording.checkpoint
        epoch = checkpoint.epoch if checkpoint else self.status.epoch
        self._write(self.recording, len(self.recording), checkpoint, None, self.status.run, epoch)

    # From the threads that answer screens.

    def obey(self, command: Command) -> None:
        """Pass a command on to whoever carries it out."""
        match command:
            case Rebin(binning):
                if self.desk is not None:
                    self.desk.rebin(binning)
                    return
            case Pause():
                self.pausing = True
            case Detach():
                self.detached = True
                return
            case Stop() | Save():
                pass
        self.commands.put(command)

    def frame(self, pull: Pull) -> Frame:
        """What is new since the asker's last frame."""
        with self._lock:
            log, at = runtime.log_lines(self._log, pull.log)
            status = self.where()
            notices = tuple(self._notices[pull.notice :])
            recording = self.recording
            if recording is None:
                return Frame(status, log=log, log_end=at, notices=notices)
            fresh = pull.run != status.run
            welcome = (
                Welcome(status.run, recording.config, recording.dataset, recording.h_y) if fresh else None
            )
            changes = recording.changes(0 if fresh else pull.tick)
            look = self._look_at(None if fresh else pull.row)
            skipped = self.status.skipped
            if look is not None and look.row is not None and pull.row is None:
                skipped += max(0, look.row - self._last_row - 1) if self._last_row >= 0 else 0
                self._last_row = max(look.row, self._last_row)
                self.status = replace(self.status, skipped=skipped)
            if look is not None and look.key == pull.look:
                look = None
            checkpoint = recording.checkpoint
            reached = checkpoint.epoch if checkpoint else -1
            return Frame(
                replace(status, skipped=skipped),
                welcome,
                changes,
                look,
                None if not fresh and reached == pull.checkpoint else checkpoint,
                log,
                at,
                notices,
            )

    def where(self) -> Status:
        """Where the run stands at this moment."""
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

    def _look_at(self, row: int | None) -> Look | None:
        recording, meter = self.recording, self._meter
        assert recording is not None and meter is not None
        rows = len(recording)
        if row is None and self._present is None and self.status.source == "replay":
            row = self.position
        present = self._present if row is None else None
        if present is None:
            if not rows:
                return None
            row = rows - 1 if row is None else min(max(row, 0), rows - 1)
            key = (self.status.run, row, recording.stamp(row))
        else:
            key = (self.status.run, -1, self._serial)
        if self._look is None or self._look.key != key:
            meter.binning = recording.binning
            if present is not None:
                self._look = looks.of_present(present, meter, key)
            else:
                assert row is not None
                self._look = looks.of_row(recording, row, meter, key)
        return self._look

    position = 0
    """In a replay, the row that is shown."""
