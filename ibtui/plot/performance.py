"""Accuracy and loss over epochs, in one plot."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.axes import FRAME
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.curves import Series, curve_plot
from ibtui.plot.dots import Marker
from ibtui.plot.ticks import EpochScale
from ibtui.plot.trails import Sketch


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
    reference: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    sketch: Sketch | None = None,
) -> Cells:
    """Draw accuracy above loss, or beside it where there are few rows; the held-out half is dotted.

    Arrays are of shape (E,); `x_high`, `cursor`, `scale` and `sketch` are as in `curve_plot`. `reference` has
    another run's epochs, and its accuracy and loss where it trains, each of shape (F,): they are drawn dim.
    """
    canvas = Canvas(width, height)
    stacked = height >= 9 or width < 40
    each = width if stacked else (width - 2) // 2
    names = ("train", "held out")

    def panel(
        train: ArrayLike, test: ArrayLike, high: float | None, rows: int, unit: str, x_labels: bool
    ) -> Cells:
        series = [
            Series(train, palette.TRAIN, names[0]),
            Series(test, palette.HELD_OUT, names[1], "held_out"),
        ]
        if reference is not None:
            past = reference[1 if unit == "accuracy" else 2]
            series.append(Series(past, palette.REFERENCE, "", "reference", reference[0]))
        return curve_plot(
            epochs, series, each, rows, marker,
            y_low=0.0, y_high=high, x_high=x_high, cursor=cursor, unit=unit, x_labels=x_labels, scale=scale,
            sketch=sketch and sketch.part(unit),
        )  # fmt: skip

    ruled = stacked and each >= 20
    named = not stacked and height >= 4
    upper = (height - ruled) // 2 if stacked else height - named
    lower = height - ruled - upper if stacked else upper
    at = (max(upper + ruled, 0), 0) if stacked else (int(named), each + 2)
    canvas.paste(panel(train_accuracy, test_accuracy, 1.0, upper, "accuracy", not stacked), int(named), 0)
    canvas.paste(panel(train_loss, test_loss, None, lower, "loss", True), *at)
    if ruled:
        canvas.rule(FRAME[marker][2], slice(upper, upper + 1), slice(0, width), palette.AXIS)
        canvas.put("loss ", upper, 0, palette.DIM)
    elif named:
        canvas.put("accuracy", 0, 0, palette.DIM)
        canvas.put("loss", 0, each + 1, palette.DIM)
    return canvas.cells()
