"""Scatters, densities, lines and sparklines, without axes.

There are three markers: "braille" (4 x 2 dots in a cell), "block" (half blocks) and "ascii" (nothing beyond
ASCII). A cell of braille has one colour, so each kind of picture has a rule for cells that want two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Dots, Floats, Integers, Marker, Whole, line_runs, scaled

_SHADES = np.array(list("░▒▓█"), "<U1")
# A class in ASCII from few samples to many: round characters, crossed ones, letters; at last MIXED.
_FAMILIES = np.array(
    [
        list(levels)
        for levels in [".oO@", ",xX%", "vvVV", "ssSS", "ddDD", "ppPP", "nnNN", "zzZZ", "ccCC", "uuUU", ":*#&"]
    ],
    "<U1",
)
_LEGEND = {"braille": "⠿", "block": "█"}
_HUES = 2
"""The number of classes that the colour-blind, too, can tell apart by their inks."""
_CROWD = 4
"""The number of samples in a cell from which a scatter in ASCII shows the larger character."""
_BARS = {"braille": "▁▂▃▄▅▆▇█", "block": "▁▂▃▄▅▆▇█", "ascii": ".:-=+*#@"}
_PURE = 2 / 3
"""A class with this share of a cell's samples gives the cell its colour."""
_MANY = 4
"""The number of values to a column of dots from which a line is condensed before it is drawn."""


