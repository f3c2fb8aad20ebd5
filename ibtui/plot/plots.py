"""Whole plots with their axes: what stands inside a pane.

Each is a pure function from arrays and a size to cells, and leaves out what has no room: titles first, then
ticks, then labels, until only the curve or the scatter itself is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.axes import FRAME, Area, draw_axes, draw_rules, extent
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Dots, Floats, Marker
from ibtui.plot.plane import plane_plot
from ibtui.plot.raster import Curve, density, draw_curves, scatter
from ibtui.plot.ticks import number

__all__ = ["Series", "curve_plot", "performance_plot", "plane_plot", "scatter_box", "scatter_plot"]

Role = Literal["estimate", "held_out", "ceiling", "chance", "background"]

# Least important first: the order of drawing, and of giving up labels. Dotted lines are dimmer than any ink
# makes them.
_STRIDES: dict[Role, int] = {"background": 4, "chance": 2, "ceiling": 2, "held_out": 2, "estimate": 1}
_ROLES = list(_STRIDES)
_LINES = ("estimate", "held_out")
_LABEL_SHARE = 0.4
"""The most of a plot's width that its labels may take; of one role, what is behind gives them up first."""
_ROLE_GLYPHS: dict[Role, str] = {
    "background": ",",
    "chance": ".",
    "ceiling": "-",
    "held_out": "o",
    "estimate": "*",
}


@dataclass(frozen=True, eq=False)
class Series:
    """One curve of a `curve_plot`."""

    values: ArrayLike
    """Shape (E,); NaN leaves a gap."""
    ink: int
    label: str = ""
    """Before the value at the right end, a layer's number say; without one, ceilings stay unlabelled."""
    role: Role = "estimate"
    epochs: ArrayLike | None = None
    """Shape (E,), rising, where they are not the plot's: a previous run's."""


