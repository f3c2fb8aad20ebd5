"""Cells: a grid of characters, each with an ink; and the canvas on which a plot is composed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ibtui.plot import palette

Chars = NDArray[np.str_]
Inks = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Cells:
    """A finished picture, one entry per terminal cell."""

    chars: Chars
    """Shape (height, width), '<U1', every character one cell wide."""
    ink: Inks
    """Shape (height, width): the character's colour, an index into the palette."""
    paper: Inks
    """Shape (height, width): the colour behind a half block, 0 where the terminal's own background shows."""

    @property
    def height(self) -> int:
        return self.chars.shape[0]

    @property
    def width(self) -> int:
        return self.chars.shape[1]

    def text(self) -> list[str]:
        """Return the characters alone, a string per row."""
        return ["".join(row) for row in self.chars.tolist()]


class Canvas:
    """A picture that is being drawn; whatever falls outside is cut off. A negative size counts as 0."""

    def __init__(self, width: int, height: int) -> None:
        self.height, self.width = shape = max(height, 0), max(width, 0)
        self.chars: Chars = np.full(shape, " ", "<U1")
        self.ink: Inks = np.zeros(shape, np.int16)
        self.paper: Inks = np.zeros(shape, np.int16)

    @classmethod
    def over(cls, cells: Cells) -> Canvas:
        """Return a canvas that shows a picture already."""
        canvas = cls(cells.width, cells.height)
        canvas.paste(cells, 0, 0)
        return canvas

    def put(self, text: str, row: int, col: int, ink: int = palette.TEXT) -> None:
        """Write `text` from (row, col) to the right, over what is there."""
        start, stop = max(col, 0), min(col + len(text), self.width)
        if 0 <= row < self.height and start < stop:
            self.chars[row, start:stop] = list(text[start - col : stop - col])
            self.ink[row, start:stop] = ink
            self.paper[row, start:stop] = palette.NONE

    def paste(self, cells: Cells, row: int, col: int) -> None:
        """Lay a picture over the canvas, its blank cells included, top left corner at (row, col) >= 0."""
        there = (slice(row, row + cells.height), slice(col, col + cells.width))
        height, width = self.chars[there].shape
        self.chars[there] = cells.chars[:height, :width]
        self.ink[there] = cells.ink[:height, :width]
        self.paper[there] = cells.paper[:height, :width]

    def rule(self, char: str, rows: slice, cols: slice, ink: int) -> None:
        """Repeat `char` over a block of cells, behind what is drawn there already."""
        chars, inks = self.chars[rows, cols], self.ink[rows, cols]
        blank = chars == " "
        chars[blank] = char
        inks[blank] = ink

    def cells(self) -> Cells:
        """Return the picture as it is now; the canvas must not be drawn on after this."""
        return Cells(self.chars, self.ink, self.paper)
