"""What all panes have in common: a frame with a title, and strips that are drawn when something changed."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.filter import ANSIToTruecolor
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.ui.line import Piece, blank, fit, piece, spaced, strip
from ibtui.ui.panes.glyphs import CHOSEN_FRAME, FRAME, spelled
from ibtui.ui.strips import rows
from ibtui.ui.view import PaneName, View

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror


@dataclass
class Drawing:
    """A pane's content."""

    title: Sequence[Piece]
    body: Cells | Sequence[Strip]
    """No larger than the room inside the frame; what is missing stays blank."""
    note: Sequence[Piece] = field(default=())
    """What the frame's lower edge says."""


class Drawn(Widget):
    """A widget that is drawn from (view, mirror) alone, and only when what it shows has changed."""

    may_lag: ClassVar[bool] = False
    """Whether it need not be drawn anew in each frame of a run that goes on."""

    @dataclass
    class Broke(Message):
        """Drawing failed: a fault of ibtui's, which must not end the run."""

        where: str
        error: Exception

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._given: tuple[View, Mirror, Sequence[Style]] | None = None
        self._told: Hashable = None
        self._fresh = False
        self.drawn_at = 0.0
        """When a redrawing was asked for last, on the monotonic clock."""
        self._size_drawn: Size | None = None
        self._strips: list[Strip] = []

    def take(self, view: View, mirror: Mirror, styles: Sequence[Style]) -> None:
        """Take what there is to be looked at; what is on the screen stays until `redraw`."""
        self._given = view, mirror, styles

    @property
    def stale(self) -> bool:
        """Whether what was taken differs from what is on the screen in anything that this widget shows."""
        return self.is_attached and self._present_key() != self._told

    def redraw(self) -> None:
        """Have what was taken drawn."""
        self._told, self.drawn_at, self._fresh = self._present_key(), time.monotonic(), False
        self.refresh()

    def _present_key(self) -> Hashable:
        if self._given is None:
            return None
        view, mirror, styles = self._given
        return self.size, id(styles), view.marker, self.key(view, mirror)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the picture drawn last, or drawn now: these widgets have no borders or paddings of CSS."""
        if self._given is None:
            return [Strip.blank(crop.width, self.rich_style)] * crop.height
        # Textual asks for these lines also when it is another widget that has changed.
        width, height = size = self.size
        if not self._fresh or size != self._size_drawn:
            self._told, self._size_drawn, self._fresh = self._present_key(), size, True
            self._strips = self._filled(self._redrawn(), width, height)
        lines = self._strips[crop.y : crop.bottom]
        if crop.column_span == (0, width):
            return lines
        return [line.crop(crop.x, crop.right) for line in lines]

    def _filled(self, strips: Sequence[Strip], width: int, height: int) -> list[Strip]:
        """As high as the widget, and as plain as the terminal wants it."""
        assert self._given is not None
        filled = [*strips[:height], *[blank(width, self._given[2])] * (height - len(strips))]
        for line_filter in self.get_line_filters():
            if not isinstance(line_filter, ANSIToTruecolor):  # the inks have no such colours
                filled = [line.apply_filter(line_filter, self.background_colors[1]) for line in filled]
        return filled

    def _redrawn(self) -> Sequence[Strip]:
        assert self._given is not None
        view, mirror, styles = self._given
        try:
            return self.paint(view, mirror, *self.size, styles)
        except Exception as error:
            # To the app itself: from a screen that is being drawn, messages do not bubble past it.
            self.app.post_message(self.Broke(self.id or type(self).__name__, error))
            text = printable(f"cannot be drawn: {type(error).__name__}: {error}")
            width = max(1, self.size.width)
            rows = [text[i : i + width] for i in range(0, len(text), width)][: self.size.height]
            return [strip([(row, palette.WARN)], width, styles) for row in rows]

    @abstractmethod
    def key(self, view: View, mirror: Mirror) -> Hashable:
        """Everything that this widget's picture depends on, its size and colours apart."""

    @abstractmethod
    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """The picture."""


class Pane(Drawn):
    """A framed widget with a title, that can be chosen and enlarged."""

    ALLOW_SELECT: ClassVar[bool] = False

    @dataclass
    class Chosen(Message):
        """The pane was clicked."""

        pane: PaneName
        layer: int | None

    def __init__(self, name: PaneName, layer: int | None = None) -> None:
        super().__init__(id=name if layer is None else f"{name}{layer}")
        self.pane: PaneName = name
        self.of_layer = layer

    def on_click(self, event: events.Click) -> None:
        """Choose the pane."""
        event.stop()
        self.post_message(self.Chosen(self.pane, self.of_layer))

    def chosen(self, view: View) -> bool:
        """Whether this is the pane that the user has chosen."""
        return view.pane == self.pane and self.of_layer in (None, view.layer)

    def key(self, view: View, mirror: Mirror) -> Hashable:
        """See `Drawn.key`; what a pane adds is in `content_key`."""
        return self.chosen(view), self.content_key(view, mirror)

    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """The frame and what is in it."""
        drawing = self.draw(view, mirror, max(0, width - 2), max(0, height - 2), styles)
        return framed(drawing, self.chosen(view), view, width, height, styles)

    @abstractmethod
    def content_key(self, view: View, mirror: Mirror) -> Hashable:
        """Everything that the content depends on."""

    @abstractmethod
    def draw(self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]) -> Drawing:
        """The content, for the room inside the frame."""


def framed(
    drawing: Drawing, chosen: bool, view: View, width: int, height: int, styles: Sequence[Style]
) -> list[Strip]:
    """A drawing in its frame; a chosen pane's frame is heavier, so that no colour need tell."""
    if width < 2 or height < 2:
        return [blank(width, styles)] * height
    ink = palette.TEXT if chosen else palette.AXIS
    frame = spelled(CHOSEN_FRAME if chosen else FRAME, view.marker)
    line, side = frame[4], frame[5]
    body = rows(drawing.body, styles) if isinstance(drawing.body, Cells) else drawing.body
    edge = Segment(side, styles[ink])
    inner = width - 2

    def rule(left: str, right: str, pieces: Sequence[Piece]) -> Strip:
        said = spaced(fit(pieces, inner - 2, 2, view.marker), 2)
        runs = [(" ", ink), *said, (" ", ink)] if said else []
        used = sum(len(text) for text, _ in runs)
        return strip([(left, ink), *runs, (line * (inner - used) + right, ink)], width, styles)

    lines = [rule(frame[0], frame[1], drawing.title)]
    room = drawing.body.width if isinstance(drawing.body, Cells) else inner
    padding = [Segment(" " * (inner - room), styles[palette.TEXT])] if room < inner else []
    lines += [Strip([edge, *row, *padding, edge], width) for row in body[: height - 2]]
    lines += [Strip([edge, *blank(inner, styles), edge], width)] * (height - 1 - len(lines))
    return [*lines, rule(frame[2], frame[3], drawing.note)]


def message(
    lines: Sequence[str], view: View, width: int, height: int, styles: Sequence[Style]
) -> list[Strip]:
    """A few words in the middle of an otherwise empty pane."""
    said = [fit([piece(word) for word in text.split()], width, 1, view.marker) for text in lines]
    texts = [" ".join(word for word, _ in words) for words in said]
    top = max(0, (height - len(texts)) // 2)
    rows = [strip([(t.center(width), palette.DIM)], width, styles) for t in texts]
    return [*[blank(width, styles)] * top, *rows][:height]
