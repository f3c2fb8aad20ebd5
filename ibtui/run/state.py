"""The state that a worker's threads share, and the answers to screens that are made from it."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ibtui import pace
from ibtui.config import WatchOptions
from ibtui.quantities import Measurement
from ibtui.recording import Checkpoint, Recording
from ibtui.run import effects
from ibtui.run.drawing import DrawnRow
from ibtui.run.estimating import HistoryThread
from ibtui.run.log import LogFile
from ibtui.run.protocol import (
    Command,
    Detach,
    Frame,
    Leave,
    NewRun,
    Notice,
    Pause,
    Preview,
    Pull,
    Rebin,
    Representation,
    Resume,
    Save,
    Status,
    Step,
)
from ibtui.run.saver import Saver
from ibtui.run.snapshot import Snapshot

NOTICES = 100
"""Notices that are kept for a screen that is slow to ask."""
NOTICES_FOR_NEWCOMERS = 5
ANSWERS = 10
"""Answers to screens that wait for a file that are kept."""


@dataclass(frozen=True)
class Rebinned:
    """From the history's thread to the source: the recording has another binning now."""


@dataclass
class Speed:
    """Epochs per second over the last seconds."""

    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=256))

    def mark(self, epoch: int) -> None:
        now = time.monotonic()
        if not self._marks or now - self._marks[-1][0] > pace.WINDOW_S / 200:
            self._marks.append((now, epoch))

    def forget(self) -> None:
        self._marks.clear()

    def __call__(self) -> float:
        now = time.monotonic()
        marks = [m for m in list(self._marks) if now - m[0] <= pace.WINDOW_S] or list(self._marks)[-2:]
        if len(marks) < 2:
            return 0.0
        (t0, e0), (t1, e1) = marks[0], marks[-1]
        return (e1 - e0) / max(t1 - t0, 1e-9)


class Notices:
    """The last notices, numbered from the first one ever."""

    def __init__(self) -> None:
        self._kept: deque[Notice] = deque(maxlen=NOTICES)
        self.count = 0

    def add(self, notice: Notice) -> None:
        self._kept.append(notice)
        self.count += 1

    def since(self, number: int, most: int) -> tuple[Notice, ...]:
        """Return those after the first `number`, the newest `most` at most."""
        first = max(number, self.count - min(most, len(self._kept)))
        return tuple(self._kept)[first - self.count :] if first < self.count else ()

    def is_newest(self, text: str) -> bool:
        return bool(self._kept) and self._kept[-1].text == text


