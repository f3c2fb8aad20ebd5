"""A worker's source that trains: carries out commands between stretches of epochs."""

from __future__ import annotations

import math
import queue
import time
import traceback

from ibtui.engines.choose import Choice
from ibtui.errors import IbtuiError
from ibtui.recording import LOADED, Checkpoint
from ibtui.run.job import Job
from ibtui.run.protocol import Pause, Restart, Resume, Save, SetPace, Step, Stop
from ibtui.run.saver import Keeper
from ibtui.run.state import Rebinned, RunState

_LONGEST_S = 0.03
"""A stretch of epochs is meant to take no longer, so that commands never wait."""
_TICKS_PER_SECOND = 50
_SLOWEST_S = 1e6
"""A slower pace than an epoch in this time stands still for anyone who looks."""
_CHECKPOINT_S = 0.25
"""How old the state may be from which a worker that is ended at once is resumed."""


class TrainingSource:
    """Drives a Trainer at the pace, and to the epoch, that the screen asks for.

    There is one question, how far to train: `goal` is the epoch at which to pause (None: the end).
    """

    def __init__(self, session: RunState, keeper: Keeper, job: Job) -> None:
        self._session, self._keeper = session, keeper
        self._job = job
        self._goal: int | None = 0 if session.options.paused else None
        self._stretch = 1
        self._due = self._kept = 0.0

    def prepare(self) -> None:
        """Import the engine, compile what it needs, and start the session's first run."""
        from ibtui.engines.nvidia import nvml
        from ibtui.recording.files import peek
        from ibtui.run.trainer import Trainer

        session, options, job, config = self._session, self._session.options, self._job, self._job.config
        assert config is not None
        session.update(message="loading the engine")
        rows = peek(job.resume).rows if job.resume is not None else -1
        trainer = Trainer(config, options.history_mb << 20, job.resume, self._preparing)
        choice = trainer.choice
        if self._goal is not None:
            self._goal = trainer.epoch
        trainer.measure_if_due()
        self._trainer = trainer
        with session.standing_still():  # whoever looks sees all of it or nothing
            session.begin(
                trainer.recording,
                engine=choice.engine,
                device=choice.ctx,
                why=choice.why,
                epoch=trainer.epoch,
                epochs=trainer.config.epochs,
                message="",
            )
            # Not estimated or measured anew, and nothing taken back: the file holds it, and will.
            if not job.forget and len(trainer.recording) == rows and trainer.recording.tick == LOADED:
                session.held(session.status.run, trainer.epoch)
        if much := trainer.recording.forewarning():
            session.note(much, "warning")
        nvml.monitor(choice.ctx, lambda text: session.update(gpu=text))

    def _preparing(self, choice: Choice) -> None:
        text = f"preparing {choice.engine} on {choice.ctx}; the first time, it is compiled"
        self._session.update(message=text)

    def serve(self) -> bool:
        """Train and obey until told to stop; returns whether to save first."""
        self._settle()
        while True:
            try:
                command = self._session.commands.get(timeout=self._patience())
            except queue.Empty:
                self._advance()
                continue
            try:
                if isinstance(command, Stop):
                    self._checkpoint()
                    return command.save
                self._obey(command)
            except Exception as error:
                self._fail(error)

    @property
    def _running(self) -> bool:
        if self._session.status.state == "failed" or self._trainer.finished:
            return False
        return self._goal is None or self._trainer.epoch < self._goal

    def _patience(self) -> float | None:
        """Seconds to wait for a command before training goes on; None: for ever."""
        if not self._running:
            return None
        return min(max(0.0, self._due - time.monotonic()), _SLOWEST_S) if self._goal is None else 0.0

    def _obey(self, command: object) -> None:
        trainer, session = self._trainer, self._session
        match command:
            case Pause():
                self._goal = trainer.epoch
            case Resume():
                self._goal = None
            case Step(epochs):
                paused_at = trainer.epoch if self._goal is None else max(self._goal, trainer.epoch)
                self._goal = min(paused_at + max(1, epochs), trainer.config.epochs)
            case SetPace(pace):
                session.update(pace=pace if pace > 0 and math.isfinite(pace) else 0.0)
                self._due = 0.0
            case Save():
                self._keeper.save(command, self._checkpoint())
            case Restart(seed):
                self._restart(trainer.config.seed if seed is None else seed)
            case Rebinned():
                pass
        self._settle()

    def _restart(self, seed: int) -> None:
        trainer = self._trainer
        paused = self._goal is not None and not trainer.finished
        try:
            trainer.restart(seed)
            trainer.measure_if_due()
        finally:  # an engine that cannot begin again has a new, empty recording all the same
            self._goal = 0 if paused else None
            self._session.speed.forget()
            self._session.begin(trainer.recording, epoch=trainer.epoch, state="running", message="")

    def _checkpoint(self) -> Checkpoint | None:
        """The present state; the last known one where the engine cannot tell any more."""
        recording = self._trainer.recording
        try:
            recording.checkpoint = self._trainer.checkpoint()
        except Exception:
            traceback.print_exc()
        return recording.checkpoint

    def _advance(self) -> None:
        """Train the next stretch: a few epochs, as many as the pace has for one tick."""
        trainer, session = self._trainer, self._session
        pace = session.status.pace
        free = self._goal is None
        epochs = self._stretch
        if free and pace > 0:
            epochs = min(epochs, max(1, round(pace / _TICKS_PER_SECOND)))
        if self._goal is not None:
            epochs = min(epochs, self._goal - trainer.epoch)
        began = time.monotonic()
        try:
            trainer.train(epochs)
            if began - self._kept > _CHECKPOINT_S:
                trainer.recording.checkpoint = trainer.checkpoint()
                self._kept = began
            self._settle()
        except Exception as error:
            self._fail(error)
            return
        took = time.monotonic() - began
        if epochs == self._stretch and took < _LONGEST_S / 2:
            self._stretch *= 2
        elif took > _LONGEST_S:
            self._stretch = max(1, self._stretch // 2)
        if free and pace > 0:
            # From the last due time, so that the pace is kept on average; not from long ago, so that a
            # pause or a slow stretch is not made up for by a rush.
            self._due = max(self._due, began - 0.1) + epochs / pace

    def _settle(self) -> None:
        """Say where training stands; when it stands still, show the present weights."""
        trainer, session = self._trainer, self._session
        if session.status.state == "failed":
            return
        if self._running:
            session.show_running()
            session.speed.mark(trainer.epoch)
            state = "running"
        else:
            session.pausing = False
            session.speed.forget()
            trainer.recording.checkpoint = trainer.checkpoint()
            measured = trainer.recording.column("epoch")
            off_schedule = not len(measured) or int(measured[-1]) != trainer.epoch
            session.show(trainer.measure() if off_schedule else None)
            state = "finished" if trainer.finished else "paused"
        session.update(state=state, epoch=trainer.epoch)
        if session.desk is not None:
            session.desk.nudge()

    def _fail(self, error: Exception) -> None:
        """Training broke off: the history stays, and the screen says why."""
        traceback.print_exc()
        reason = str(error).strip().splitlines()
        text = f"{type(error).__name__}: {reason[0]}" if reason else type(error).__name__
        if isinstance(error, IbtuiError):  # a sentence as it is
            text = str(error)
        self._session.update(state="failed", message=text, epoch=self._trainer.epoch)
        self._session.note(f"training broke off: {text}", "error")

    def close(self) -> None:
        """Release the device."""
        self._trainer.close()
