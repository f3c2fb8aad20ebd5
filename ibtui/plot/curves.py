"""Curves over epochs, with their axes and the newest values at their right ends.

What has no room is left out: titles first, then ticks, then labels, until only the curves are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.axes import FRAME, Area, axes, extent
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Dots, Floats, Marker
from ibtui.plot.labels import spread_apart
from ibtui.plot.ticks import EpochScale, along, number
from ibtui.plot.trails import Sketch

Role = Literal["estimate", "held_out", "ceiling", "chance", "reference"]

# Least important first: the order of drawing, and of giving up labels. Dotted lines are dimmer than any ink
# makes them.
_STRIDES: dict[Role, int] = {"reference": 4, "chance": 2, "ceiling": 2, "held_out": 2, "estimate": 1}
_GLYPHS: dict[Role, str] = {"reference": ",", "chance": ".", "ceiling": "-", "held_out": "o", "estimate": "*"}
_ROLES = list(_STRIDES)
_SOLID = ("estimate", "held_out")
_MARKS_APART = 10
"""The least number of columns between two marks of a curve."""
_ROWS_FOR_COUNT = 5
"""From so many rows on, one is spent to say how many curves have no label."""
_LABEL_SHARE = 0.4
"""The largest share of a plot's width that its labels may fill."""


@dataclass(frozen=True, eq=False)
class Series:
    """One curve of a `curve_plot`."""

    values: ArrayLike
    """Shape (E,); NaN leaves a gap."""
    ink: int
    label: str = ""
    """Stands before the value at the right end: a layer's number. A ceiling without one has no label."""
    role: Role = "estimate"
    epochs: ArrayLike | None = None
    """Shape (E,), rising, where they are not the plot's: a reference's."""
    mark: str = ""
    """Stands on the curve here and there; in ASCII the label's first character draws it."""


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
    scale: EpochScale = "linear",
    sketch: Sketch | None = None,
) -> Cells:
    """Draw curves over epochs, with the newest value of each at the right end.

    Estimates are drawn as lines over everything else, and where they coincide in turns, two columns each;
    held-out curves, chance levels and ceilings are dotted, references still fainter. Where labels would
    overlap they move up or down; where there is no room for all, references go first, then chance levels,
    ceilings, held-out curves and of the estimates those that are close to others.

    Parameters
    ----------
    epochs : array-like of shape (E,), rising
    y_low, y_high : float, optional
        The range of the values, which is that of the series unless given; a value outside it is drawn at the
        edge.
    x_high : float, optional
        The last epoch of the axis: the newest unless given.
    cursor : float, optional
        The epoch shown: a line stands there, and the labels show the values there.
    unit : str
        Written above the axis of a large plot.
    x_labels : bool
        False for a plot with another below it that has the same epochs.
    scale : {"linear", "log"}
        Of the epochs.
    sketch : Sketch, optional
        Of the same curves when they were shorter, or new; the same picture, at the cost of what has been
        added.

    Raises
    ------
    ValueError
        If a curve does not have one value for each epoch.
    """
    sketch = sketch or Sketch()
    time = along(_flat(epochs), scale)
    curves = [
        _Curve(one, time if one.epochs is None else along(_flat(one.epochs), scale), _flat(one.values))
        for one in sorted(series, key=lambda one: _ROLES.index(one.role))
    ]
    # Those with epochs of their own are another run's, and lie behind.
    groups = {
        "reference": [curve for curve in curves if curve.x is not time],
        "curves": [curve for curve in curves if curve.x is time],
    }
    x_high, cursor = (end if end is None else float(along(end, scale)) for end in (x_high, cursor))
    reached = [sketch.reach(name, [curve.y for curve in group]) for name, group in groups.items()]
    box = _curve_box(time, extent(reached), y_low, y_high, x_high)
    labels, room = _labels(curves, cursor, width if width >= 20 and height >= 2 else 0)
    large = width >= 60 and height >= 18
    drawn, area = axes(
        width, height, box, marker,
        right=room, top=int(bool(large and unit)), frame_x=large, frame_y=True,
        x_labels=x_labels and width >= 20 and height >= 5, y_labels=width >= 20 and height >= 3,
        scale=scale, apart=9 if scale == "linear" else 6,
    )  # fmt: skip
    canvas = Canvas.over(drawn)
    dots = Dots(area.width, area.height, marker)
    for name, group in groups.items():
        shown = [curve.series for curve in group]
        across = [time] if name == "curves" else [curve.x for curve in group]
        trails = sketch.trails(
            name, dots, box, across, [curve.y for curve in group],
            [_STRIDES[one.role] for one in shown], [one.role == "estimate" for one in shown], rising=True,
        )  # fmt: skip
        trails.paint(dots, [one.ink for one in shown], [_glyph(one) for one in shown])
    canvas.paste(dots.cells(), area.top, area.left)
    frame = FRAME[marker]
    if marker != "ascii":
        _mark_curves(canvas, area, [curve for curve in curves if curve.series.mark])
    if cursor is not None and np.isfinite(cursor):
        col = area.col(cursor)
        canvas.rule(frame[0], area.rows, slice(col, col + 1), palette.CURSOR)
    if box[2] < 0 < box[3] and area.left:
        zero = area.row(0)
        canvas.rule(frame[6], slice(zero, zero + 1), area.cols, palette.AXIS)
    for row, text, ink in _spaced(labels, area):
        canvas.put(text, row, area.left + area.width + 1, ink)
    if area.top:
        canvas.put(unit, 0, max(area.left - len(unit), 0), palette.DIM)
    if large and x_labels and room > 6:
        canvas.put("epoch", height - 2, width - 5, palette.DIM)
    return canvas.cells()