def scatter(points: ArrayLike, labels: ArrayLike, box: Box, width: int, height: int, marker: Marker) -> Cells:
    """Draw samples on a plane, coloured by class.

    Where classes meet the ink is MIXED: in braille and ASCII that is a cell, in half blocks one half of it.
    In ASCII a class has a character of its own as well ('o', 'x', then letters, '*' where mixed), larger from
    four samples on ('O', 'X' and '#'). The third class and those after it have theirs with any marker, in
    cells that are their own; those that they share are MIXED.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        Samples with a NaN are left out; those outside `box` land on the nearest edge.
    labels : array-like of shape (n,)
        Classes, counted from 0; inks repeat from the eleventh on.
    """
    dots = Dots(width, height, marker)
    spots, classes = _placed(points, labels, box, dots)
    dots.lit[spots] = True
    regions = spots // dots.per_region
    dots.ink[regions] = classes + palette.CLASS
    dots.ink[regions[dots.ink[regions] != classes + palette.CLASS]] = palette.MIXED
    if marker == "ascii":
        samples = np.bincount(spots, minlength=dots.lit.size)
        levels = np.where(samples >= _CROWD, 2, 1)
        dots.glyph = np.where(dots.lit, _FAMILIES[_family(dots.ink), levels], " ")
    cells = dots.cells()
    if marker != "ascii" and classes.max(initial=0) >= _HUES:
        _write_classes(cells, spots // dots.per_cell, classes)
    return cells


def density(points: ArrayLike, labels: ArrayLike, box: Box, width: int, height: int, marker: Marker) -> Cells:
    """Show how many samples of which class lie in each cell; arguments are as for `scatter`.

    The shade, one of four, grows as the square root of the count relative to the fullest cell's, so that a
    layer that has gathered in a few corners still shows what is between them. The ink is that of the class
    with at least two thirds of the cell's samples, MIXED where none has; in ASCII, and with any marker from
    the third class on, the characters differ by class as well.
    """
    dots = Dots(width, height, marker)
    spots, classes = _placed(points, labels, box, dots)
    canvas = Canvas(width, height)
    if not spots.size:
        return canvas.cells()
    kinds = int(classes.max()) + 1
    slots = spots // dots.per_cell * kinds + classes
    counts = np.bincount(slots, minlength=canvas.ink.size * kinds).reshape(*canvas.ink.shape, kinds)
    samples = counts.sum(axis=-1)
    pure = counts.max(axis=-1) >= _PURE * samples
    canvas.ink[:] = np.where(pure, counts.argmax(axis=-1) + palette.CLASS, palette.MIXED)
    levels = np.ceil(4 * np.sqrt(samples / samples.max())).astype(np.intp) - 1
    families = _family(canvas.ink)
    lettered = (marker == "ascii") | ((families >= _HUES) & (families < palette.CLASSES))
    shades = np.where(lettered, _FAMILIES[families, levels], _SHADES[levels])
    canvas.chars[:] = np.where(samples, shades, " ")
    canvas.ink[samples == 0] = palette.NONE
    return canvas.cells()


def class_glyph(label: int, marker: Marker) -> str:
    """Return the character that stands for a class in a legend."""
    label %= palette.CLASSES
    return str(_FAMILIES[label, 1]) if marker == "ascii" or label >= _HUES else _LEGEND[marker]


def class_shade(label: int) -> str:
    """Return the character in ASCII of a place where a class has few samples, or none."""
    return str(_FAMILIES[label % palette.CLASSES, 0])


def _write_classes(cells: Cells, places: Integers, classes: Integers) -> None:
    """Put the character of a class from the third one on into the cells where it is alone."""
    counts = np.zeros((palette.CLASSES, cells.ink.size), np.intp)
    np.add.at(counts, (classes, places), 1)
    kinds, first, samples = (counts > 0).sum(axis=0), counts.argmax(axis=0), counts.sum(axis=0)
    chars, ink, paper = cells.chars.reshape(-1), cells.ink.reshape(-1), cells.paper.reshape(-1)
    alone = np.flatnonzero((kinds == 1) & (first >= _HUES))
    chars[alone] = _FAMILIES[first[alone], np.where(samples[alone] >= _CROWD, 2, 1)]
    ink[alone], paper[alone] = palette.CLASS + first[alone], palette.NONE
    shared = (kinds > 1) & (counts[_HUES:] > 0).any(axis=0)
    ink[shared] = palette.MIXED
    paper[shared & (paper > 0)] = palette.MIXED


def _placed(points: ArrayLike, labels: ArrayLike, box: Box, dots: Dots) -> tuple[Integers, Integers]:
    """Return the dot and the class of each sample that can be drawn."""
    plane = np.asarray(points, np.float64).reshape(-1, 2)
    classes = np.asarray(labels).astype(np.intp).reshape(-1) % palette.CLASSES
    if dots.empty:
        return classes[:0], classes[:0]
    known = ~np.isnan(plane).any(axis=1)
    if not known.all():
        plane, classes = plane[known], classes[known]
    x0, x1, y0, y1 = box
    return dots.spots(dots.lines_of(plane[:, 1], y0, y1), dots.columns(plane[:, 0], x0, x1)), classes


def _family(ink: Whole) -> Whole:
    return np.where(ink >= palette.CLASS, ink - palette.CLASS, palette.CLASSES)


@dataclass(frozen=True, eq=False)
class Line:
    """Values over x, and how to draw them."""

    x: ArrayLike
    """Shape (n,), rising."""
    y: ArrayLike
    """Shape (n,); NaN leaves a gap, an infinity is at the edge."""
    ink: int = palette.TEXT
    glyph: str = "*"
    """The character that draws it in ASCII."""
    stride: int = 1
    """One of so many dots across, or down, is lit: 1 for a line, 2 for a dotted one, more for a fainter."""
    shares: bool = False
    """True where lines that run through one cell take turns to colour it, so that none hides another."""


def draw_lines(dots: Dots, lines: Sequence[Line], box: Box) -> None:
    """Draw lines on top of what `dots` shows already.

    Each is reduced to its minimum and maximum per column, so that no spike is lost. Where lines share a cell
    (in half blocks: half a cell) all of their dots show, in the ink of the one that comes last in `lines`; in
    ASCII its character shows, too.
    """
    if dots.empty or not lines:
        return
    x, y, owner = (np.concatenate(parts) for parts in zip(*_values(lines, dots, box), strict=True))
    drawn = np.isfinite(x) & ~np.isnan(y)
    if not drawn.any():
        return
    joined = (owner[1:] == owner[:-1]) & drawn[1:] & drawn[:-1]
    if not drawn.all():
        known = np.flatnonzero(drawn)
        x, y, owner, joined = x[known], y[known], owner[known], joined[known[1:] - 1]
    col = dots.columns(x, box[0], box[1])
    stride = np.array([one.stride for one in lines], np.intp)
    # One group for each column that a line passes through without a gap.
    begins = np.ones(len(y), np.bool_)
    np.logical_or(~joined, col[1:] != col[:-1], out=begins[1:])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(y)) - 1
    extremes = np.stack([np.maximum.reduceat(y, first), np.minimum.reduceat(y, first), y[first], y[last]])
    tops, bottoms, entry, leave = dots.lines_of(extremes, box[2], box[3])
    links = np.flatnonzero(joined[last[:-1]])
    at, to = first[links], first[links + 1]
    link, link_col, link_top, link_bottom = line_runs(col[at], leave[links], col[to], entry[links + 1])
    owners = np.concatenate([owner[first], owner[at][link]])
    order = np.argsort(owners, kind="stable")  # what is drawn last keeps the ink
    strides = stride[owners]
    alone = np.ones(len(first), np.bool_)
    alone[links] = alone[links + 1] = False
    strides[: len(first)][alone] = 1  # a point without a line shows
    owners = owners[order]
    run, spots = dots.spots_of(
        np.concatenate([col[first], link_col])[order],
        np.concatenate([tops, link_top])[order],
        np.concatenate([bottoms, link_bottom])[order],
        strides[order],
    )
    owners = owners[run]
    inks = np.array([one.ink for one in lines], np.int16)
    glyphs = np.array([one.glyph for one in lines], "<U1")
    dots.light(spots, inks[owners], glyphs[owners])
    if sum(one.shares for one in lines) > 1:
        sharing = np.array([one.shares for one in lines], np.bool_)[owners]
        _take_turns(dots, spots[sharing], owners[sharing], inks, glyphs)


