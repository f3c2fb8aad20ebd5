"""Accuracy and loss over epochs, on the training samples and on those held out."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np

from ibtui.core.names import WATCHED
from ibtui.plot import palette
from ibtui.plot.performance import performance_plot
from ibtui.plot.ticks import value_text
from ibtui.quantities import Array
from ibtui.ui.line import Piece, Styles, piece
from ibtui.ui.panes.curves import reference_words
from ibtui.ui.panes.pane import Drawing, Pane, message, pane
from ibtui.ui.scene import Scene


@pane(
    row=2,
    order=1,
    quantities=("train_accuracy", "test_accuracy", "train_loss", "test_loss", "moving_loss"),
    help={
        "Accuracy · loss": "Two plots over epochs: bright of the training samples, grey and dotted of those "
        "held out, dim of the run before, on its training samples. not finite from epoch N: the loss is NaN "
        "or infinite since.",
    },
)
class Performance(Pane):
    """Accuracy above, loss below."""

    def content_key(self, scene: Scene) -> Hashable:
        shown = scene.representation
        return scene.history, scene.reference_key, shown and shown.key, scene.cursor_row, scene.view.scale

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        recording = scene.recording
        if recording is None or not len(recording):
            waiting = message(scene.waiting, scene.view, width, height, styles)
            return Drawing([piece("accuracy · loss")], waiting)
        row, epochs = scene.cursor_row, scene.column("epoch")
        cells = performance_plot(
            epochs, scene.column("train_accuracy"), scene.column("test_accuracy"),
            scene.column("train_loss"), scene.column("test_loss"), width, height, scene.view.marker,
            x_high=scene.last_epoch, cursor=None if row is None else float(epochs[row]),
            scale=scene.view.scale, reference=_reference(scene),
            sketch=self.sketch(scene, scene.reference_key, scene.view.scale),
        )  # fmt: skip
        return Drawing(_halves(scene, "accuracy"), cells, [*_note(scene), *reference_words(scene)])


def _reference(scene: Scene) -> tuple[Array, Array, Array] | None:
    """Return epochs, accuracy and loss of the run before, on the samples that train."""
    before, names = scene.reference, ("epoch", "train_accuracy", "train_loss")
    if before is None or not {*names[1:]} <= before.quantities.keys():
        return None
    epochs, accuracy, loss = (before.column(name) for name in names)
    return epochs, accuracy, loss


def written(scene: Scene, half: str, name: str) -> str:
    """Write the accuracy or the loss of a half, "train" or "test", at the epoch shown.

    NaN means that the run has diverged, except where nobody measures a loss: where no samples are held out,
    and in a watched loop, which need not log it.
    """
    value, recording = _value_of(scene, f"{half}_{name}"), scene.recording
    if name == "accuracy" or recording is None or recording.config.engine == WATCHED:
        return value_text(value)
    return value_text(value) if half == "test" and not len(recording.dataset.x_test) else _loss(value)


def _value_of(scene: Scene, name: str) -> float:
    shown = scene.representation  # NaN while nothing is
    return float(shown.values.get(name, math.nan)) if shown is not None else math.nan


def _loss(value: float) -> str:
    return "NaN" if np.isnan(value) else value_text(value)


def _halves(scene: Scene, name: str) -> list[Piece]:
    train, test = (written(scene, half, name) for half in ("train", "test"))
    return [
        piece(name),
        piece(f"train {train}", train, ink=palette.TRAIN, rank=1),
        piece(f"held out {test}", ink=palette.HELD_OUT, rank=2),
    ]


def _note(scene: Scene) -> list[Piece]:
    words = _halves(scene, "loss")
    if scene.recording is None or scene.recording.config.engine != WATCHED:
        # Before the first batch there is no moving loss.
        trained = scene.representation is not None and scene.representation.epoch > 0
        moving = _loss(_value_of(scene, "moving_loss")) if trained else "n/a"
        words.append(piece(f"moving {moving}", ink=palette.DIM, rank=7))
    return [*words, *diverged(scene)]


def diverged(scene: Scene) -> list[Piece]:
    """Return from where on the loss is not finite, if it ever is not."""
    if scene.recording is None or (epoch := scene.recording.diverged_at) is None:
        return []
    return [piece(f"not finite from epoch {epoch:,}", f"diverged at {epoch:,}", ink=palette.WARN)]
