"""The lines above everything else when the worker has gone, or its run has failed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual.geometry import Size
from textual.strip import Strip

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.ui.drawn import Drawn
from ibtui.ui.glyphs import STATES, spelled
from ibtui.ui.line import Span, Styles, strip
from ibtui.ui.logged import last_line, wrapped
from ibtui.ui.scene import Scene

_MOST_ROWS = 4
_KEYS = "← → past  [ ] b binning  w save  c continue from the last checkpoint  q quit"
_KEYS_NOTHING = "c begin anew, on the CPU if a GPU failed  q quit"
_KEYS_LOST = "w save what the screen holds  c continue from the last checkpoint  q quit"
_KEYS_LOOP = "← → past  [ ] b binning  w save  q quit"
_KEYS_LOST_LOOP = "q quit: the loop goes on, and ibtui attach shows it again"
_KEYS_LOST_REPLAY = "w save what the screen holds  q quit"


HELP = {
    "Dead": "The process that trained has ended; another one holds its history, which can be walked "
    "through, rebinned and saved. c continues from the last checkpoint.",
    "Stopped": "`ibtui stop` has saved the run and ended it, from elsewhere. Its history is held like that "
    "of a dead run.",
}


class Banner(Drawn):
    """The reason, the end of the log, and what can be done; nothing while all is well."""

    def key(self, scene: Scene) -> Hashable:
        return tuple(_rows(scene, self.size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(_rows(self._scene, width)) if self._scene is not None else 0

    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        return [strip([span], width, styles) for span in _rows(scene, width)]


def is_shown(scene: Scene) -> bool:
    """Return True where there is something to say."""
    return bool(_reason(scene))


def _reason(scene: Scene) -> str:
    state, mirror = scene.run_state, scene.mirror
    if state == "stopped" and mirror.died is not None:
        saved = f"; saved {mirror.died.saved[-1]}" if mirror.died.saved else ""
        return printable(f"{STATES[state]} {mirror.died.reason}{saved}")
    if state == "dead" and mirror.died is not None:
        return f"{STATES[state]} {printable(mirror.died.reason)}"
    if state == "dead" and scene.loop and mirror.status is not None:
        return f"{STATES[state]} {printable(mirror.status.message)}"
    if state == "failed" and mirror.status is not None:
        return f"{STATES[state]} the run failed: {printable(mirror.status.message)}"
    return ""


def _rows(scene: Scene, width: int) -> list[Span]:
    reason = _reason(scene)
    if not reason:
        return []
    marker, mirror = scene.view.marker, scene.mirror
    reason = spelled(reason, marker)
    ink = palette.TEXT if scene.link.stopped else palette.WARN
    rows = [(f" {row}", ink) for row in list(wrapped(reason, width - 2))[: _MOST_ROWS - 2]]
    last = last_line(mirror.died.log if mirror.died is not None else mirror.log)
    last = "" if scene.link.stopped else last  # it ended in order
    rows += [(f" log: {row}", palette.TEXT) for row in list(wrapped(last, width - 7))[:1] if last]
    return [*rows, (f" {spelled(_can_be_done(scene), marker)}", palette.TEXT)]


def _can_be_done(scene: Scene) -> str:
    if scene.link.progress:
        return f"a new worker is to go on: {printable(scene.link.progress)}"
    if scene.loop:
        return _KEYS_LOST_LOOP if scene.link.lost else _KEYS_LOOP
    if not scene.link.lost:
        return _KEYS if scene.mirror.recording is not None else _KEYS_NOTHING
    return _KEYS_LOST_REPLAY if scene.plays else _KEYS_LOST
