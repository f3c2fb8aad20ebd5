"""The regions of a picture: cells of one class that hang together, and the place with most room in each."""

from __future__ import annotations

import numpy as np

from ibtui.plot.dots import Integers

_ASPECT = 2
"""A cell is so many times as high as it is wide."""


def roomiest(classes: Integers) -> list[tuple[int, int, int, int]]:
    """Return for each region the cell furthest from its edges: row, column, cells to its left and right.

    Parameters
    ----------
    classes : ndarray of shape (height, width), integers
        Cells of one class that touch, not only at a corner, are one region.
    """
    if not classes.size:
        return []
    run, left, right = _runs(classes)
    _, up, below = (part.T for part in _runs(classes.T))
    region = _joined(run, classes)[run].ravel()
    beside, over = np.minimum(left, right).ravel(), _ASPECT * np.minimum(up, below).ravel()
    room = np.minimum(beside, over) * (classes.size + 1) + beside + over  # of two alike, the more central one
    most = np.zeros(classes.size, np.intp)
    np.maximum.at(most, region, room)
    found = np.flatnonzero(room == most[region])
    rows, cols = np.unravel_index(found[np.unique(region[found], return_index=True)[1]], classes.shape)
    places = (rows, cols, left[rows, cols], right[rows, cols])
    return list(zip(*(part.tolist() for part in places), strict=True))


def _runs(table: Integers) -> tuple[Integers, Integers, Integers]:
    """Return for each cell its run, a stretch of equal values in a row, and how much is on both sides."""
    begins = np.ones(table.shape, np.bool_)
    np.not_equal(table[:, 1:], table[:, :-1], out=begins[:, 1:])
    starts, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    ends, place = np.append(starts[1:], table.size) - 1, np.arange(table.size)
    before, behind = place - starts[run], ends[run] - place
    return run.reshape(table.shape), before.reshape(table.shape), behind.reshape(table.shape)


def _joined(run: Integers, classes: Integers) -> Integers:
    """Return for each run the least run that it hangs together with."""
    touch = classes[1:] == classes[:-1]
    one, other = run[:-1][touch], run[1:][touch]
    once = np.append(True, (np.diff(one) != 0) | (np.diff(other) != 0))[: len(one)]
    one, other = one[once], other[once]
    least: Integers = np.arange(int(run.max()) + 1)
    while True:
        before: Integers = least.copy()
        np.minimum.at(least, other, before[one])
        np.minimum.at(least, one, before[other])
        least = least[least]
        if np.array_equal(least, before):
            return least
