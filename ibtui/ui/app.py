"""The live screen: keys become commands or another view, frames become pictures."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from rich.style import Style
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer

from ibtui.config import BINNINGS, WatchOptions
from ibtui.core.information import Binning as Bins
from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.run.client import Client
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import (
    Command,
    Detach,
    Frame,
    Pause,
    Rebin,
    Restart,
    Resume,
    Save,
    SetPace,
    Step,
    Stop,
)
from ibtui.ui import keys
from ibtui.ui import view as views
from ibtui.ui.ending import Ending
from ibtui.ui.panes.banner import Banner, wrong
from ibtui.ui.panes.curves import DIMENSION, I_TY, I_XT, Curves
from ibtui.ui.panes.footer import Footer
from ibtui.ui.panes.glyphs import auto_marker
from ibtui.ui.panes.log import Log, unseen
from ibtui.ui.panes.pane import Drawn, Pane
from ibtui.ui.panes.performance import Performance
from ibtui.ui.panes.plane import Plane
from ibtui.ui.panes.scatter import Scatter
from ibtui.ui.panes.status import StatusLine
from ibtui.ui.panes.table import Table
from ibtui.ui.panes.too_small import TooSmall
from ibtui.ui.saving import Rescue, Saving
from ibtui.ui.succession import Remain, Revive, Succession
from ibtui.ui.summary import Outcome, newest
from ibtui.ui.terminal import Patient, TerminalDriver, behind
from ibtui.ui.view import View

FRAME_S = 1 / 20
"""The least time between two pulls."""
IDLE_S = 1 / 10
"""The same while nothing changes."""
PROMPT_S = 1 / 100
"""The same after a command, until its effect can be seen."""
EFFECT_S = 0.15
"""How long a command is given for that."""
LAG_S = 0.3
"""How old a picture of the history may be while training goes on."""
SILENT_S = 2.0
"""From here on a worker that owes an answer is said to be silent."""
SCATTER_WIDTH = 18
"""The least that a scatter makes sense in; layers that do not fit are on further pages."""


@dataclass
class Arrived(Message):
    """From a client's thread to the app's."""

    client: Client
    news: Frame | Lost


class MainScreen(Patient, Screen[None], inherit_bindings=False):
    """Keys are the app's: nothing here takes the focus."""


