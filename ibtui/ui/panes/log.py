"""What the worker and its engine print, and what became of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import chop_cells
from rich.style import Style

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.ui.line import piece, strip
from ibtui.ui.panes.pane import Drawing, Pane
from ibtui.ui.view import View

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror


class Log(Pane):
    """The newest lines, the last one at the bottom."""

    def __init__(self) -> None:
        super().__init__("log")

    def content_key(self, view: View, mirror: Mirror) -> Hashable:
        """Lines are only ever added, or pushed out by newer ones."""
        return mirror.log_end, len(mirror.log), mirror.log[-1] if mirror.log else "", mirror.died

    def draw(self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]) -> Drawing:
        """See `Pane.draw`."""
        lines: list[tuple[str, int]] = [(line, palette.TEXT) for line in list(mirror.log)[-height:]]
        if mirror.died is not None:
            lines.append((mirror.died.reason, palette.WARN))
        rows = [(row, ink) for line, ink in lines for row in wrapped(line, width)]
        body = [strip([row], width, styles) for row in rows[max(0, len(rows) - height) :]]
        status = mirror.status
        gpu = [piece(status.gpu, ink=palette.DIM, rank=1)] if status is not None and status.gpu else []
        return Drawing([piece("log"), *gpu], body)


def wrapped(line: str, width: int) -> Iterator[str]:
    """A line of the log in rows of at most `width` cells, its control characters made visible."""
    yield from chop_cells(printable(line), max(2, width)) or [""]


def unseen(known: Iterable[str], tail: Sequence[str]) -> Sequence[str]:
    """What of the end of a log is not at the end of the known lines already."""
    lines = list(known)
    overlaps = (n for n in range(min(len(lines), len(tail)), 0, -1) if lines[-n:] == list(tail[:n]))
    return tail[next(overlaps, 0) :]


def newest(lines: Iterable[str]) -> str:
    """The last line that says anything."""
    return next((printable(line) for line in reversed(list(lines)) if line.strip()), "")
