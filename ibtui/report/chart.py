"""One chart of the terminal report, drawn by plotext."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from rich.text import Text

from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.plot.raster import scatter
from ibtui.quantities import Array
from ibtui.report.display import Display
from ibtui.report.recorded import NOT_FINITE

_THEME = "ibtui"


@dataclass(frozen=True)
class Axis:
    """One axis of a chart."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    shown: bool = True
    margin: int = 0
    """The least width of the tick labels, so that axes above one another agree."""


@contextmanager
def charting(width: int, rows: int, x: Axis, y: Axis, display: Display) -> Iterator[Chart]:
    """Begin an empty chart; plotext has one figure for a whole process, which is left cleared."""
    import plotext

    plotext.terminal.limit(False, False)
    try:
        yield Chart(plotext, width, rows, x, y, display)
    finally:
        plotext.figure.clear()
        plotext.terminal.limit()


class Chart:
    """plotext's figure, with the inks of the palette.

    `rows` are those inside the axes; the frame's upper line is one more, its lower line and the ticks two.
    """

    def __init__(self, plotext: Any, width: int, rows: int, x: Axis, y: Axis, display: Display) -> None:
        self._plotext, self._display, self._width, self._rows = plotext, display, width, rows
        self._samples: Cells | None = None
        self.x, self.y = x, y
        margin = max(y.margin, *(len(label) for _, label in y.ticks))
        self.columns = max(1, width - margin - 2)
        self._left = width - self.columns - 2
        plotext.add_theme(_THEME, text=self._pixel(palette.AXIS))
        self._figure = figure = plotext.figure
        figure.clear()
        figure.theme(_THEME)
        figure.canvas("default")
        figure.plot_size(width, rows + (3 if x.shown else 1))
        figure.ruler("x").lim(x.low, x.high)
        figure.ruler("y").lim(y.low, y.high)
        figure.ruler("y").ticks([at for at, _ in y.ticks], [label.rjust(margin) for _, label in y.ticks])
        shown = x.ticks if x.shown else []
        figure.ruler("x").ticks([at for at, _ in shown], [label for _, label in shown])
        if not x.shown:
            figure.axes(False, axis="x", side="lower")

    def _pixel(self, ink: int, paper: int = palette.NONE) -> Any:
        """Return plotext's form of an ink, and of the one behind it."""
        style, behind = self._display.styles[ink], self._display.styles[paper]
        attributes = [name for name in ("bold", "dim", "underline") if getattr(style, name)]
        return self._plotext.pixel(*map(_colour, (style, behind)), *attributes[:1])

    def _drawing(self, letter: str, ink: int) -> Any:
        symbol = {"braille": "braille", "block": "hd", "ascii": letter}[self._display.marker]
        return self._plotext.marker(symbol, self._pixel(ink))

    def _draw(self, x: Array, y: Array, marker: Any, joined: bool) -> None:
        signal = self._figure.signal(x.tolist(), y.tolist(), marker=marker)
        self._figure.draw(signal.lines() if joined else signal)

    def line(self, x: Array, y: Array, ink: int, letter: str) -> None:
        """Draw a curve over ascending x, broken where it has no value."""
        for part_x, part_y in finite_stretches(x, y):
            self.trail(*reduced(part_x, part_y, 2 * self.columns), ink, letter)

    def trail(self, x: Array, y: Array, ink: int, letter: str) -> None:
        """Draw a line through points in any order."""
        marker = self._drawing(letter, ink)
        for part_x, part_y in finite_stretches(x, y):
            self._draw(part_x, part_y, marker, True)

    def dots(self, x: Array, y: Array, ink: int) -> None:
        """Draw a curve over ascending x as a row of dots, one in every other column."""
        if not len(x):
            return
        at = np.searchsorted(x, np.linspace(x[0], x[-1], max(2, self.columns // 2)))
        marker = self._plotext.marker("·", self._pixel(ink))
        for part_x, part_y in finite_stretches(x[at], y[at]):
            self._draw(part_x, part_y, marker, False)

    def dashes(self, level: float, ink: int) -> None:
        """Draw a horizontal line from end to end."""
        across = np.linspace(self.x.low, self.x.high, self.columns)
        marker = self._plotext.marker("╌", self._pixel(ink))
        self._draw(across, np.full(self.columns, level), marker, False)

    def upright(self, at: float, ink: int) -> None:
        """Draw a vertical line from end to end."""
        up = np.linspace(self.y.low, self.y.high, self._rows)
        self._draw(np.full(self._rows, at), up, self._plotext.marker("╎", self._pixel(ink)), False)

    def text(self, x: float, y: float, text: str, ink: int, alignment: str = "center") -> None:
        """Write a word at a place; nothing where the place is not finite."""
        if math.isfinite(x) and math.isfinite(y):
            coloured = self._plotext.colorize(text, self._pixel(ink))
            self._figure.draw(self._figure.text(x, y, coloured, alignment=alignment))

    def samples(self, points: Array, labels: Array) -> None:
        """Draw samples by class, as the live screen does: a cell where classes meet is of no class."""
        kept = np.isfinite(points).all(axis=1)
        if not kept.any():
            text = next((text for text in NOT_FINITE if len(text) <= self.columns), "")
            x, y = (axis.low / 2 + axis.high / 2 for axis in (self.x, self.y))
            self.text(x, y, text, palette.DIM)
            return
        marker = "ascii" if self._display.lettered else self._display.marker
        box = (self.x.low, self.x.high, self.y.low, self.y.high)
        self._samples = scatter(points[kept], labels[kept], box, self.columns, self._rows, marker)

    def lines(self, title: str, joined: bool = False) -> list[Text]:
        """Return what was drawn, with a title in the frame's upper line.

        `joined`: the frame's upper line is also the lower line of the chart above.
        """
        built, axis = self._figure.build(), self._pixel(palette.AXIS)
        if joined:
            for col, char in ((self._left, "├"), (self._width - 1, "┤")):
                built.insert(col, 0, self._plotext.colorize(char, axis))
        title = f" {title} "[: self._width - self._left - 4]
        built.insert(self._left + 2, 0, self._plotext.colorize(title, self._pixel(palette.TEXT)))
        if self._samples is not None:
            self._insert(built, self._samples)
        text = built.string(self._display.plain).rstrip("\n")
        return [Text.from_ansi(line) for line in text.split("\n")]

    def _insert(self, built: Any, cells: Cells) -> None:
        """Put cells inside the frame, a stretch of equal colours at a time."""
        for row in range(cells.height):
            inks = zip(cells.ink[row].tolist(), cells.paper[row].tolist(), strict=True)
            col = self._left + 1
            for (ink, paper), stretch in groupby(inks):
                start, col = col, col + len(list(stretch))
                text = "".join(cells.chars[row, start - self._left - 1 : col - self._left - 1])
                built.insert(start, row + 1, self._plotext.colorize(text, self._pixel(ink, paper)))


def _colour(style: Any) -> Any:
    """Return plotext's form of a colour: red, green and blue, or a number of the terminal's palette."""
    colour = style.color
    if colour is None:
        return None
    return colour.number if colour.triplet is None else tuple(colour.triplet)


def finite_stretches(x: Array, y: Array) -> list[tuple[Array, Array]]:
    """Return the stretches of a curve between its gaps."""
    at = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(at):
        return []
    return [(x[part], y[part]) for part in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)]


def reduced(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """Reduce a long curve to the first, least, greatest and last value of each column: no spike is lost."""
    if len(x) <= 4 * columns:
        return x, y
    column = ((x - x[0]) / (x[-1] - x[0]) * columns).astype(int)
    keep: set[int] = set()
    for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(column)) + 1):
        keep |= {int(part[0]), int(part[-1]), int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    at = sorted(keep)
    return x[at], y[at]
