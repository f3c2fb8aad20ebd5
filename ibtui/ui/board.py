"""The widgets of the main screen: which of them are on it, and when each is drawn."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.screen import Screen

from ibtui.ui import banner
from ibtui.ui import view as views
from ibtui.ui.banner import Banner
from ibtui.ui.drawn import Drawn
from ibtui.ui.footer import Footer, Hint
from ibtui.ui.line import Styles
from ibtui.ui.panes import Panes
from ibtui.ui.panes.pane import Pane
from ibtui.ui.scene import Scene
from ibtui.ui.status import StatusLine
from ibtui.ui.table import Table
from ibtui.ui.too_small import TooSmall

LAG_S = 0.3
"""The age that a picture of the history may have while training goes on."""
LEAST_WIDTH = 18
"""The least that a pane of one layer makes sense in; layers that do not fit are on further pages."""
ROWS = (0, 1, 2, None)
"""The rows that a pane can declare; see `Declaration.row`."""


class Board:
    """The widgets of an app's main screen, and the turns in which they are drawn."""

    def __init__(self, app: App[Any], panes: Panes, hints: Sequence[Hint]) -> None:
        self._app, self._panes, self._hints = app, panes, hints
        self.widgets: list[Drawn] = []
        self._arranged: object = None
        self._last_drawn: object = None

    def compose(self) -> ComposeResult:
        """Put the panes into the rows that they declare; those per layer follow once there are layers."""
        yield StatusLine(id="status")
        yield Banner(id="banner")
        with Container(id="board"):
            for row in ROWS:
                with Container(id=f"row{row}", classes="row"):
                    for name, made in self._panes.items():
                        if made.declared.row == row and not made.declared.per_layer:
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
        """Have everything drawn that has changed.

        Pictures of the whole history are dear, and change little from one frame to the next. While training
        just goes on they take turns, and otherwise they are drawn when all else is on the screen.
        """
        self._arrange(scene)
        for widget in self.widgets:
            widget.give(scene, styles)
        stale = [widget for widget in self.widgets if widget.stale]
        late = [widget for widget in stale if widget.may_lag]
        for widget in stale:
            if not widget.may_lag:
                widget.redraw()
        goes_on = scene.run_state in ("running", "pausing")
        drawn = scene.view, replace(scene.link, pausing=False), scene.mirror.run, goes_on
        if drawn == self._last_drawn and goes_on and not scene.plays:
            for widget in _in_turn(late):
                widget.redraw()
        elif late:
            self._app.call_after_refresh(self._catch_up)
        self._last_drawn = drawn

    def _catch_up(self) -> None:
        for widget in self.widgets:
            if widget.stale:
                widget.redraw()

    def _arrange(self, scene: Scene) -> None:
        """Decide which panes there are, and which are on the screen: little of it ever changes."""
        view, alarm, size = scene.view, banner.is_shown(scene), self._app.size
        arranged = (scene.layers, view.pane, view.layer, view.enlarged, view.marker, alarm, size)
        if arranged == self._arranged:
            return
        self._arranged = arranged
        self._mount_layers(scene.layers)
        self._screen.set_class(view.marker == "ascii", "-ascii")
        self._screen.query_one("#board").set_class(view.enlarged, "-enlarged")
        self._screen.query_one("#banner").set_class(alarm, "-wrong").refresh(layout=alarm)
        fitting = size.width // LEAST_WIDTH
        beside = fitting > scene.layers or size.width >= views.FULL[0]
        page = views.page(scene.layers, view.layer, fitting - beside)
        for row in self._screen.query(".row"):
            inside = [w for w in self.widgets if isinstance(w, Pane) and w.parent is row]
            for pane in inside:
                pane.set_class(view.enlarged and pane.chosen(view), "-enlarged")
                off_page = pane.of_layer not in page if pane.of_layer is not None else False
                hidden = off_page or (pane.pane == "input" and not beside)
                pane.set_class(hidden and not view.enlarged, "-off-page")
            row.set_class(view.enlarged and any(pane.chosen(view) for pane in inside), "-enlarged")

    def _mount_layers(self, layers: int) -> None:
        """Mount the panes that there is one of for each layer, once it is known how many there are."""
        for name, made in self._panes.items():
            old = [w for w in self.widgets if isinstance(w, Pane) and w.pane == name]
            if not made.declared.per_layer or len(old) == layers:
                continue
            for widget in old:
                widget.remove()
            new: list[Drawn] = [made(name, layer) for layer in range(layers)]
            self._screen.query_one(f"#row{made.declared.row}").mount(*new)
            self.widgets = [w for w in self.widgets if w not in old] + new
            self._screen.query_one("#table").refresh(layout=True)


def _in_turn(late: Iterable[Drawn]) -> list[Drawn]:
    """Return, of widgets that show something old, the one that waits longest and those that wait too long."""
    waiting = sorted(late, key=lambda widget: widget.drawn_at)
    overdue = time.monotonic() - LAG_S
    return waiting[:1] + [widget for widget in waiting[1:] if widget.drawn_at <= overdue]
