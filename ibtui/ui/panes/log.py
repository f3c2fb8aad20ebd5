"""The log: what the worker and its engine print, and what became of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from rich.cells import chop_cells

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.ui.line import Styles, piece, strip
from ibtui.ui.panes.pane import Drawing, Pane, pane
from ibtui.ui.scene import Scene


@pane(row=2, order=2)
class LogPane(Pane):
    """The newest lines, the last one at the bottom."""

    def content_key(self, scene: Scene) -> Hashable:
        mirror = scene.mirror
        gpu = mirror.status.gpu if mirror.status is not None else ""
        return mirror.log_end, len(mirror.log), mirror.log[-1] if mirror.log else "", mirror.died, gpu

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        mirror, status = scene.mirror, scene.status
        lines: list[tuple[str, int]] = [(line, palette.TEXT) for line in list(mirror.log)[-height:]]
        if mirror.died is not None:
            lines.append((mirror.died.reason, palette.TEXT if scene.link.stopped else palette.WARN))
        rows = [(row, ink) for line, ink in lines for row in wrapped(line, width)]
        body = [strip([row], width, styles) for row in rows[max(0, len(rows) - height) :]]
        gpu = [piece(status.gpu, ink=palette.DIM, rank=1)] if status is not None and status.gpu else []
        return Drawing([piece("log"), *gpu], body)


def wrapped(line: str, width: int) -> Iterator[str]:
    """Break a line of the log into rows of at most `width` cells, its control characters made visible."""
    yield from chop_cells(printable(line), max(2, width)) or [""]


def last_line(lines: Iterable[str]) -> str:
    """Return the last line that says anything."""
    return next((printable(line) for line in reversed(list(lines)) if line.strip()), "")
