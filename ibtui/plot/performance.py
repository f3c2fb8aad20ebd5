"""Accuracy and loss over epochs, in one plot."""

from __future__ import annotations

from collections.abc import Iterable

from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.curves import Series, curve_plot
from ibtui.plot.dots import Marker
from ibtui.plot.ticks import EpochScale


def performance_plot(
    epochs: ArrayLike,
    train_accuracy: ArrayLike,
    test_accuracy: ArrayLike,
    train_loss: ArrayLike,
    test_loss: ArrayLike,
    width: int,
    height: int,
    marker: Marker,
    *,
    x_high: float | None = None,
    cursor: float | None = None,
    scale: EpochScale = "linear",
) -> Cells:
    """Draw accuracy above loss, or beside it where there are few rows; the held-out half is dotted.

    Arrays are of shape (E,); `x_high`, `cursor` and `scale` are as in `curve_plot`.
    """
    canvas = Canvas(width, height)
    stacked = height >= 9 or width < 40
    each = width if stacked else (width - 2) // 2
    names = ("train", "held out") if each >= 48 else ("t", "h")

    def panel(
        train: ArrayLike, test: ArrayLike, high: float | None, rows: int, unit: str, x_labels: bool
    ) -> Cells:
        pair = [Series(train, palette.TRAIN, names[0]), Series(test, palette.HELD_OUT, names[1], "held_out")]
        return curve_plot(
            epochs, pair, each, rows, marker,
            y_low=0.0, y_high=high, x_high=x_high, cursor=cursor, unit=unit, x_labels=x_labels, scale=scale,
        )  # fmt: skip

    upper = height // 2 if stacked else height
    lower = height - upper if stacked else height
    at = (max(upper, 0), 0) if stacked else (0, each + 2)
    canvas.paste(panel(train_accuracy, test_accuracy, 1.0, upper, "accuracy", not stacked), 0, 0)
    canvas.paste(panel(train_loss, test_loss, None, lower, "loss", True), *at)
    if each >= 20 and upper < 18:
        # Where the curves of a run that learns leave room; larger panels have the name above their axis.
        bottom = upper - (1 if stacked else 2)
        _caption(canvas, "accuracy", range(bottom, -1, -1), 5)
        _caption(canvas, "loss", range(at[0], at[0] + lower - 1), at[1] + each // 2)
    return canvas.cells()


def _caption(canvas: Canvas, text: str, rows: Iterable[int], col: int) -> None:
    """Write `text` into the first of `rows` that is blank there."""
    for row in rows:
        if (canvas.chars[row, col : col + len(text)] == " ").all():
            canvas.put(text, row, col, palette.DIM)
            return