def scatter_box(low: float, high: float) -> Box:
    """The square that shows activations between `low` and `high`, or around them where they are equal."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return low, high, low, high


def scatter_plot(
    points: ArrayLike,
    labels: ArrayLike,
    box: Box,
    width: int,
    height: int,
    marker: Marker,
    *,
    density: bool = False,
) -> Cells:
    """Samples on a plane, with ticks.

    Parameters
    ----------
    points : array-like of shape (n, 2)
    labels : array-like of shape (n,)
    box : (x0, x1, y0, y1)
        See `scatter_box`.
    width, height : int
        In cells. Ticks and faint lines through zero from 20 x 9 on, axes from 56 x 20 on.
    marker : {"braille", "block", "ascii"}
    density : bool
        Show how many samples of which class are in each cell, and not the samples.

    Returns
    -------
    Cells
    """
    canvas = Canvas(width, height)
    labelled = width >= 20 and height >= 9
    framed = width >= 56 and height >= 20
    area = draw_axes(
        canvas, box, marker, x_labels=labelled, y_labels=labelled, frame_x=framed, frame_y=framed, apart=6
    )
    draw = _density if density else scatter
    canvas.paste(draw(points, labels, box, area.width, area.height, marker), area.top, area.left)
    if labelled:
        draw_rules(canvas, area, marker)
    return canvas.cells()


_density = density  # within `scatter_plot` the name is taken


def curve_plot(
    epochs: ArrayLike,
    series: Sequence[Series],
    width: int,
    height: int,
    marker: Marker,
    *,
    y_low: float | None = None,
    y_high: float | None = None,
    x_high: float | None = None,
    cursor: float | None = None,
    unit: str = "",
    x_labels: bool = True,
) -> Cells:
    """Curves over epochs, with the newest value of each at the right end.

    Estimates are drawn as lines over everything else; held-out curves, chance levels and ceilings are dotted,
    a previous run's curves still fainter. Where labels would overlap they move up or down; where there is no
    room for all, the previous run's go first, then chance levels, ceilings, held-out curves and the later
    estimates.

    Parameters
    ----------
    epochs : array-like of shape (E,), rising
    series : sequence of Series
    width, height : int
        In cells, from nothing up.
    marker : {"braille", "block", "ascii"}
    y_low, y_high : float, optional
        The range of the values, which is that of the series unless given; a value outside it is drawn at the
        edge.
    x_high : float, optional
        The last epoch of the axis: the newest unless given.
    cursor : float, optional
        The epoch that is looked at: a line stands there, and the labels show the values there.
    unit : str
        Written above the axis of a large plot.
    x_labels : bool
        False for a plot with another below it that has the same epochs.

    Returns
    -------
    Cells
    """
    canvas = Canvas(width, height)
    time = np.asarray(epochs, np.float64).reshape(-1)
    ordered = sorted(series, key=lambda one: _ROLES.index(one.role))
    box = _curve_box(time, ordered, y_low, y_high, x_high)
    labels, room = _labels(time, ordered, cursor, width if width >= 20 and height >= 2 else 0)
    large = width >= 60 and height >= 18
    area = draw_axes(
        canvas,
        box,
        marker,
        right=room,
        top=int(bool(large and unit)),
        x_labels=x_labels and width >= 20 and height >= 5,
        y_labels=width >= 20 and height >= 3,
        frame_x=large,
        frame_y=True,
    )
    dots = Dots(area.width, area.height, marker)
    draw_curves(dots, [_curve(time, one) for one in ordered], box)
    canvas.paste(dots.cells(), area.top, area.left)
    frame = FRAME[marker]
    if cursor is not None and np.isfinite(cursor):
        col = area.col(cursor)
        canvas.rule(frame[0], area.rows, slice(col, col + 1), palette.CURSOR)
    if box[2] < 0 < box[3] and area.left:
        zero = area.row(0)
        canvas.rule(frame[6], slice(zero, zero + 1), area.cols, palette.AXIS)
    for row, text, ink in _settled(labels, area):
        canvas.put(text, row, area.left + area.width + 1, ink)
    if area.top:
        canvas.put(unit, 0, max(area.left - len(unit), 0), palette.DIM)
    if large and x_labels and room > 6:
        canvas.put("epoch", height - 2, width - 5, palette.DIM)
    return canvas.cells()


_Label = tuple[str, float, int, tuple[int, int]]
"""Text, the value whose row it wants, ink, and importance: the larger stays."""


def _curve(time: Floats, one: Series) -> Curve:
    initial = one.label[:1]
    named = one.role in ("estimate", "held_out") and initial.isascii() and initial.isalnum()
    glyph = initial if named else _ROLE_GLYPHS[one.role]
    return Curve(time if one.epochs is None else one.epochs, one.values, one.ink, glyph, _STRIDES[one.role])


def _curve_box(
    time: Floats, series: Sequence[Series], y_low: float | None, y_high: float | None, x_high: float | None
) -> Box:
    ends = [end for one in series for end in _ends(np.asarray(one.values, np.float64).reshape(-1))]
    low, high = extent(np.array(ends, np.float64))
    low, high = low if y_low is None else y_low, high if y_high is None else y_high
    if not high > low:
        margin = max(abs(low) / 10, 0.5)
        # Only the end that was not asked for moves.
        low, high = low - margin if y_low is None else low, low + margin if y_high is None else high
    first, newest = extent(time[np.isfinite(time)])
    last = newest if x_high is None else max(x_high, first)
    return first, last if last > first else first + 1, low, high


def _ends(values: Floats) -> tuple[float, ...]:
    """The least and the largest of the values that are finite, which in a long history nearly all are."""
    if not values.size:
        return ()
    low, high = values.min(), values.max()
    if np.isfinite(low) and np.isfinite(high):
        return float(low), float(high)
    return _ends(values[np.isfinite(values)])


def _newest(values: Floats) -> float:
    """The last value that is not NaN; where there is none, below everything."""
    if not np.isnan(values[-1]):
        return float(values[-1])
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else -np.inf


def _labels(
    time: Floats, series: Sequence[Series], cursor: float | None, width: int
) -> tuple[list[_Label], int]:
    """What stands at the right end, the least important first, and how many columns that takes."""
    wanted: list[tuple[Series, float, float]] = []
    for one in series:
        x = time if one.epochs is None else np.asarray(one.epochs, np.float64).reshape(-1)
        values = np.asarray(one.values, np.float64).reshape(-1)
        if cursor is not None:
            values = values[: int(np.searchsorted(x, cursor, side="right"))]
        if values.size and one.role != "background" and (one.label or one.role in _LINES):
            wanted.append((one, float(values[-1]), _newest(values)))
    with_values = [f"{one.label} {number(value)}".strip() for one, value, _ in wanted]
    names = [one.label for one, _, _ in wanted]
    for texts in (with_values, names):  # the first that leaves the plot its room
        # Lines decide how much room there is; a ceiling with a long value is content with its name.
        pairs = list(zip(wanted, texts, strict=True))
        room = max([len(text if one.role in _LINES else one.label) for (one, _, _), text in pairs], default=0)
        if room and room + 1 <= _LABEL_SHARE * width:
            labels = [
                (text if len(text) <= room else one.label, wish, one.ink, (_ROLES.index(one.role), place))
                for place, ((one, _, wish), text) in enumerate(pairs)
            ]
            return sorted(labels, key=lambda label: label[3]), room + 1
    return [], 0


def _settled(labels: list[_Label], area: Area) -> list[tuple[int, str, int]]:
    """Row, text and ink of the labels that there are rows for, each as near to its value as can be."""
    kept = labels[max(len(labels) - area.height, 0) :]
    kept.sort(key=lambda label: (-label[1], label[3][1]))
    rows: list[int] = []
    for _, value, _, _ in kept:
        rows.append(max(area.row(value), rows[-1] + 1 if rows else area.top))
    lowest = area.top + area.height - 1
    for place in reversed(range(len(rows))):
        rows[place] = min(rows[place], lowest)
        lowest = rows[place] - 1
    return [(row, text, ink) for row, (text, _, ink, _) in zip(rows, kept, strict=True)]


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
) -> Cells:
    """Accuracy above loss, or beside it where there are few rows; the held-out half is dotted.

    Parameters
    ----------
    epochs, train_accuracy, test_accuracy, train_loss, test_loss : array-like of shape (E,)
    width, height : int
        In cells.
    marker : {"braille", "block", "ascii"}
    x_high, cursor : float, optional
        As in `curve_plot`.

    Returns
    -------
    Cells
    """
    canvas = Canvas(width, height)
    stacked = height >= 9 or width < 40
    each = width if stacked else (width - 2) // 2
    names = ("train", "held out") if each >= 48 else ("t", "h")

    def panel(
        train: ArrayLike, test: ArrayLike, high: float | None, rows: int, unit: str, x_labels: bool
    ) -> Cells:
        pair = [
            Series(train, palette.TRAIN, names[0]),
            Series(test, palette.HELD_OUT, names[1], "held_out"),
        ]
        return curve_plot(
            epochs, pair, each, rows, marker,
            y_low=0.0, y_high=high, x_high=x_high, cursor=cursor, unit=unit, x_labels=x_labels,
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
