"""The information plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.axes import Area, axes, draw_rules, extent
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Dots, Floats, Marker, Whole, scaled
from ibtui.plot.glyphs import AGES, HUES, layer_mark, marked, path_glyph
from ibtui.plot.ticks import number
from ibtui.plot.trails import Sketch

_APART = 14
"""The least number of cells of a path between two of its layer's marks."""
_MOST_MARKS = 6
"""The largest number of marks on a path."""
_MARKED = 512
"""About as many points of a path are looked at for where its marks stand."""


_NEARBY = sorted(
    ((row, col) for row in range(-3, 4) for col in range(-6, 7)), key=lambda at: 4 * at[0] ** 2 + at[1] ** 2
)
"""Cells around one, the nearest first; a cell is twice as high as it is wide."""


def plane_plot(
    i_xt: ArrayLike,
    i_ty: ArrayLike,
    width: int,
    height: int,
    marker: Marker,
    *,
    h_x: float,
    h_y: float,
    chance: tuple[ArrayLike, ArrayLike] | None = None,
    colour_by: Literal["layer", "epoch"] = "layer",
    epochs: ArrayLike = (),
    at: tuple[ArrayLike, ArrayLike] | None = None,
    unit: str = "nats",
    names: tuple[str, str] = ("I(X;T)", "I(T;Y)"),
    sketch: Sketch | None = None,
    reference: tuple[ArrayLike, ArrayLike] | None = None,
) -> Cells:
    """Draw the information plane: I(X;T) across, I(T;Y) up, a trajectory per layer.

    Parameters
    ----------
    i_xt, i_ty : array-like of shape (E, L)
        The oldest measurement first.
    width, height : int
        Axis titles from 50 x 16 on.
    h_x, h_y : float
        The bounds, drawn as faint lines, in the unit of the rest.
    chance : (array-like of shape (E, L), array-like of shape (E, L)), optional
        The chance level's trajectories: of I(X;T), of I(T;Y).
    colour_by : {"layer", "epoch"}
        What a trajectory's ink tells, and its character in ASCII. The numbers at the ends are the layers' in
        both. From the fifth layer on paths carry marks as well, see `layer_mark`.
    epochs : array-like of shape (E,), optional
        Of the measurements: for a legend of which colour is which epoch.
    at : (array-like of shape (L,), array-like of shape (L,)), optional
        I(X;T) and I(T;Y) of what is looked at, where that is not the newest measurement: the layers' numbers
        stand there, and circles at the newest points.
    unit : str
        Of both axes.
    names : (str, str)
        Titles of the two axes.
    sketch : Sketch, optional
        Of the same history when it was shorter, or new; the same picture, at the cost of what has been added.
    reference : (array-like of shape (F, L), array-like of shape (F, L)), optional
        The trajectories of another run, drawn dim behind everything else.
    """
    across, up = (np.atleast_2d(np.asarray(values, np.float64)) for values in (i_xt, i_ty))
    sketch = sketch or Sketch()
    looked_at = None if at is None else (np.asarray(at[0], np.float64), np.asarray(at[1], np.float64))
    behind = None
    if reference is not None:
        behind = [np.atleast_2d(np.asarray(values, np.float64)) for values in reference]
    h, values = (h_x, h_y), (across, up)
    x_range, y_range = (
        _plane_range(
            sketch.part(f"axis {axis}"), values[axis], h[axis],
            None if looked_at is None else looked_at[axis], None if behind is None else behind[axis],
        )
        for axis in range(2)
    )  # fmt: skip
    box = (*x_range, *y_range)
    large = width >= 50 and height >= 16
    labelled = width >= 20 and height >= 6
    drawn, area = axes(
        width, height, box, marker,
        top=int(large), bottom=int(large),
        x_labels=labelled, y_labels=labelled, frame_x=large, frame_y=labelled,
    )  # fmt: skip
    canvas = Canvas.over(drawn)
    dots = Dots(area.width, area.height, marker)
    rows, layers = across.shape
    own = np.array([palette.of_layer(layer) for layer in range(layers)])
    inks, glyphs = own, np.array([path_glyph(layer) for layer in range(layers)], "<U1")
    if colour_by == "epoch":
        age = _ages(rows)[:, np.newaxis]
        inks, glyphs = palette.EPOCH + age, np.array(list(AGES))[age]
    if behind is not None and len(behind[0]):
        past_x, past_y = (list(table.T) for table in behind)
        before = sketch.trails("reference", dots, box, past_x, past_y, [3] * len(past_x))
        before.paint(dots, palette.REFERENCE, ",")
    if chance is not None:  # behind the trajectories themselves
        dim = np.array([palette.of_chance(layer) for layer in range(layers)])
        chance_x, chance_y = (list(np.asarray(table, np.float64).T) for table in chance)
        level = sketch.trails("chance", dots, box, chance_x, chance_y, [2] * layers)
        level.paint(dots, dim, ".")
    trails = sketch.trails(
        "estimate", dots, box, list(across.T), list(up.T), [1] * layers, ageing=colour_by == "epoch"
    )
    trails.paint(dots, inks, glyphs)
    # A run that has diverged takes its numbers with it.
    gone = np.isnan(across[-1]) | np.isnan(up[-1]) if rows else np.zeros(layers, np.bool_)
    ends = [None if gone[layer] else end for layer, end in enumerate(trails.ends)]
    canvas.paste(dots.cells(), area.top, area.left)
    if marker != "ascii" and colour_by == "layer":
        _mark_paths(canvas, area, across, up, marker)
    draw_rules(canvas, area, marker, h_x, h_y)
    if looked_at is not None:
        for layer, end in enumerate(ends):
            if end is not None:
                circle = "@" if marker == "ascii" else "○"
                canvas.put(circle, area.top + end[0], area.left + end[1], palette.of_layer(layer))
        ends = [_cell(dots, x, y, area) for x, y in zip(*looked_at, strict=True)]
    _number_layers(canvas, area, ends, marker)
    if large:
        _plane_titles(canvas, area, h_x, h_y, [f"{name} {unit}".strip() for name in names], bool(unit))
    if colour_by == "epoch":
        _age_legend(canvas, area, np.asarray(epochs, np.int64).reshape(-1), marker, large)
    return canvas.cells()


