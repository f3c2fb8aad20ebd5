"""The message of a screen that is too small for anything else."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual.strip import Strip

from ibtui.plot import palette
from ibtui.ui.drawn import Drawn
from ibtui.ui.glyphs import STATES, spelled
from ibtui.ui.line import Styles, centred
from ibtui.ui.scene import Scene
from ibtui.ui.view import SMALL


class TooSmall(Drawn):
    """The size that is needed, and the run's state."""

    def key(self, scene: Scene) -> Hashable:
        return _lines(scene, self.size.width, self.size.height)

    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        lines = [spelled(line, scene.view.marker) for line in _lines(scene, width, height)]
        return centred(lines, palette.TEXT, width, height, styles)


def _lines(scene: Scene, width: int, height: int) -> tuple[str, ...]:
    """Return the message with as many words as there is room for."""
    need = "{}x{}".format(*SMALL)
    state = scene.run_state
    status = scene.status
    epoch = f", epoch {status.epoch:,} of {status.epochs:,}" if status is not None and status.epochs else ""
    wordings = (
        (f"This terminal is {width}x{height}; ibtui needs {need}.", f"{STATES[state]} {state}{epoch}"),
        (f"needs {need}", f"{STATES[state]} {state}"),
        (need,),
    )
    fits = (w for w in wordings if len(w) <= height and max(map(len, w)) <= width)
    return next(fits, (need[:width],))