class IbtuiApp(App[None], inherit_bindings=False):
    """See the module.

    Parameters
    ----------
    client : Client
        The worker; the app starts it, and closes it no more than that: `run` does.
    session : WatchOptions
        Only `marker` matters here.
    rescue : Rescue, optional
    remain : Remain, optional
    revive : Revive, optional
    """

    CSS_PATH = "app.tcss"
    TITLE = "ibtui"
    ALLOW_SELECT: ClassVar[bool] = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-narrow"),
        (views.COMPACT[0], "-medium"),
        (views.FULL[0], "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-short"),
        (views.COMPACT[1], "-average"),
        (views.FULL[1], "-tall"),
        (views.ROOMY, "-roomy"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [*keys.BINDINGS]

    def __init__(
        self,
        client: Client,
        session: WatchOptions,
        *,
        rescue: Rescue | None = None,
        remain: Remain | None = None,
        revive: Revive | None = None,
    ) -> None:
        if os.environ.get("TERM") == "dumb":  # the only sign by which Textual knows; it takes it away itself
            os.environ["NO_COLOR"] = "1"
        super().__init__(TerminalDriver, ansi_color=True if "NO_COLOR" in os.environ else None)
        marker = auto_marker(os.environ) if session.marker == "auto" else session.marker
        self.client = client
        self.mirror = Mirror()
        self.view = View(marker=marker)  # type: ignore[arg-type]
        self.exit_status = 0
        self.saving = Saving(self, rescue)
        self._succession = Succession(self, remain, revive)
        self._styles: list[Style] = []
        self._drawn: list[Drawn] = []
        self._broken: set[str] = set()
        self._asked: float | None = None
        self._pulled = self._commanded = -math.inf
        self._moving = False
        self._timer: Timer | None = None
        self._arranged: object = None
        self._shown: object = None
        self._ending: Ending | None = None
        if self._colour_system() in ("16", "none"):
            self.theme = "ansi-dark"

    # What there is.

    def get_default_screen(self) -> Screen[None]:
        """See `MainScreen`."""
        return MainScreen(id="main")

    def compose(self) -> ComposeResult:
        """All panes but the scatters, whose number the first frame tells."""
        yield StatusLine(id="status")
        yield Banner(id="banner")
        with Container(id="board"):
            yield Container(id="scatters", classes="row")
            with Container(id="information", classes="row"):
                yield from (Curves(I_XT), Curves(I_TY), Plane())
            with Container(id="rest", classes="row"):
                yield from (Curves(DIMENSION), Performance(), Log())
            yield Table(id="table")
        yield TooSmall(id="too-small")
        yield Footer(keys.HINTS)

    def on_mount(self) -> None:
        """Draw what is known, which is little, and ask for the first frame."""
        self._drawn = [w for w in self.screen.walk_children() if isinstance(w, Drawn)]
        self.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        self._recolour()
        self._engage()
        self.set_interval(1, self._listen)

    def watch_for_ends(self) -> None:
        """Called by the driver before it takes the terminal, for from then on it has to be given back."""
        if self._ending is None:
            self._ending = Ending(self._end, self.let_go)
            self._ending.watch()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key's action by its name, for the command palette."""
        for binding in keys.NAMED:
            title = f"{binding.tooltip.rstrip('.')}  ({binding.key_display})"
            yield SystemCommand(title, "", partial(self.run_action, binding.action))
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    # Frames: one is asked for when the last is drawn.

    def _engage(self) -> None:
        try:
            self.client.start(partial(self.forward, self.client))
        except Exception as error:
            self._lose(Lost(f"the worker cannot be started: {error}"))
        self._pull()

    def forward(self, client: Client, news: Frame | Lost) -> None:
        """In the client's thread."""
        self.post_message(Arrived(client, news))

    def _pull(self) -> None:
        self._timer = None
        if self._asked is None and not self.view.lost:
            self._asked = self._pulled = time.monotonic()
            self.client.pull(self.mirror, self.view.row)

    def _hurry(self) -> None:
        """Something will have changed: don't wait for the next turn."""
        if self._timer is not None:
            self._timer.stop()
            self._pull()

    def on_arrived(self, message: Arrived) -> None:
        """Take over what is new, and draw it."""
        if self._succession.hears(message.client, message.news) or message.client is not self.client:
            return  # from one that is to take over, or from one that was replaced
        news, self._asked = message.news, None
        if isinstance(news, Lost):
            self._lose(news)
            return
        run = self.mirror.run
        for notice in self.mirror.take(news):
            self.tell(notice.text, notice.severity)
        self.view = views.confirmed(self.view, news.status)
        if self.mirror.run != run:
            self.view = replace(self.view, row=None)
        self.saving.settle()
        self.show()
        self._moving = news.update is not None or news.look is not None or news.status.state == "running"
        # A key does what is right by what is known, however late that is shown.
        if self._period == PROMPT_S or behind(self):
            self._pull_later()
        else:
            self.call_after_refresh(self._pull_later)

    @property
    def _period(self) -> float:
        """The least time between two pulls, as things are now."""
        obeying = self.view.pausing or time.monotonic() - self._commanded < EFFECT_S
        return PROMPT_S if obeying else FRAME_S if self._moving else IDLE_S

    def _pull_later(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        left = self._pulled + self._period - time.monotonic()
        self._timer = self.set_timer(max(0.001, left), self._pull)

    def _listen(self) -> None:
        """Once a second: does the worker owe an answer for long?"""
        owed = time.monotonic() - self._asked if self._asked is not None else 0.0
        silent = int(owed) if owed >= SILENT_S and self.mirror.status is not None else 0
        if silent != self.view.silent:
            self.look(replace(self.view, silent=silent))

    def _lose(self, lost: Lost) -> None:
        """The worker has gone: say so, with the end of its log, and have what there is looked after."""
        mirror = self.mirror
        mirror.log.extend(unseen(mirror.log, lost.log))
        if mirror.died is not None:
            self.tell(f"the worker that held the history has gone, too: {lost.reason}", "error")
        mirror.died = mirror.died or lost
        self.saving.lose(lost)
        self.view = replace(self.view, lost=True, pausing=False, binning=None, pace=None, silent=0)
        self.show()
        self.bell()
        self._succession.hand_over()

    def turn_to(self, client: Client, mirror: Mirror) -> None:
        """Another worker has the history: from now on the screen is its."""
        assert mirror.status is not None
        self.client, self.mirror, self._asked = client, mirror, None
        self.view = views.confirmed(replace(self.view, lost=False, continuing=""), mirror.status)
        self.show()
        self._pull_later()

    # Drawing.

    def look(self, view: View) -> None:
        """Representation at something else, or differently."""
        self.view = view
        self.show()

    def show(self) -> None:
        """Have everything drawn that has changed.

        Pictures of the whole history are dear, and change little from one frame to the next. While training
        just goes on they take turns, and otherwise they are drawn when all else is on the screen.
        """
        if not self.is_running:
            return  # messages are heard until after the screens have been closed
        self._arrange()
        for widget in self._drawn:
            widget.take(self.view, self.mirror, self._styles)
        stale = [widget for widget in self._drawn if widget.stale]
        late = [widget for widget in stale if widget.may_lag]
        for widget in stale:
            if not widget.may_lag:
                widget.redraw()
        goes_on = views.state_of(self.view, self.mirror) in ("running", "pausing")
        shown = replace(self.view, pausing=False), self.mirror.run, goes_on
        if shown == self._shown and goes_on and not self._replaying:
            for widget in _in_turn(late):
                widget.redraw()
        elif late:
            self.call_after_refresh(self._catch_up)
        self._shown = shown

    def _catch_up(self) -> None:
        """Nothing stays behind."""
        for widget in self._drawn:
            if widget.stale:
                widget.redraw()

    def _arrange(self) -> None:
        """Which panes there are, and which are on the screen: little of it ever changes."""
        view, alarm = self.view, wrong(self.view, self.mirror)
        arranged = (self._layers, view.pane, view.layer, view.enlarged, view.marker, alarm, self.size)
        if arranged == self._arranged:
            return
        self._arranged = arranged
        self._mount_scatters()
        main = self.screen_stack[0]
        main.set_class(view.marker == "ascii", "-ascii")
        main.query_one("#board").set_class(view.enlarged, "-enlarged")
        main.query_one("#banner").set_class(alarm, "-wrong").refresh(layout=alarm)
        page = views.page(self._layers, view.layer, self.size.width // SCATTER_WIDTH)
        for row in main.query(".row"):
            panes = [w for w in self._drawn if isinstance(w, Pane) and w.parent is row]
            for pane in panes:
                pane.set_class(view.enlarged and pane.chosen(view), "-enlarged")
                hidden = isinstance(pane, Scatter) and pane.of_layer not in page and not view.enlarged
                pane.set_class(hidden, "-off-page")
            row.set_class(view.enlarged and any(pane.chosen(view) for pane in panes), "-enlarged")

    def _mount_scatters(self) -> None:
        """One for each layer, once it is known how many there are."""
        row = self.screen_stack[0].query_one("#scatters")
        if len(row.children) == self._layers:
            return
        row.remove_children()
        scatters: list[Drawn] = [Scatter(layer) for layer in range(self._layers)]
        row.mount(*scatters)
        self._drawn = [w for w in self._drawn if not isinstance(w, Scatter)] + scatters
        self.screen_stack[0].query_one("#table").refresh(layout=True)

    def _recolour(self) -> None:
        """The inks on the theme's ground."""
        base = self.screen_stack[0].rich_style
        ground = Style(color=base.color, bgcolor=base.bgcolor)
        self._styles = [ground + ink for ink in palette.styles(self._colour_system())]
        self.show()

    def _colour_system(self) -> palette.ColourSystem:
        if self.no_color or self.console.color_system is None:
            return "none"
        known: dict[str, palette.ColourSystem] = {"truecolor": "truecolor", "256": "256"}
        return known.get(self.console.color_system, "16")

    def on_resize(self) -> None:
        """Another size may have room for other panes."""
        self.show()

    def on_drawn_broke(self, message: Drawn.Broke) -> None:
        """A fault in drawing is told once, in the log; the pane itself shows it as long as it lasts."""
        if message.where not in self._broken:
            self._broken.add(message.where)
            error = message.error
            self.mirror.log.append(f"ibtui: {message.where} cannot be drawn: {type(error).__name__}: {error}")

    def on_pane_chosen(self, message: Pane.Chosen) -> None:
        """A click chooses."""
        layer = self.view.layer if message.layer is None else message.layer
        self.look(replace(self.view, pane=message.pane, layer=layer))

    def tell(self, text: str, severity: str = "information") -> None:
        """Tell the user once."""
        known = severity if severity in ("information", "warning", "error") else "warning"
        self.notify(printable(text), severity=known, markup=False)  # type: ignore[arg-type]

    # Facts that the keys need.

    @property
    def _layers(self) -> int:
        return len(self.mirror.recording.config.layers) if self.mirror.recording is not None else 0

    @property
    def _replaying(self) -> bool:
        return views.replaying(self.mirror)

    @property
    def detached(self) -> bool:
        """Whether the run goes on without this screen."""
        return self.client.detached and not self.view.lost

    def send(self, command: Command) -> bool:
        """Have the worker carry out a command; False where there is none that could."""
        if not self._obeyed(command):
            return False
        self.client.send(command)
        self._commanded = time.monotonic()
        self._hurry()
        return True

    def _obeyed(self, command: Command) -> bool:
        """Whether there is a worker that could carry out a command; otherwise it is said why not."""
        if self._succession.under_way and not isinstance(command, Save):
            why = "a new worker is about to take over: a moment"
        elif self.view.lost:
            why = "no worker is left" + ("" if self._replaying else ": c continues from the last checkpoint")
        elif self.mirror.died is not None and not isinstance(command, Rebin | Save):
            why = "the worker has died: c continues from the last checkpoint"
        else:
            return True
        self.tell(why, "warning")
        return False

    # Keys: training.

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self._finished():
            return
        if views.state_of(self.view, self.mirror) in ("starting", "running"):
            if self.send(Pause()):
                self.look(replace(self.view, pausing=True))
        elif self.send(Resume()):
            self.look(replace(self.view, pausing=False))

    def action_step(self, epochs: int) -> None:
        """Train so many epochs, then stand."""
        if not self._finished():
            self.send(Step(epochs))

    def _finished(self) -> bool:
        """Say so where there is nothing left to train."""
        finished = views.state_of(self.view, self.mirror) == "finished" and not self._replaying
        if finished:
            self.tell("the run has finished: r starts it again, R with the next seed")
        return finished

    def action_pace(self, by: int) -> None:
        """Slower or faster."""
        if (status := self.mirror.status) is not None:
            pace = views.next_pace(views.pace_of(self.view, status), by)
            if self.send(SetPace(pace)):
                self.look(replace(self.view, pace=float(pace)))

    def action_restart(self, seeds_on: int) -> None:
        """From scratch, with a seed further on."""
        recording = self.mirror.recording
        seed = (recording.config.seed + seeds_on) % 2**32 if seeds_on and recording is not None else None
        question = "Restart? This run's history is not saved."
        if self._obeyed(restart := Restart(seed)):
            self.saving.unless_unsaved(question, "restart", lambda: self._restart(restart))

    def _restart(self, restart: Restart) -> None:
        if self.send(restart):
            self.look(replace(self.view, row=None, pausing=False))
            self.saving.resume()

    def action_revive(self) -> None:
        """Go on in a new worker, after a crash."""
        if views.state_of(self.view, self.mirror) not in ("dead", "failed"):
            self.tell("nothing to continue: the worker has not crashed")
        else:
            self._succession.revive()

    # Keys: binning.

    def action_t_bins(self, by: int) -> None:
        """Fewer or more bins for T."""
        self._rebin(lambda b: replace(b, t_bins=views.stepped(views.T_BINS, b.t_bins, by)))

    def action_x_bins(self, by: int) -> None:
        """Fewer or more bins for X."""
        self._rebin(lambda b: replace(b, x_bins=views.stepped(views.X_BINS, b.x_bins, by)))

    def action_binning(self) -> None:
        """The next binning."""
        self._rebin(lambda b: replace(b, kind=views.following(BINNINGS, b.kind)))

    def _rebin(self, change: Callable[[Bins], Bins]) -> None:
        if (status := self.mirror.status) is None:
            return
        present = views.binning_of(self.view, status)
        binning = change(present)
        if binning != present and self.send(Rebin(binning)):
            self.look(replace(self.view, binning=binning))

    # Keys: looking.

    def action_change(self, name: str) -> None:
        """The next of a few ways to look."""
        self.look(views.cycled(self.view, name))

    def action_walk(self, by: int) -> None:
        """To a measurement before or after."""
        if self._replaying:
            self.send(Step(by))
        else:
            self._walk_to(views.walked(self.view, self.mirror, by))

    def action_walk_to_first(self) -> None:
        """To the first measurement."""
        self.action_walk(-(len(self.mirror.recording) if self.mirror.recording is not None else 0))

    def action_walk_to_now(self) -> None:
        """Back to the present; in a replay, to the last measurement."""
        if self._replaying:
            self.action_walk(len(self.mirror.recording) if self.mirror.recording is not None else 0)
        else:
            self._walk_to(replace(self.view, row=None))

    def _walk_to(self, view: View) -> None:
        if self.view.lost:  # nobody is there to ask how it looked
            self._obeyed(Step())
            return
        self.look(view)
        self._hurry()

    def action_plane(self) -> None:
        """The information plane, large, and back."""
        large = self.view.enlarged and self.view.pane == "plane"
        self.look(replace(self.view, pane="plane", enlarged=not large))

    def action_layer(self, layer: int) -> None:
        """Choose a layer."""
        if layer < self._layers:
            self.look(replace(self.view, layer=layer))

    def action_pane(self, by: int) -> None:
        """Choose the next pane, or the one before."""
        layout = views.layout_for(*self.size)
        self.look(views.next_pane(self.view, by, max(1, self._layers), layout))

    def action_enlarge(self) -> None:
        """Give the chosen pane the whole screen."""
        self.look(replace(self.view, enlarged=True))

    def action_shrink(self) -> None:
        """Back to all panes."""
        self.look(replace(self.view, enlarged=False))

    def action_help(self) -> None:
        """The help screen."""
        from ibtui.ui.help import HelpScreen

        self.push_screen(HelpScreen(keys.entries(), self.view.marker))

    # Keys: saving and leaving.

    def action_save(self) -> None:
        """Write a snapshot."""
        self.saving.save()

    def action_save_before(self) -> None:
        """Write the history of the run before the last restart, which is drawn as the background."""
        self.saving.save_before()

    def action_detach(self) -> None:
        """Let the run outlive this screen."""
        if self._replaying:
            self.tell("a replay has nothing that could go on", "warning")
        elif self.send(Detach()):
            self.tell("detached: the run goes on when this screen is left; ibtui attach brings it back")

    async def action_quit(self) -> None:
        """See `action_leave`."""
        self.action_leave(0)

    def action_leave(self, exit_status: int) -> None:
        """Quit; where history would be lost, ask first."""
        if self.detached:
            self._leave(exit_status)
        else:
            leave = partial(self._leave, exit_status)
            question = "Quit? This run's history is not saved."
            self.saving.unless_unsaved(question, "quit", leave, interrupt=True)

    def _leave(self, exit_status: int) -> None:
        self.exit_status = exit_status
        if not self.view.lost and not self.detached:
            # Of a history that was never on the screen nobody has said that it may go.
            self.client.send(Stop(save=self.mirror.recording is None))
        self.exit()

    def _end(self, exit_status: int) -> None:
        """Leave without a question, for nobody is there to answer it."""
        self.exit_status = exit_status
        self.saving.keep_all()
        self.exit()

    def let_go(self) -> None:
        """End the worker, which saves what is unsaved; a detached one goes on. From any thread.

        The terminal is given back too, for nobody else will do it.
        """
        self.saving.keep_all()
        self.close()
        if isinstance(self._driver, TerminalDriver):
            self._driver.restore()

    def over(self, broken: bool) -> None:
        """Nothing is shown any more; of a screen that broke, the user has not said what is to become."""
        if self._ending is not None:
            self._ending.over()
        if broken:
            self.saving.keep_all()
        self.close()

    def close(self) -> None:
        """Let go of the workers; one that was only to take over is not needed any more."""
        self._succession.close()
        self.client.close()

    def outcome(self) -> Outcome:
        """What is left to say."""
        status = self.mirror.status
        state = views.state_of(self.view, self.mirror)
        measured, values = newest(self.mirror)
        failure = status.message if status is not None and state == "failed" else ""
        failed = 2 if state == "failed" and self._replaying else int(state in ("failed", "dead"))
        return Outcome(
            epoch=status.epoch if status is not None else 0,
            epochs=status.epochs if status is not None else 0,
            train_accuracy=float(values.get("train_accuracy", "nan")),
            test_accuracy=float(values.get("test_accuracy", "nan")),
            measured=measured,
            saved=self.saving.files,
            state=state,
            reason=self.mirror.died.reason if self.mirror.died is not None else failure,
            exit_status=self.exit_status or failed or int(bool(self.return_code)),
            unsaved=self.mirror.recording if self.saving.unsaved else None,
        )


def _in_turn(late: Iterable[Drawn]) -> list[Drawn]:
    """Of widgets that show something old the one that waits longest, and those that wait for too long."""
    waiting = sorted(late, key=lambda widget: widget.drawn_at)
    overdue = time.monotonic() - LAG_S
    return waiting[:1] + [widget for widget in waiting[1:] if widget.drawn_at <= overdue]


def run(
    client: Client,
    session: WatchOptions,
    *,
    rescue: Rescue | None = None,
    remain: Remain | None = None,
    revive: Revive | None = None,
) -> Outcome:
    """Show a worker until the user leaves, and let go of it. See `IbtuiApp` for the parameters."""
    app = IbtuiApp(client, session, rescue=rescue, remain=remain, revive=revive)
    broken = True
    try:
        app.run()
        broken = bool(app.return_code)
    finally:
        app.over(broken)
    return app.outcome()
