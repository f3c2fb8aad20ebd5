"""Markers: how a cell is divided into dots, how dots are lit, and which character shows them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.plot.canvas import Canvas, Cells, Chars

Marker = Literal["braille", "block", "ascii"]
Box = tuple[float, float, float, float]
Integers = NDArray[np.intp]
Whole = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

# How many dots a cell has, down and across.
_DIVISION: dict[Marker, tuple[int, int]] = {"braille": (4, 2), "block": (2, 1), "ascii": (1, 1)}
# Unicode counts a braille cell's dots down its columns, the lowest pair last; here dots are counted row by
# row, for then a row and a column each add their own part to a dot's place.
_UNICODE_BITS = np.array([0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80])
_BRAILLE = np.array(
    [chr(0x2800 + sum(_UNICODE_BITS[bits >> np.arange(8) & 1 == 1])) if bits else " " for bits in range(256)],
    "<U1",
)
_BLOCKS = np.array(list(" ▀▄█"), "<U1")


class Dots:
    """A grid of dots finer than the cells that will show it.

    A cell is 4 x 2 dots in braille, 2 x 1 in half blocks, one in ASCII. Where one ink reaches is a region:
    the whole cell in braille and ASCII, so the ink that was marked last colours all of it, and the dot itself
    in half blocks, which show two colours. In ASCII a dot carries a character of its own. A negative size
    counts as 0.
    """

    def __init__(self, width: int, height: int, marker: Marker) -> None:
        self.width, self.height, self.marker = max(width, 0), max(height, 0), marker
        down, across = _DIVISION[marker]
        self.per_cell = down * across
        self.per_region = 8 if marker == "braille" else 1
        self.rows, self.cols = self.height * down, self.width * across
        self._row_part, self._col_part = _parts(self.width, self.height, down, across)
        self.lit = np.zeros(self.rows * self.cols, np.bool_)
        regions = self.lit.size // self.per_region
        self.ink = np.zeros(regions, np.int16)
        self.glyph: Chars = np.full(regions if marker == "ascii" else 0, " ", "<U1")

    @property
    def empty(self) -> bool:
        """True where there is no dot to light."""
        return self.lit.size == 0

    def columns(self, x: ArrayLike, low: float, high: float) -> Integers:
        """Return the dot columns of values that are not NaN; outside [low, high] the nearest column."""
        return scaled(x, low, high, self.cols)

    def lines_of(self, y: ArrayLike, low: float, high: float) -> Integers:
        """Return the dot rows, from the top, of values that are not NaN; outside [low, high] the nearest."""
        return self.rows - 1 - scaled(y, low, high, self.rows)

    def spots(self, rows: Integers, cols: Integers) -> Integers:
        """Return the indices of dots in `lit`: cell after cell, and within a cell row by row."""
        spots: Integers = self._row_part[rows] + self._col_part[cols]
        return spots

    def spots_of(
        self, cols: Integers, tops: Integers, bottoms: Integers, strides: Integers
    ) -> tuple[Integers, Integers]:
        """Return the dots of vertical runs, both ends included: for each its run and its spot.

        Of a run with a stride only every so many dots, counted on from column to column, so that steep lines
        are as faint as flat ones.
        """
        lengths = bottoms - tops + 1
        run = np.repeat(np.arange(len(lengths)), lengths)
        rows, cols = np.arange(len(run)) - (np.cumsum(lengths) - lengths - tops)[run], cols[run]
        lit = np.flatnonzero((rows + cols) % strides[run] == 0)
        return run[lit], self.spots(rows[lit], cols[lit])

    def cells(self) -> Cells:
        """Return the characters that show the dots."""
        shape = (self.height, self.width)
        canvas = Canvas(*shape[::-1])
        if self.empty:
            return canvas.cells()
        if self.marker == "ascii":
            return Cells(self.glyph.reshape(shape), self.ink.reshape(shape), canvas.paper)
        if self.marker == "braille":
            bits = np.packbits(self.lit.reshape(*shape, 8), axis=-1, bitorder="little")[..., 0]
            return Cells(_BRAILLE[bits], self.ink.reshape(shape), canvas.paper)
        upper, lower = np.moveaxis(self.lit.reshape(*shape, 2), -1, 0)
        upper_ink, lower_ink = np.moveaxis(self.ink.reshape(*shape, 2), -1, 0)
        two_inks = upper & lower & (upper_ink != lower_ink)
        chars = _BLOCKS[upper + 2 * (lower & ~two_inks)]
        paper = np.where(two_inks, lower_ink, np.int16(0))
        return Cells(chars, np.where(upper, upper_ink, lower_ink), paper)


@lru_cache(maxsize=64)
def _parts(width: int, height: int, down: int, across: int) -> tuple[Integers, Integers]:
    """Return what a dot's row, and what its column, adds to its index in `lit`."""
    cell_row, dot_row = np.divmod(np.arange(height * down), down)
    cell_col, dot_col = np.divmod(np.arange(width * across), across)
    row_part: Integers = cell_row * width * down * across + dot_row * across
    col_part: Integers = cell_col * down * across + dot_col
    return row_part, col_part


def scaled(values: ArrayLike, low: float, high: float, count: int) -> Integers:
    """Return which of `count` equal parts of [low, high], counted from 0, each value is in.

    Values below and above join the first and the last part, infinities included; there must be no NaN. Where
    the interval is empty or not finite there is no scale, and everything is in the middle.
    """
    given = np.atleast_1d(np.asarray(values, np.float64))
    half_span = high / 2 - low / 2  # halves, because the difference of two floats may be beyond a float
    if not (0 < half_span < np.inf):
        return np.full(given.shape, max(count - 1, 0) // 2, np.intp)
    part = given * 0.5 - low / 2
    np.minimum(np.maximum(part, 0, out=part), half_span, out=part)  # or what follows might be beyond a float
    part /= half_span
    part *= count
    # Cut off before the cast, which rounds down what is not negative.
    parts: Integers = np.minimum(part, max(count - 1, 0), out=part).astype(np.intp)
    return parts


def placed(value: float, low: float, high: float, count: int) -> int:
    """Do what `scaled` does for one value, without the cost of an array."""
    least, half_span = float(low) / 2, float(high) / 2 - float(low) / 2
    if count < 2 or not (0 < half_span < np.inf):
        return max(count - 1, 0) // 2
    return int(min(max((float(value) * 0.5 - least) / half_span * count, 0.0), count - 1))


def line_runs(
    from_col: Integers, from_row: Integers, to_col: Integers, to_row: Integers
) -> tuple[Integers, Integers, Integers, Integers]:
    """Return lines as vertical runs of dots, one for each column: its line, its column, its two ends."""
    across, down = to_col - from_col, to_row - from_row
    steps = np.abs(across)
    lengths = steps + 1
    line = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(line)) - (np.cumsum(lengths) - lengths)[line]
    # In whole numbers, halves of a column's share of the way: rounding would leave holes between runs.
    share = 2 * np.maximum(steps, 1)[line]
    middle = 2 * step * down[line]
    # A run reaches half a column to either side; all of an upright line is in its one column.
    reach = np.where(steps == 0, 2 * np.abs(down), np.abs(down))[line]
    start = from_row[line]
    top = np.maximum(start - (reach - middle) // share, np.minimum(from_row, to_row)[line])
    bottom = np.minimum(start + (middle + reach) // share, np.maximum(from_row, to_row)[line])
    nearest = start + (middle + share // 2) // share  # a flat line may cross a column between two dots
    col = from_col[line] + np.sign(across)[line] * step
    return line, col, np.minimum(top, nearest), np.maximum(bottom, nearest)
