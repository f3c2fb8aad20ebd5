"""What stands above everything else when the worker has died, or its run has failed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.ui.line import Run, strip
from ibtui.ui.panes.glyphs import STATES, spelled
from ibtui.ui.panes.log import newest, wrapped
from ibtui.ui.panes.pane import Drawn
from ibtui.ui.view import View, replaying, state_of

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror

_MOST_ROWS = 4
_KEYS = "← → past  [ ] b binning  w save  c continue from the last checkpoint  q quit"
_KEYS_LOST = "w save what the screen holds  c continue from the last checkpoint  q quit"
_KEYS_LOST_REPLAY = "w save what the screen holds  q quit"


class Banner(Drawn):
    """The reason, the end of the log, and what can be done; nothing while all is well."""

    def key(self, view: View, mirror: Mirror) -> Hashable:
        """See `Drawn.key`."""
        return tuple(_rows(view, mirror, self.size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """No row at all where nothing is wrong."""
        return len(_rows(*self._given[:2], width)) if self._given is not None else 0

    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """See `Drawn.paint`."""
        return [strip([run], width, styles) for run in _rows(view, mirror, width)]


def wrong(view: View, mirror: Mirror) -> bool:
    """Whether there is something to say."""
    return bool(_reason(view, mirror))


def _reason(view: View, mirror: Mirror) -> str:
    state = state_of(view, mirror)
    if state == "dead" and mirror.died is not None:
        return f"{STATES[state]} {printable(mirror.died.reason)}"
    if state == "failed" and mirror.status is not None:
        return f"{STATES[state]} the run failed: {printable(mirror.status.message)}"
    return ""


def _rows(view: View, mirror: Mirror, width: int) -> list[Run]:
    reason = _reason(view, mirror)
    if not reason:
        return []
    reason = spelled(reason, view.marker)
    rows = [(f" {row}", palette.WARN) for row in list(wrapped(reason, width - 2))[: _MOST_ROWS - 2]]
    last = newest(mirror.died.log if mirror.died is not None else mirror.log)
    rows += [(f" log: {row}", palette.TEXT) for row in list(wrapped(last, width - 7))[:1] if last]
    return [*rows, (f" {spelled(_can_be_done(view, mirror), view.marker)}", palette.TEXT)]


def _can_be_done(view: View, mirror: Mirror) -> str:
    if view.continuing:
        return f"a new worker is to continue from the last checkpoint: {printable(view.continuing)}"
    if not view.lost:
        return _KEYS
    return _KEYS_LOST_REPLAY if replaying(mirror) else _KEYS_LOST
