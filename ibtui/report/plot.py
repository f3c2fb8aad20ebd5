"""One plot in cells, drawn by plotext: text with inks in place of colours."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.plot.raster import scatter
from ibtui.report import figures

Array = np.ndarray[Any, Any]
Line = list[tuple[str, int]]
"""Stretches of text, each with its ink."""
Ticks = Sequence[tuple[float, str]]

_LINE_ENDS = str.maketrans("┌┐", "├┤")
CLASSES, SEVERAL = ("oO", "xX", "vV", "sS", "dD", "pP", "nN", "zZ"), "*#"
"""Characters of each class, where colours or dots cannot tell them apart, and of cells where they meet."""
_CODES = re.compile("\x1b\\[([0-9;]*)m")


@dataclass(frozen=True)
class Style:
    """What can be shown, and how wide and high."""

    width: int = 100
    height: int = 40
    """No figure is higher."""
    colours: palette.ColourSystem = "none"
    marker: str = "braille"
    """braille, block or ascii; with ascii there is nothing else in the whole report."""

    @property
    def plain(self) -> bool:
        """Without colours: layers and classes need characters of their own."""
        return self.colours == "none"

    @property
    def lettered(self) -> bool:
        """Samples are letters of their classes."""
        return self.plain or self.marker == "ascii"


@dataclass(frozen=True)
class Axis:
    """One axis of a plot."""

    low: float
    high: float
    ticks: Ticks
    shown: bool = True
    margin: int = 0
    """The least width of the tick labels, so that axes above one another agree."""


@contextmanager
def plotting(width: int, rows: int, x: Axis, y: Axis, style: Style) -> Iterator[Plot]:
    """An empty plot; plotext has one figure for a whole process, which is left cleared."""
    import plotext

    plotext.terminal.limit(False, False)
    try:
        yield Plot(plotext, width, rows, x, y, style)
    finally:
        plotext.figure.clear()
        plotext.terminal.limit()


class Plot:
    """plotext's figure, with inks for colours: an ink goes in as the blue of a colour, and is read back out.

    `rows` are those inside the axes; the frame's upper line is one more, its lower line and the ticks two.
    """

    def __init__(self, plotext: Any, width: int, rows: int, x: Axis, y: Axis, style: Style) -> None:
        self._plotext, self._style, self._width, self._rows = plotext, style, width, rows
        self._samples: Cells | None = None
        self.x, self.y = x, y
        margin = max(y.margin, *(len(label) for _, label in y.ticks))
        self.columns = max(1, width - margin - 2)
        self._figure = figure = plotext.figure
        figure.clear()
        figure.theme("colorless")
        figure.canvas("default")
        figure.plot_size(width, rows + (3 if x.shown else 1))
        figure.ruler("x").lim(x.low, x.high)
        figure.ruler("y").lim(y.low, y.high)
        figure.ruler("y").ticks([at for at, _ in y.ticks], [label.rjust(margin) for _, label in y.ticks])
        shown = x.ticks if x.shown else []
        figure.ruler("x").ticks([at for at, _ in shown], [label for _, label in shown])
        if not x.shown:
            figure.axes(False, axis="x", side="lower")

    def _pixel(self, ink: int) -> Any:
        return self._plotext.pixel(foreground=(0, 0, ink)) if ink else self._plotext.pixel()

    def _marker(self, symbol: str, ink: int) -> Any:
        return self._plotext.marker(symbol, self._pixel(ink))

    def _drawing(self, letter: str) -> str:
        return {"braille": "braille", "block": "hd", "ascii": letter}[self._style.marker]

    def _draw(self, x: Array, y: Array, marker: Any, joined: bool) -> None:
        signal = self._figure.signal(x.tolist(), y.tolist(), marker=marker)
        self._figure.draw(signal.lines() if joined else signal)

    def line(self, x: Array, y: Array, ink: int, letter: str) -> None:
        """A curve over ascending x, broken where it has no value."""
        for part_x, part_y in figures.finite_stretches(x, y):
            self.trail(*figures.reduced(part_x, part_y, 2 * self.columns), ink, letter)

    def trail(self, x: Array, y: Array, ink: int, letter: str) -> None:
        """A line through points in any order."""
        marker = self._marker(self._drawing(letter), ink)
        for part_x, part_y in figures.finite_stretches(x, y):
            self._draw(part_x, part_y, marker, True)

    def dots(self, x: Array, y: Array, ink: int) -> None:
        """A curve over ascending x as a row of dots, one in every other column."""
        if not len(x):
            return
        at = np.searchsorted(x, np.linspace(x[0], x[-1], max(2, self.columns // 2)))
        for part_x, part_y in figures.finite_stretches(x[at], y[at]):
            self._draw(part_x, part_y, self._marker("·", ink), False)

    def dashes(self, level: float, ink: int) -> None:
        """A horizontal line from end to end."""
        across = np.linspace(self.x.low, self.x.high, self.columns)
        self._draw(across, np.full(self.columns, level), self._marker("╌", ink), False)

    def upright(self, at: float, ink: int) -> None:
        """A vertical line."""
        up = np.linspace(self.y.low, self.y.high, 60)
        self._draw(np.full(60, at), up, self._marker("╎", ink), False)

    def text(self, x: float, y: float, text: str, ink: int, alignment: str = "center") -> None:
        """A word at a place; nothing where there is none."""
        if math.isfinite(x) and math.isfinite(y):
            coloured = self._plotext.colorize(text, self._pixel(ink))
            self._figure.draw(self._figure.text(x, y, coloured, alignment=alignment))

    def samples(self, points: Array, labels: Array) -> None:
        """Samples by class, as the live screen draws them: a cell where classes meet is of no class."""
        kept = np.isfinite(points).all(axis=1)
        if not kept.any():
            said = next((text for text in figures.NOT_FINITE if len(text) <= self.columns), "")
            x, y = (axis.low / 2 + axis.high / 2 for axis in (self.x, self.y))
            self.text(x, y, said, palette.DIM)
            return
        marker: Any = "ascii" if self._style.lettered else self._style.marker
        box = (self.x.low, self.x.high, self.y.low, self.y.high)
        self._samples = scatter(points[kept], labels[kept], box, self.columns, self._rows, marker)

    def lines(self, title: str, top: bool) -> list[Line]:
        """What was drawn, with a title in the frame's upper line."""
        text = self._figure.build().string(False).rstrip("\n")
        lines = [_spans(line) for line in text.split("\n")]
        frame = "".join(part for part, _ in lines[0])
        if not top:
            frame = frame.translate(_LINE_ENDS)
        edge = len(frame) - len(frame.lstrip())
        room = self._width - edge - 4
        title = f" {title} "[:room]
        if self._samples is not None:
            lines[1 : self._rows + 1] = _inside(lines[1 : self._rows + 1], edge + 1, self._samples)
        lines[0] = [
            (frame[: edge + 2], palette.AXIS),
            (title, palette.TEXT),
            (frame[edge + 2 + len(title) :], palette.AXIS),
        ]
        return lines


def _inside(lines: Sequence[Line], left: int, cells: Cells) -> list[Line]:
    """The lines of a frame, with cells in it; one of two half blocks is MIXED: a stretch has one ink."""
    two = cells.paper > 0
    chars, inks = np.where(two, "█", cells.chars), np.where(two, palette.MIXED, cells.ink)
    made = []
    for line, row, ink in zip(lines, chars.tolist(), inks.tolist(), strict=True):
        text = "".join(part for part, _ in line)
        runs = groupby(zip(row, ink, strict=True), key=itemgetter(1))
        stretches = [("".join(char for char, _ in run), ink) for ink, run in runs]
        made.append([(text[:left], palette.AXIS), *stretches, (text[left + cells.width :], palette.AXIS)])
    return made


def _spans(text: str) -> Line:
    """A line of plotext's as stretches of text and their inks; what has no ink is the frame."""
    line: Line = []
    ink, at = palette.AXIS, 0
    for code in _CODES.finditer(text):
        if code.start() > at:
            line.append((text[at : code.start()], ink))
        numbers = code[1].split(";")
        ink = int(numbers[-1]) if numbers[:2] == ["38", "2"] else palette.AXIS
        at = code.end()
    if at < len(text):
        line.append((text[at:], ink))
    return line