class RunState:
    """Written by the source's thread, read by those that answer screens, under one lock for each change."""

    def __init__(self, options: WatchOptions, log: LogFile) -> None:
        self.options, self.log = options, log
        self.folder = Path(options.snapshot_dir).absolute()
        self.commands: queue.SimpleQueue[Command | Rebinned] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.seen = False
        """True once a screen has said that it holds a measurement."""
        self.leave_loop: Callable[[bool], object] = bool
        """Has a watched loop go on or, where True, stay paused without its screen; its source sets this."""
        self.stopped_by = ""
        """The process that had the worker ended, where that was not its own screen."""
        asked = options.epochs_per_second
        story, limit = (True, pace.of_story(0)) if isinstance(asked, str) else (False, asked)
        self.status = Status(pace=limit, story=story, detached=options.detach)
        self.speed = Speed()
        self.pausing = False
        """True from when a screen asks for a pause until the source stands still."""
        self.recording: Recording | None = None
        self.history = HistoryThread(lambda: self.commands.put(Rebinned()), self._refused)
        self.saver = Saver(60 * (options.autosave or 0.0))
        self.saves_waiting = 0
        """Files that screens have asked for and that nobody has begun to see to."""
        self.notices = Notices()
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._present: Measurement | int | None = None
        self._serial = 0
        self._drawing: DrawnRow | None = None
        self._continues = False
        self._reference: tuple[int, Recording | None] = -1, None
        """The run before, and its recording."""
        self._preview: tuple[Preview, Representation] | None = None
        self.history.start()

    def unchanging(self) -> AbstractContextManager[object]:
        """Return a lock: in its block the status, and the recording that it belongs to, don't change."""
        return self._lock

    # From the source's thread.

    def begin(self, recording: Recording, *, continues: bool = False, **status: object) -> None:
        """Begin a new run, or the first one: screens are sent it whole.

        `continues`: it is the run of before, whose recording was replaced by one that holds more.
        """
        with self._lock:
            self._continues = continues
            if not continues and self.recording is not None:
                self._reference = self.status.run, self.recording
            self.recording = recording
            self._present = self._present if continues else None
            skipped = self.status.skipped if continues else 0
            self.update(run=self.status.run + 1, skipped=skipped, **status)
            self._drawing = DrawnRow(recording, self.status.run)
            self.history.work_on(recording)

    def show_beforehand(self, preview: Preview, shown: Representation) -> None:
        """Have screens show this until a run begins."""
        with self._lock:
            self._preview = preview, shown

    def _refused(self, text: str) -> None:
        with self._lock:
            if not self.notices.is_newest(text):
                self.note(text, "error")

    def update(self, **status: object) -> None:
        with self._lock:
            self.status = replace(self.status, **status)  # type: ignore[arg-type]
            if self.status.state != "running":  # together: at no moment does it seem to run on
                self.pausing = False

    def set_present(self, present: Measurement | int | None) -> None:
        """Set what is the present: a measurement off the schedule, a row, or (None) the last row."""
        with self._lock:
            self._present = present
            self._serial += 1

    def note(self, text: str, severity: str = "information") -> None:
        with self._lock:
            self.notices.add(Notice(text, severity))

    # From whoever saves.

    def snapshot(self, checkpoint: Checkpoint | None = None) -> Snapshot | None:
        """Return the run as it is now, to be written; None if nothing has been measured."""
        with self._lock:
            recording, status = self.recording, self.status
        if recording is None or not len(recording):
            return None
        snapshot = replace(Snapshot.of(recording, checkpoint), run=status.run)
        if status.state in ("failed", "dead"):  # nobody can say more of it than that
            snapshot = replace(snapshot, reached=status.epoch)
        return snapshot

    def save_begun(self) -> None:
        """Say that a file that was asked for is seen to from now on."""
        with self._lock:
            self.saves_waiting -= 1

    def answer(self, ticket: int, trouble: str = "") -> None:
        """Say that a file that was asked for has been written, or why not."""
        with self._lock:
            if trouble:
                self.note(trouble, "error")
            if ticket:
                self.update(save_results=(*self.status.save_results, (ticket, trouble))[-ANSWERS:])

    @property
    def unsaved(self) -> bool:
        with self._lock:
            return self._unsaved(self.status, self.saver.held)

    def _unsaved(self, status: Status, held: tuple[int, int] | None) -> bool:
        if self.recording is None or not len(self.recording):
            return False
        return held is None or held < (status.run, status.epoch)

    # From the threads that answer screens.

    def obey(self, command: Command) -> None:
        match command:
            case Rebin(binning):
                self.history.rebin(binning)
                return
            case Detach():
                self.update(detached=True)
                effects.tell("detached: it outlives its screens")
                return
            case Leave(stays):  # not for the source's thread, which may be ended before it comes to that
                self.leave_loop(stays)
                return
            case Pause():
                self.pausing = True
            case Resume() | Step():  # it may not have come to stand
                self.pausing = False
            case Save():
                with self._lock:
                    self.saves_waiting += 1
        self.commands.put(command)

    def where(self) -> Status:
        with self._lock:
            status, saver = self.status, self.saver
            running = status.state == "running"
            return replace(
                status,
                state="pausing" if running and self.pausing else status.state,
                epochs_per_second=self.speed() if running else 0.0,
                binning=self.history.binning or status.binning,
                pending=self.history.pending,
                unsaved=self.unsaved,
                saved=saver.files,
                saves=saver.writes,
                seconds=time.monotonic() - self._began,
            )

    def reached(self) -> Status:
        """Return where the run stands, epochs that are measured and not yet told of included."""
        return self._reached(self.where(), self.recording, self.saver.held)

    def _reached(self, status: Status, recording: Recording | None, held: tuple[int, int] | None) -> Status:
        if not status.trains or recording is None:
            return status
        status = replace(status, epoch=max(status.epoch, recording.newest_epoch))
        return replace(status, unsaved=self._unsaved(status, held))

    def frame(self, pull: Pull) -> Frame:
        """Return what is new since the asker's last frame."""
        log, log_end = self.log.lines(pull.log)
        with self._lock:
            status, held, recording, drawing = self.where(), self.saver.held, self.recording, self._drawing
            present, serial, (before, reference) = self._present, self._serial, self._reference
            notices = self.notices.since(pull.notice, NOTICES_FOR_NEWCOMERS if pull.run < 0 else NOTICES)
            told = {"log": log, "log_end": log_end, "notices": notices, "notice_end": self.notices.count}
        if recording is None or drawing is None:
            preview, shown = self._preview or (None, None)
            if shown is not None and shown.key != pull.drawn:
                told |= {"preview": preview, "representation": shown}
            return Frame(status, **told)  # type: ignore[arg-type]
        fresh = pull.run != status.run
        self.seen = self.seen or not fresh
        checkpoint = recording.checkpoint  # before the rows: see `Snapshot.of`
        with recording.lock:  # what is drawn is of the last row that the screen hears of
            update, rows = recording.update_since(0 if fresh else pull.tick), len(recording)
        status = self._reached(status, recording, held)
        row = None if fresh and pull.run >= 0 else pull.row  # a row of the run before means nothing now
        drawn = drawing.draw(row, present, serial, pull.net, rows)
        if drawn is not None and drawn.row is not None and pull.row is None:
            passed = drawing.skipped(drawn.row)
            with self._lock:
                self.update(skipped=self.status.skipped + passed)
                status = replace(status, skipped=self.status.skipped)
        reached = checkpoint.epoch if checkpoint else -1
        new = (
            NewRun(
                status.run,
                recording.experiment,
                recording.ceilings,
                dict(recording.machine),
                drawing.inputs,
                self._continues,
                before,
            )
            if fresh
            else None
        )
        known = not fresh and pull.reference > 0  # then it is of the same run as ours
        return Frame(
            status,
            new,
            update,
            None if drawn is not None and drawn.key == pull.drawn else drawn,
            None if not fresh and reached == pull.checkpoint else checkpoint,
            reference=reference.update_since(pull.reference) if reference is not None and known else None,
            **told,  # type: ignore[arg-type]
        )
