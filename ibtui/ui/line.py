"""Lines of text that fit: their parts have shorter spellings, and the least important goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ibtui.plot import palette
from ibtui.plot.dots import Marker
from ibtui.ui.glyphs import spelled


@dataclass(frozen=True)
class Piece:
    """A part of a line, which may be said in shorter ways or not at all."""

    variants: tuple[str, ...]
    """Longest first."""
    ink: int = palette.TEXT
    rank: int = 0
    """Pieces of a higher rank are dropped first; among equals the later one."""


_SHORTER = 5
"""A piece is shortened when those that are so many ranks above it are dropped."""


def piece(*variants: str, ink: int = palette.TEXT, rank: int = 0) -> Piece:
    """Make a `Piece`."""
    return Piece(variants, ink, rank)


Span = tuple[str, int]
"""A text and its ink."""
Styles = Sequence[Style]
"""The style of each ink, as from `palette.styles`."""


def fit(pieces: Sequence[Piece], width: int, gap: int, marker: Marker) -> list[Span]:
    """Return what of the pieces fits into `width` cells, `gap` cells apart; no word is ever cut."""
    width = max(width, 0)
    whole = [(spelled(p.variants[0], marker), p.ink) for p in pieces if p.variants[0]]
    if _length(whole, gap) <= width:
        return whole
    spellings = [[spelled(text, marker) for text in p.variants] + [""] for p in pieces]
    said = [0] * len(pieces)

    def texts() -> list[Span]:
        spans = ((spellings[i][said[i]], p.ink) for i, p in enumerate(pieces))
        return [span for span in spans if span[0]]

    def sacrifice(i: int) -> tuple[int, int]:
        """Return how readily a piece's next shorter variant is taken."""
        left = len(spellings[i]) - said[i] - 1
        return pieces[i].rank + (_SHORTER if left > 1 else 0), i

    while _length(spans := texts(), gap) > width:
        shortenable = [i for i, spelling in enumerate(spellings) if spelling[said[i]]]
        said[max(shortenable, key=sacrifice)] += 1
    return spans


def _length(spans: Sequence[Span], gap: int) -> int:
    return sum([len(text) for text, _ in spans]) + gap * max(len(spans) - 1, 0)


def spaced(spans: Sequence[Span], gap: int) -> list[Span]:
    """Put `gap` blank cells between the spans."""
    blank = (" " * gap, palette.TEXT)
    return [part for span in spans for part in (blank, span)][1:]


def strip(spans: Sequence[Span], width: int, styles: Styles) -> Strip:
    """Make a strip of exactly this width; what does not fit is cut off."""
    made = Strip([Segment(text, styles[ink]) for text, ink in spans if text])
    return made.adjust_cell_length(width, styles[palette.TEXT])


def centred(lines: Sequence[str], ink: int, width: int, height: int, styles: Styles) -> list[Strip]:
    """Put lines into the middle of an otherwise empty area."""
    top = max(0, (height - len(lines)) // 2)
    rows = [strip([(line.center(width), ink)], width, styles) for line in lines]
    return [*[blank(width, styles)] * top, *rows][:height]


def blank(width: int, styles: Styles) -> Strip:
    """Make an empty line."""
    return Strip([Segment(" " * width, styles[palette.TEXT])] if width > 0 else [], max(width, 0))
