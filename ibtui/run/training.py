"""The source that trains: it carries out commands between stretches of epochs."""

from __future__ import annotations

import time
import traceback

from ibtui import pace
from ibtui.engines.choose import Choice
from ibtui.errors import explain
from ibtui.importing import importing
from ibtui.recording import LOADED, Checkpoint
from ibtui.run import effects
from ibtui.run.job import Job
from ibtui.run.protocol import Command, Pause, Restart, Resume, Save, SetPace, Step
from ibtui.run.source import SLOWEST_S, Source
from ibtui.run.state import Rebinned, RunState
from ibtui.run.worker_saver import WorkerSaver

_LONGEST_S = 0.03
"""Seconds that a stretch of epochs takes at most, so that commands never wait."""
_TICKS_PER_SECOND = 50
_LOOK_S = 0.01
"""Seconds between two looks for the first screen."""
_CHECKPOINT_S = 0.25
"""The greatest age of the state from which a worker that is ended at once is resumed."""


class Training(Source):
    """Drives a Trainer at the pace, and to the epoch, that the screen asks for.

    All commands come down to how far to train: `_goal` is the epoch at which to pause (None: the end).
    """

    trains, plays = True, False
    accepts = frozenset({Pause, Resume, Step, SetPace, Restart, Save})

    def __init__(self, state: RunState, saver: WorkerSaver, job: Job) -> None:
        super().__init__(state, saver)
        self._job = job
        self._goal: int | None = 0 if state.options.paused else None
        self._stretch = 1
        self._due_at = self._checkpoint_at = 0.0

    def prepare(self) -> None:
        from ibtui.engines.nvidia import nvml
        from ibtui.recording.files import peek
        from ibtui.run.beforehand import Beforehand
        from ibtui.run.trainer import Trainer

        state, options, job, config = self._state, self._state.options, self._job, self._job.config
        assert config is not None
        state.update(message="loading the engine")
        rows = peek(job.resume).rows if job.resume is not None else -1
        beforehand = Beforehand(state.show_beforehand)

        def preparing(choice: Choice) -> None:
            state.update(message=choice.preparing)
            beforehand.show_numbers()

        with importing():  # engines, and the numbers of epoch 0 before them, for which a screen waits
            trainer = Trainer(config, options.history_mb << 20, job.resume, preparing, beforehand.show)
        choice = trainer.choice
        if self._goal is not None:
            self._goal = trainer.epoch
        trainer.measure_if_due()
        self._trainer = trainer
        with state.unchanging():  # screens see all of it or nothing
            state.begin(
                trainer.recording,
                engine=choice.engine,
                device=choice.ctx,
                why=choice.why,
                epoch=trainer.epoch,
                epochs=trainer.config.epochs,
                message="",
            )
            # Not estimated or measured anew, and nothing taken back: the file holds it, and will.
            as_filed = (
                not job.temporary and len(trainer.recording) == rows and trainer.recording.tick == LOADED
            )
            if (
                as_filed or trainer.epoch == 0
            ):  # initial weights follow from the seed, and no file has to hold them
                state.saver.hold(state.status.run, trainer.epoch)
        for text in trainer.warnings:
            state.note(text, "warning")
        nvml.monitor(choice.ctx, lambda text: state.update(gpu=text))

    def serve(self) -> bool:
        self._report()
        save = super().serve()
        self._checkpoint()
        return save

    def _take(self, command: Command | Rebinned) -> None:
        try:
            super()._take(command)
        except Exception as error:
            self._fail(error)

    def _rebinned(self) -> None:
        self._report()

    @property
    def _running(self) -> bool:
        if self._state.status.state == "failed" or self._trainer.finished:
            return False
        return self._goal is None or self._trainer.epoch < self._goal

    @property
    def _unseen(self) -> bool:
        """True while a run that is to be watched has nobody who looks: its first epochs are worth seeing."""
        return not (self._state.seen or self._state.status.detached)

    def _patience(self) -> float | None:
        if not self._running:
            return None
        if self._unseen:
            return _LOOK_S
        return min(max(0.0, self._due_at - time.monotonic()), SLOWEST_S) if self._goal is None else 0.0

    def _obey(self, command: Command) -> None:
        trainer = self._trainer
        match command:
            case Pause():
                self._goal = trainer.epoch
                effects.tell(f"paused at epoch {trainer.epoch:,}")
            case Resume():
                self._goal = None
                effects.tell(f"goes on from epoch {trainer.epoch:,}")
            case Step(epochs):
                paused_at = trainer.epoch if self._goal is None else max(self._goal, trainer.epoch)
                self._goal = min(paused_at + max(1, epochs), trainer.config.epochs)
                effects.tell(f"step to epoch {self._goal:,}")
            case SetPace(asked):
                before = self._state.status.pace
                self._set_pace(asked)
                self._due_at = 0.0
                effects.tell(effects.of_pace(before, self._state.status.pace, "epochs/s"))
            case Save():
                self._saver.save(command, self._checkpoint())
            case Restart(seed):
                self._restart(trainer.config.seed if seed is None else seed)
        self._report()

    def _restart(self, seed: int) -> None:
        trainer = self._trainer
        paused = self._goal is not None and not trainer.finished
        try:
            trainer.restart(seed)
            trainer.measure_if_due()
            effects.tell(f"restarted with seed {seed}")
        finally:  # an engine that cannot begin again has a new, empty recording all the same
            self._goal = 0 if paused else None
            self._state.speed.forget()
            self._state.begin(trainer.recording, epoch=trainer.epoch, state="running", message="")

    def _checkpoint(self) -> Checkpoint | None:
        """Return the present state, or the last known one if the engine cannot tell any more."""
        recording = self._trainer.recording
        try:
            recording.checkpoint = self._trainer.checkpoint()
        except Exception:
            traceback.print_exc()
        return recording.checkpoint

    def _advance(self) -> None:
        """Train the next stretch: a few epochs, as many as the pace has for one tick."""
        if self._unseen:
            return
        trainer = self._trainer
        limit = self._limit()
        free = self._goal is None
        epochs = self._stretch
        if free and limit > 0:
            epochs = min(epochs, max(1, round(limit / _TICKS_PER_SECOND)))
        if self._goal is not None:
            epochs = min(epochs, self._goal - trainer.epoch)
        began = time.monotonic()
        try:
            trainer.train(epochs)
            if began - self._checkpoint_at > _CHECKPOINT_S:
                trainer.recording.checkpoint = trainer.checkpoint()
                self._checkpoint_at = began
            self._report()
        except Exception as error:
            self._fail(error)
            return
        took = time.monotonic() - began
        if epochs == self._stretch and took < _LONGEST_S / 2:
            self._stretch *= 2
        elif took > _LONGEST_S:
            self._stretch = max(1, self._stretch // 2)
        if free and limit > 0:
            # From the last due time, so that the pace is kept on average; not from long ago, so that a
            # pause or a slow stretch is not made up for by a rush.
            self._due_at = max(self._due_at, began - 0.1) + epochs / limit

    def _limit(self) -> float:
        """Return the pace, which follows the story as long as no other was asked for and somebody watches."""
        status = self._state.status
        if not status.story:
            return status.pace
        limit = pace.of_story(self._trainer.epoch)
        if status.detached and not status.screens:
            limit = pace.AFTERWARDS
        if limit != status.pace:
            self._state.update(pace=limit)
        return limit

    def _report(self) -> None:
        """Tell screens where training stands; when it stands still, measure its present state."""
        trainer, state = self._trainer, self._state
        if state.status.state == "failed":
            return
        if self._running:
            state.set_present(None)
            state.speed.mark(trainer.epoch)
            now = "running"
        else:
            state.speed.forget()
            trainer.recording.checkpoint = trainer.checkpoint()
            off_schedule = trainer.recording.newest_epoch != trainer.epoch
            state.set_present(trainer.measure() if off_schedule else None)
            now = "finished" if trainer.finished else "paused"
        state.update(state=now, epoch=trainer.epoch)
        state.history.wake()

    def _fail(self, error: Exception) -> None:
        """Training broke off: the history stays, and the screen says why."""
        traceback.print_exc()
        why = explain(error)
        self._state.update(state="failed", message=why, epoch=self._trainer.epoch)
        self._state.note(f"training broke off: {why}", "error")

    def close(self) -> None:
        self._trainer.close()
