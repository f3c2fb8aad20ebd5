"""The last line of the screen: the keys, as many as fit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from textual.strip import Strip

from ibtui.plot import palette
from ibtui.ui.line import Run, fit, piece, strip
from ibtui.ui.panes.pane import Drawn
from ibtui.ui.view import View, replaying, state_of

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror


_FOR_TRAINING = ("space", "s", "- +", "r")
_FOR_A_WORKER = ("[ ]", "{ }", "b", "← →")


@dataclass(frozen=True)
class Hint:
    """A key, or a pair of them, and in a word or two what it does."""

    keys: str
    label: str
    rank: int
    """Hints of a higher rank make room first."""


class Footer(Drawn):
    """One line of hints."""

    def __init__(self, hints: Sequence[Hint]) -> None:
        super().__init__(id="footer")
        self._hints = hints

    def key(self, view: View, mirror: Mirror) -> Hashable:
        """What the space key means, which keys are in vain, and the way back from an enlarged pane."""
        return space_does(view, mirror), _in_vain(view, mirror), view.enlarged

    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """See `Drawn.paint`."""
        hints = list(self._hints)
        if view.enlarged:
            hints = [Hint("Esc", "back", 0), *(hint for hint in hints if hint.keys != "Enter")]
        does = space_does(view, mirror)
        hints = [hint for hint in hints if hint.keys not in _in_vain(view, mirror)]
        pieces = [piece(f"{h.keys}\0{does if h.keys == 'space' else h.label}", rank=h.rank) for h in hints]
        runs: list[Run] = []
        for text, _ in fit(pieces, width - 2, 2, view.marker):
            keys, _, label = text.partition("\0")
            runs += [("  " if runs else " ", palette.TEXT), (keys, palette.TRAIN), (f" {label}", palette.DIM)]
        return [strip(runs, width, styles)]


def _in_vain(view: View, mirror: Mirror) -> tuple[str, ...]:
    """The keys of hints that have no effect in this state."""
    if view.lost:
        return _FOR_TRAINING + _FOR_A_WORKER
    if state_of(view, mirror) == "dead":
        return _FOR_TRAINING
    return () if space_does(view, mirror) else ("space",)


def space_does(view: View, mirror: Mirror) -> str:
    """What the space key does in this state, in a word or two; empty: nothing."""
    state = state_of(view, mirror)
    if replaying(mirror):
        return "stop" if state == "running" else "play"
    if state in ("finished", "failed", "dead"):
        return ""
    return "pause" if state in ("starting", "running") else "go on"
