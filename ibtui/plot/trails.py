"""Paths through a plane. The dots drawn are kept, so that a path that grows costs only its new points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.plot.dots import Box, Dots, Floats, Integers, line_runs

Flags = NDArray[np.bool_]


class Trails:
    """Paths to which points are added, each drawn over the one before.

    Kept are the dots of each path, and for each region the point that coloured it last; so inks, which may
    depend on how many points there are, are given only when the picture is wanted. `dots` is of the size and
    with the marker of those that it is to be shown on; one of every stride of a path's dots is lit, as in
    `Line`.
    """

    def __init__(self, dots: Dots, box: Box, strides: Sequence[int]) -> None:
        paths = len(strides)
        self.points = 0
        """The number of points of each path that are drawn."""
        self.ends: list[tuple[int, int] | None] = [None] * paths
        """The cell of each path's newest point that is not NaN."""
        self._dots, self._box, self._strides = dots, box, np.asarray(strides, np.intp)
        self._lit = np.zeros((paths, dots.lit.size), np.bool_)
        self._last = np.full((paths, dots.ink.size), -1, np.int64)
        self._newest = np.full((2, 1, paths), np.nan)

    def extend(self, across: Floats, up: Floats) -> None:
        """Draw further points, of shape (n, paths); one with a NaN breaks its path."""
        before, self.points = self.points, self.points + len(across)
        if self._dots.empty or not len(across):
            return
        # The newest point known is where lines begin; it has been drawn itself.
        x, y = (np.concatenate(two).T for two in zip(self._newest, (across, up), strict=True))
        self._newest = np.stack([x[:, -1:].T, y[:, -1:].T])
        count = x.shape[1]
        known = np.flatnonzero(~(np.isnan(x) | np.isnan(y)).ravel())
        owners, points = np.divmod(known, count)
        cols = self._dots.columns(x.ravel()[known], *self._box[:2])
        rows = self._dots.lines_of(y.ravel()[known], *self._box[2:])
        joined = np.append(False, (np.diff(known) == 1) & (np.diff(owners) == 0))[: len(known)]
        self._draw(owners, points + before - 1, cols, rows, joined, points > 0)

    def _draw(
        self, owners: Integers, points: Integers, cols: Integers, rows: Integers, joined: Flags, new: Flags
    ) -> None:
        """Draw a line from each point to the next where they are joined, and the points themselves."""
        # Of the points that follow one another in the same dot, only the first and the last can be seen.
        rests = joined & np.append(False, (np.diff(rows) == 0) & (np.diff(cols) == 0))[: len(rows)]
        seen = ~(rests & np.append(rests[1:], False)[: len(rows)])
        owners, points, cols, rows = owners[seen], points[seen], cols[seen], rows[seen]
        joined, new = joined[seen], new[seen]
        spots = self._dots.spots(rows, cols)
        # The first point is a line to itself, so that a path of one point shows.
        stop = np.flatnonzero(new)
        start = stop - joined[stop]
        # Of lines that a path has drawn more than once the last one hides the others.
        same = (owners[stop] * self._dots.lit.size + spots[start]) * self._dots.lit.size + spots[stop]
        once = np.sort(len(same) - 1 - np.unique(same[::-1], return_index=True)[1])
        stop, start = stop[once], start[once]
        line, col, top, bottom = line_runs(cols[start], rows[start], cols[stop], rows[stop])
        of_run = stop[line]
        lit = (col + top) % self._strides[owners[of_run]] == 0
        of_run, col, top, bottom = of_run[lit], col[lit], top[lit], bottom[lit]
        run, spot = self._dots.spots_of(col, top, bottom)
        owner, point = owners[of_run][run], points[of_run][run]
        self._lit[owner, spot] = True
        self._last[owner, spot // self._dots.per_region] = point
        for newest in np.flatnonzero(np.append(np.diff(owners) != 0, True)[: len(owners)]).tolist():
            self.ends[owners[newest]] = divmod(int(spots[newest]) // self._dots.per_cell, self._dots.width)

    def paint(self, dots: Dots, inks: ArrayLike, glyphs: ArrayLike) -> None:
        """Put the paths on what `dots` shows; `inks`, and `glyphs` for ASCII, as if of (points, paths)."""
        shape = self.points, len(self._lit)
        ink = np.broadcast_to(np.asarray(inks, np.int16), shape)
        glyph = np.broadcast_to(np.asarray(glyphs, "<U1"), shape) if dots.marker == "ascii" else None
        for path in range(len(self._lit)):
            dots.lit |= self._lit[path]
            regions = np.flatnonzero(self._last[path] >= 0)
            dots.ink[regions] = ink[self._last[path, regions], path]
            if glyph is not None:
                dots.glyph[regions] = glyph[self._last[path, regions], path]
