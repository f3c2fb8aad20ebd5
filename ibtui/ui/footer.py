"""The last line of the screen: the keys, as many as fit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from textual.strip import Strip

from ibtui.plot import palette
from ibtui.ui.drawn import Drawn
from ibtui.ui.line import Span, Styles, fit, piece, strip
from ibtui.ui.scene import Scene

_FOR_TRAINING = ("space", "s", "- +", "r")
_FOR_OWN_TRAINING = ("- +", "r")
_FOR_THE_REST = ("s",)
_FOR_A_WORKER = ("[ ]", "{ }", "b", "← →")
_OF_T = {"width": "T width", "kde": "noise"}
"""The label of the keys for the bins of T where an estimator has no number of them."""


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

    def key(self, scene: Scene) -> Hashable:
        return _instead(scene), _in_vain(scene), scene.view.enlarged

    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        hints = list(self._hints)
        if scene.view.enlarged:
            hints = [Hint("Esc", "back", 0), *(hint for hint in hints if hint.keys != "Enter")]
        instead = dict(_instead(scene))
        hints = [hint for hint in hints if hint.keys not in _in_vain(scene)]
        pieces = [piece(f"{h.keys}\0{instead.get(h.keys, h.label)}", rank=h.rank) for h in hints]
        spans: list[Span] = []
        for text, _ in fit(pieces, width - 2, 2, scene.view.marker):
            keys, _, label = text.partition("\0")
            spans += [
                ("  " if spans else " ", palette.TEXT),
                (keys, palette.TRAIN),
                (f" {label}", palette.DIM),
            ]
        return [strip(spans, width, styles)]


def _instead(scene: Scene) -> tuple[tuple[str, str], ...]:
    """Return the keys whose hints say something else in this state, and what."""
    binning = scene.binning
    of_t = _OF_T.get(binning.kind) if binning is not None else None
    return ("space", scene.space_does), *((("[ ]", of_t),) if of_t else ())


def _in_vain(scene: Scene) -> tuple[str, ...]:
    """Return the keys of hints that have no effect in this state."""
    if scene.link.lost:
        return _FOR_TRAINING + _FOR_A_WORKER
    if scene.run_state in ("dead", "stopped") or (scene.loop and scene.run_state == "finished"):
        return _FOR_TRAINING
    if scene.plays:  # at its end space begins again
        return _FOR_THE_REST if scene.run_state != "running" and scene.cursor_row is None else ()
    over = () if scene.space_does else ("space", *_FOR_THE_REST)
    return _FOR_OWN_TRAINING + over if scene.loop else over
