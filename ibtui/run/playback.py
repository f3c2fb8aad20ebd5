"""The source that plays a recording: a file, or what a screen knew of a run whose worker has died."""

from __future__ import annotations

import traceback

from ibtui.errors import UsageError
from ibtui.quantities import Measurement
from ibtui.recording.files import load
from ibtui.run import effects
from ibtui.run.job import Job
from ibtui.run.measuring import measure, meter_of
from ibtui.run.protocol import Command, Pause, Restart, Resume, Save, SetPace, Step
from ibtui.run.source import SLOWEST_S, Source
from ibtui.run.state import RunState
from ibtui.run.worker_saver import WorkerSaver

_FASTEST = 1000.0
"""Measurements a second where there is no pace."""


class Playback(Source):
    """Moves a position through the measurements of a recording.

    A dead run stands still instead: at its last measurement or, where training had come further, at the state
    that was known last. Its history is to be saved, for no file need hold it.
    """

    trains = False

    def __init__(self, state: RunState, saver: WorkerSaver, job: Job) -> None:
        assert job.replay is not None
        super().__init__(state, saver)
        self._path, self._dead = job.replay, job.dead
        self._position = 0
        self._playing = False
        self.plays = self._dead is None
        moving: set[type[Command]] = {Pause, Resume, Step, SetPace, Restart}
        self.accepts = frozenset({Save} | (moving if self.plays else set()))

    def prepare(self) -> None:
        """Read the file. Its position is at the end at first, as if the run had just finished."""
        state, dead = self._state, self._dead
        state.update(message="reading")
        recording = load(self._path, history_bytes=state.options.history_mb << 20)
        if not len(recording):
            raise UsageError(f"{self._path}: holds no measurements")
        self._recording, config = recording, recording.config
        self._position = len(recording) - 1
        present = None if self.plays else self._last_known()
        with state.unchanging():  # screens see all of it or nothing
            state.begin(
                recording,
                state="paused" if dead is None else "dead",
                engine=config.engine,
                device=config.ctx,
                epoch=recording.newest_epoch if dead is None else dead.epoch,
                epochs=config.epochs,
                message="",
                story=False,
                file=self._path if self.plays else "",
            )
            state.set_present(present)
            if dead is None or dead.saved:
                state.saver.hold(state.status.run, state.status.epoch)
        if recording.damage:
            state.note(f"the file is {recording.damage}", "warning")
        if self.plays:
            self._report()

    def _last_known(self) -> Measurement | None:
        """Measure the last state that is known, where training had come past the last measurement."""
        recording, checkpoint = self._recording, self._recording.checkpoint
        if checkpoint is None or checkpoint.epoch <= recording.newest_epoch:
            return None
        try:
            return measure(recording, checkpoint, meter_of(recording))
        except Exception:  # such as a lack of memory: the history is there all the same
            traceback.print_exc()
            return None

    def _patience(self) -> float | None:
        return min(1 / (self._state.status.pace or _FASTEST), SLOWEST_S) if self._playing else None

    def _advance(self) -> None:
        self._move(1)

    def _rebinned(self) -> None:
        if not self.plays:
            self._state.set_present(self._last_known())

    def _obey(self, command: Command) -> None:
        match command:
            case Save():
                self._saver.save(command)
                return
            case Pause():
                self._playing = False
                effects.tell("stopped")
            case Resume():
                self._playing = True
                if self._position == len(self._recording) - 1:
                    self._position = 0
                effects.tell("playing")
            case Step(count):
                self._playing = False
                self._move(count)
            case SetPace(pace):
                before = self._state.status.pace
                self._set_pace(pace)
                effects.tell(effects.of_pace(before, self._state.status.pace, "measurements/s"))
            case Restart():
                self._position = 0
                effects.tell("back at the first measurement")
        self._report()

    def _move(self, count: int) -> None:
        last = len(self._recording) - 1
        self._position = min(max(self._position + count, 0), last)
        if self._position == last:
            self._playing = False
        self._report()

    def _report(self) -> None:
        state = self._state
        epoch = int(self._recording.column("epoch")[self._position])
        if self._playing:
            state.speed.mark(epoch)
        else:
            state.speed.forget()
        state.set_present(self._position)
        state.update(state="running" if self._playing else "paused", epoch=epoch)
