"""A widget that is drawn from a scene alone, as strips, when something that it shows has changed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from textual.filter import ANSIToTruecolor
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ibtui.errors import explain
from ibtui.plot import palette
from ibtui.ui.line import Styles, blank, strip
from ibtui.ui.scene import Scene


class Drawn(Widget):
    """The base of all widgets of the main screen."""

    @dataclass
    class Broke(Message):
        """Drawing failed: a fault of ibtui's, which must not end the run."""

        where: str
        error: Exception

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene: Scene | None = None
        self._styles: Styles = ()
        self._key: Hashable = None
        self._told: Hashable = None
        self._size_drawn: Size | None = None
        self._strips: list[Strip] = []

    def give(self, scene: Scene, styles: Styles) -> None:
        """Give it what there is to be looked at; what is on the screen stays until `redraw`."""
        self._scene, self._styles, self._key = scene, styles, None

    @property
    def stale(self) -> bool:
        """True where what was given differs from what is on the screen in anything that this widget shows."""
        on_screen = self.outer_size.area > 0 and self.display
        return on_screen and (self.outer_size != self._size_drawn or self._present_key() != self._told)

    def redraw(self) -> None:
        """Draw what was given; only rows that are not what they were are written to the terminal again."""
        before, size = self._strips, self._size_drawn
        self._draw()
        if size != self._size_drawn:
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, self._strips, strict=True)) if old is not new]
        if changed:
            self.refresh(*(Region(0, y, self.outer_size.width, 1) for y in changed))

    def _present_key(self) -> Hashable:
        if self._key is None and self._scene is not None:
            self._key = id(self._styles), self._scene.view.marker, self.key(self._scene)
        return self._key

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return lines of the picture drawn last, or drawn now; there are no borders or paddings of CSS."""
        if self._scene is None:
            return [Strip.blank(crop.width, self.rich_style)] * crop.height
        if self.outer_size != self._size_drawn:
            self._draw()
        lines = self._strips[crop.y : crop.bottom]
        if crop.column_span == (0, self.outer_size.width):
            return lines
        return [line.crop(crop.x, crop.right) for line in lines]

    def _draw(self) -> None:
        """Draw the picture; a row that is as it was stays the very strip that it was."""
        assert self._scene is not None
        width, height = size = self.outer_size
        self._told = self._present_key()
        strips = self._filled(self._redrawn(self._scene), width, height)
        if size == self._size_drawn:
            pairs = zip(self._strips, strips, strict=True)
            strips = [old if old is new or old == new else new for old, new in pairs]
        self._strips, self._size_drawn = strips, size

    def _filled(self, strips: Sequence[Strip], width: int, height: int) -> list[Strip]:
        """Fill up to the widget's height, and make it as plain as the terminal wants it."""
        filled = [*strips[:height], *[blank(width, self._styles)] * (height - len(strips))]
        for line_filter in self.get_line_filters():
            if not isinstance(line_filter, ANSIToTruecolor):  # the inks have no such colours
                filled = [line.apply_filter(line_filter, self.background_colors[1]) for line in filled]
        return filled

    def _redrawn(self, scene: Scene) -> Sequence[Strip]:
        try:
            return self.paint(scene, *self.outer_size, self._styles)
        except Exception as error:
            # To the app itself: from a screen that is being drawn, messages do not bubble past it.
            self.app.post_message(self.Broke(self.id or type(self).__name__, error))
            text = f"cannot be drawn: {explain(error)}"
            width = max(1, self.outer_size.width)
            rows = [text[i : i + width] for i in range(0, len(text), width)][: self.outer_size.height]
            return [strip([(row, palette.WARN)], width, self._styles) for row in rows]

    @abstractmethod
    def key(self, scene: Scene) -> Hashable:
        """Return everything that this widget's picture depends on, its size and colours apart."""

    @abstractmethod
    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        """Draw the picture."""
