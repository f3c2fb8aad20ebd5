"""A net's answers over the plane of its inputs, the samples over them, and its weights as signed marks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Integers, Marker, Whole, scaled
from ibtui.plot.raster import class_glyph, class_shade
from ibtui.plot.ticks import number

_PER_SAMPLE = 6
"""Cells for each sample that is drawn: more samples would hide what is under them."""
_LEVELS = (64, 160)
"""From these values of `sure` on, the next stronger shade."""
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
) -> Cells:
    """Colour the plane of two inputs by the class that a net answers with, and draw samples over it.

    Two colours to a cell, in half blocks; in ASCII a cell has the small character of its class.

    Parameters
    ----------
    classes : array-like of shape (n, n), integers
        The class at each of a grid of inputs, the first row on top.
    sure : array-like of shape (n, n), 0 to 255
        The larger, the stronger the colour.
    points : array-like of shape (samples, 2)
        Of many, evenly spaced ones are drawn.
    labels : array-like of shape (samples,)
    """
    canvas = Canvas(width, height)
    if not canvas.chars.size:
        return canvas.cells()
    ink = _region(np.asarray(classes, np.intp), np.asarray(sure))
    across = _nearest(ink.shape[1], canvas.width)
    if marker == "ascii":
        shown = np.asarray(classes, np.intp)[np.ix_(_nearest(len(ink), canvas.height), across)]
        shades = np.array([class_shade(label) for label in range(palette.CLASSES)], "<U1")
        canvas.chars[:] = shades[shown % palette.CLASSES]
        canvas.ink[:] = palette.CLASS + shown % palette.CLASSES
    else:
        rows = _nearest(len(ink), 2 * canvas.height)
        canvas.chars[:] = "▀"
        canvas.ink[:], canvas.paper[:] = ink[np.ix_(rows[::2], across)], ink[np.ix_(rows[1::2], across)]
    _samples(canvas, np.asarray(points, np.float64).reshape(-1, 2), np.asarray(labels), box, marker)
    return canvas.cells()


def _nearest(count: int, room: int) -> Integers:
    """Return which of `count` equal parts the middles of `room` equal parts are in."""
    nearest: Integers = ((np.arange(room) + 0.5) * count / room).astype(np.intp)
    return nearest


def _region(classes: Integers, sure: Whole) -> Whole:
    return palette.of_region(classes, np.digitize(sure, _LEVELS)).astype(np.int16)


def _samples(canvas: Canvas, points: ArrayLike, labels: ArrayLike, box: Box, marker: Marker) -> None:
    plane, kinds = np.asarray(points), np.asarray(labels).astype(np.intp)
    every = max(1, -(-len(plane) * _PER_SAMPLE // max(canvas.chars.size, 1)))
    plane, kinds = plane[::every], kinds[::every] % palette.CLASSES
    known = np.isfinite(plane).all(axis=1)
    rows = canvas.height - 1 - scaled(plane[known, 1], box[2], box[3], canvas.height)
    cols = scaled(plane[known, 0], box[0], box[1], canvas.width)
    glyphs = np.array([class_glyph(label, marker) for label in range(palette.CLASSES)], "<U1")
    if marker != "ascii":
        glyphs[glyphs == class_glyph(0, marker)] = "•"
    canvas.chars[rows, cols] = glyphs[kinds[known]]
    canvas.ink[rows, cols] = palette.CLASS + kinds[known]
    if marker != "ascii":  # a cell with a sample has one colour behind it
        canvas.paper[rows, cols] = np.where(canvas.paper[rows, cols], canvas.paper[rows, cols], 0)


def weights_rows(weight: ArrayLike, width: int, marker: Marker) -> list[tuple[str, int]]:
    """Return a weight matrix as rows of text, a row for each unit: numbers where they fit, else marks.

    A mark is heavier the larger the weight is beside the largest one: filled where it is positive, of strokes
    where it is negative.

    Parameters
    ----------
    weight : array-like of shape (out, in)
    width : int
        Cells to a row; of wider layers the first inputs are shown.
    """
    matrix = np.asarray(weight, np.float64)
    texts = [[_signed(float(value)) for value in row] for row in matrix]
    cell = max((len(text) for row in texts for text in row), default=0) + 1
    if cell * matrix.shape[1] <= width:
        return [("".join(text.rjust(cell) for text in row), palette.TEXT) for row in texts]
    most = np.nanmax(np.abs(matrix), initial=0.0) or 1.0
    level = np.clip(np.ceil(3 * np.nan_to_num(np.abs(matrix)) / most).astype(int) - 1, 0, 2)
    marks = np.array([list(_NEGATIVE[marker]), list(_POSITIVE[marker])])
    drawn = marks[(matrix > 0).astype(int), level]
    return [("".join(row[:width]), palette.TEXT) for row in drawn.tolist()]


def _signed(value: float) -> str:
    text = number(value)
    return f"+{text}" if value > 0 else text.replace("-", "−")


def signs(marker: Marker) -> tuple[str, str]:
    """Return the marks of large positive and large negative weights, for a legend."""
    return _POSITIVE[marker][-1], _NEGATIVE[marker][-1]


def shape_of(weights: Sequence[ArrayLike]) -> int:
    """Return the rows that the matrices of all layers take, with a line between two."""
    return sum(len(np.asarray(weight)) for weight in weights) + max(len(weights) - 1, 0)
