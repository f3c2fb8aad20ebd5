"""Panes in general: a declaration, a frame with a title, and a content."""

from __future__ import annotations

import textwrap
import weakref
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.plot.dots import Marker
from ibtui.plot.trails import Sketch
from ibtui.recording import Recording
from ibtui.ui.drawn import Drawn
from ibtui.ui.glyphs import CHOSEN_FRAME, FRAME, spelled
from ibtui.ui.line import Piece, Styles, blank, centred, fit, piece, spaced, strip
from ibtui.ui.scene import Scene
from ibtui.ui.segments import Rows
from ibtui.ui.view import View

_RIGHT = 3
"""The mouse's button that hides."""


@dataclass(frozen=True)
class Hotkey:
    """The key that gives a pane the whole screen, and takes it back."""

    key: str
    label: str
    """For the footer, in a word; empty: it is not there."""
    tooltip: str
    """For the help, in a line."""


@dataclass(frozen=True)
class Declaration:
    """A pane's place, key and words, from which layouts, keys and help follow."""

    row: int | None = None
    """Its row on a full screen, from 0 to 2. A compact screen has row 0 too, and row 1 where there is room.
    None: it is seen only when it has the whole screen."""
    order: int = 0
    """Its place in the row, and among all panes for Tab: the lowest first."""
    least: tuple[int, int] = (0, 0)
    """The least width and height of a screen that has it beside others."""
    compact: bool = True
    """True where Tab reaches it on a compact screen, too."""
    per_layer: bool = False
    """True where there is one for each layer."""
    hotkey: Hotkey | None = None
    quantities: tuple[str, ...] = ()
    """The names of the quantities that it always shows."""
    help: Mapping[str, str] = field(default_factory=dict)
    """Texts for the help, by a word or two that they explain."""


@dataclass
class Drawing:
    """A pane's content."""

    title: Sequence[Piece]
    body: Cells | Sequence[Strip]
    """No larger than the room inside the frame; what is missing stays blank."""
    note: Sequence[Piece] = field(default=())
    """The text in the frame's lower edge."""


class Pane(Drawn):
    """A framed widget with a title, that can be chosen and enlarged; of one layer, where it is per layer."""

    ALLOW_SELECT: ClassVar[bool] = False
    declared: ClassVar[Declaration] = Declaration()

    @dataclass
    class Chosen(Message):
        """The pane was clicked."""

        pane: str
        layer: int | None
        how: Literal["choose", "enlarge", "hide"] = "choose"

    def __init__(self, name: str, layer: int | None = None) -> None:
        super().__init__(id=name if layer is None else f"{name}{layer}")
        self._framed = Framed()
        self._sketch = Sketch()
        # Of a run that has been let go, a pane that is not drawn any more must not keep the recording.
        self._sketched: tuple[weakref.ref[Recording], int, int, Hashable] | None = None
        self.pane = name
        self.of_layer = layer
        self.page: tuple[int, ...] = ()
        """The layers that have such a pane on the screen, where not all do; else it is empty."""
        self.legend = False
        """True where no other pane on the screen says what the colours of classes are."""

    def on_click(self, event: events.Click) -> None:
        event.stop()
        how: Literal["choose", "enlarge", "hide"] = "choose"
        if event.button == _RIGHT:
            how = "hide"
        elif event.chain == 2:
            how = "enlarge"
        self.post_message(self.Chosen(self.pane, self.of_layer, how))

    def chosen(self, view: View) -> bool:
        return view.pane == self.pane and self.of_layer in (None, view.layer)

    def key(self, scene: Scene) -> Hashable:
        return self.chosen(scene.view), self.page, self.legend, self.content_key(scene)

    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        drawing = self.draw(scene, max(0, width - 2), max(0, height - 2), styles)
        return self._framed.strips(drawing, self.chosen(scene.view), scene.view, width, height, styles)

    def sketch(self, scene: Scene, *looks: Hashable) -> Sketch:
        """Return what is drawn already of the history, if it looks as before and rows were only added to it.

        `looks` is everything but the history and the room that curves depend on.
        """
        recording = scene.recording
        if recording is None or scene.unrecorded is not None:  # its last point is none of the recording's
            return Sketch()
        if self._sketched is not None:
            before, tick, rows, looked = self._sketched
            same = before() is recording and looked == looks
            if not same or recording.first_changed(tick) < rows:
                self._sketch = Sketch()
        self._sketched = weakref.ref(recording), recording.tick, len(recording), looks
        return self._sketch

    @abstractmethod
    def content_key(self, scene: Scene) -> Hashable:
        """Return everything that the content depends on."""

    @abstractmethod
    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        """Draw the content, for the room inside the frame."""


