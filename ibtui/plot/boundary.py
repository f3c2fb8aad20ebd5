"""A net's answers over the plane of its inputs, the samples over them, and its weights as signed marks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Integers, Marker, scaled
from ibtui.plot.raster import class_glyph, class_shade
from ibtui.plot.regions import roomiest
from ibtui.plot.ticks import number

_PER_SAMPLE = 6
"""Cells for each sample that is drawn: more samples would hide what is under them."""
_LEVELS = (64, 160)
"""From these values of `sure` on, the next stronger shade."""
_SHADES = np.array(list("░▒▓"), "<U1")
"""The shades of regions where colours have none."""
_TAG_SHARE = 3
"""A tag takes the third part of the width at most."""
_LEAST_CELL = 4
"""No number is narrower, with the blank before it."""
_WORDY = 16
"""From so many marks on there is a word beside the number of those left out."""
_POSITIVE = {"braille": "░▓█", "block": "░▓█", "ascii": "+*#"}
_NEGATIVE = {"braille": "-=≡", "block": "-=≡", "ascii": "-=%"}


def boundary_plot(
    classes: ArrayLike,
    sure: ArrayLike,
    points: ArrayLike,
    labels: ArrayLike,
    box: Box,
    width: int,
    height: int,
    marker: Marker,
    *,
    tags: Sequence[str] = (),
    toned: bool = True,
) -> Cells:
    """Colour the plane of two inputs by the class that a net answers with, and draw samples over it.

    Two colours to a cell, in half blocks; without paler colours for regions, one to a cell, in shades. In
    ASCII a cell has the small character of its class, and samples have the large one.

    Parameters
    ----------
    classes : array-like of shape (n, n), integers
        The class at each of a grid of inputs, the first row on top.
    sure : array-like of shape (n, n), 0 to 255
        The larger, the stronger the colour.
    points : array-like of shape (samples, 2)
        Of many, evenly spaced ones are drawn.
    labels : array-like of shape (samples,)
    tags : sequence of str
        For each class what is written, once, into each of its regions; of a text that has no room its first
        character. Empty: nothing.
    toned : bool
        True where the inks of regions are paler than those of classes, as `palette.toned` says.
    """
    canvas = Canvas(width, height)
    if not canvas.chars.size:
        return canvas.cells()
    answers, level = np.asarray(classes, np.intp), np.digitize(np.asarray(sure), _LEVELS)
    across = _nearest(answers.shape[1], canvas.width)
    places = np.ix_(_nearest(len(answers), canvas.height), across)
    shown = answers[places]
    if marker == "ascii" or not toned:
        shades = np.array([class_shade(label) for label in range(palette.CLASSES)], "<U1")
        canvas.chars[:] = shades[shown % palette.CLASSES] if marker == "ascii" else _SHADES[level[places]]
        canvas.ink[:] = palette.CLASS + shown % palette.CLASSES
    else:
        ink = palette.of_region(answers, level).astype(np.int16)
        rows = _nearest(len(ink), 2 * canvas.height)
        canvas.chars[:] = "▀"
        canvas.ink[:], canvas.paper[:] = ink[np.ix_(rows[::2], across)], ink[np.ix_(rows[1::2], across)]
    _samples(canvas, np.asarray(points, np.float64).reshape(-1, 2), np.asarray(labels), box, marker)
    if tags:
        _tag(canvas, shown, tags)
    return canvas.cells()


def _nearest(count: int, room: int) -> Integers:
    """Return which of `count` equal parts the middles of `room` equal parts are in."""
    nearest: Integers = ((np.arange(room) + 0.5) * count / room).astype(np.intp)
    return nearest


def _samples(canvas: Canvas, points: ArrayLike, labels: ArrayLike, box: Box, marker: Marker) -> None:
    plane, kinds = np.asarray(points), np.asarray(labels).astype(np.intp)
    every = max(1, -(-len(plane) * _PER_SAMPLE // max(canvas.chars.size, 1)))
    plane, kinds = plane[::every], kinds[::every] % palette.CLASSES
    known = np.isfinite(plane).all(axis=1)
    rows = canvas.height - 1 - scaled(plane[known, 1], box[2], box[3], canvas.height)
    cols = scaled(plane[known, 0], box[0], box[1], canvas.width)
    glyphs = np.array([_sample_glyph(label, marker) for label in range(palette.CLASSES)], "<U1")
    canvas.chars[rows, cols] = glyphs[kinds[known]]
    canvas.ink[rows, cols] = palette.CLASS + kinds[known]


def _sample_glyph(label: int, marker: Marker) -> str:
    """Return the character of a class's samples over regions."""
    glyph = class_glyph(label, marker)
    return glyph.upper() if marker == "ascii" else glyph if glyph.isalpha() else "•"


def _tag(canvas: Canvas, classes: Integers, tags: Sequence[str]) -> None:
    """Write into each region the tag of its class, where it has most room around it."""
    for row, col, left, right in roomiest(classes):
        label = int(classes[row, col])
        for text in (f" {tags[label]} ", tags[label][:1]):
            if len(text) <= min(left + right + 1, canvas.width // _TAG_SHARE):
                start = min(max(col - (len(text) - 1) // 2, col - left), col + right + 1 - len(text))
                canvas.put(text, row, start, palette.of_class(label))
                break


def weights_rows(weight: ArrayLike, width: int, marker: Marker) -> list[list[tuple[str, int]]]:
    """Return a weight matrix as rows of texts with inks, one for each unit: numbers if they fit, else marks.

    A mark is heavier the larger the weight is beside the largest one: filled where it is positive, of strokes
    where it is negative. Where not all inputs have room, the first row says how many are left out, or, where
    that has none either, that there are more.

    Parameters
    ----------
    weight : array-like of shape (out, in)
    width : int
        Cells to a row.
    """
    matrix = np.asarray(weight, np.float64)
    inputs = matrix.shape[1]
    if _LEAST_CELL * inputs <= width:
        texts = [[_signed(float(value), marker) for value in row] for row in matrix]
        cell = max((len(text) for row in texts for text in row), default=0) + 1
        if cell * inputs <= width:
            return [[("".join(text.rjust(cell) for text in row), palette.TEXT)] for row in texts]
    most = np.nanmax(np.abs(matrix), initial=0.0) or 1.0
    shown, said = _shown(inputs, width)
    matrix = matrix[:, :shown]
    level = np.clip(np.ceil(3 * np.nan_to_num(np.abs(matrix)) / most).astype(int) - 1, 0, 2)
    marks = np.array([list(_NEGATIVE[marker]), list(_POSITIVE[marker])])
    drawn = marks[(matrix > 0).astype(int), level].tolist()
    rows = [[("".join(row), palette.TEXT)] for row in drawn]
    return [[*row, (said, palette.DIM)] if said and not place else row for place, row in enumerate(rows)]


def _shown(inputs: int, width: int) -> tuple[int, str]:
    """Return how many inputs have room in a row, and what is said beside them of the others."""
    if inputs <= width:
        return inputs, ""
    for words, least in ((" +{} inputs", _WORDY), (" +{}", 1)):
        shown = width - len(words.format(inputs))
        if shown >= least:
            return shown, words.format(inputs - shown)
    return max(width - 1, 0), ">"[:width]


def _signed(value: float, marker: Marker) -> str:
    text = number(value)
    return f"+{text}" if value > 0 else text if marker == "ascii" else text.replace("-", "−")


def signs(marker: Marker) -> tuple[str, str]:
    """Return the marks of large positive and large negative weights, for a legend."""
    return _POSITIVE[marker][-1], _NEGATIVE[marker][-1]
