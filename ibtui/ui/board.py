"""The widgets of the main screen: which of them are on it, and where each lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import Layout, WidgetPlacement
from textual.screen import Screen
from textual.widget import Widget

from ibtui.ui import banner, layouts
from ibtui.ui.banner import Banner
from ibtui.ui.drawn import Drawn
from ibtui.ui.footer import Footer, Hint
from ibtui.ui.line import Styles
from ibtui.ui.panes import Panes
from ibtui.ui.panes.pane import Pane
from ibtui.ui.scene import Scene
from ibtui.ui.status import StatusLine
from ibtui.ui.table import Table, table_rows
from ibtui.ui.too_small import TooSmall

COARSE, FINE = 64, 128
"""Points to an axis of the picture of the net: of a pane among others, and of one that has the screen."""


_NAMING = {"input", "run", "table"}
"""The ids of widgets that say which classes there are."""


class Placing(Layout):
    """Lays the children of the board where the plan has them."""

    name = "placing"

    def __init__(self) -> None:
        self.plan: layouts.Node | None = None

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> list[WidgetPlacement]:
        boxes = layouts.placed(self.plan, (0, 0, size.width, size.height))
        no_offset, no_margin = Offset(0, 0), Spacing()
        return [
            WidgetPlacement(Region(*boxes[child.id]), no_offset, no_margin, child, 0)
            for child in children
            if child.id in boxes
        ]


class Area(Container):
    """The part of the screen that panes share."""

    def __init__(self, placing: Placing) -> None:
        super().__init__(id="board")
        self._placing = placing

    @property
    def layout(self) -> Layout:
        return self._placing


class Board:
    """The widgets of an app's main screen, and where they lie."""

    def __init__(self, app: App[Any], panes: Panes, hints: Sequence[Hint]) -> None:
        self._app, self._panes, self._hints = app, panes, hints
        self.widgets: list[Drawn] = []
        self.shown: frozenset[str] = frozenset()
        """The ids of the panes on the screen, and of the table."""
        self._placing = Placing()
        self._arranged: object = None

    def compose(self) -> ComposeResult:
        """Put all panes on the board; those per layer follow once there are layers."""
        yield StatusLine(id="status")
        yield Banner(id="banner")
        with Area(self._placing):
            for name, made in self._panes.items():
                if not made.declared.per_layer:
                    yield made(name)
            yield Table(id="table")
        yield TooSmall(id="too-small")
        yield Footer(self._hints)

    @property
    def _screen(self) -> Screen[Any]:
        return self._app.screen_stack[0]

    def begin(self) -> None:
        """Know the widgets, once they are mounted."""
        self.widgets = [w for w in self._screen.walk_children() if isinstance(w, Drawn)]

    def draw(self, scene: Scene, styles: Styles) -> None:
        """Have everything drawn that has changed, so that all of the screen is of one moment."""
        self._arrange(scene)
        for widget in self.widgets:
            widget.give(scene, styles)
        for widget in self.widgets:
            if widget.stale:
                widget.redraw()

    def _arrange(self, scene: Scene) -> None:
        """Decide which panes there are, and which are on the screen: little of it ever changes."""
        view, alarm, size = scene.view, banner.is_shown(scene), self._app.size
        looks = view.pane, view.layer, view.enlarged, view.arrangement, view.hidden, view.marker
        arranged = (scene.layers, looks, alarm, size)
        if arranged == self._arranged:
            return
        self._arranged = arranged
        self._mount_layers(scene.layers)
        self._screen.set_class(view.marker == "ascii", "-ascii")
        self._screen.query_one("#banner").set_class(alarm, "-wrong").refresh(layout=alarm)
        rows = table_rows(scene.layers, size.height)
        self._placing.plan = layouts.plan(self._panes, view, scene.layers, size.width, size.height, rows)
        self.shown = frozenset(layouts.ids(self._placing.plan))
        for widget in self._screen.query_one("#board").children:
            widget.display = widget.id in self.shown
        self._tell_pages(scene)
        self._screen.query_one("#board").refresh(layout=True)

    def _tell_pages(self, scene: Scene) -> None:
        """Tell panes of a layer which of them are shown, where there is no room for all.

        The first of them names the classes where nothing else on the screen does.
        """
        each = [w for w in self.widgets if isinstance(w, Pane) and w.of_layer is not None]
        for name in {widget.pane for widget in each}:
            shown = tuple(w.of_layer or 0 for w in each if w.pane == name and w.id in self.shown)
            paged = 0 < len(shown) < scene.layers and not scene.view.enlarged
            for widget in each:
                if widget.pane == name:
                    widget.page = shown if paged else ()
                    widget.legend = widget.of_layer in shown[:1] and not self.shown & _NAMING

    def net_fineness(self) -> int:
        """Return the points to an axis that the picture of the net has room for; 0: it is not shown."""
        return 0 if "net" not in self.shown else FINE if len(self.shown) == 1 else COARSE

    def _mount_layers(self, layers: int) -> None:
        """Mount the panes that there is one of for each layer, once it is known how many there are."""
        for name, made in self._panes.items():
            old = [w for w in self.widgets if isinstance(w, Pane) and w.pane == name]
            if not made.declared.per_layer or len(old) == layers:
                continue
            for widget in old:
                widget.remove()
            new: list[Drawn] = [made(name, layer) for layer in range(layers)]
            self._screen.query_one("#board").mount(*new)
            self.widgets = [w for w in self.widgets if w not in old] + new