def _plane_range(
    sketch: Sketch, values: Floats, bound: float, at: Floats | None, behind: Floats | None
) -> tuple[float, float]:
    """Return what an axis spans: all values, those of `at` and of `behind`, 0 and the bound."""
    ends = [0.0, bound, *sketch.reach("estimate", [values])]
    if behind is not None:
        ends += sketch.reach("reference", [behind])
    if at is not None:
        ends += at.tolist()
    low, high = extent(ends)
    high = high if high > low else low + 1.0
    return low, high + (high - low) / 20  # so that the bound is not the edge


def _cell(dots: Dots, x: float, y: float, area: Area) -> tuple[int, int] | None:
    if dots.empty or np.isnan(x) or np.isnan(y):
        return None
    return area.row(y) - area.top, area.col(x) - area.left


def _mark_paths(canvas: Canvas, area: Area, across: Floats, up: Floats, marker: Marker) -> None:
    """Put marks on the paths of those layers that have one, at equal distances along each."""
    stride = 1 << (len(across) // _MARKED).bit_length()
    for layer in range(HUES, across.shape[1]):
        x, y = across[::stride, layer], up[::stride, layer]
        known = np.isfinite(x) & np.isfinite(y)
        cols = scaled(x[known], *area.box[:2], area.width)
        rows = area.height - 1 - scaled(y[known], *area.box[2:], area.height)
        gone = np.cumsum(np.abs(np.diff(cols)) + 2 * np.abs(np.diff(rows)))
        apart = max(_APART, int(gone[-1:].sum()) // _MOST_MARKS + 1)
        for at in np.flatnonzero(np.diff(gone // apart, prepend=0)).tolist():
            mark = layer_mark(layer, marker)
            canvas.put(
                mark, area.top + int(rows[at + 1]), area.left + int(cols[at + 1]), palette.of_layer(layer)
            )


def _ages(rows: int) -> Whole:
    """Return the step of the ramp of epochs that each measurement has."""
    steps: Whole = np.arange(rows) * palette.CYCLE // max(rows, 1)
    return steps


def _age_legend(canvas: Canvas, area: Area, epochs: Whole, marker: Marker, below: bool) -> None:
    """Write where each colour begins and the last ends, or the first and the last epoch, in free places."""
    steps, starts = np.unique(_ages(len(epochs)), return_index=True)
    if not len(steps):
        return
    swatches = [(AGES[step] if marker == "ascii" else "█", palette.EPOCH + int(step)) for step in steps]
    firsts = [f"{'=' if marker == 'ascii' else ''}{int(epochs[row]):,} " for row in starts]
    each = [
        span
        for swatch, first in zip(swatches, firsts, strict=True)
        for span in (swatch, (first, palette.DIM))
    ]
    long = [("epoch ", palette.DIM), *each]
    longest = [*long, (f"to {int(epochs[-1]):,}", palette.DIM)]
    short = [(f"epoch {int(epochs[0]):,} ", palette.DIM), *swatches, (f" {int(epochs[-1]):,}", palette.DIM)]
    rows = [canvas.height - 1] if below else range(area.top + area.height - 1, area.top - 1, -1)
    for spans in (longest, long, short):
        width = sum(len(text) for text, _ in spans)
        col = area.left + (0 if below else area.width - width)
        for row in rows if width <= area.width else ():
            if np.isin(canvas.ink[row, col : col + width], (palette.NONE, palette.AXIS)).all():
                for text, ink in spans:
                    canvas.put(text, row, col, ink)
                    col += len(text)
                return


def _number_layers(
    canvas: Canvas, area: Area, ends: Sequence[tuple[int, int] | None], marker: Marker
) -> None:
    """Write each layer's number at its end, or in the nearest free cells; the last layers choose first."""
    taken: set[tuple[int, int]] = set()
    for layer in reversed(range(len(ends))):
        # In ASCII marks are letters, and of curves alone: paths have characters.
        end, text = ends[layer], str(layer) if marker == "ascii" else marked(layer, marker)
        if end is None:
            continue
        for down, right in _NEARBY:
            row, col = end[0] + down, min(end[1] + right, area.width - len(text))
            cells = {(row, col + place) for place in range(len(text))}
            if 0 <= row < area.height and col >= 0 and not cells & taken:
                taken |= cells
                canvas.put(text, area.top + row, area.left + col, palette.of_layer(layer))
                break


def _plane_titles(
    canvas: Canvas, area: Area, h_x: float, h_y: float, names: Sequence[str], named: bool
) -> None:
    """Name the axes and say where the ceilings are: `named` are entropies, others are those of shares."""
    across, up = names
    canvas.put(up, 0, 0, palette.DIM)
    canvas.put(across, canvas.height - 1, area.left + area.width - len(across), palette.DIM)
    if np.isfinite(h_x):
        text = f"{'H(X) ' * named}{number(h_x)}"
        canvas.put(text, 0, min(area.col(h_x), canvas.width - len(text)), palette.CEILING)
    if np.isfinite(h_y):
        text, row, col = f"{'H(Y) ' * named}{number(h_y)}", area.row(h_y), area.left + 1
        # Over the line, where no trajectory is.
        if np.isin(canvas.ink[row, col : col + len(text)], (palette.NONE, palette.AXIS)).all():
            canvas.put(text, row, col, palette.CEILING)