def _flat(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float64).reshape(-1)


class _Curve(NamedTuple):
    """A series, and where it runs."""

    series: Series
    x: Floats
    """Places of `along`."""
    y: Floats


_Label = tuple[str, float, int, tuple[int, int]]
"""Text, the value whose row it wants, ink, and importance: where rows are few, the larger stays."""


def _glyph(one: Series) -> str:
    """Return the character that draws a curve in ASCII."""
    initial = one.label[:1]
    named = one.role in _SOLID and initial.isascii() and initial.isalnum()
    return initial if named else _GLYPHS[one.role]


def _mark_curves(canvas: Canvas, area: Area, curves: Sequence[_Curve]) -> None:
    """Put each curve's mark on it at equal distances, no two of them in one column."""
    if not area.width:
        return
    low, high = area.box[:2]
    centres = low + (np.arange(area.width) + 0.5) * (high - low) / area.width
    apart = max(_MARKS_APART, len(curves))
    for place, (one, x, y) in enumerate(curves):
        known = np.isfinite(y)
        if not known.any():
            continue
        first, last = (area.col(end) - area.left for end in x[known][[0, -1]])
        for col in range(first + (place - first) % apart, last + 1, apart):
            value = float(np.interp(centres[col], x[known], y[known]))
            canvas.put(one.mark, area.row(value), area.left + col, one.ink)


def _curve_box(
    time: Floats,
    reached: tuple[float, float],
    y_low: float | None,
    y_high: float | None,
    x_high: float | None,
) -> Box:
    low, high = reached
    low, high = low if y_low is None else y_low, high if y_high is None else y_high
    if not high > low:
        margin = max(abs(low) / 10, 0.5)
        # Only the end that was not asked for moves.
        low, high = low - margin if y_low is None else low, low + margin if y_high is None else high
    first, newest = (float(time[0]), float(time[-1])) if time.size else (0.0, 0.0)
    last = newest if x_high is None else max(x_high, first)
    return first, last if last > first else first + 1, low, high


def _newest(values: Floats) -> float:
    """Return the last value that is not NaN; where there is none, minus infinity: below everything."""
    if not np.isnan(values[-1]):
        return float(values[-1])
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else -np.inf


def _labels(curves: Sequence[_Curve], cursor: float | None, width: int) -> tuple[list[_Label], int]:
    """Return the labels at the right end, the least important first, and how many columns they need."""
    wanted: list[tuple[Series, float, float]] = []
    for one, x, y in curves:
        values = y if cursor is None else y[: int(np.searchsorted(x, cursor, side="right"))]
        if values.size and one.role != "reference" and (one.label or one.role in _SOLID):
            wanted.append((one, float(values[-1]), _newest(values)))
    with_values = [f"{one.label} {number(value)}".strip() for one, value, _ in wanted]
    names = [one.label for one, _, _ in wanted]
    for texts in (with_values, names):  # the first that leaves the plot its room
        # Lines decide how much room there is; a ceiling with a long value is content with its name.
        pairs = list(zip(wanted, texts, strict=True))
        room = max([len(text if one.role in _SOLID else one.label) for (one, _, _), text in pairs], default=0)
        if room and room + 1 <= _LABEL_SHARE * width:
            labels = [
                (text if len(text) <= room else one.label, wish, one.ink, (_ROLES.index(one.role), place))
                for place, ((one, _, wish), text) in enumerate(pairs)
            ]
            return sorted(labels, key=lambda label: label[3]), room + 1
    return [], 0


def _apart(labels: list[_Label], count: int) -> list[_Label]:
    """Choose so many labels: the most important one, then again and again that which is furthest from all."""
    *left, chosen = labels
    kept = [chosen]
    while len(kept) < count:
        kept.append(max(left, key=lambda label: min(_between(label[1], other[1]) for other in kept)))
        left.remove(kept[-1])
    return kept


def _between(one: float, other: float) -> float:
    return abs(one - other) if np.isfinite(one) and np.isfinite(other) else -1.0


def _spaced(labels: list[_Label], area: Area) -> list[tuple[int, str, int]]:
    """Return row, text and ink of the labels that there are rows for, each as near to its value as can be."""
    kept = labels[max(len(labels) - area.height, 0) :]
    curves = [label for label in labels if label[3][0] == _ROLES.index("estimate")]
    if area.height >= _ROWS_FOR_COUNT and len(curves) > area.height:
        kept = _apart(curves, area.height - 1)
        more, longest = f"+{len(curves) - len(kept)}", max(len(text) for text, *_ in curves)
        more = f"{more} more" if len(more) + 5 <= longest else more
        kept.append((more, -np.inf, palette.DIM, (0, 0)))
    kept.sort(key=lambda label: (-label[1], label[3][1]))
    bottom = area.top + area.height - 1
    wanted = [bottom if value == -np.inf else area.row(value) for _, value, _, _ in kept]
    rows = spread_apart(wanted, 1, area.top, area.top + area.height - 1)
    return [
        (int(row), text, ink) for row, (text, _, ink, _) in zip(rows, kept, strict=True) if row is not None
    ]
