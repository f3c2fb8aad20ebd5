"""Questions that stand above the panes until they are answered: with a key, or with the place for a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ibtui.errors import printable
from ibtui.plot.dots import Marker
from ibtui.ui.glyphs import spelled
from ibtui.ui.terminal import Patient


@dataclass(frozen=True)
class Answer:
    """A possible answer, and the key that gives it."""

    key: str
    label: str
    meaning: str
    """The text that the dialog is dismissed with."""


class Dialog(Patient, ModalScreen[str]):
    """A question that is answered once: keys that come after the answer in one piece mean nothing."""

    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(self, marker: Marker) -> None:
        super().__init__(classes="-ascii" if marker == "ascii" else None)
        self._answered = False

    def answer(self, text: str) -> None:
        if not self._answered:
            self._answered = True
            self.dismiss(text)


class Question(Dialog):
    """Asks; is dismissed with an answer, which is empty for Esc.

    The first choice is also what Enter means, and Ctrl-C where `interrupt` is true; so it must lose nothing.
    """

    def __init__(
        self, text: str, choices: Sequence[Answer], marker: Marker, *, interrupt: bool = False
    ) -> None:
        super().__init__(marker)
        self._text = spelled(text, marker)
        self._answers = {choice.key: choice.meaning for choice in choices} | {"escape": "", "ctrl+c": ""}
        self._answers["enter"] = choices[0].meaning
        if interrupt:
            self._answers["ctrl+c"] = choices[0].meaning
        self._choices = [*choices, Answer("Esc", "stay", "")]

    def compose(self) -> ComposeResult:
        rows = [f"  {choice.key:<5}{choice.label}" for choice in self._choices]
        rows[0] += "  (Enter)"
        yield Static(Content("\n".join([self._text, "", *rows])), classes="question")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if event.key in self._answers:
            self.answer(self._answers[event.key])


class Place(Dialog):
    """Says what went wrong; is dismissed with another file or folder as typed, or with nothing for Esc."""

    def __init__(self, trouble: str, suggestion: str, marker: Marker) -> None:
        super().__init__(marker)
        self._text = spelled(printable(trouble), marker)
        self._suggestion = suggestion

    def compose(self) -> ComposeResult:
        with Vertical(classes="question"):
            yield Static(Content(f"{self._text}\n\nAnother folder, or a file in one:"))
            yield Input(self._suggestion, compact=True)  # selected: what is typed replaces it
            yield Static(Content("\n  Enter  save there\n  Esc    stay"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.answer(event.value.strip())

    def on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "ctrl+c"):
            event.stop()
            event.prevent_default()
            self.answer("")