def _take_turns(dots: Dots, spots: Integers, owners: Integers, inks: Whole, glyphs: NDArray[np.str_]) -> None:
    """Give each region with several lines to one of them, column by column to the next."""
    through = np.zeros((len(inks), dots.ink.size), np.bool_)
    through[owners, spots // dots.per_region] = True
    counts = through.sum(axis=0)
    region = np.flatnonzero(counts > 1)
    col = region * dots.per_region // dots.per_cell % max(dots.width, 1)
    turn = col // 2 % counts[region]
    owner = np.argmax(through[:, region].cumsum(axis=0) > turn, axis=0)
    dots.ink[region] = inks[owner]
    if dots.marker == "ascii":
        dots.glyph[region] = glyphs[owner]


def _values(lines: Sequence[Line], dots: Dots, box: Box) -> Iterator[tuple[Floats, Floats, Integers]]:
    """Yield x and y of the lines, those that share their x at once, and for each value its line.

    Where many values share a column, its first, largest, smallest and last one draw the same picture.
    """
    together: dict[int, list[int]] = {}
    for number, one in enumerate(lines):
        together.setdefault(id(one.x), []).append(number)
    for numbers in together.values():
        x = np.asarray(lines[numbers[0]].x, np.float64).reshape(-1)
        ys = [np.asarray(lines[number].y, np.float64).reshape(-1) for number in numbers]
        if wrong := [len(y) for y in ys if len(y) != len(x)]:
            raise ValueError(f"a line has {len(x)} values of x and {wrong[0]} of y")
        table, owner = np.array(ys), np.array(numbers)
        first = _columns_of(x, dots, box)
        if first is not None:
            whole = ~np.isnan(table).any(axis=1)
            full, last = table[whole], np.append(first[1:], len(x)) - 1
            most, least = (extreme.reduceat(full, first, axis=1) for extreme in (np.maximum, np.minimum))
            condensed = np.stack([full[:, first], most, least, full[:, last]], axis=2)
            yield _flat(np.repeat(x[first], 4), condensed.reshape(len(full), 4 * len(first)), owner[whole])
            table, owner = table[~whole], owner[~whole]
        yield _flat(x, table, owner)


def _flat(x: Floats, table: Floats, owner: Integers) -> tuple[Floats, Floats, Integers]:
    return np.tile(x, len(table)), table.reshape(-1), np.repeat(owner, table.shape[1])


def _columns_of(x: Floats, dots: Dots, box: Box) -> Integers | None:
    """Return where each column's values begin; None where too few share one for condensing to pay."""
    if len(x) < _MANY * dots.cols or not np.isfinite(x).all():
        return None
    col = dots.columns(x, box[0], box[1])
    first = np.flatnonzero(np.append(True, np.diff(col) != 0))
    return first if _MANY * len(first) <= len(x) else None


def sparkline(
    values: ArrayLike, width: int, low: float, high: float, marker: Marker, ink: int = palette.TEXT
) -> Cells:
    """Draw a series as one row of bars between `low` and `high`, the oldest first; NaN leaves a gap.

    A value has a column of its own until `width` is full; from then on a column shows, of its smallest and
    its largest value, the one further from the columns beside it. So a spike stays, up or down, and a curve
    that only rises or falls ends with its newest value. A value outside the range has the nearest bar.
    """
    canvas = Canvas(width, 1 if width > 0 else 0)
    series = np.asarray(values, np.float64).reshape(-1)
    if width > 0 and series.size:
        shown = _extremes(series, width) if len(series) > width else series
        known = np.flatnonzero(~np.isnan(shown))
        bars = np.array(list(_BARS[marker]), "<U1")
        canvas.chars[0, known] = bars[scaled(shown[known], low, high, len(bars))]
        canvas.ink[0, known] = ink
    return canvas.cells()


def _extremes(series: Floats, width: int) -> Floats:
    """Choose one value for each of `width` columns; NaN where all of a column is NaN."""
    start = np.arange(width) * len(series) // width
    with np.errstate(invalid="ignore", over="ignore"):
        lowest, highest = np.fmin.reduceat(series, start), np.fmax.reduceat(series, start)
        middle = lowest / 2 + highest / 2
        padded = np.concatenate([[np.nan], middle, [np.nan]])
        before, after = padded[:-2], padded[2:]
        beside = np.fmax(before, after) / 2 + np.fmin(before, after) / 2
        beside = np.where(np.isnan(beside), middle, beside)
        return np.where(highest - beside >= beside - lowest, highest, lowest)
