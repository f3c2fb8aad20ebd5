"""Cells as Textual draws them: a strip of segments for each row."""

from __future__ import annotations

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ibtui.plot.canvas import Cells
from ibtui.ui.line import Styles


def strips(cells: Cells, styles: Styles) -> list[Strip]:
    """Return a strip for each row of `cells`, as wide as it; see `segments`."""
    return [Strip(row, cells.width) for row in segments(cells, styles)]


def segments(cells: Cells, styles: Styles) -> list[list[Segment]]:
    """Return the segments of each row, one for each stretch of equal style; see `palette.styles`."""
    height, width = cells.chars.shape
    if not cells.chars.size:
        return [[] for _ in range(height)]
    chars = np.ascontiguousarray(cells.chars, "<U1")
    # A blank has no ink of its own: it need not end a stretch.
    inks = np.where((chars == " ") & (cells.paper == 0), 0, cells.ink.astype(np.int32))
    keys = cells.paper.astype(np.int32) * len(styles) + inks
    changed = np.ones((height, width), np.bool_)
    np.not_equal(keys[:, 1:], keys[:, :-1], out=changed[:, 1:])
    starts = np.flatnonzero(changed)
    keyed = keys.ravel()[starts].tolist()
    shown = {key: _style(key // len(styles), key % len(styles), styles) for key in set(keyed)}
    text = chars.tobytes().decode("utf-32-le")
    stops = np.append(starts[1:], height * width).tolist()
    found = []
    for start, stop, key in zip(starts.tolist(), stops, keyed, strict=True):
        style, one_colour = shown[key]
        piece = text[start:stop]
        found.append(Segment(piece.replace("▀", "█") if one_colour else piece, style))
    ends = np.searchsorted(starts, np.arange(height + 1) * width).tolist()
    return [found[ends[row] : ends[row + 1]] for row in range(height)]


def _style(paper: int, ink: int, styles: Styles) -> tuple[Style, bool]:
    """Return the style of an ink on a paper, and True where half blocks must be full, for want of colours."""
    if not paper:
        return styles[ink], False
    behind = styles[paper].color
    return styles[ink] + Style(bgcolor=behind), behind is None
