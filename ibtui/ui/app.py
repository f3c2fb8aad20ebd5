"""The live screen: keys become commands or another view, frames become pictures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.command import Provider
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer

from ibtui import tty
from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.core.names import BINNINGS
from ibtui.errors import explain, printable
from ibtui.plot import palette
from ibtui.run.client import Client
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import Command, Detach, Frame, Leave, Pause, Rebin, Restart, Resume, SetPace, Step
from ibtui.ui import keys
from ibtui.ui import view as views
from ibtui.ui.board import Board
from ibtui.ui.drawn import Drawn
from ibtui.ui.ending import Ending
from ibtui.ui.glyphs import auto_marker, spelled
from ibtui.ui.link import Link, Workers
from ibtui.ui.panes import panes, shown_quantities, tab_order
from ibtui.ui.panes.pane import Pane
from ibtui.ui.pulling import Puller
from ibtui.ui.scene import Scene
from ibtui.ui.summary import Farewell, outcome
from ibtui.ui.terminal import Patient, TerminalDriver
from ibtui.ui.view import View

_PACING_S = 3.0
"""Seconds for which the status line has room for a pace that was changed."""


@dataclass
class Arrived(Message):
    """From a client's thread to the app's."""

    client: Client
    news: Frame | Lost


def _commands() -> type[Provider]:
    from ibtui.ui.commands import Commands

    return Commands


class MainScreen(Patient, Screen[None], inherit_bindings=False):
    """The panes' screen: keys are the app's, and nothing here takes the focus."""


class IbtuiApp(App[None], inherit_bindings=False):
    """The application, which is the `Screen` of its `Link`.

    Of the options, the marker and the panes matter here; `UsageError` where a pane cannot be had. The app
    starts the client, and `run` closes it. `heard` is as in `Ending`.
    """

    CSS_PATH = "app.tcss"
    TITLE = "ibtui"
    ALLOW_SELECT: ClassVar[bool] = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (views.SMALL[0], "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (views.SMALL[1], "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings(panes())]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}

    def __init__(
        self,
        client: Client,
        options: WatchOptions,
        workers: Workers | None = None,
        heard: Callable[[], int] = int,
    ) -> None:
        if os.environ.get("NO_COLOR") == "":  # which says nothing, but Textual heeds it
            del os.environ["NO_COLOR"]
        if not tty.shows_colours(os.environ):  # the only sign by which Textual knows; it takes it away itself
            os.environ["NO_COLOR"] = "1"
        self._panes = panes(options.panes)
        self._keys = keys.bindings(self._panes)
        super().__init__(TerminalDriver, ansi_color=True if "NO_COLOR" in os.environ else None)
        for binding in self._keys[len(self.BINDINGS) :]:
            self.bind(binding.key, binding.action)
        marker = options.marker
        if marker == "auto":
            marker = auto_marker(os.environ, tty.encoding(), coloured=self._colour_system() != "none")
        self.link = Link(client, self, workers)
        self._puller = Puller(self, self.link)
        self.board = Board(self, self._panes, [*keys.hints(self._keys)])
        self.view = View(marker=marker)  # type: ignore[arg-type]
        self.exit_status = 0
        self._styles: list[Style] = []
        self._broken: set[str] = set()
        self._heard = heard
        self._ending: Ending | None = None
        self._pacing: Timer | None = None
        if self._colour_system() in ("16", "none"):
            self.theme = "ansi-light" if tty.is_light(os.environ) else "ansi-dark"

    @property
    def mirror(self) -> Mirror:
        return self.link.mirror

    @property
    def scene(self) -> Scene:
        return Scene(self.view, self.link.mirror, self.link.state)

    def get_default_screen(self) -> Screen[None]:
        return MainScreen(id="main")

    def compose(self) -> ComposeResult:
        yield from self.board.compose()

    def on_compose(self) -> None:
        """Ask the worker before anything is laid out: where it is ready, the first picture is of its run."""
        self.link.start()
        self._puller.pull()

    def on_mount(self) -> None:
        self.board.begin()
        self.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        self._recolour()
        self.set_interval(1, self.link.listen)

    def watch_for_ends(self) -> None:
        """Watch for signals and a hang-up: called before the driver takes the terminal."""
        if self._ending is None:
            self._ending = Ending(self.end, self.let_go, self._heard)
            self._ending.watch()

    @property
    def ends(self) -> bool:
        """True once a signal has asked for the end."""
        return self._ending is not None and self._ending.begun

    def _print(self, text: str, stderr: bool = False) -> None:
        """Write to a standard error that leads elsewhere, such as a warning of Python's."""
        super()._print(text, stderr)
        if stderr and isinstance(self._driver, TerminalDriver) and not os.isatty(2):
            with contextlib.suppress(OSError):
                print(text, end="", file=sys.__stderr__)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for binding in keys.named(self._keys):
            title = f"{keys.name_of(binding)}  ({binding.key_display})"
            title, said = (spelled(text, self.view.marker) for text in (title, binding.tooltip))
            yield SystemCommand(title, said, partial(self.run_action, binding.action))
        yield SystemCommand("theme", "Change the colours", self.action_change_theme)

    def action_command_palette(self) -> None:
        """Open the palette, drawn in ASCII where all is."""
        from textual.command import CommandPalette

        if not isinstance(self.screen, CommandPalette):
            classes = "-ascii" if self.view.marker == "ascii" else None
            self.push_screen(CommandPalette(placeholder="Search", id="--command-palette", classes=classes))

    def on_arrived(self, message: Arrived) -> None:
        first = self.scene.recording is None
        self.link.hear(message.client, message.news)
        if first and (recording := self.scene.recording) is not None:
            self.view = replace(self.view, unit=recording.config.units)  # type: ignore[arg-type]
        if message.client is self.link.client and isinstance(message.news, Frame):
            self._puller.heard(message.news)

    # What the link tells; see `ibtui.ui.link.Screen`.

    @property
    def row(self) -> int | None:
        return self.view.row

    def forward(self, client: Client, news: Frame | Lost) -> None:
        self.post_message(Arrived(client, news))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, self.call_later, call)

    def sent(self) -> None:
        self._puller.commanded()

    def restarted(self) -> None:
        self.view = replace(self.view, row=None)

    def tell(self, text: str, severity: str = "information") -> None:
        known = severity if severity in ("information", "warning", "error") else "warning"
        text = printable(text)
        if cell_len(text) > self.size.width - 2:  # a toast has one row; the log has all of it
            if text not in self.mirror.log:
                self.mirror.log.append(text)
            text = re.sub(r"\S*/", "", text)
        if not any(shown.message == text and shown.severity == known for shown in self._notifications):
            self.notify(text, severity=known, markup=False)  # type: ignore[arg-type]

    def ask_for_place(self, trouble: str, suggestion: str, answer: Callable[[str], None]) -> None:
        from ibtui.ui.dialogs import Place

        self.push_screen(Place(trouble, suggestion, self.view.marker), lambda place: answer(place or ""))

    # Drawing.

    def set_view(self, view: View) -> None:
        self.view = view
        self.draw()

    def draw(self) -> None:
        # A worker may be lost before widgets are mounted; messages are heard until after screens are closed.
        if self.is_running and self.board.widgets:
            self.board.draw(self.scene, self._styles)
            self._ask_for_net()

    def _ask_for_net(self) -> None:
        """Have the next frame bring the picture of the net, where that has come into view."""
        fineness, mirror = self.board.net_fineness(), self.link.mirror
        if mirror.net != fineness:
            mirror.net = fineness
            self._puller.hurry()

    def _recolour(self) -> None:
        """Put the inks on the theme's ground."""
        base = self.screen_stack[0].rich_style
        ground = Style(color=base.color, bgcolor=base.bgcolor)
        behind = self._behind(base)
        self._styles = [ground + ink for ink in palette.styles(self._colour_system(), behind)]
        self.draw()

    def _behind(self, base: Style) -> str:
        """Return the colour of the background; of a terminal's own, what a dark or a light one is like."""
        colour = base.bgcolor
        if colour is not None and colour.triplet is not None:
            return colour.triplet.hex
        return palette.DARK if self.current_theme.dark else palette.LIGHT

    def _colour_system(self) -> palette.ColourSystem:
        if self.no_color or self.console.color_system is None:
            return "none"
        known: dict[str, palette.ColourSystem] = {"truecolor": "truecolor", "256": "256"}
        return known.get(self.console.color_system, "16")

    def on_resize(self) -> None:
        self.draw()

    def on_drawn_broke(self, message: Drawn.Broke) -> None:
        """Tell a fault in drawing once, in the log; the pane itself shows it as long as it lasts."""
        if message.where not in self._broken:
            self._broken.add(message.where)
            self.mirror.log.append(f"ibtui: {message.where} cannot be drawn: {explain(message.error)}")

    def on_pane_chosen(self, message: Pane.Chosen) -> None:
        layer = self.view.layer if message.layer is None else message.layer
        chosen = replace(self.view, pane=message.pane, layer=layer)
        match message.how:
            case "enlarge":
                chosen = replace(chosen, enlarged=not self.view.enlarged)
            case "hide":
                chosen = self._hiding(chosen)
        self.set_view(chosen)

    # Keys: training. `ibtui.ui.keys` says what each action does.

    def action_pause(self) -> None:
        if not self._finished():
            running = self.scene.run_state in ("starting", "running")
            self.link.send(Pause() if running else Resume())

    def action_step(self, epochs: int) -> None:
        if not self._finished():
            self.link.send(Step(epochs))

    def _finished(self) -> bool:
        """Say so where there is nothing left to train."""
        finished = self.scene.run_state == "finished" and not self.scene.plays
        if self.scene.loop and (finished or self.scene.run_state == "dead"):
            self.tell("the loop has ended" if finished else "the loop has gone")
            return True
        if finished:
            self.tell("the run has finished: r starts it again, R with the next seed")
        return finished

    def _is_own_loop(self, what: str) -> bool:
        """Refuse by name what only ibtui's own training can do."""
        if self.scene.loop:
            self.tell(f"{what}: the loop is your own program's, which alone can do that", "warning")
        return bool(self.scene.loop)

    def action_pace(self, by: int) -> None:
        if self._is_own_loop("pace"):
            return
        if self.mirror.status is None or not self.link.send(SetPace(views.next_pace(self.scene.pace, by))):
            return
        if self._pacing is not None:
            self._pacing.stop()
        self._pacing = self.set_timer(_PACING_S, lambda: self.set_view(replace(self.view, pacing=False)))
        self.set_view(replace(self.view, pacing=True))

    def action_restart(self, seeds_on: int) -> None:
        if self._is_own_loop("restart"):
            return
        recording = self.mirror.recording
        seed = (recording.config.seed + seeds_on) % 2**32 if seeds_on and recording is not None else None
        restart: Command = Restart(seed)
        if self.link.allows(restart):
            self._unless_unsaved("Restart", "restart", lambda: self.link.send(restart))

    def action_go_on(self) -> None:
        self.link.go_on()

    # Keys: binning.

    def action_t_bins(self, by: int) -> None:
        self._rebin(lambda b: views.finer(b, by))

    def action_x_bins(self, by: int) -> None:
        self._rebin(lambda b: replace(b, x_bins=views.stepped(views.X_BINS, b.x_bins, by)))

    def action_binning(self) -> None:
        self._rebin(lambda b: replace(b, kind=views.following(BINNINGS, b.kind)))

    def action_estimator(self) -> None:
        if (recording := self.mirror.recording) is not None:
            binning = recording.config.binning
            self._rebin(lambda b: replace(b, kind=binning if b.kind == "kde" else "kde"))

    def action_cells_of_x(self) -> None:
        recording = self.mirror.recording
        if recording is not None and recording.dataset.x_range is None:
            self.tell("the data declare no range for a grid: each sample is a symbol of X", "warning")
        else:
            self._rebin(lambda b: replace(b, identity=not b.identity))

    def _rebin(self, change: Callable[[Binning], Binning]) -> None:
        present = self.scene.binning
        if present is not None and (binning := change(present)) != present:
            self.link.send(Rebin(binning))

    # Keys: looking.

    def action_change(self, name: str) -> None:
        self.set_view(views.cycled(self.view, name))

    def action_quantity(self) -> None:
        """Choose the next quantity that no pane shows anyhow."""
        if choices := self.scene.choosable(shown_quantities(self._panes)):
            self.set_view(views.cycled(self.view, "quantity", choices))

    def action_walk(self, by: int) -> None:
        if self.scene.plays:
            self.link.send(Step(by))
        else:
            self._walk_to(self.scene.row_after(by))

    def action_walk_to_first(self) -> None:
        self.action_walk(-self.scene.measurements)

    def action_walk_to_now(self) -> None:
        if self.scene.plays:
            self.action_walk(self.scene.measurements)
        else:
            self._walk_to(None)

    def _walk_to(self, row: int | None) -> None:
        # Without a worker nobody is there to ask how it looked.
        if not self.link.state.lost or self.link.allows(Step()):
            self.set_view(replace(self.view, row=row))
            self._puller.hurry()

    def action_large_pane(self, name: str) -> None:
        large = self.view.enlarged and self.view.pane == name
        self.set_view(replace(self.view, pane=name, enlarged=not large, log_back=0))

    def action_log_page(self, by: int) -> None:
        """Turn the pages of the log when it is enlarged."""
        if self.view.enlarged and self.view.pane == "run":
            rows = max(1, self.size.height // 2)
            most = len(self.mirror.log) // rows
            self.set_view(replace(self.view, log_back=min(max(self.view.log_back - by, 0), most)))

    def action_hide(self) -> None:
        """Hide the chosen pane; a large one goes back among the others."""
        self.set_view(self._hiding(self.view))

    def _hiding(self, view: View) -> View:
        if view.enlarged:
            return replace(view, enlarged=False)
        per_layer = self._panes[view.pane].declared.per_layer
        hidden = view.hidden | {f"{view.pane}{view.layer}" if per_layer else view.pane}
        if not self.board.shown - hidden - {"table"}:
            self.tell("the last pane stays: H shows all of them again")
            return view
        return replace(view, hidden=hidden)

    def action_show_all(self) -> None:
        self.set_view(replace(self.view, hidden=frozenset()))

    def action_arrange(self) -> None:
        """Go on to the next arrangement, with all of its panes."""
        changed = views.cycled(self.view, "arrangement")
        self.set_view(replace(changed, enlarged=False, hidden=frozenset()))

    def action_layer(self, layer: int) -> None:
        if layer < self.scene.layers:
            self.set_view(replace(self.view, layer=layer))

    def action_pane(self, by: int) -> None:
        compact = views.layout_for(*self.size) != "full" and not self.view.enlarged
        names = tab_order(self._panes, compact=compact)
        if not compact and not self.view.enlarged:  # of scatters, others may come with another page
            names = [name for name in names if name in ("scatter", *self.board.shown)]
        self.set_view(views.next_pane(self.view, by, max(1, self.scene.layers), names))

    def action_enlarge(self, enlarged: bool) -> None:
        self.set_view(replace(self.view, enlarged=enlarged))

    def action_help(self) -> None:
        from ibtui.ui.help import HelpScreen, definitions

        words = definitions(self._panes, self.scene.quantities.values())
        self.push_screen(HelpScreen(keys.entries(self._keys), words, self.view.marker))

    def action_help_of_pane(self) -> None:
        """Help for the chosen pane alone."""
        from ibtui.ui.help import HelpScreen, definitions_of

        chosen = {self.scene.chosen_quantity.name} if self.view.pane in ("quantity", "scatter") else set()
        words = definitions_of(self.view.pane, self._panes, chosen, self.scene.quantities.values())
        self.push_screen(HelpScreen([], words, self.view.marker))

    # Keys: saving and leaving.

    def action_save(self) -> None:
        self.link.save()

    def action_save_reference(self) -> None:
        """Write the history of the run before the last restart, which is drawn as the background."""
        self.link.save_reference()

    def action_detach(self) -> None:
        if self.scene.plays:
            self.tell("a replay has nothing that could go on", "warning")
        elif self.scene.loop and self.scene.run_state in ("dead", "finished"):
            self.tell("the loop has ended: nothing is left that could go on", "warning")
        elif self.scene.loop:
            self.tell(f"the loop goes on by itself when this screen is left; ibtui attach {self.scene.loop}")
        else:
            self.link.send(Detach())

    def action_suspend(self) -> None:
        """Give the terminal back to the shell, until it continues the screen; the worker goes on."""
        if isinstance(self._driver, TerminalDriver) and not self._driver.suspend():
            self.tell("no shell is here to bring a suspended screen back; D lets the run go on without one")

    def _unless_unsaved(
        self, question: str, verb: str, go: Callable[[], object], *, interrupt: bool = False
    ) -> None:
        """Do it, but where history is unsaved ask first."""
        if not self.link.unsaved:
            go()
            return
        from ibtui.ui.dialogs import Answer, Question

        def answered(answer: str | None) -> None:
            if answer == "save":
                self.link.save_then(go)
            elif answer == "discard":
                go()

        save = Answer("s", f"save and {verb}", "save")
        answers = [save, Answer(verb[0], f"{verb} without saving", "discard")]
        text = f"{question}? This run's history is not saved."
        self.push_screen(Question(text, answers, self.view.marker, interrupt=interrupt), answered)

    async def action_quit(self) -> None:
        self.action_leave(0)

    def action_leave(self, exit_status: int) -> None:
        """Quit; where history would be lost, ask first."""
        leave = partial(self._leave, exit_status)
        if self.scene.loop and self.scene.run_state in ("paused", "pausing"):
            self._leave_waiting(leave)
        elif self.link.detached:
            leave()
        else:
            self._unless_unsaved("Quit", "quit", leave, interrupt=True)

    def _leave_waiting(self, leave: Callable[[], object]) -> None:
        """Ask whether a loop that waits for this screen is to go on without it."""
        from ibtui.ui.dialogs import Answer, Question

        def answered(answer: str | None) -> None:
            if answer and self.link.send(Leave(stays=answer == "stay")):
                leave()

        answers = [
            Answer("g", "quit, and let it go on", "go"),
            Answer("p", "quit, and leave it paused for ibtui attach", "stay"),
        ]
        epoch = self.mirror.status.epoch if self.mirror.status is not None else 0
        text = f"Quit? {self.scene.loop} waits at epoch {epoch:,} for you."
        self.push_screen(Question(text, answers, self.view.marker, interrupt=True), answered)

    def _leave(self, exit_status: int) -> None:
        self.exit_status = exit_status
        self.link.leave()
        self.exit()

    def end(self, exit_status: int) -> None:
        """Leave without a question, for nobody is there to answer it."""
        self.exit_status = exit_status
        self.link.keep_all()
        self.exit()

    def let_go(self) -> None:
        """End the worker, which saves what is unsaved; a detached one goes on. From any thread.

        The terminal is given back too, for nobody else will do it.
        """
        self.link.keep_all()
        self.link.close()
        if isinstance(self._driver, TerminalDriver):
            self._driver.restore()

    def over(self, broken: bool) -> None:
        """End what the screen began; of one that broke, the user has not said what is to become."""
        if self._ending is not None:
            self._ending.over()
        if broken:
            self.link.keep_all()
        self.link.close()

    def outcome(self) -> Farewell:
        return outcome(self.scene, self.link, self.exit_status or int(bool(self.return_code)))


def run(
    client: Client, options: WatchOptions, workers: Workers | None = None, heard: Callable[[], int] = int
) -> Farewell:
    """Show a worker until the user leaves, and let go of it. See `IbtuiApp` for the parameters."""
    app = IbtuiApp(client, options, workers, heard)
    broken = True
    try:
        app.run()
        broken = bool(app.return_code)
    finally:
        app.over(broken)
    return app.outcome()
