"""Accuracy and loss over epochs, on the training half and on the half held out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from rich.style import Style

from ibtui.plot import palette
from ibtui.plot.plots import performance_plot
from ibtui.plot.ticks import number
from ibtui.recording import Recording
from ibtui.ui.line import Piece, piece
from ibtui.ui.panes.pane import Drawing, Pane, message
from ibtui.ui.view import View, between, cursor_row, horizon, with_present

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror


class Performance(Pane):
    """Accuracy above, loss below."""

    may_lag: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("performance")

    def content_key(self, view: View, mirror: Mirror) -> Hashable:
        """The curves change with the history, the numbers with the look."""
        recording, look = mirror.recording, mirror.look
        history = (recording.tick, id(recording)) if recording is not None else None
        return history, look and look.key, cursor_row(view, mirror)

    def draw(self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]) -> Drawing:
        """See `Pane.draw`."""
        recording = mirror.recording
        if recording is None or not len(recording):
            waiting = message(["no measurement yet"], view, width, height, styles)
            return Drawing([piece("accuracy · loss")], waiting)
        row, present = cursor_row(view, mirror), between(view, mirror)
        epochs = with_present(recording, "epoch", present)
        train_accuracy, test_accuracy, train_loss, test_loss = (
            with_present(recording, f"{half}_{name}", present)
            for name in ("accuracy", "loss")
            for half in ("train", "test")
        )
        cells = performance_plot(
            epochs,
            train_accuracy,
            test_accuracy,
            train_loss,
            test_loss,
            width,
            height,
            view.marker,
            x_high=horizon(mirror),
            cursor=None if row is None else float(epochs[row]),
        )
        return Drawing(_title(mirror), cells, _note(mirror, recording))


def _title(mirror: Mirror) -> list[Piece]:
    values = mirror.look.values if mirror.look is not None else {}
    train, test = (number(float(values.get(f"{half}_accuracy", float("nan")))) for half in ("train", "test"))
    return [
        piece("accuracy"),
        piece(f"train {train}", f"t {train}", ink=palette.TRAIN, rank=1),
        piece(f"held out {test}", f"h {test}", ink=palette.HELD_OUT, rank=2),
    ]


def _note(mirror: Mirror, recording: Recording) -> list[Piece]:
    values = mirror.look.values if mirror.look is not None else {}
    train, test = (loss(float(values.get(f"{half}_loss", float("nan")))) for half in ("train", "test"))
    trained = mirror.look is not None and mirror.look.epoch > 0  # before the first batch there is none
    moving = loss(float(values.get("moving_loss", float("nan")))) if trained else "n/a"
    return [
        piece("loss"),
        piece(f"train {train}", f"t {train}", ink=palette.TRAIN, rank=1),
        piece(f"held out {test}", f"h {test}", ink=palette.HELD_OUT, rank=2),
        piece(f"moving {moving}", ink=palette.DIM, rank=4),
        *diverged(recording),
    ]


def loss(value: float) -> str:
    """A loss in figures; one that is not a number is no missing value, but a run that has diverged."""
    return "NaN" if np.isnan(value) else number(value)


def diverged(recording: Recording) -> list[Piece]:
    """From where on the loss is not finite, if it ever is not."""
    wrong = np.flatnonzero(~np.isfinite(recording.column("train_loss")))
    if not len(wrong):
        return []
    epoch = f"{int(recording.column('epoch')[wrong[0]]):,}"
    return [piece(f"not finite from epoch {epoch}", f"diverged at {epoch}", ink=palette.WARN, rank=3)]