SomePane = TypeVar("SomePane", bound=type[Pane])


def pane(**declared: Any) -> Callable[[SomePane], SomePane]:
    """Declare the decorated class a pane, by fields of `Declaration`; an entry point names its module."""

    def declare(made: SomePane) -> SomePane:
        made.declared = Declaration(**declared)
        return made

    return declare


class Framed:
    """Drawings of one pane in their frame: a row that is as it was stays the very strip that it was."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._edges: dict[str, tuple[Hashable, Strip]] = {}

    def strips(
        self, drawing: Drawing, chosen: bool, view: View, width: int, height: int, styles: Styles
    ) -> list[Strip]:
        """Frame a drawing; a chosen pane's frame is heavier, so that no colour need tell."""
        if width < 2 or height < 2:
            return [blank(width, styles)] * height
        ink = palette.TEXT if chosen else palette.AXIS
        frame = spelled(CHOSEN_FRAME if chosen else FRAME, view.marker)
        edge, inner, body = Segment(frame[5], styles[ink]), width - 2, drawing.body
        if isinstance(body, Cells):
            padding = [Segment(" " * (inner - body.width), styles[palette.TEXT])] * (body.width < inner)
            lines = self._rows.strips(body, styles, [edge], [*padding, edge])[: height - 2]
        else:
            lines = [Strip([edge, *row, edge], width) for row in body[: height - 2]]
        missing = height - 2 - len(lines)
        line, upper, lower = frame[4], (frame[0], frame[1]), (frame[2], frame[3])
        return [
            self._edge("upper", upper, line, tuple(drawing.title), ink, view.marker, inner, styles),
            *lines,
            *[Strip([edge, *blank(inner, styles), edge], width)] * missing,
            self._edge("lower", lower, line, tuple(drawing.note), ink, view.marker, inner, styles),
        ]

    def _edge(self, place: str, *looks: Any) -> Strip:
        """Return an edge, and draw it where it does not look as it did; `looks` are what `_edge` takes."""
        known, made = self._edges.get(place, (None, Strip([])))
        if known != looks:
            made = _edge(*looks)
            self._edges[place] = looks, made
        return made


def _edge(
    corners: tuple[str, str],
    line: str,
    pieces: Sequence[Piece],
    ink: int,
    marker: Marker,
    inner: int,
    styles: Styles,
) -> Strip:
    """Draw the upper or the lower edge of a frame, with what is written in it."""
    said = spaced(fit(pieces, inner - 2, 2, marker), 2)
    spans = [(" ", ink), *said, (" ", ink)] if said else []
    used = sum(len(text) for text, _ in spans)
    return strip([(corners[0], ink), *spans, (line * (inner - used) + corners[1], ink)], inner + 2, styles)


def message(text: str | Piece, view: View, width: int, height: int, styles: Styles) -> list[Strip]:
    """Put a few words in the middle of an otherwise empty pane.

    Of a piece it is the longest variant that fits into a line; where none does, the longest is broken between
    words, and where that has no room either, its last words are left out.
    """
    variants = text.variants if isinstance(text, Piece) else (text,)
    spellings = [spelled(words, view.marker) for words in variants]
    broken = textwrap.wrap(spellings[0], max(width, 1), break_long_words=False, break_on_hyphens=False)
    for lines in (*([words] for words in spellings), broken):
        if len(lines) <= height and max(map(cell_len, lines), default=0) <= width:
            return centred(lines, palette.DIM, width, height, styles)
    shown = fit([piece(word) for word in spellings[-1].split()], width, 1, view.marker)
    return centred([" ".join(word for word, _ in shown)], palette.DIM, width, height, styles)
