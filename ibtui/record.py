"""`ibtui --record`: a run without a screen, written to a file."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .config import RunConfig, Session
from .errors import IbtuiError, printable
from .recording import Recording
from .storage import check_writable, save

_STRETCH_S = 0.1
"""How long training goes on between two looks at the clock and at the progress bar."""
_SHARE_FOR_SAVING = 1 / 20
"""An autosave waits until it costs no more than this share of the time."""
DEFAULT_AUTOSAVE_MIN = 1.0


class Interrupted(BaseException):
    """A signal asked the run to end; `status` is what the command exits with."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        super().__init__(signal.Signals(number).name)


def record(config: RunConfig, session: Session, path: str, *, force: bool, resume: str | None) -> int:
    """Train without a screen and write the recording.

    Parameters
    ----------
    config : RunConfig
    session : Session
        Its autosave and history budget; a pace only where one was asked for.
    path : str
        The recording. It is absent or whole at any moment.
    force : bool
        Replace an existing file.
    resume : str or None
        A recording to go on with; its history goes to `path` too.

    Returns
    -------
    int
        Exit status: 0, or 128 and the number of the signal that ended the run, with what was done saved.
    """
    check_writable(path, force=force)
    shown = printable(path)
    with _Signals() as signals:
        try:
            run = _Run(config, session, path, force, resume)
        except Interrupted as stop:
            print(f"interrupted before the first measurement; {shown} was not written")
            return stop.status
        signals.wait_for_the_epoch = True
        exact = True
        try:
            run.train(signals)
        except Interrupted:
            exact = False
        signals.ignore()  # nothing must break off the saving
        run.finish(shown, interrupted=signals.status != 0, exact=exact)
    return signals.status


class _Signals:
    """Turns the signals that end a run into a status to look at, so that no epoch is broken off half-way.

    Before training, and on a second signal, `Interrupted` is raised: then an epoch may be half done, and the
    run is saved as it was at its last checkpoint.
    """

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.status = 0
        self.wait_for_the_epoch = False

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._arrived) for number in self._NUMBERS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        second = self.status != 0
        self.status = 128 + number
        if second or not self.wait_for_the_epoch:
            self.ignore()
            raise Interrupted(number)

    def ignore(self) -> None:
        """From now on nothing arrives."""
        for number in self._NUMBERS:
            signal.signal(number, signal.SIG_IGN)


class _Run:
    """A trainer, and the file that it is written to."""

    def __init__(
        self, config: RunConfig, session: Session, path: str, force: bool, resume_from: str | None
    ) -> None:
        from .training.engine import choose
        from .training.resuming import resume
        from .training.trainer import Trainer

        self._path, self._overwrite = path, force
        minutes = DEFAULT_AUTOSAVE_MIN if session.autosave is None else session.autosave
        self._autosave_s = 60 * minutes
        self._saved_at = time.monotonic()
        self._save_cost_s = 0.0
        budget = session.history_mb << 20
        resumed = resume(resume_from, config.epochs, budget) if resume_from else None
        choice = choose(config)
        self.trainer = Trainer(config, choice, budget, resumed)
        self.trainer.measure_if_due()

    def train(self, signals: _Signals) -> None:
        """Train to the end or to a signal, showing progress and saving now and then."""
        trainer = self.trainer
        stretch = 1
        with _progress(trainer.config, trainer.epoch) as show:
            while not trainer.finished and not signals.status:
                began = time.monotonic()
                trainer.train(stretch)
                took = time.monotonic() - began
                if took < _STRETCH_S / 2:
                    stretch *= 2
                elif took > 2 * _STRETCH_S:
                    stretch = max(1, stretch // 2)
                show(trainer.epoch, trainer.recording)
                self._autosave()

    def _autosave(self) -> None:
        since = time.monotonic() - self._saved_at
        if self._autosave_s and since > max(self._autosave_s, self._save_cost_s / _SHARE_FOR_SAVING):
            self._save()

    def _save(self, exact: bool = True) -> None:
        began = time.monotonic()
        if exact:
            self.trainer.recording.checkpoint = self.trainer.checkpoint()
        save(self.trainer.recording, self._path, overwrite=self._overwrite)
        self._overwrite = True  # what is there now is ours
        self._saved_at = time.monotonic()
        self._save_cost_s = self._saved_at - began

    def finish(self, shown: str, *, interrupted: bool, exact: bool) -> None:
        """Write the file and say what is in it; not `exact`: as of the last checkpoint."""
        recording = self.trainer.recording
        try:
            self._save(exact)
        except FileExistsError as error:
            raise IbtuiError(f"{shown}: appeared while training; it was not replaced") from error
        except OSError as error:
            raise IbtuiError(f"{shown}: not written: {error.strerror}") from error
        accuracy = recording.column("train_accuracy")
        word = "interrupted; saved" if interrupted else "recorded"
        assert recording.checkpoint is not None
        print(
            f"{word} {len(recording)} measurements of {recording.checkpoint.epoch:,} epochs in {shown}"
            + (f", accuracy {accuracy[-1]:.3f}" if len(accuracy) else "")
        )


Show = Callable[[int, Recording], None]


@contextmanager
def _progress(config: RunConfig, start: int) -> Iterator[Show]:
    if sys.stdout.isatty():
        with _bar(config, start) as show:
            yield show
    else:
        yield _plain(config, start)


def _plain(config: RunConfig, start: int) -> Show:
    """A line per tenth of the run."""
    began = time.monotonic()
    last = 10 * start // config.epochs

    def show(epoch: int, recording: Recording) -> None:
        nonlocal last
        if (tenth := 10 * epoch // config.epochs) > last:
            last = tenth
            speed = (epoch - start) / max(time.monotonic() - began, 1e-9)
            print(f"epoch {epoch:,} of {config.epochs:,}  {_numbers(recording, speed)}", flush=True)

    return show


def _numbers(recording: Recording, speed: float) -> str:
    accuracy, loss = recording.column("train_accuracy"), recording.column("train_loss")
    if not len(loss):
        return f"{speed:,.0f} epochs/s"
    i_ty = recording.column("i_ty")[-1, -1]
    return f"{speed:,.0f} epochs/s  accuracy {accuracy[-1]:.3f}  loss {loss[-1]:.4f}  I(T;Y) {i_ty:.3f} nats"


@contextmanager
def _bar(config: RunConfig, start: int) -> Iterator[Show]:
    """A progress bar: epoch, epochs/s, time left, accuracy, loss and the last layer's I(T;Y)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=None),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}", markup=False),
    )
    began = time.monotonic()
    with Progress(*columns, expand=True) as progress:
        task = progress.add_task("", total=config.epochs, completed=start, numbers="")

        def show(epoch: int, recording: Recording) -> None:
            speed = (epoch - start) / max(time.monotonic() - began, 1e-9)
            progress.update(task, completed=epoch, numbers=_numbers(recording, speed))

        yield show
