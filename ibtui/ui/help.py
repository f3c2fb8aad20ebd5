"""The help screen: the meaning of panes, numbers and marks, then every key by subject."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ibtui.plot.dots import Marker
from ibtui.quantities import Quantity
from ibtui.ui import banner, status, table
from ibtui.ui.glyphs import spelled
from ibtui.ui.marks import MARKS
from ibtui.ui.panes import Panes
from ibtui.ui.terminal import Patient

Entry = tuple[str, str]
"""A key as it is shown, or a word, and what it does or means."""


def definitions(panes: Panes, quantities: Iterable[Quantity]) -> list[Entry]:
    """Return what the screen shows: panes, marks, numbers; an entry without a word is a heading."""
    shown, numbers = _declared(panes, quantities)
    return [*shown, *_marks(), *numbers]


def definitions_of(
    pane: str, panes: Panes, chosen: Collection[str], quantities: Iterable[Quantity]
) -> list[Entry]:
    """Return what one pane declares, and what those quantities do that it shows, before all marks."""
    names = {*panes[pane].declared.quantities, *chosen}
    shown, numbers = _declared({pane: panes[pane]}, [q for q in quantities if q.name in names])
    return [*shown, *numbers, *_marks()]


def _declared(panes: Panes, quantities: Iterable[Quantity]) -> tuple[list[Entry], list[Entry]]:
    """Return the texts of panes, and of numbers: those that panes explain, then all others."""
    own = [list(made.declared.help.items()) for made in panes.values()]
    first = dict(entry for entries in own for entry in entries[:1])
    texts: dict[str, str] = dict(entry for entries in own for entry in entries[1:])
    for quantity in quantities:
        brief = quantity.per_layer and quantity.brief != quantity.label
        label = f"{quantity.label} ({quantity.brief})" if brief else quantity.label
        if quantity.description and label not in first:
            texts.setdefault(label[:1].upper() + label[1:], quantity.description)
    return [("", "Panes"), *first.items()], [("", "Numbers"), *texts.items()] if texts else []


def _marks() -> list[Entry]:
    return [("", "Marks and words"), *(dict(MARKS) | table.HELP | status.HELP | banner.HELP).items()]


class HelpScreen(Patient, ModalScreen[None]):
    """Scrolls; any of the usual keys leads back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter,ctrl+c", "dismiss", "back"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("space,pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "end(-1)", show=False),
        Binding("end", "end(1)", show=False),
    ]
    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(self, keys: Sequence[Entry], words: Sequence[Entry], marker: Marker) -> None:
        super().__init__(classes="-ascii" if marker == "ascii" else None)
        self._text = help_text(keys, words, marker)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help", can_focus=False):
            yield Static(self._text)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def action_end(self, direction: int) -> None:
        scroll = self.query_one(VerticalScroll)
        (scroll.scroll_end if direction > 0 else scroll.scroll_home)(animate=False)


def help_text(keys: Sequence[Entry], words: Sequence[Entry], marker: Marker) -> Content:
    """Write what the screen shows, then the keys by subject; an entry without a key is a subject."""
    spell = [(spelled(key, marker), spelled(text, marker)) for key, text in keys]
    width = max((len(key) for key, _ in spell), default=0)
    parts: list[Content | tuple[str, str]] = [("What the screen shows", "bold")]
    parts.append((spelled("    ↑ ↓ scroll, End keys, Esc back, F1 the chosen pane\n", marker), "dim"))
    for name, text in words:
        if not name:
            parts.append((f"\n{text}\n", "bold"))
            continue
        parts += [(f"  {spelled(name, marker)}: ", "bold"), (f"{spelled(text, marker)}\n", "")]
    for key, text in spell:
        if not key:
            parts.append((f"\nKeys: {text}\n", "bold"))
        else:
            parts += [(f"  {key:<{width}}", "bold"), (f"  {text}\n", "")]
    return Content.assemble(*parts)
