"""Paths and curves. The dots drawn are kept, so that a picture that grows costs only what has been added."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.plot.dots import Box, Dots, Floats, Integers, line_runs

Flags = NDArray[np.bool_]

_MANY = 4
"""The number of values to a column of dots from which a curve is condensed before it is drawn."""


class _Lines(NamedTuple):
    """Lines, each from the dot of one point of a path to that of the next, path after path."""

    path: Integers
    point: Integers
    """The number of the point that the line leads to."""
    lone: Flags
    """True where no line leads to a point: it is a line to itself."""
    from_col: Integers
    from_row: Integers
    col: Integers
    row: Integers

    def only(self, chosen: Integers) -> _Lines:
        """Return some of the lines."""
        return _Lines(*(values[chosen] for values in self))  # type: ignore[arg-type]


class Trails:
    """Paths to which points are added, each drawn over the one before.

    Kept are the dots that are lit, and for each path and region the point that coloured it last; so inks,
    which may depend on how many points there are, are given only when the picture is wanted.

    Parameters
    ----------
    dots : Dots
        Of the size and with the marker of those that the paths are to be shown on.
    strides : sequence of int, one for each path
        One of so many dots across, or down, is lit: 1 for a line, 2 for a dotted one, more for a fainter. A
        point that no line leads to always shows.
    sharing : sequence of bool, one for each path
        True for paths that take turns to colour what they share, column by column, so that none hides
        another; else the last one colours it. Without it none does.
    rising : bool
        True for curves over finite values that only rise: where many share a column, few draw the same
        picture.
    ageing : bool
        True where a path's ink changes from point to point: the last point in a dot gives it its ink.
    """

    def __init__(
        self,
        dots: Dots,
        box: Box,
        strides: Sequence[int],
        sharing: Sequence[bool] = (),
        *,
        rising: bool = False,
        ageing: bool = False,
    ) -> None:
        paths = len(strides)
        self.points = 0
        """The number of points of each path that are drawn."""
        self._dots, self._box, self._rising, self._ageing = dots, box, rising, ageing
        self._strides, self._sharing = np.asarray(strides, np.intp), np.asarray(sharing, np.bool_)
        self._lit = np.zeros(dots.lit.size, np.bool_)
        self._last = np.full((paths, dots.ink.size), -1, np.intp)
        self._colours: tuple[Integers, Integers, Integers] | None = None
        # The dot of each path's newest point that is known, and whether no NaN came after it.
        self._col, self._row, self._open = np.full(paths, -1), np.full(paths, -1), np.zeros(paths, np.bool_)

    @property
    def ends(self) -> list[tuple[int, int] | None]:
        """The cell of each path's newest point that is not NaN; None where there is none."""
        known = self._col >= 0
        cells = np.full(len(known), -1)
        cells[known] = self._dots.spots(self._row[known], self._col[known]) // self._dots.per_cell
        return [divmod(cell, self._dots.width) if cell >= 0 else None for cell in cells.tolist()]

    def extend(self, across: Sequence[Floats], up: Sequence[Floats]) -> None:
        """Draw further points: an array of each for every path, or one across that all of them share.

        A point with a NaN breaks its path; an infinity is at the edge.

        Raises
        ------
        ValueError
            If the arrays differ in length.
        """
        if len(across) == 1:
            across = [*across] * len(up)
        count = len(up[0]) if up else 0
        for x, y in zip(across, up, strict=True):
            if len(x) != count or len(y) != count:
                raise ValueError(f"a path has {len(x)} values across and {len(y)} up, not {count} of each")
        if count and not self._dots.empty:
            if self._rising and count >= _MANY * self._dots.cols:
                across, up = self._condensed(across, up)
            self._draw(self._visible(self._lines(across, up)))
        self.points += count

    def _lines(self, across: Sequence[Floats], up: Sequence[Floats]) -> _Lines:
        """Return the lines to all of these points that are known, and remember the newest ones."""
        lengths = np.array([len(y) for y in up])
        x, y, begin = np.concatenate(across), np.concatenate(up), np.cumsum(lengths) - lengths
        drawn = ~(np.isnan(x) | np.isnan(y))
        known = np.flatnonzero(drawn)
        path = np.repeat(np.arange(len(up)), lengths)[known]
        point = known - begin[path]
        col = self._dots.columns(x[known], *self._box[:2])
        row = self._dots.lines_of(y[known], *self._box[2:])
        lone, from_col, from_row = np.ones(len(known), np.bool_), col.copy(), row.copy()
        lone[1:], from_col[1:], from_row[1:] = np.diff(known) != 1, col[:-1], row[:-1]
        # To the first of these points of a path a line leads from the newest one before.
        first = np.flatnonzero(point == 0)
        led = path[first]
        lone[first], from_col[first], from_row[first] = ~self._open[led], self._col[led], self._row[led]
        from_col, from_row = np.where(lone, col, from_col), np.where(lone, row, from_row)
        # Of several points of a path the last one stays.
        self._col[path], self._row[path], self._open = col, row, drawn[begin + lengths - 1]
        return _Lines(path, point + self.points, lone, from_col, from_row, col, row)

    def _visible(self, lines: _Lines) -> _Lines:
        """Leave out the lines that change nothing, or that later ones hide."""
        path, _, lone, from_col, from_row, col, row = lines
        rests = ~lone & (col == from_col) & (row == from_row)
        if self._ageing:
            rests[:-1] &= rests[1:] & (path[1:] == path[:-1])
            rests[-1:] = False
        seen = lines.only(np.flatnonzero(~rests))
        if self._rising or not len(seen.path):
            return seen
        start = self._dots.spots(seen.from_row, seen.from_col)
        stop = self._dots.spots(seen.row, seen.col)
        size = self._dots.lit.size
        equal = ((2 * seen.path + seen.lone) * size + start) * size + stop
        return seen.only(np.sort(len(equal) - 1 - np.unique(equal[::-1], return_index=True)[1]))

    def _draw(self, lines: _Lines) -> None:
        if not len(lines.path):
            return
        line, cols, tops, bottoms = line_runs(lines.from_col, lines.from_row, lines.col, lines.row)
        strides = np.where(lines.lone, 1, self._strides[lines.path])
        run, spots = self._dots.spots_of(cols, tops, bottoms, strides[line])
        drawn = line[run]
        self._lit[spots], self._colours = True, None
        self._last[lines.path[drawn], spots // self._dots.per_region] = lines.point[drawn]

    def _condensed(
        self, across: Sequence[Floats], up: Sequence[Floats]
    ) -> tuple[Sequence[Floats], Sequence[Floats]]:
        """Return of the values in each column the first, the largest, the smallest and the last one."""
        firsts: dict[int, Integers] = {}
        for x in across:
            if id(x) not in firsts:
                col = self._dots.columns(x, *self._box[:2])
                firsts[id(x)] = np.flatnonzero(np.append(True, np.diff(col) != 0))
        few = []
        for x, y in zip(across, up, strict=True):
            first = firsts[id(x)]
            if _MANY * len(first) > len(x) or np.isnan(y).any():  # a gap must stay where it is
                few.append((x, y))
                continue
            last = np.append(first[1:], len(x)) - 1
            most, least = np.maximum.reduceat(y, first), np.minimum.reduceat(y, first)
            few.append((np.repeat(x[first], 4), np.stack([y[first], most, least, y[last]], axis=1).ravel()))
        return [x for x, _ in few], [y for _, y in few]

    def paint(self, dots: Dots, inks: ArrayLike, glyphs: ArrayLike) -> None:
        """Put the paths on what `dots` shows; `inks`, and `glyphs` for ASCII, as if of (points, paths).

        Where paths share a cell (in half blocks: half a cell) all of their dots show.
        """
        if not self.points or dots.empty:
            return
        self._colours = self._colours or self._coloured()
        regions, path, point = self._colours
        shape = self.points, len(self._strides)
        dots.lit |= self._lit
        dots.ink[regions] = np.broadcast_to(np.asarray(inks, np.int16), shape)[point, path]
        if dots.marker == "ascii":
            dots.glyph[regions] = np.broadcast_to(np.asarray(glyphs, "<U1"), shape)[point, path]

    def _coloured(self) -> tuple[Integers, Integers, Integers]:
        """Return the regions that paths run through, and the path and its point that colour each."""
        dots, through = self._dots, self._last >= 0
        regions = np.flatnonzero(through.any(axis=0))
        through = through[:, regions]
        path = len(through) - 1 - np.argmax(through[::-1], axis=0)
        if self._sharing.any():
            through &= self._sharing[:, np.newaxis]
            counts = through.sum(axis=0)
            shared = np.flatnonzero(counts > 1)
            col = regions[shared] * dots.per_region // dots.per_cell % dots.width
            turn = col // 2 % counts[shared]
            path[shared] = np.argmax(through[:, shared].cumsum(axis=0) > turn, axis=0)
        return regions, path, self._last[path, regions]


class Sketch:
    """The part of a picture that is already drawn of a history to which rows are only added."""

    def __init__(self) -> None:
        self._trails: dict[str, tuple[Hashable, Trails]] = {}
        self._reached: dict[str, tuple[int, float, float]] = {}
        self._parts: dict[str, Sketch] = {}

    def part(self, name: str) -> Sketch:
        """Return the sketch of a picture in the picture."""
        return self._parts.setdefault(name, Sketch())

    def reach(self, name: str, values: Sequence[Floats]) -> tuple[float, float]:
        """Return the least and the largest finite one of these values by now; infinities where none is."""
        rows, low, high = self._reached.get(name, (0, np.inf, -np.inf))
        new = np.concatenate([np.zeros(0), *(each[rows:].reshape(-1) for each in values)])
        if len(new):
            least, most = new.min(), new.max()
            if not (np.isfinite(least) and np.isfinite(most)):  # nearly all are: the quick way comes first
                finite = np.isfinite(new)
                least, most = new.min(initial=np.inf, where=finite), new.max(initial=-np.inf, where=finite)
            low, high = min(low, float(least)), max(high, float(most))
        self._reached[name] = max(map(len, values), default=0), low, high
        return low, high

    def trails(
        self,
        name: str,
        dots: Dots,
        box: Box,
        across: Sequence[Floats],
        up: Sequence[Floats],
        strides: Sequence[int],
        sharing: Sequence[bool] = (),
        *,
        rising: bool = False,
        ageing: bool = False,
    ) -> Trails:
        """Return the trails of this name, with all points that are known by now; see `Trails`."""
        geometry = dots.width, dots.height, dots.marker, box, tuple(strides), tuple(sharing), ageing
        known, trails = self._trails.get(name, (None, None))
        if trails is None or known != geometry:
            trails = Trails(dots, box, strides, sharing, rising=rising, ageing=ageing)
            self._trails[name] = geometry, trails
        drawn = trails.points
        trails.extend([x[drawn:] for x in across], [y[drawn:] for y in up])
        return trails
