"""What a screen says that is too small for anything else."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from textual.strip import Strip

from ibtui.plot import palette
from ibtui.ui.line import blank, strip
from ibtui.ui.panes.glyphs import STATES, spelled
from ibtui.ui.panes.pane import Drawn
from ibtui.ui.view import COMPACT, View, state_of

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror


class TooSmall(Drawn):
    """Which size is needed, and that the run does not mind."""

    def key(self, view: View, mirror: Mirror) -> Hashable:
        """See `Drawn.key`."""
        return _lines(view, mirror, self.size.width, self.size.height)

    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """See `Drawn.paint`."""
        lines = [spelled(line, view.marker) for line in _lines(view, mirror, width, height)]
        top = max(0, (height - len(lines)) // 2)
        rows = [strip([(line.center(width), palette.TEXT)], width, styles) for line in lines]
        return [*[blank(width, styles)] * top, *rows][:height]


def _lines(view: View, mirror: Mirror, width: int, height: int) -> tuple[str, ...]:
    """The message with as many words as there is room for."""
    need = "{}x{}".format(*COMPACT)
    state = state_of(view, mirror)
    status = mirror.status
    epoch = f", epoch {status.epoch:,} of {status.epochs:,}" if status is not None and status.epochs else ""
    wordings = (
        (f"This terminal is {width}x{height}; ibtui needs {need}.", f"{STATES[state]} {state}{epoch}"),
        (f"needs {need}", f"{STATES[state]} {state}"),
        (need,),
    )
    fits = (w for w in wordings if len(w) <= height and max(map(len, w)) <= width)
    return next(fits, (need[:width],))
