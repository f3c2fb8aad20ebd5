"""`ibtui --record`: a run without a screen, written to a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ibtui import tty
from ibtui.config import RunConfig, WatchOptions
from ibtui.console import Interrupted, Signals
from ibtui.errors import IbtuiError, explain, printable
from ibtui.plot.ticks import decimals, per_unit
from ibtui.recording import Recording
from ibtui.recording.files import claim
from ibtui.run.log import Output
from ibtui.run.saver import Saver
from ibtui.run.snapshot import Snapshot

_STRETCH_S = 0.1
"""Seconds of training between two looks at the clock, after which the progress bar moves."""
DEFAULT_AUTOSAVE_MIN = 1.0
"""Minutes between two autosaves, where --autosave does not say."""
_BESIDE_NUMBERS = 26
"""Columns that the progress bar needs beside its figures: a word, a bar of eight, the time left, blanks."""


def record(config: RunConfig, options: WatchOptions, path: str, *, force: bool, resume: str | None) -> int:
    """Train without a screen and write the recording: it is absent or whole at any time, and one run's alone.

    Of the options, autosave and history budget are used; there is no pace. `force` replaces an existing
    file; the history of a recording to resume goes to `path` too.

    Returns
    -------
    int
        Exit status: 0, or 128 and the number of the signal that ended the run, with what was done saved.

    Raises
    ------
    IbtuiError
        The run failed, or its end could not be written to `path`: it says where it was written instead.
    """
    shown = printable(path)
    with claim(path, force=force), Signals() as signals:
        try:
            signals.break_off_at(1)
            run = _Run(config, options, path, force, resume)
            # The first breaks off no epoch; with a second the run is saved as it was at its last checkpoint.
            signals.break_off_at(2)
        except Interrupted as stop:
            _say(f"interrupted before the first measurement; {shown} was not written")
            return stop.status
        exact, failure = True, None
        try:
            try:
                run.train(signals)
            except Exception as error:
                exact, failure = False, error
            signals.ignore()  # nothing must break off the saving
        except Interrupted:
            exact = False
        run.finish(interrupted=signals.status != 0, exact=exact, failure=failure)
    return signals.status


class _Run:
    """A trainer, and the file that it is written to."""

    def __init__(
        self, config: RunConfig, options: WatchOptions, path: str, force: bool, resume_from: str | None
    ) -> None:
        from ibtui.engines.nvidia import driver

        driver.warm(config.ctx, config.engine)
        from ibtui.run.trainer import Trainer

        self._path, self._shown, self._overwrite = Path(os.path.abspath(path)), printable(path), force
        minutes = DEFAULT_AUTOSAVE_MIN if options.autosave is None else options.autosave
        self._saver = Saver(60 * minutes)
        self.trainer = Trainer(
            config, options.history_mb << 20, resume_from, lambda choice: _say(choice.preparing)
        )
        self.trainer.measure_if_due()
        for text in self.trainer.warnings:
            _say(f"ibtui: {text}", sys.stderr)

    def train(self, signals: Signals) -> None:
        """Train to the end or to a signal, showing progress and saving now and then."""
        trainer = self.trainer
        stretch = 1
        progress = _bar if sys.stdout.isatty() else _tenths
        with progress(trainer.config, trainer.epoch) as advance:
            while not trainer.finished and not signals.status:
                began = time.monotonic()
                trainer.train(stretch)
                took = time.monotonic() - began
                if took < _STRETCH_S / 2:
                    stretch *= 2
                elif took > 2 * _STRETCH_S:
                    stretch = max(1, stretch // 2)
                advance(trainer.epoch, trainer.recording)
                with signals.held_back():  # a file that is there is to be known for ours
                    self._autosave()

    def _autosave(self) -> None:
        """Write the file if it is time to. If that fails, training goes on, and it is tried again."""
        if not self._saver.due():
            return
        snapshot = self._snapshot()
        outcome = self._saver.autosave(snapshot, lambda: self._write(snapshot))
        if outcome.news and outcome.error is not None:
            why = explain(outcome.error)
            _say(f"ibtui: {self._shown}: not written: {why}; trying again while it trains", sys.stderr)
        elif outcome.news:
            _say(f"ibtui: {self._shown}: written again", sys.stderr)

    def _snapshot(self, exact: bool = True) -> Snapshot:
        if exact:
            self.trainer.recording.checkpoint = self.trainer.checkpoint()
        self.trainer.estimate()
        return Snapshot.of(self.trainer.recording)

    def _write(self, snapshot: Snapshot) -> Path:
        path = snapshot.save(self._path, overwrite=self._overwrite)
        self._overwrite = True  # what is there now is ours
        return path

    def finish(self, *, interrupted: bool, exact: bool, failure: Exception | None) -> None:
        """Write the file and say what is in it; not `exact`: as of the last checkpoint."""
        try:
            snapshot = self._snapshot(exact)
        except Exception as error:  # an engine that cannot tell its state any more
            snapshot, failure = self._snapshot(exact=False), failure or error
        outcome = self._saver.finish(snapshot, lambda: self._write(snapshot))
        trouble = [f"training broke off: {explain(failure)}"] if failure is not None else []
        if isinstance(outcome.error, FileExistsError):
            trouble.append(f"{self._shown}: appeared while training; it was not replaced")
        elif outcome.error is not None:
            trouble.append(f"{self._shown}: not written: {explain(outcome.error)}")
        if outcome.path is None:
            raise IbtuiError("; ".join([*trouble, "and it could be written nowhere else"])) from outcome.error
        where = self._shown if outcome.error is None else printable(str(outcome.path))
        word = "interrupted; saved" if interrupted else "saved" if trouble else "recorded"
        text = f"{word} {snapshot.rows} measurements of {snapshot.epoch:,} epochs in {where}"
        if snapshot.rows:
            accuracy = snapshot.recording.column("train_accuracy")[snapshot.rows - 1]
            text += f", train accuracy {decimals(float(accuracy), 3)}"
        if (epoch := snapshot.recording.diverged_at) is not None:
            text += f"; it diverged: the loss is not finite from epoch {epoch:,} on"
        if trouble:
            raise IbtuiError("; ".join([*trouble, text])) from failure
        _say(text)


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=_unbroken(stream or sys.stdout), flush=True)


def _unbroken(stream: TextIO) -> TextIO:
    """Return the stream, free of errors where nobody can read it any more: training goes on."""
    try:
        ascii_only = stream.isatty() and not tty.shows_unicode(os.environ, stream.encoding)
        return Output(stream.fileno(), "ascii" if ascii_only else stream.encoding)  # type: ignore[return-value]
    except OSError:
        return stream  # one that is no file


Advance = Callable[[int, Recording], None]


@contextmanager
def _tenths(config: RunConfig, start: int) -> Iterator[Advance]:
    """A line per tenth of the run."""
    began = time.monotonic()
    last = 10 * start // config.epochs

    def advance(epoch: int, recording: Recording) -> None:
        nonlocal last
        if (tenth := 10 * epoch // config.epochs) > last:
            last = tenth
            _say(f"epoch {epoch:,} of {config.epochs:,}  {_numbers(epoch, recording, start, began)[0]}")

    yield advance


def _numbers(epoch: int, recording: Recording, start: int, began: float) -> list[str]:
    """The speed, and what was measured last, in fewer and fewer words; at which epoch, if not at this one."""
    numbers = f"{(epoch - start) / max(time.monotonic() - began, 1e-9):,.0f} epochs/s"
    if not len(recording):
        return [numbers]
    measured = int(recording.column("epoch")[-1])
    at = "" if measured == epoch else f"at {measured:,}: "
    accuracy = f"train accuracy {decimals(float(recording.column('train_accuracy')[-1]), 3)}"
    loss = f"loss {recording.column('train_loss')[-1]:.4f}"
    units: Any = recording.config.units
    i_ty = f"I(T;Y) {recording.column('i_ty')[-1, -1] / per_unit('nats', units):.3f} {units}"
    shorter = [(accuracy, loss, i_ty), (accuracy, i_ty), (i_ty,)]
    return [*(f"{numbers}  {at}{'  '.join(words)}" for words in shorter), numbers]


@contextmanager
def _bar(config: RunConfig, start: int) -> Iterator[Advance]:
    """A progress bar: epoch, epochs/s, time left, accuracy, loss and the last layer's I(T;Y)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=None),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}", markup=False),
    )
    began = time.monotonic()
    with Progress(*columns, console=Console(file=_unbroken(sys.stdout)), expand=True) as progress:
        task = progress.add_task("", total=config.epochs, completed=start, numbers="")

        def advance(epoch: int, recording: Recording) -> None:
            said = _numbers(epoch, recording, start, began)
            room = progress.console.width - 2 * len(str(config.epochs)) - _BESIDE_NUMBERS
            numbers = next((text for text in said if len(text) <= room), "")
            progress.update(task, completed=epoch, numbers=numbers)

        yield advance
