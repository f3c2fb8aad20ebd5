"""The axes of a plot: ticks, frame and faint lines, and the area that they leave for the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Marker, placed
from ibtui.plot.ticks import EpochScale, epoch_ticks, ticks

FRAME = {"braille": "│┤─┬└┊╌", "block": "│┤─┬└┊╌", "ascii": "|+-++:-"}
"""Vertical line, its tick, horizontal line, its tick, corner, faint vertical and horizontal line."""


@dataclass(frozen=True)
class Area:
    """The part of a plot that shows the data, in cells, and what it spans."""

    top: int
    left: int
    width: int
    height: int
    box: Box

    def row(self, y: float) -> int:
        """Return the row of a value, the nearest one where it is outside."""
        return self.top + self.height - 1 - placed(y, *self.box[2:], self.height)

    def col(self, x: float) -> int:
        """Return the column of a value, the nearest one where it is outside."""
        return self.left + placed(x, *self.box[:2], self.width)

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def cols(self) -> slice:
        return slice(self.left, self.left + self.width)


@lru_cache(maxsize=64)
def axes(
    width: int,
    height: int,
    box: Box,
    marker: Marker,
    *,
    x_labels: bool,
    y_labels: bool,
    frame_x: bool,
    frame_y: bool,
    right: int = 0,
    top: int = 0,
    bottom: int = 0,
    apart: int = 9,
    scale: EpochScale = "linear",
) -> tuple[Cells, Area]:
    """Draw axes, and return them with the area that they leave: those of most pictures are those of the last.

    `right`, `top` and `bottom` cells stay free outside of the axes; `apart` is the least distance of ticks
    across, whose values are places of `along` where `scale` is logarithmic.
    """
    canvas = Canvas(width, height)
    below = bottom + (1 + frame_x if x_labels else 0)
    height = max(canvas.height - top - below, 0)
    y_ticks = ticks(box[2], box[3], max(height // 3, min(height, 3))) if y_labels else ()
    digits = max((len(label) for _, label in y_ticks), default=0)
    left = digits + frame_y if y_ticks and digits <= canvas.width // 3 else 0
    area = Area(top, left, max(canvas.width - left - right, 0), height, box)
    frame = FRAME[marker]
    if left:
        if frame_y:
            canvas.rule(frame[0], area.rows, slice(left - 1, left), palette.AXIS)
        for value, label in y_ticks:
            canvas.put(label.rjust(digits), area.row(value), 0, palette.DIM)
            if frame_y:
                canvas.put(frame[1], area.row(value), left - 1, palette.AXIS)
    if x_labels and height:
        row = top + height
        if frame_x:
            canvas.rule(frame[2], slice(row, row + 1), area.cols, palette.AXIS)
            canvas.put(frame[4], row, left - 1, palette.AXIS)
        free = 0
        for value, label in epoch_ticks(box[0], box[1], max(area.width // apart, 2), scale):
            col = area.col(value)
            start = min(max(col - len(label) // 2, 0), canvas.width - len(label))
            if start >= free:
                canvas.put(label, row + frame_x, start, palette.DIM)
                free = start + len(label) + 1
                if frame_x:
                    canvas.put(frame[3], row, col, palette.AXIS)
    return canvas.cells(), area


def draw_rules(canvas: Canvas, area: Area, marker: Marker, x: float = 0.0, y: float = 0.0) -> None:
    """Draw faint lines at x and y, behind the data, where they are inside the box."""
    frame, (x0, x1, y0, y1) = FRAME[marker], area.box
    if x0 < x < x1:
        col = area.col(x)
        canvas.rule(frame[5], area.rows, slice(col, col + 1), palette.AXIS)
    if y0 < y < y1:
        row = area.row(y)
        canvas.rule(frame[6], slice(row, row + 1), area.cols, palette.AXIS)


def extent(values: ArrayLike) -> tuple[float, float]:
    """Return the least and the greatest of the values that are finite; 0 and 0 where none is."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
