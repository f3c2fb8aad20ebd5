"""Cells as Textual draws them: a strip of segments for each row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.ui.line import Styles


def strips(cells: Cells, styles: Styles) -> list[Strip]:
    """Return a strip for each row of `cells`, as wide as it; see `segments`."""
    return Rows().strips(cells, styles)


class Rows:
    """The rows of one picture after another: one that is as it was stays the very strip that it was."""

    def __init__(self) -> None:
        self._cells: Cells | None = None
        self._around: tuple[object, ...] = ()
        self._strips: list[Strip] = []

    def strips(
        self, cells: Cells, styles: Styles, left: Sequence[Segment] = (), right: Sequence[Segment] = ()
    ) -> list[Strip]:
        """Return a strip for each row of `cells`, between what stands left and right of it."""
        before, around = self._cells, (styles, cells.chars.shape, *left, *right)
        if before is not None and around == self._around:
            changed = _changed(before, cells)
            if not changed.size:
                return self._strips
            made, strips = _taken(cells, changed), [*self._strips]
        else:
            changed, made, strips = np.arange(cells.height), cells, [Strip([])] * cells.height
        width = cells.width + sum([len(each.text) for each in (*left, *right)])
        for row, found in zip(changed.tolist(), segments(made, styles), strict=True):
            strips[row] = Strip([*left, *found, *right], width)
        self._cells, self._around, self._strips = cells, around, strips
        return strips


def _changed(before: Cells, cells: Cells) -> NDArray[np.intp]:
    """Return the rows in which two pictures of the same size differ."""
    differ = (before.ink != cells.ink) | (before.paper != cells.paper) | (before.chars != cells.chars)
    return np.flatnonzero(differ.any(axis=1))


def _taken(cells: Cells, rows: NDArray[np.intp]) -> Cells:
    return Cells(cells.chars[rows], cells.ink[rows], cells.paper[rows])


def segments(cells: Cells, styles: Styles) -> list[list[Segment]]:
    """Return the segments of each row, one for each stretch of equal style; see `palette.styles`."""
    height, width = cells.chars.shape
    if not cells.chars.size:
        return [[] for _ in range(height)]
    chars, papered = np.ascontiguousarray(cells.chars, "<U1"), bool(cells.paper.any())
    # A blank has no ink of its own: it goes on with the stretch before it, unless that may be underlined.
    inked = (chars != " ") | (cells.paper != 0) if papered else chars != " "
    before = np.maximum.accumulate(np.where(inked, np.arange(width), 0), axis=1)
    keys = np.take_along_axis(cells.ink, before, axis=1).astype(np.int32)
    keys[~inked & (keys == palette.MIXED)] = palette.NONE
    if papered:
        keys += cells.paper.astype(np.int32) * len(styles)
    changed = np.ones((height, width), np.bool_)
    np.not_equal(keys[:, 1:], keys[:, :-1], out=changed[:, 1:])
    starts = np.flatnonzero(changed)
    keyed, text = keys.ravel()[starts].tolist(), chars.tobytes().decode("utf-32-le")
    ends = np.searchsorted(starts, np.arange(height + 1) * width).tolist()
    bounds = [*starts.tolist(), height * width]
    pieces = [text[start:stop] for start, stop in pairwise(bounds)]
    if papered:
        shown = {key: _style(key // len(styles), key % len(styles), styles) for key in set(keyed)}
        found = [
            Segment(piece.replace("▀", full), style)
            for piece, (style, full) in zip(pieces, map(shown.__getitem__, keyed), strict=True)
        ]
    else:
        found = [Segment(piece, styles[key]) for piece, key in zip(pieces, keyed, strict=True)]
    return [found[start:stop] for start, stop in pairwise(ends)]


def _style(paper: int, ink: int, styles: Styles) -> tuple[Style, str]:
    """Return the style of an ink on a paper, and a half block there: a full one for want of colours."""
    if not paper:
        return styles[ink], "▀"
    behind = styles[paper].color
    return styles[ink] + Style(bgcolor=behind), "█" if behind is None else "▀"
