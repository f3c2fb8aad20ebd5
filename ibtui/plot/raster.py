"""Scatters, densities and sparklines, without axes.

There are three markers: "braille" (4 x 2 dots in a cell), "block" (half blocks) and "ascii" (nothing beyond
ASCII). A cell of braille has one colour, so each kind of picture has a rule for cells that want two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Dots, Floats, Integers, Marker, Whole, scaled

_SHADES = np.array(list("░▒▓█"), "<U1")
# A class in ASCII from few samples to many: round characters, crossed ones, letters; at last MIXED.
_LETTERED = "vsdpnzcuabefghijklmqrtwy"
_FAMILIES = np.array(
    [list(few) for few in (".oO@", ",xX%", *(2 * each + 2 * each.upper() for each in _LETTERED), ":*#&")],
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
