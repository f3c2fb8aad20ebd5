"""The help screen: every key in a line, and what the panes and numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ibtui.plot.dots import Marker
from ibtui.ui.panes.glyphs import spelled
from ibtui.ui.terminal import Patient

Entry = tuple[str, str]
"""The key as it is shown, and what it does."""

_DEFINITIONS = (
    (
        "Scatters",
        "A point per sample, coloured by class; its place is what the layer makes of it. Layers wider "
        "than two are drawn by their first two principal components. Layers are counted from 0.",
    ),
    (
        "I(X;T)",
        "What layer T keeps of the input X, and I(T;Y) what it tells of the label Y: plug-in estimates "
        "from binned values. X has so many bins per axis on [0, 1], T so many per unit on the "
        "activation's range.",
    ),
    (
        "Chance",
        "The expected value of the same estimate when samples are paired at random, exactly computed. "
        "With fine bins it is far above zero: an estimate says something only in excess of it.",
    ),
    (
        "Ceilings",
        "I(X;T) cannot pass H(X), the entropy of the binned input, nor I(T;Y) the label's, H(Y); a "
        "layer's dimension cannot pass its width.",
    ),
    (
        "Binnings",
        "notebook: a value at the upper end of the range has a bin of its own. closed: it joins the last "
        "bin. adaptive: bins of equal mass. Values outside the range join the nearest bin and are counted "
        "(outside).",
    ),
    (
        "Dimension",
        "(Σs)² / Σs², s the singular values of the centred activations. Participation ratio (pr): the "
        "same of their squares. A layer without variance has none (n/a).",
    ),
    (
        "Saturated",
        "The share of activations exactly at an end of the range, shown above 5%.",
    ),
    (
        "Information plane",
        "I(X;T) against I(T;Y), a trajectory per layer; its number stands at the newest point, or at the "
        "epoch that is looked at.",
    ),
    (
        "Bins beside I(T;Y)",
        "The chosen layer's estimate at 10, 30 and 100 bins: how much it is a matter of binning.",
    ),
    (
        "Skipped",
        "Measurements that were taken and recorded, but came too fast to be drawn.",
    ),
    (
        "View",
        "All panes show one epoch: the present, or the measurement walked to. Training goes on meanwhile.",
    ),
    (
        "Dead",
        "The process that trained has gone. Its history is held by a new one, to be walked through, rebinned "
        "and saved; c goes on from the last checkpoint.",
    ),
)


class HelpScreen(Patient, ModalScreen[None]):
    """Scrolls; any of the usual keys leads back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter,ctrl+c", "dismiss", "back"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("space,pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "end(-1)", show=False),
        Binding("end", "end(1)", show=False),
    ]
    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(self, entries: Sequence[Entry], marker: Marker) -> None:
        super().__init__(classes="-ascii" if marker == "ascii" else None)
        self._text = help_text(entries, marker)

    def compose(self) -> ComposeResult:
        """One long text."""
        with VerticalScroll(id="help", can_focus=False):
            yield Static(self._text)

    def action_scroll(self, lines: int) -> None:
        """Move by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def action_end(self, direction: int) -> None:
        """To the beginning or to the end."""
        scroll = self.query_one(VerticalScroll)
        (scroll.scroll_end if direction > 0 else scroll.scroll_home)(animate=False)


def help_text(entries: Sequence[Entry], marker: Marker) -> Content:
    """Keys first, then definitions."""
    spell = [(spelled(key, marker), spelled(text, marker)) for key, text in entries]
    width = max(len(key) for key, _ in spell)
    parts: list[Content | tuple[str, str]] = [(spelled("Keys", marker), "bold")]
    parts.append((spelled("    ↑ ↓ scroll, Esc back\n", marker), "dim"))
    for key, text in spell:
        parts += [(f"  {key:<{width}}", "bold"), (f"  {text}\n", "")]
    parts.append(("\nWhat the screen shows\n", "bold"))
    for name, text in _DEFINITIONS:
        parts += [(f"  {spelled(name, marker)}: ", "bold"), (f"{spelled(text, marker)}\n", "")]
    return Content.assemble(*parts)
