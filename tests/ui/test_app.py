"""The screen, driven by keys and read back as text; a stand-in takes the worker's place."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from textual import events
from textual.command import CommandList
from textual.pilot import Pilot
from textual.widgets import Input

from ibtui import pace
from ibtui.config import RunConfig, WatchOptions
from ibtui.console import ENDING
from ibtui.core.information import Binning
from ibtui.plot import palette
from ibtui.plot.glyphs import marked
from ibtui.plot.ticks import value_text
from ibtui.quantities.levels import at_level
from ibtui.recording import Recording
from ibtui.run.job import DeadRun
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import (
    Command,
    Detach,
    Frame,
    Notice,
    Pause,
    Preview,
    Rebin,
    Restart,
    Resume,
    Save,
    SetPace,
    Status,
    Step,
    Stop,
)
from ibtui.run.representation import inputs_of
from ibtui.ui import keys, view
from ibtui.ui.app import IbtuiApp
from ibtui.ui.board import FINE
from ibtui.ui.classes import class_pieces
from ibtui.ui.dialogs import Place, Question
from ibtui.ui.drawn import Drawn
from ibtui.ui.ending import Ending
from ibtui.ui.glyphs import auto_marker
from ibtui.ui.help import HelpScreen
from ibtui.ui.line import fit, piece, spaced
from ibtui.ui.panes import panes
from ibtui.ui.panes.curves import Curves
from ibtui.ui.panes.plane import Plane
from ibtui.ui.panes.run import INTRODUCTION_S
from ibtui.ui.panes.scatter import Scatter
from ibtui.ui.scene import Scene, standard
from ibtui.ui.status import status_pieces
from ibtui.ui.summary import Farewell
from tests.marks import slow, slow_sets
from tests.ui.standin import CEILINGS, FakeWorkers, StandIn, strips

FULL, COMPACT, ODD, SMALL = (120, 40), (80, 24), (97, 33), (60, 20)
BRAILLE = WatchOptions(marker="braille")
HELD = "← → past  [ ] b binning"
"""The keys that a dead run still has, while a worker holds its history."""
QUANTITIES = ("dimension", "participation_ratio", "saturation", "occupancy", "outside")
"""The stops of the key d, of a run that measures nothing besides."""
CHOICES = view.CHOICES | {"quantity": QUANTITIES}
KEYS = keys.bindings(panes())
Script = Callable[[IbtuiApp, Pilot[None], StandIn], Awaitable[None]]


def screen_text(app: IbtuiApp) -> list[str]:
    """The terminal as strings, one per row."""
    return [strip.text for strip in strips(app)]


def visible(widget: Drawn) -> bool:
    """True where any of a widget can be seen."""
    return widget.is_on_screen and bool(widget.screen.find_widget(widget).visible_region)


def text_of(app: IbtuiApp) -> str:
    return "\n".join(screen_text(app))


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Wait for something to have happened."""
    for _ in range(4000):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"never so:\n{text_of(pilot.app)}")  # type: ignore[arg-type]


async def shows(app: IbtuiApp, pilot: Pilot[None], *texts: str) -> None:
    """Wait for texts to be on the screen."""
    await until(pilot, lambda: all(text in text_of(app) for text in texts))


def play(
    script: Script, size: tuple[int, int] = FULL, client: StandIn | None = None,
    options: WatchOptions = BRAILLE, **hooks: Any,
) -> Farewell:  # fmt: skip
    """Run a script against the screen, once the first frame is drawn, and say what was left to say."""
    client = client or StandIn()
    app = IbtuiApp(client, options, FakeWorkers(**hooks))

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            if client.answering:
                await until(pilot, lambda: len(client.pulls) > 1)
            await script(app, pilot, client)

    try:
        asyncio.run(run())
    finally:
        client.close()
    return app.outcome()


def broken(app: IbtuiApp) -> list[str]:
    """The faults in drawing that the log tells of."""
    return [line for line in app.mirror.log if "cannot be drawn" in line]


def regions(app: IbtuiApp) -> dict[str, Any]:
    """The places of the widgets that can be seen."""
    return {str(widget.id): widget.region for widget in app.screen.query(Drawn) if visible(widget)}


# Layout.


@pytest.mark.parametrize(
    "size",
    [
        FULL,
        COMPACT,
        SMALL,
        *slow(ODD, (40, 12), (100, 30), (100, 24), (80, 60), (133, 41), (160, 50), (250, 70)),
    ],
)
def test_every_pane_lies_on_the_screen_and_on_no_other(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "500", "I(X;T)", "help")
        shown = regions(app)
        assert sum(region.area for region in shown.values()) == size[0] * size[1]  # nothing cut, nothing bare
        for one, other in itertools.combinations(shown.values(), 2):
            assert not one.overlaps(other)
        assert all(cell_len(row) == size[0] for row in screen_text(app))
        always = {"scatter0", "scatter1", "plane", "status", "footer"}
        layers = {"scatter2", "scatter3", "input"}
        full = always | layers | {"i_xt", "i_ty", "quantity", "performance", "run"}
        if view.layout_for(*size) == "full":
            assert shown.keys() == full | ({"net"} if size[0] >= 160 and size[1] >= 50 else set())
        elif view.layout_for(*size) == "compact":
            roomy = {"i_xt", "i_ty", "performance"} if size[1] >= view.ROOMY else set()
            assert shown.keys() == always | {"table"} | roomy
        else:
            assert shown.keys() == {"status", "plane", "footer"}

    play(script, size)


def test_the_full_screen_has_all_panes() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(
            app, pilot, "layer 0  dim 1.18", "layer 3  dim 1.06", "I(X;T)  nats", "I(T;Y)  nats",
            "information plane", "dimension ", "accuracy  train 0.80", "loss", "run  seed 1",
            "engine: gluon on cpu",
            "H(X)", "chance 1.42", "ibtui  ● running  epoch 500 of 2,000  212 epochs/s", "cpu · gluon",
            "T 100 · X 4 bins · notebook", "newest 500", "space pause  s step  [ ] T bins",
        )  # fmt: skip

    play(script)


@pytest.mark.parametrize("size", [FULL, COMPACT])
def test_a_loss_that_is_not_measured_is_not_shown_as_diverged(size: tuple[int, int]) -> None:
    client = StandIn(RunConfig(every=10), 50)
    data = client.recording.dataset
    nobody = replace(client.recording.experiment, dataset=replace(data, x_test=data.x[:0], y_test=data.y[:0]))

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.values["test_loss"] = math.nan
        client.between = 51
        await shows(app, pilot, "held out NaN")
        app.mirror.recording = Recording(nobody, dict(CEILINGS))
        app.mirror.recording.apply(client.recording.update_since(0))
        await shows(app, pilot, "held out n/a")

    play(script, size, client)


def test_the_hint_of_a_key_says_what_it_changes_now() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        for binning, hint in (({"kind": "kde"}, "noise"), ({"kind": "width"}, "T width"), ({}, "T bins")):
            client.obey(Rebin(Binning(**binning)))
            await shows(app, pilot, f"[ ] {hint}  ")

    play(script, (160, 50))


def test_the_compact_screen_has_a_row_per_layer() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(
            app, pilot, "● running   epoch 500 of 2,000", "I(X;T) nats of 2.76", "I(T;Y) nats of 0.69",
            "dimension of 2.00", ">0 2.58    1.42", " 3 2.05    1.13", "accuracy   train 0.80",
            "held out 0.41", "log        2000 epochs", "0  dim 1.18", "information plane",
        )  # fmt: skip
        row = next(row for row in screen_text(app) if row.startswith(" 3 "))
        assert set(row) & set("▁▂▃▄▅▆▇█")

    play(script, COMPACT)


@pytest.mark.parametrize(
    ("size", "text"),
    [((39, 24), "needs 40x12"), ((200, 11), "ibtui needs 40x12"), ((30, 5), "needs 40x12"),
     ((6, 2), "40x12"), ((1, 1), "4")],
)  # fmt: skip
def test_a_small_screen_says_which_size_is_needed(size: tuple[int, int], text: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, text)
        assert set(regions(app)) == {"too-small"}
        client.train_to(600)
        await until(pilot, lambda: app.mirror.status is not None and app.mirror.status.epoch == 600)
        await pilot.resize_terminal(*COMPACT)
        await shows(app, pilot, "epoch 600 of 2,000", "accuracy")

    play(script, size)


def test_what_comes_after_the_screen_has_gone_is_not_drawn() -> None:
    client = StandIn()
    app = IbtuiApp(client, BRAILLE)

    async def run() -> None:
        async with app.run_test(size=FULL) as pilot:
            await until(pilot, lambda: len(client.pulls) > 1)
        app.set_view(replace(app.view, enlarged=True))

    asyncio.run(run())
    assert app.view.enlarged


@pytest.mark.slow
def test_any_sequence_of_sizes_is_drawn() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        rng = np.random.default_rng(0)
        sizes = [
            (1, 1),
            (400, 120),
            (80, 24),
            (79, 24),
            (100, 30),
            (99, 29),
            *rng.integers(1, 150, (12, 2)).tolist(),
        ]
        for width, height in sizes:
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda: app.size == (width, height))  # noqa: B023
            assert len(screen_text(app)) == height
        await pilot.resize_terminal(*FULL)
        await shows(app, pilot, "information plane", "layer 3  dim 1.06")
        assert not broken(app)

    play(script)


def curves(app: IbtuiApp) -> list[Curves]:
    """The panes of curves."""
    return list(app.query(Curves))


def ends(pane: Curves) -> str:
    """The texts at the right ends of a pane's rows, blanks around each."""
    region = pane.region
    rows = screen_text(pane.app)[region.y + 1 : region.bottom - 2]  # type: ignore[arg-type]  # no ticks
    return " ".join(f" {row[region.right - 9 : region.right - 1].strip()} " for row in rows)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (COMPACT, ["2 of 12 layers", "7 of 12 layers"]),
        (FULL, ["5 of 12 layers", "+2 more"]),
        ((200, 60), ["10 of 12"]),
    ],
)
def test_of_many_layers_the_screen_says_how_many_it_shows(size: tuple[int, int], said: list[str]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, *said)
        await pilot.press("enter")
        await until(pilot, lambda: "scatter1" not in regions(app))
        assert "of 12" not in text_of(app)

    play(script, size, StandIn(RunConfig(every=10, layers=(2,) * 12), 100))


@pytest.mark.parametrize("marker", ["braille", "ascii"])
def test_the_classes_are_named_on_every_screen_but_the_smallest(marker: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        said = ["o 0", "x 1"] if marker == "ascii" else ["⠿ 0", "⠿ 1"]
        await shows(app, pilot, "  ".join(said))
        await pilot.resize_terminal(*FULL)
        await until(pilot, lambda: "  ".join(said) in pane_text(app, "input"))

    play(script, COMPACT, options=WatchOptions(marker=marker))


def test_layers_of_different_widths_have_no_common_ceiling() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, ">0 ", "dimension")
        assert "dimension of" not in text_of(app)

    play(script, COMPACT, StandIn(RunConfig(every=10, layers=(16, 2)), 100))


def test_where_there_is_no_room_for_chance_the_estimates_stand_alone() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("a", "a")
        await shows(app, pilot, ">0 2.58 ")
        row = next(row for row in screen_text(app) if row.startswith(">0"))
        assert re.findall(r"[\d.]+", row) == ["0", "2.58", "0.37", "1.18"]

    play(script, (40, 12))


def test_a_number_of_the_whole_net_is_no_layers() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        app.set_view(replace(app.view, quantity="moving_loss"))
        await shows(app, pilot, "whole net")

    play(script, COMPACT)


@pytest.mark.parametrize(
    ("names", "room", "said"),
    [
        (("setosa", "versicolor", "virginica"), 80, "⠿ setosa  ⠿ versicolor  v virginica"),
        (("setosa", "versicolor", "virginica"), 20, "⠿ setosa  ⠿ ve  v vi"),  # not v and v
        (("cat", "car"), 9, "⠿ cat"),  # and no ca
        (("-inf … -1.5", "-1.5 … 2", "2 … inf"), 30, "⠿ -inf … -1.5  of 3"),  # no number is cut
        (tuple("abcdefghij"), 30, "⠿ a  ⠿ b  v c  s d  d e  of 10"),
    ],
)
def test_names_of_classes_are_cut_so_that_they_differ(names: tuple[str, ...], room: int, said: str) -> None:
    experiment = StandIn(RunConfig(every=10), 20).recording.experiment
    y = np.arange(len(experiment.dataset.y)) % len(names)
    experiment = replace(experiment, dataset=replace(experiment.dataset, y=y, names=names))
    pieces = fit(class_pieces(Recording(experiment, dict(CEILINGS)), "braille"), room, 2, "braille")
    assert "  ".join(text for text, _ in pieces) == said


def test_accuracy_held_out_is_told_where_the_pane_is_narrow() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "held out 0.79")

    play(script, (100, 30))


@pytest.mark.parametrize("size", [FULL, (100, 30), (133, 41)])
def test_what_is_said_at_first_is_said_whole(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "faint dots: chance." in " ".join(pane_text(app, "run").split()))

    play(script, size)


def test_a_hidden_scatter_is_not_counted_among_those_shown() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "2 of 4 layers")
        await pilot.press("h")
        await shows(app, pilot, "1 of 4 layers")

    play(script, COMPACT)


def test_where_all_layers_are_shown_nothing_is_said_of_how_many() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "layer 3")
        assert " of 4" not in text_of(app)

    play(script)


@pytest.mark.slow
@pytest.mark.parametrize("size", [FULL, COMPACT])
def test_the_chosen_one_of_many_layers_is_on_the_screen(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: len(app.query(Scatter)) == 12)
        for layer in range(12):
            assert f"scatter{layer}" in regions(app)
            if size == COMPACT:
                await until(pilot, lambda: any(row.startswith(f">{layer} ") for row in screen_text(app)))  # noqa: B023
            else:  # each pane of curves has the chosen layer's label, whichever have no room
                label = f" {marked(layer, 'braille')} "
                await until(pilot, lambda: all(ends(pane).count(label) == 1 for pane in curves(app)))  # noqa: B023
            await pilot.press("tab")
            await pilot.pause()
        assert app.view.pane != "scatter"

    play(script, size, StandIn(RunConfig(every=10, layers=(2,) * 12), 100))


@pytest.mark.slow
def test_any_pane_can_have_the_whole_screen_and_give_it_back() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "scatter3" in regions(app))
        names = ["scatter0", "scatter1", "scatter2", "scatter3", "i_xt", "i_ty", "plane", "quantity",
                 "performance", "run", "input"]  # fmt: skip
        for name in names:
            await pilot.press("enter")
            await until(pilot, lambda: set(regions(app)) == {"status", name, "footer"})  # noqa: B023
            assert "Esc back" in text_of(app)
            await pilot.press("escape")
            await until(pilot, lambda: len(regions(app)) == 13)
            await pilot.press("tab")
        assert (app.view.pane, app.view.layer) == ("scatter", 0)
        await pilot.press("shift+tab", "shift+tab", "shift+tab")
        assert app.view.pane == "performance"
        await pilot.press("n", "tab")  # of panes that have the whole screen, all can be reached
        assert (app.view.pane, app.view.enlarged) == ("run", True)

    play(script)


@pytest.mark.parametrize("arrangement", ["overview", "plane", "curves"])
def test_tab_goes_to_panes_that_are_on_the_screen(arrangement: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "scatter3" in regions(app))
        while app.view.arrangement != arrangement:
            await pilot.press("a")
        await pilot.press("tab", "h")
        await pilot.pause()
        shown = set(regions(app)) - {"status", "footer"}
        chosen = set()
        for _ in range(len(shown) + 4):  # "curves" has no scatter of the layer chosen
            await pilot.press("tab")
            chosen.add(f"scatter{app.view.layer}" if app.view.pane == "scatter" else app.view.pane)
        assert {name for name in chosen if "scatter" not in name} == {n for n in shown if "scatter" not in n}
        assert chosen >= shown

    play(script)


def test_the_information_plane_has_a_key_of_its_own_on_every_screen() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("i")
        await shows(app, pilot, "information plane", "H(Y) 0.69", "I(X;T) nats")
        assert set(regions(app)) == {"status", "plane", "footer"}
        await pilot.press("i")
        await until(pilot, lambda: "table" in regions(app))

    play(script, COMPACT)


def test_a_click_chooses_a_pane() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "scatter2" in regions(app))
        await pilot.click("#scatter2")
        assert (app.view.pane, app.view.layer) == ("scatter", 2)
        await pilot.click("#i_ty")
        assert (app.view.pane, app.view.layer) == ("i_ty", 2)
        await shows(app, pilot, "┏ I(T;Y)")

    play(script)


# Keys.


@pytest.mark.parametrize(
    ("pressed", "commands"),
    [
        ("space", [Pause()]),
        ("space space", [Pause(), Resume()]),
        ("s", [Step(1)]),
        ("S", [Step(10)]),
        ("right_square_bracket", [Rebin(Binning(t_bins=150))]),
        ("left_curly_bracket", [Rebin(Binning(x_bins=3))]),
        ("b", [Rebin(Binning("closed"))]),
        ("w", [Save()]),
        ("plus", [SetPace(120)]),
        ("R r", [Restart(2)]),
        ("r s", [Pause(), Save(), Restart(None), Resume()]),
        ("r escape", []),
        *slow_sets(
            ("left_square_bracket", [Rebin(Binning(t_bins=70))]),
            ("right_curly_bracket", [Rebin(Binning(x_bins=5))]),
            ("b b b", [Rebin(Binning("closed")), Rebin(Binning("adaptive")), Rebin(Binning("width"))]),
            ("minus minus", [SetPace(30), SetPace(20)]),
            ("r d", [Restart(None)]),
            ("R", []),
        ),
    ],
)
def test_a_key_sends_its_command(pressed: str, commands: list[Command]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press(*pressed.replace("r d", "r r").split())
        await until(pilot, lambda: len(client.commands) >= len(commands))
        await pilot.pause()
        assert client.told == commands

    play(script)


@pytest.mark.parametrize(
    ("key", "field", "texts"),
    [
        ("d", "quantity", ["dim 1.18", "pr 1.02", "sat. 0.01", "occ. 0.70", "out. 0", "dim 1.18"]),
        ("u", "unit", ["I(X;T)  nats", "I(X;T)  bits", "I(X;T)  nats"]),
        ("e", "level", ["chance 1.42", "I(X;T) − chance  nats", "share of I(X;T)", "chance 1.42"]),
        ("l", "scale", ["0  1     10", "0         200", "0  1     10"]),
        ("v", "points", ["⣀⡴⠃", "▓", "⣀⡴⠃"]),
        ("p", "plane_colour", ["by layer", "by epoch", "by layer"]),
        ("m", "marker", ["╭", "┌", "+ layer 1"]),
    ],
)
def test_a_key_changes_the_way_of_looking(key: str, field: str, texts: list[str]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        for text, choice in zip(
            texts, itertools.cycle((view.CHOICES | {"quantity": QUANTITIES})[field]), strict=False
        ):
            await shows(app, pilot, text)
            assert getattr(app.view, field) == choice
            await pilot.press(key)
        assert not client.commands

    play(script)


def test_a_digit_chooses_a_layer_that_there_is() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("2")
        await shows(app, pilot, "┏ layer 2", "layer 2  2.22  chance 1.22")
        await pilot.press("7")
        assert app.view.layer == 2

    play(script)


def test_a_held_key_goes_on_from_what_was_asked_for_last() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.answering = False
        await pilot.press(*["right_square_bracket"] * 3)
        assert [c.binning.t_bins for c in client.commands if isinstance(c, Rebin)] == [150, 200, 300]
        await shows(app, pilot, "T 300 · X 4 bins")

    play(script)


def test_what_was_asked_for_outlasts_a_frame_that_knows_nothing_of_it() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.obeying = False
        await pilot.press("right_square_bracket", "plus")
        seen = len(client.pulls)
        await until(pilot, lambda: len(client.pulls) > seen + 2)
        await pilot.press("right_square_bracket", "plus")
        assert client.commands == [
            Rebin(Binning(t_bins=150)), SetPace(120), Rebin(Binning(t_bins=200)), SetPace(250),
        ]  # fmt: skip

    play(script)


@pytest.mark.parametrize("key", ["space", "s", "S"])
def test_a_finished_run_says_so_when_it_is_to_go_on(key: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.status = replace(client.status, state="finished")
        await shows(app, pilot, "finished")
        await pilot.press(key)
        await shows(app, pilot, "the run has finished: r starts it again")
        assert not client.commands

    play(script)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"pace": 50.0}, "(at most 50)"),
        ({"pace": 0.0}, "(no limit)"),
        ({"pace": 50.0, "state": "paused"}, "(at most 50 epochs/s)"),
        ({"pace": 0.0, "state": "paused"}, "(no limit)"),
        ({"pace": 50.0, "plays": True}, "(at most 50 measurements/s)"),
    ],
)
def test_the_pace_has_a_unit_where_no_speed_in_it_stands_beside(status: dict[str, Any], said: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.status = replace(client.status, **status)
        await shows(app, pilot, said)

    play(script, (160, 40))


def test_pausing_is_said_until_the_worker_stands() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.answering = False
        client.obeying = False
        await until(pilot, lambda: client.waiting is not None)
        before = client.status
        await pilot.press("space")
        await shows(app, pilot, "◍ pausing", "space go on")
        client.status = before
        client.answer()  # from before the pause
        await pilot.pause()
        await shows(app, pilot, "◍ pausing")
        await until(pilot, lambda: client.waiting is not None)
        client.status = replace(client.status, state="paused")
        client.answer()
        await shows(app, pilot, "‖ paused")

    play(script)


@pytest.mark.parametrize("size", [FULL, *slow(COMPACT)])
def test_between_two_measurements_all_panes_show_the_run_as_it_stands(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "newest 500" if size == FULL else "newest")
        client.between = 507
        client.values = {
            name: np.full(4, value)
            for name, value in (("i_xt", 2.11), ("i_ty", 0.32), ("dimension", 1.77), ("chance_i_xt", 1.23))
        } | {"train_accuracy": 0.63, "test_accuracy": 0.61, "train_loss": 0.55, "test_loss": 0.57}
        client.status = replace(client.status, epoch=507, state="paused")
        await shows(app, pilot, "paused", "507", "now", "2.11")
        if size == FULL:
            await shows(
                app, pilot, "0 2.11", "3 2.11", "layer 0  2.11  chance 1.23", "I(X;T) 2.11  I(T;Y) 0.32",
                "0 1.77", "layer 0  dim 1.77", "accuracy  train 0.63  held out 0.61",
                "train 0.55", "held out 0.57",
            )  # fmt: skip
        await pilot.press("left")
        await shows(app, pilot, "view: epoch 500 of 507", "then" if size == COMPACT else "")
        await until(pilot, lambda: "2.11" not in text_of(app))
        await pilot.press("right")
        await shows(app, pilot, "2.11")

    play(script, size)


def epoch_drawn(app: IbtuiApp) -> int | None:
    return app.mirror.representation.epoch if app.mirror.representation is not None else None


def test_walking_through_the_past_while_training_goes_on() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("left")  # the present is the measurement of epoch 500 itself
        await shows(app, pilot, "view: epoch 490 of 500")
        await until(pilot, lambda: epoch_drawn(app) == 490)
        assert client.pulls[-1][1] == 49
        client.train_to(600)
        await shows(app, pilot, "view: epoch 490 of 600", "epoch 600 of 2,000")
        await pilot.press("right", "right")
        await shows(app, pilot, "view: epoch 510 of 600")
        await pilot.press("home")
        await shows(app, pilot, "view: epoch 0 of 600")
        await pilot.press("left")
        assert app.view.row == 0
        await pilot.press("end")
        await shows(app, pilot, "newest 600")
        await until(pilot, lambda: client.pulls[-1][1] is None)
        await pilot.press("left", "right", "right")
        assert app.view.row is None
        assert not client.commands

    play(script)


def test_in_a_replay_the_same_keys_move_the_worker() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "‖ paused", "space play")
        await pilot.press("left", "right", "s", "home", "end", "space")
        assert client.commands == [Step(-1), Step(1), Step(1), Step(-51), Step(51), Resume()]
        await shows(app, pilot, "● playing", "space stop")
        assert "view:" not in text_of(app)

    client = StandIn(plays=True, trains=False, state="paused", unsaved=False)
    client.train_to = lambda epoch: None  # type: ignore[method-assign]
    play(script, client=client)


def test_every_key_of_the_design_is_bound_and_says_what_it_does() -> None:
    bound = {key for binding in KEYS for key in binding.key.split(",")}
    assert bound >= {
        "space", "s", "S", "left_square_bracket", "right_square_bracket", "left_curly_bracket",
        "right_curly_bracket", "b", "w", "left", "right", "home", "end", "r", "R", "c", "d", "u", "e", "v",
        "i", *"0123456789", "tab", "shift+tab", "enter", "escape", "plus", "minus", "m", "question_mark", "q",
        "ctrl+c",
    }  # fmt: skip
    assert all(5 < len(b.tooltip) <= 61 for b in KEYS if not b.system)  # one line at 80 columns


def test_the_help_screen_scrolls_through_all_keys_and_definitions() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "What the screen" in text_of(app))
        seen = set(screen_text(app))
        for _ in range(9):
            await pilot.press("space")
            await pilot.pause()
            seen |= set(screen_text(app))
        whole = "\n".join(seen)
        for key, tooltip in keys.entries(KEYS):
            assert key in whole
            assert tooltip[:40] in whole
        assert all(name in whole for name in ("Chance:", "notebook:", "Participation ratio", "Skipped:"))
        await pilot.press("escape")
        await shows(app, pilot, "● running")
        assert not client.commands

    play(script, COMPACT)


def test_f1_explains_the_quantity_that_is_chosen() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        app.set_view(replace(app.view, pane="quantity"))
        await pilot.press("f1")
        await shows(app, pilot, "singular values", "Faint dots")
        assert "Keys:" not in text_of(app) and "eigenvalues" not in text_of(app)
        await pilot.press("escape", "d", "f1")
        await shows(app, pilot, "eigenvalues")

    play(script)


def test_the_command_palette_has_every_key() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        titles = [command.title for command in app.get_system_commands(app.screen)]
        for binding in keys.named(KEYS):
            assert f"{keys.name_of(binding)}  ({binding.key_display})" in titles
        assert all(len(title) < 40 for title in titles) and titles[0].startswith("pause")
        await pilot.press("ctrl+p")
        listed = app.screen.query_one(CommandList)
        await until(pilot, lambda: listed.option_count == len(titles))
        assert [str(listed.get_option_at_index(at).prompt).split("\n")[0] for at in range(5)] == titles[:5]
        await pilot.press(*"binning")
        await until(pilot, lambda: app.screen.query_one(CommandList).option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: client.commands == [Rebin(Binning("closed"))])

    play(script)


def test_the_command_palette_is_in_ascii_where_all_is() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("ctrl+p")
        await shows(app, pilot, "Search", "pause or go on  (space)")
        assert text_of(app).isascii()

    play(script, options=WatchOptions(marker="ascii"))


# Pulling.


def test_one_pull_at_a_time_and_the_next_when_the_last_is_drawn() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        assert len(client.pulls) == 1
        await pilot.press("left", "space", "right_square_bracket", "end", "d")
        await pilot.pause(0.2)
        assert len(client.pulls) == 1  # whatever happens, until the answer
        for answers in range(1, 12):
            await until(pilot, lambda: client.waiting is not None)
            assert len(client.pulls) == answers
            client.train_to(500 + 10 * answers)
            client.answer()
            assert client.waiting is None  # it is not drawn yet
        assert client.most_waiting == 1

    play(script, client=StandIn(answering=False))


def test_frames_come_no_faster_than_twenty_a_second() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        before, began = len(client.pulls), time.monotonic()
        await until(pilot, lambda: len(client.pulls) >= before + 10)
        assert len(client.pulls) - before <= 20 * (time.monotonic() - began) + 1

    play(script)


def test_what_was_skipped_and_what_is_left_to_rebin_is_said() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "skipped 1,234", "estimating 120 left")

    play(script, (150, 40), StandIn(skipped=1234, pending=120))


@pytest.mark.slow
def test_a_worker_that_owes_an_answer_is_said_to_be_silent() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.answering = False
        await until(pilot, lambda: client.waiting is not None)
        await until(pilot, lambda: bool(re.search("no answer for [2-9] s", text_of(app))))
        client.answer()
        await until(pilot, lambda: "no answer" not in text_of(app))

    play(script, (150, 40))


def test_restarting_keeps_the_last_run_as_background() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        first = app.mirror.recording
        await pilot.press("left", "R", "r")
        await until(pilot, lambda: app.mirror.run == 1)
        assert app.mirror.reference is first
        assert app.mirror.recording is not None
        assert app.mirror.recording.config.seed == 2
        assert app.view.row is None
        await shows(app, pilot, "epoch 0 of 2,000")
        client.train_to(300)
        await shows(app, pilot, "epoch 300 of 2,000")
        await pilot.press("left")
        assert app.view.row is not None
        client.obey(Restart(None))  # by another screen
        await until(pilot, lambda: app.mirror.run == 2)
        assert app.view.row is None
        assert not broken(app)

    play(script)


def test_the_run_before_the_last_restart_is_saved_and_its_file_is_in_the_log_as_any_other() -> None:
    written: list[Recording] = []

    def write(recording: Recording, place: str | None) -> str:
        written.append(recording)
        return "/there/before.npz"

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("W")
        await shows(app, pilot, "nothing is there")
        first = app.mirror.recording
        await pilot.press("R", "r")
        await until(pilot, lambda: app.mirror.run == 1)
        await pilot.press("W")
        await shows(app, pilot, "saved /there/before.npz")
        assert written == [first] and app.mirror.log[-1] == "saved /there/before.npz"
        assert app.link.unsaved and app.link.files == ("/there/before.npz",)

    play(script, write=write)


# Leaving.


def test_q_leaves_at_once_where_all_is_saved() -> None:
    client = StandIn(unsaved=False)
    client.status = replace(client.status, unsaved=False, saved=("a.npz",))
    outcome = play(_leave_with("q"), client=client)
    assert client.commands == [Stop(save=False)]
    assert outcome.exit_status == 0
    assert "epoch 500 of 2,000; accuracy 0.803, held out 0.793; saved a.npz" in outcome.summary


def test_what_is_left_to_say_is_of_the_newest_that_was_measured() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.train_to(506)
        await pilot.press("home")
        await until(pilot, lambda: epoch_drawn(app) == 0)
        await shows(app, pilot, "epoch 506")
        assert "epoch 506 of 2,000; accuracy 0.803, held out 0.793 at epoch 500" in app.outcome().summary

    play(script)


def test_what_is_left_to_say_of_a_replay_is_of_the_measurement_that_is_shown() -> None:
    client = StandIn(plays=True, trains=False, state="paused")
    client.look = lambda row: StandIn.look(client, 20)  # type: ignore[method-assign]
    client.status = replace(client.status, epoch=200, unsaved=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        assert "epoch 200 of 2,000; accuracy 0.658, held out 0.648; nothing" in app.outcome().summary

    play(script, client=client)


def test_a_recording_that_cannot_be_read_is_wrong_input() -> None:
    client = StandIn(unsaved=False, plays=True, trains=False, state="failed", message="a.npz: damaged")
    client.status = replace(client.status, unsaved=False)
    assert play(_leave_with("q"), client=client).exit_status == 2


def _leave_with(*pressed: str) -> Script:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press(*pressed)
        await until(pilot, lambda: app.return_code is not None)

    return script


@pytest.mark.parametrize(
    ("pressed", "commands", "status"),
    [
        ("q q", [Stop()], 0),
        ("q s", [Pause(), Save(), Stop()], 0),
        ("q enter", [Pause(), Save(), Stop()], 0),
        ("ctrl+c q", [Stop()], 130),
        ("ctrl+c ctrl+c", [Pause(), Save(), Stop()], 130),
    ],
)
def test_leaving_an_unsaved_run_asks(pressed: str, commands: list[Command], status: int) -> None:
    client = StandIn()
    outcome = play(_leave_with(*pressed.split()), client=client)
    assert client.told == commands
    assert outcome.exit_status == status
    assert outcome.saved == (("snapshots/ibtui-1.npz",) if Save() in commands else ())


def test_the_question_can_be_declined_and_names_its_answers() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await shows(
            app, pilot, "history is not saved", "s    save and quit  (Enter)", "q    quit without", "Esc"
        )
        await pilot.press("space", "w", "x")
        await pilot.press("escape")
        await shows(app, pilot, "● running")
        assert not client.commands

    play(script, COMPACT)


def test_a_save_reference_leaving_that_fails_asks_for_another_place() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.saving_works = False
        await pilot.press("q", "s")
        await until(pilot, lambda: isinstance(app.screen, Place))
        await shows(app, pilot, "not saved: snapshots: No space left on device", "Enter", "Esc")
        assert app.return_code is None and [type(c) for c in client.commands] == [Pause, Save]
        line = app.screen.query_one(Input)
        assert line.value == os.path.expanduser("~")
        line.value = "elsewhere/run.npz"
        await pilot.press("enter")
        await until(pilot, lambda: app.return_code is not None)
        _, first, second, last = client.commands
        assert (first.path, second.path, last) == (None, os.path.abspath("elsewhere/run.npz"), Stop())
        assert 0 != first.ticket != second.ticket != 0

    outcome = play(script)
    assert outcome.saved == (os.path.abspath("elsewhere/run.npz"),)


@pytest.mark.parametrize("key", ["escape", *slow("ctrl+c")])
def test_another_place_can_be_declined_and_the_run_goes_on(key: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.saving_works = False
        await pilot.press("q", "s")
        await until(pilot, lambda: isinstance(app.screen, Place))
        await pilot.press("space", "x", key)  # into the line, and not to the run
        await shows(app, pilot, "● running")
        assert app.return_code is None and [type(c) for c in client.commands] == [Pause, Save, Resume]
        client.saving_works = True
        await pilot.press("w")
        await shows(app, pilot, "saved snapshots/ibtui-1.npz")
        assert app.return_code is None

    play(script)


@pytest.mark.slow
def test_leaving_waits_for_its_own_save_and_for_no_other() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.obeying = False  # it is still being written
        await pilot.press("q", "s")
        await until(pilot, lambda: len(client.commands) == 2)
        assert client.commands[0] == Pause()  # nothing comes to be that is not saved
        status = client.status
        client.status = replace(status, saves=5, saved=("autosave.npz",), save_results=((3, ""), (4, "full")))
        await until(pilot, lambda: app.mirror.status is not None and app.mirror.status.saves == 5)
        await pilot.pause(0.1)
        assert app.return_code is None and not isinstance(app.screen, Place)
        client.obeying = True
        client.obey(client.commands[1])
        await until(pilot, lambda: app.return_code is not None)
        assert client.commands[2:] == [Stop(save=False)]

    play(script)


def test_a_screen_that_breaks_has_everything_saved() -> None:
    saved: list[Recording] = []

    async def running(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        app.over(broken=True)
        assert client.commands == [Stop(save=True)]

    async def handing_over(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, "† dead")
        app.over(broken=True)
        assert len(saved) == 1

    def write(recording: Recording, place: str | None) -> str:
        saved.append(recording)
        return "rescued.npz"

    play(running)
    play(handing_over, hold=lambda *_: remaining(answering=False), write=write)


def test_a_signal_after_the_loop_has_ended_changes_nothing() -> None:
    left: list[int] = []
    ending = Ending(left.append, lambda: None)

    async def screen() -> None:
        ending.watch()

    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        asyncio.run(screen())
        signal.raise_signal(signal.SIGTERM)
        ending.over()
        assert not left
        with pytest.raises(KeyboardInterrupt):  # what is left to do may be interrupted
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_worker_that_was_told_to_end_has_left_nothing_unsaved() -> None:
    handed: list[DeadRun] = []

    def hold(recording: Recording, dead: DeadRun) -> StandIn:
        handed.append(dead)
        return remaining(unsaved=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.waiting, client.answering = None, False
        client.arrived(Lost("the worker was told to end", (), ("left.npz",)))
        await shows(app, pilot, "told to end", HELD)
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)

    assert play(script, hold=hold).saved == ("left.npz",)
    assert [dead.saved for dead in handed] == [True]


def reviving(client: StandIn, failing: str) -> Callable[[Recording], StandIn]:
    """A function that gives this worker to go on with, or cannot start it."""

    def go_on(_: Recording) -> StandIn:
        if failing == "raises":
            raise OSError("No space left on device")
        return client

    return go_on


@pytest.mark.parametrize("failing", ["raises", "dies"])
def test_a_history_that_none_could_go_on_with_is_held_after_all(failing: str) -> None:
    held, third = [remaining(answering=False), remaining()], StandIn(answering=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, "† dead")
        await pilot.press("c")  # before anyone holds it
        if failing == "dies":
            await until(pilot, lambda: third.started)
            third.lose("the worker ended with exit status 3")
        await shows(app, pilot, "cannot be continued", HELD)
        await pilot.press("left")
        await shows(app, pilot, "view: epoch 490 of 500")

    play(script, hold=lambda *_: held.pop(0), go_on=reviving(third, failing))


async def in_one_piece(app: IbtuiApp, pilot: Pilot[None], *keys: str) -> None:
    """Keys as a slow line brings them: before any of them has had its effect."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))
    await pilot.pause(0.1)


@pytest.mark.parametrize(
    ("asks", "burst", "left"),
    [
        ("q", ["escape"] * 3, False),
        ("q", ["s"] * 3, True),
        ("r", ["r"] * 3, False),
        *slow_sets(
            ("q", ["escape", "q", "q"], False),
            ("q", ["q"] * 3, True),
            ("q", ["enter"] * 4, True),
            ("q", ["ctrl+c"] * 3, True),
            ("r", ["escape"] * 4, False),
        ),
    ],
)
@pytest.mark.parametrize("size", [FULL, *slow(COMPACT)])
def test_a_dialog_is_answered_once(asks: str, burst: list[str], left: bool, size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press(asks)
        await until(pilot, lambda: isinstance(app.screen, Question))
        await in_one_piece(app, pilot, *burst)
        if left:
            await until(pilot, lambda: app.return_code is not None)
        else:
            await shows(app, pilot, "running")
            assert app.return_code is None and len(app.screen_stack) == 1
        restarts = sum(isinstance(command, Restart) for command in client.commands)
        assert restarts == (burst[0] == "r")
        assert sum(isinstance(command, Stop) for command in client.commands) == left

    play(script, size)


@pytest.mark.parametrize("burst", [["escape"] * 3, ["enter"] * 3])
def test_a_question_for_a_place_is_answered_once(burst: list[str]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.saving_works = False
        await pilot.press("q", "s")
        await until(pilot, lambda: isinstance(app.screen, Place))
        await in_one_piece(app, pilot, *burst)
        if burst[0] == "enter":
            await until(pilot, lambda: app.return_code is not None)
        else:
            await shows(app, pilot, "running")
            assert len(app.screen_stack) == 1

    play(script)


def test_a_dead_runs_history_is_also_asked_another_place_for() -> None:
    asked = []

    def write(recording: Recording, place: str | None) -> str:
        asked.append(place)
        if place != "/elsewhere/run.npz":
            raise OSError("No space left on device")
        assert place is not None
        return place

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "epoch 500")
        client.lose()
        await shows(app, pilot, "dead")
        await pilot.press("q", "s")
        await until(pilot, lambda: isinstance(app.screen, Place))
        app.screen.query_one(Input).value = "/elsewere/run.npz"
        await pilot.press("enter")
        await until(pilot, lambda: len(asked) == 2 and isinstance(app.screen, Place))
        assert app.screen.query_one(Input).value == "/elsewere/run.npz"  # to be mended
        app.screen.query_one(Input).value = "/elsewhere/run.npz"
        await pilot.press("enter")
        await until(pilot, lambda: app.return_code is not None)

    outcome = play(script, write=write)
    assert asked == [None, "/elsewere/run.npz", "/elsewhere/run.npz"] and outcome.saved == (
        "/elsewhere/run.npz",
    )


def test_a_detached_run_is_left_without_a_question_and_goes_on() -> None:
    client = StandIn(detached=True)
    play(_leave_with("q"), client=client)
    assert client.commands == []


@pytest.mark.parametrize("end", ["q", "signal", "hang up"])
@pytest.mark.parametrize("detached", [True, False])
def test_what_ends_a_screen_that_has_seen_nothing_yet_loses_nothing(end: str, detached: bool) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        assert app.mirror.status is None
        if end == "q":
            await pilot.press("q")
        elif end == "signal":
            app.end(143)
        else:
            app.let_go()
        assert client.commands == ([] if detached else [Stop(save=True)])

    play(script, client=StandIn(detached=detached, answering=False))


@pytest.mark.parametrize("end", ["q", "signal", "hang up"])
def test_a_run_goes_on_from_the_key_that_detaches_it(end: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.answering = False  # no frame says so
        await pilot.press("D")
        if end == "q":
            await pilot.press("q")
            await until(pilot, lambda: app.return_code is not None)
        elif end == "signal":
            app.end(143)
        else:
            app.let_go()
        assert client.commands == [Detach()]

    play(script)


@pytest.mark.parametrize("end", ["signal", "hang up"])
@pytest.mark.parametrize("saved", [None, ("left.npz",)], ids=["died", "ended"])
def test_what_ends_a_screen_as_its_worker_goes_loses_nothing(end: str, saved: tuple[str, ...] | None) -> None:
    written: list[Recording] = []

    def write(recording: Recording, place: str | None) -> str:
        written.append(recording)
        return "rescued.npz"

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.answering = False
        client.lost = Lost("the worker was killed by SIGKILL", (), saved)
        client.arrived(client.lost)  # the loop has not come to it yet
        assert not app.link.state.lost
        app.end(143) if end == "signal" else app.let_go()
        assert len(written) == (0 if saved else 1)
        assert not client.commands

    assert play(script, write=write).saved == (saved or ("rescued.npz",))
    assert len(written) == (0 if saved else 1)


def test_a_run_that_has_finished_stays_on_the_screen_and_says_so() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.train_to(2000)
        await shows(app, pilot, "■ finished", "epoch 2,000 of 2,000")
        await pilot.press("space")
        await shows(app, pilot, "r starts it again")
        assert not client.commands

    play(script)


# What goes wrong.


def test_a_log_line_is_shown_as_it_is_and_moves_nothing() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.log += ["[red]not red[/red] [/]", "\x1b[2J\x1b[31mgone\r", "a\tb"]
        client.notices.append(Notice("[bold]a path[/] \x1b]0;title\x07"))
        await shows(app, pilot, "[red]not red[/red] [/]", r"\x1b[2J\x1b[31mgone\r", r"a\tb")
        await shows(app, pilot, r"[bold]a path[/] \x1b]0;title\x07")

    play(script, client=StandIn(seconds=INTRODUCTION_S))


def test_the_log_follows_its_end_and_keeps_long_lines_whole() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.log += [f"line {n}" for n in range(200)] + ["x" * 60 + "end"]
        await shows(app, pilot, "line 199", "xend")
        assert "line 100" not in text_of(app)

    play(script, client=StandIn(seconds=INTRODUCTION_S))


@pytest.mark.parametrize("size", [FULL, *slow(COMPACT)])
def test_the_estimates_at_other_bins_are_in_excess_of_their_own_chance_levels(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        app.set_view(replace(app.view, pane="i_ty", enlarged=True))
        await shows(app, pilot, "layer 0  0.37  chance 0.15", "0.19 0.30 0.37 at 10 30 100 bins")
        await shows(app, pilot, "at 10·30·100: .07 .12 .15")  # their chance levels
        await pilot.press("e")
        await shows(app, pilot, "layer 0  0.22  chance 0.15 nats", "0.11 0.18 0.22 at 10 30 100 bins")

    play(script, size)


def test_without_a_number_of_bins_nothing_is_said_of_other_numbers() -> None:
    class Kernels(StandIn):
        def look(self, row: int | None) -> Any:
            shown = super().look(row)
            return replace(shown, sensitivity=np.full_like(shown.sensitivity, np.nan))

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "chance 0.15" in pane_text(app, "i_ty"))
        assert "n/a" not in pane_text(app, "i_ty") and "10·30·100" not in pane_text(app, "i_ty")

    play(script, client=Kernels())


def test_the_excess_of_one_rounding_is_nothing() -> None:
    quantity, one = standard()["i_xt"], np.array([1.5])
    for off in (1 + 2.0**-52, 1 - 2.0**-52):
        excess = at_level(quantity, {"i_xt": one * off, "chance_i_xt": one}, {"h_x": 2.7}, "excess")
        assert value_text(excess[0]) == "0.00"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "500 training samples"),
        ({"measure_on": "held-out"}, "500 held out"),
        ({"measure_on": "all"}, "all 1,000"),
        ({"measure_samples": 100}, "100 of 500 train"),
    ],
)
def test_the_input_pane_says_which_samples_are_measured(changes: dict[str, Any], said: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: said in pane_text(app, "input"))

    play(script, (160, 50), StandIn(RunConfig(every=10, **changes), 100))


@pytest.mark.parametrize("size", [FULL, COMPACT, (100, 30), (200, 60)])
def test_train_and_held_out_are_written_out_everywhere(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "held out 0.", "train")
        assert not re.search(r"\b([ht]|test|val) \d*\.\d", text_of(app))

    play(script, size)


def test_the_net_explains_marks_only_where_weights_are_marks() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("n")
        await shows(app, pilot, "weights of layers 0, 1")
        assert "≡" not in pane_text(app, "net").splitlines()[-1]

    play(script, client=WithNet())

    async def wide(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("n")
        await shows(app, pilot, "weights: █ +, ≡ −")

    play(wide, client=WithNet(RunConfig(every=10, layers=(20, 2)), 50))


@pytest.mark.parametrize("size", [FULL, *slow(COMPACT)])
def test_numbers_that_are_none_are_shown_as_such(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        recording = client.recording
        recording.column("train_loss")[-5:] = math.nan
        recording.column("test_loss")[-5:] = math.inf
        recording.column("dimension")[:, 0] = math.nan
        recording.column("i_xt")[-3:] = math.inf
        recording.column("saturation")[-1, 1] = 0.31
        recording.column("outside")[-1, 2] = 7
        recording.column("weight0")[:] = math.nan
        recording.apply(replace(recording.update_since(0), tick=recording.tick + 1))
        await shows(app, pilot, "n/a", "NaN", "inf", "no finite")
        if size == FULL:
            await shows(app, pilot, "dim n/a", "sat 31%", "7 out", "diverged at 460")
        for key in "duevimmi":
            await pilot.press(key)
            await pilot.pause()
        assert not broken(app)

    play(script, size)


@pytest.mark.parametrize("size", [FULL, *slow(COMPACT)])
def test_a_lost_worker_is_said_and_its_history_stays(size: tuple[int, int]) -> None:
    saved: list[Recording] = []

    def write(recording: Recording, place: str | None) -> str:
        saved.append(recording)
        return "rescued.npz"

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose(log=("2000 epochs, a measurement every 10", "CUDA: out of memory"))
        await shows(
            app,
            pilot,
            "† dead",
            "killed by SIGKILL",
            "log: CUDA: out of memory",
            "w save what the screen holds",
        )
        assert list(app.mirror.log).count("2000 epochs, a measurement every 10") == 1
        pulls, commands, look = len(client.pulls), list(client.commands), app.mirror.representation
        for key in ("left", "home", "end", "space", "s", "S", "plus", "D", "r", "right_square_bracket", "b"):
            await pilot.press(key)
            await shows(app, pilot, "no worker is left: c continues")
            app.clear_notifications()
        await pilot.press("u", "c")
        assert (app.view.row, app.mirror.representation) == (None, look)  # scatters and curves show one epoch
        assert (len(client.pulls), client.commands) == (pulls, commands)
        await pilot.press("w")
        await shows(app, pilot, "saved rescued.npz")
        assert saved == [app.mirror.recording]
        assert not broken(app)
        await pilot.press("q")  # nothing is unsaved any more
        await until(pilot, lambda: app.return_code is not None)
        assert client.commands == commands

    outcome = play(script, size, write=write)
    assert (outcome.exit_status, outcome.state, outcome.saved) == (1, "dead", ("rescued.npz",))
    assert "SIGKILL" in outcome.summary


async def drawn(app: IbtuiApp, pilot: Pilot[None]) -> None:
    """Wait for everything to be on the screen, and for nothing to be in front of it."""
    await until(pilot, lambda: not app.screen.query("Toast") and not any(w.stale for w in app.board.widgets))
    await pilot.pause()


def remaining(**options: Any) -> StandIn:
    """A worker that holds what the stand-in's screen knew."""
    return StandIn(**{"trains": False, "state": "dead"} | options)


@pytest.mark.parametrize("size", [FULL, *slow(COMPACT)])
def test_the_history_of_a_worker_that_died_is_taken_over_as_it_was_looked_at(size: tuple[int, int]) -> None:
    second = remaining(config=RunConfig(seed=2, every=10), answering=False)
    handed: list[Any] = []

    def hold(*given: Any) -> StandIn:
        handed.extend(given)
        return second

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("R", "r")
        await until(pilot, lambda: app.mirror.run == 1)
        client.train_to(500)
        await shows(app, pilot, "epoch 500 of 2,000")
        await pilot.press("left", "left", "2", "i", "escape")
        await until(pilot, lambda: epoch_drawn(app) == 480)
        before, recording = app.mirror.reference, app.mirror.recording
        client.lose(log=("2000 epochs, a measurement every 10", "CUDA: out of memory"))
        await shows(app, pilot, "† dead", "killed by SIGKILL", "log: CUDA: out of memory", "what the screen")
        app.clear_notifications()
        await drawn(app, pilot)
        shown = screen_text(app)[1:-1]
        assert handed == [recording, DeadRun(500, saved=False)]
        assert second.pulls == [(-1, 48)]
        second.unready, second.log = {"state": "starting", "message": "reading"}, []
        second.answer()
        await until(pilot, lambda: second.waiting is not None)
        assert (app.mirror.recording, screen_text(app)[1:-1]) == (recording, shown)
        second.unready = {}
        second.answer()
        await shows(app, pilot, HELD)
        assert app.link.client is second
        await drawn(app, pilot)
        changed = [row for row, was in zip(screen_text(app)[1:-1], shown, strict=True) if row != was]
        assert [row for row in changed if HELD not in row] == []
        assert (app.view.row, app.view.layer, app.mirror.reference) == (48, 2, before)
        await until(pilot, lambda: second.waiting is not None)
        second.log = ["a line"]
        second.answer()
        await until(pilot, lambda: app.mirror.log[-1] == "a line")
        assert list(app.mirror.log) == [*client.log, "CUDA: out of memory", "a line"]
        await shows(app, pilot, "† dead", "killed by SIGKILL", "log: CUDA: out of memory")

    play(script, size, hold=hold)


def test_what_is_left_of_a_run_is_walked_rebinned_and_saved_by_the_worker_that_holds_it() -> None:
    second = remaining()

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, "† dead", HELD)
        await pilot.press("left", "left")
        await shows(app, pilot, "view: epoch 480 of 500")
        await until(pilot, lambda: epoch_drawn(app) == 480)
        await pilot.press("left_square_bracket")
        await shows(app, pilot, "T 70")
        for key in ("space", "s", "S", "plus", "D", "r", "R"):
            await pilot.press(key)
            await shows(app, pilot, "the worker has died: c continues")
            app.clear_notifications()
        assert "space" not in screen_text(app)[-1] and "restart" not in screen_text(app)[-1]
        await pilot.press("w")
        await shows(app, pilot, "saved snapshots/ibtui-1.npz")
        assert second.told == [Rebin(Binning(t_bins=70)), Save()]
        await until(pilot, lambda: not app.link.unsaved)
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)
        assert second.commands[2:] == [Stop(save=False)]

    outcome = play(script, hold=lambda *_: second)
    assert (outcome.exit_status, outcome.state) == (1, "dead")
    assert "saved snapshots/ibtui-1.npz; dead: the worker was killed by SIGKILL" in outcome.summary


def test_what_is_left_of_an_unsaved_run_is_asked_for_before_quitting() -> None:
    second = remaining()

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, HELD)
        await pilot.press("q", "s")
        await until(pilot, lambda: app.return_code is not None)

    play(script, hold=lambda *_: second)
    asked, told = second.commands
    assert (type(asked), asked.path, told) == (Save, None, Stop(save=False))


@pytest.mark.parametrize("failing", ["at once", *slow("refused", "dies", "dies later", "fails")])
def test_where_no_other_worker_can_hold_the_history_the_screen_does(failing: str) -> None:
    second = remaining(answering=failing == "dies later")
    asked: list[object] = []
    saved: list[Recording] = []

    def hold(*given: object) -> StandIn:
        asked.append(given)
        if failing == "at once":
            raise OSError("No space left on device")
        if failing == "refused":
            second.start = lambda arrived: [][0]  # type: ignore[assignment, misc]
        return second

    def write(recording: Recording, place: str | None) -> str:
        saved.append(recording)
        return "rescued.npz"

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose(log=("CUDA: out of memory",))
        await shows(app, pilot, "† dead")
        if failing == "dies":
            second.lose("the worker was killed by SIGBUS")
        elif failing == "fails":
            second.unready = {"state": "failed", "message": "a damaged file"}
            second.answer()
        elif failing == "dies later":
            await shows(app, pilot, HELD)
            second.lose("the worker was killed by SIGBUS")
        await shows(app, pilot, *{"dies later": ("SIGBUS",)}.get(
            failing, ("no worker could take the history over",)
        ))  # fmt: skip
        await shows(app, pilot, "killed by SIGKILL", "log: CUDA: out of memory", "what the screen holds")
        await pilot.pause(0.2)
        assert len(asked) == 1
        await pilot.press("left")
        await shows(app, pilot, "no worker is left")
        await pilot.press("w")
        await shows(app, pilot, "saved rescued.npz")
        assert saved == [app.mirror.recording]
        assert len(saved[0]) == 51
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)

    assert play(script, hold=hold, write=write).saved == ("rescued.npz",)


def test_until_another_worker_holds_the_history_the_screen_saves_it() -> None:
    second = remaining(answering=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, "† dead")
        await pilot.press("b")
        await shows(app, pilot, "a new worker is about to take over")
        await pilot.press("w")
        await shows(app, pilot, "saved rescued.npz")
        second.answer()
        await shows(app, pilot, HELD)
        assert app.link.files == ("rescued.npz",)
        await pilot.press("q")  # nothing is unsaved
        await until(pilot, lambda: app.return_code is not None)

    play(script, hold=lambda *_: second, write=lambda *_: "rescued.npz")


@pytest.mark.parametrize("taken", [False, True])
def test_a_signal_while_dead_loses_nothing(taken: bool) -> None:
    second = remaining(answering=taken)
    saved: list[Recording] = []

    def write(recording: Recording, place: str | None) -> str:
        saved.append(recording)
        return "rescued.npz"

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, HELD if taken else "† dead")
        app.let_go()  # in whichever order: the thread that finds the line dropped, and the loop
        app.end(129)
        await until(pilot, lambda: app.return_code is not None)

    outcome = play(script, hold=lambda *_: second, write=write)
    assert outcome.exit_status == 129
    assert len(saved) == (0 if taken else 1)
    assert second.commands[0] == Stop(save=taken)


def test_a_replay_whose_worker_died_has_its_file_and_is_not_handed_over() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, "† dead", "what the screen holds")
        await pilot.press("left")
        await shows(app, pilot, "no worker is left")
        await pilot.press("c")
        await shows(app, pilot, "cannot be continued from here")

    def never(*_: object) -> StandIn:
        raise AssertionError

    play(script, client=StandIn(plays=True, trains=False, state="paused", unsaved=False), hold=never)


def test_c_goes_on_from_what_is_left_and_ends_the_worker_that_held_it() -> None:
    second, third = (
        remaining(saved=("second.npz",)),
        StandIn(epochs=300, answering=False, saved=("third.npz",)),
    )

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.status = replace(client.status, saved=("first.npz",))
        await pilot.press("R", "r")
        await until(pilot, lambda: app.mirror.run == 1 and app.mirror.status.saved == ("first.npz",))
        before = app.mirror.reference
        client.train_to(500)
        await shows(app, pilot, "epoch 500")
        client.lose()
        await shows(app, pilot, HELD)
        await pilot.press("left", "c", "c")
        await shows(app, pilot, "a new worker is to go on: starting")
        assert app.mirror.status is not None and app.mirror.status.state == "dead"
        assert not second.closed
        third.unready = {"state": "starting", "message": "loading the engine"}
        third.answer()
        await shows(app, pilot, "a new worker is to go on: loading the engine", "epoch 500 of 2,000")
        await until(pilot, lambda: third.waiting is not None)
        third.unready, third.answering = {}, True
        third.answer()
        await shows(app, pilot, "● running", "epoch 300 of 2,000", "newest 300")
        await until(pilot, lambda: second.closed)
        assert second.commands == [Stop(save=False)]
        assert app.mirror.reference is before
        assert app.mirror.died is None

    outcome = play(script, hold=lambda *_: second, go_on=lambda _: third)
    assert outcome.saved == ("first.npz", "second.npz", "third.npz")


def test_c_does_not_wait_for_the_history_to_be_held() -> None:
    second, third = remaining(answering=False), StandIn(epochs=300)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, "† dead")
        await pilot.press("c")
        await shows(app, pilot, "● running", "epoch 300 of 2,000")
        await until(pilot, lambda: second.closed)
        assert second.commands == [Stop(save=False)]

    play(script, hold=lambda *_: second, go_on=lambda _: third)


@pytest.mark.parametrize("works", [True, False])
def test_a_save_reference_leaving_is_waited_for_before_a_new_worker_takes_over(works: bool) -> None:
    second = StandIn(epochs=300, answering=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "✗ failed")
        client.obeying, client.saving_works = False, works
        await pilot.press("c", "q", "s")  # it is being written as the new worker has the history
        await until(pilot, lambda: client.commands)
        second.answering = True
        second.answer()
        await until(pilot, lambda: len(second.pulls) > 3)
        assert app.link.client is client
        client.obey(client.commands[0])
        if works:
            await until(pilot, lambda: app.return_code is not None)
            return
        await until(pilot, lambda: app.link.client is second)
        await until(pilot, lambda: isinstance(app.screen, Place))
        app.screen.query_one(Input).value = "/elsewhere/run.npz"
        await pilot.press("enter")
        await until(pilot, lambda: app.return_code is not None)
        assert [type(command) for command in second.commands] == [Pause, Save, Stop]

    first = StandIn(state="failed")
    outcome = play(script, client=first, go_on=lambda _: second)
    assert outcome.saved == ("snapshots/ibtui-1.npz" if works else "/elsewhere/run.npz",)
    if works:
        assert [type(command) for command in first.commands] == [Save, Stop]


@pytest.mark.parametrize("failing", ["raises", "dies", "fails"])
def test_a_run_that_cannot_be_continued_keeps_its_history(failing: str) -> None:
    second, third = remaining(), StandIn(answering=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.lose()
        await shows(app, pilot, HELD)
        await pilot.press("c")
        if failing == "dies":
            third.lose("the worker ended with exit status 3")
        elif failing == "fails":
            third.unready = {"state": "failed", "message": "no such device"}
            third.answer()
        await shows(app, pilot, "cannot be continued", "† dead", HELD)
        assert app.link.client is second
        await pilot.press("left")
        await shows(app, pilot, "view: epoch 490 of 500")

    play(script, hold=lambda *_: second, go_on=reviving(third, failing))


def test_c_goes_on_with_a_new_worker() -> None:
    second = StandIn(epochs=300)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("c")
        await shows(app, pilot, "has not crashed")
        client.lose()
        await shows(app, pilot, "† dead")
        await pilot.press("c")
        await shows(app, pilot, "● running", "epoch 300 of 2,000")
        second.answering = False
        client.arrived(client_frame)  # too late
        await pilot.pause()
        assert app.mirror.status is second.status
        await pilot.press("s")
        assert second.commands == [Step(1)]

    first = StandIn()
    frames: list[Any] = []
    first.start(frames.append)
    first.pull(IbtuiApp(first, BRAILLE).mirror, None)
    client_frame = frames[0]
    play(script, client=first, go_on=lambda _: second)


def test_a_failed_run_is_continued_with_one_pull_at_a_time() -> None:
    second = StandIn(answering=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "✗ failed")
        await pilot.press("c")
        await pilot.pause(0.3)
        assert len(second.pulls) == 1

    play(script, client=StandIn(state="failed"), go_on=lambda _: second)


def test_a_worker_is_asked_before_the_screen_is_mounted() -> None:
    class Noting(StandIn):
        def pull(self, *arguments: Any) -> None:
            mounted.append(bool(app.screen.query(Drawn)))
            super().pull(*arguments)

    async def run() -> None:
        async with app.run_test(size=FULL) as pilot:
            await shows(app, pilot, "500", "I(X;T)")

    mounted: list[bool] = []
    app = IbtuiApp(Noting(), BRAILLE, FakeWorkers())
    asyncio.run(run())
    assert not mounted[0]


def test_a_worker_that_cannot_be_started_is_a_lost_one() -> None:
    class Broken(StandIn):
        def start(self, arrived: Any) -> None:
            raise OSError("no such file")

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "† dead", "cannot be started: no such file")
        await pilot.press("w", "c", "left", "i", "u")
        await pilot.press("q")

    assert play(script, client=Broken(answering=False)).exit_status == 1


def test_a_failed_run_says_why() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "✗ failed", "the run failed: GPU 0 is out of memory")

    play(script, client=StandIn(state="failed", message="GPU 0 is out of memory"))


def test_a_fault_in_drawing_stays_in_its_pane() -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by [zero]")

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        app.query_one(Plane).draw = broken  # type: ignore[method-assign]
        client.train_to(600)
        await shows(app, pilot, "cannot be drawn: ZeroDivisionError", "epoch 600")
        client.train_to(700)
        await shows(app, pilot, "epoch 700", "I(X;T)")
        assert sum("plane cannot be drawn" in line for line in app.mirror.log) == 1

    play(script)


# Plain terminals.


@pytest.mark.parametrize("size", [FULL, *slow(COMPACT, SMALL)])
def test_ascii_means_the_whole_screen(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "* running", "500 of 2,000")
        assert text_of(app).isascii()
        for pressed in ("i", "i", "e", "left", "v", "end", "question_mark", "space", "escape", "q", "escape"):
            await pilot.press(pressed)
            await pilot.pause()
            assert text_of(app).isascii(), pressed
        client.lose()
        await shows(app, pilot, "x dead")
        assert text_of(app).isascii()

    play(script, size, options=WatchOptions(marker="ascii"))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "vt100"), ("TERM", "dumb")])
def test_without_colours_none_is_sent(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("NO_COLOR", "")  # so that it is put back
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.setenv(name, value)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "layer 0  dim 1.18")
        for row in strips(app):
            for segment in row:
                if segment.style is not None:
                    assert segment.style.color is None or segment.style.color.is_default
                    assert segment.style.bgcolor is None or segment.style.bgcolor.is_default

    play(script)


@pytest.mark.parametrize(
    ("environ", "marker"),
    [
        ({"LANG": "en_US.UTF-8", "TERM": "xterm-256color"}, "braille"),
        ({"LC_CTYPE": "UTF-8", "TERM": "xterm"}, "braille"),
        ({"LC_ALL": "C.UTF-8", "TERM": "xterm"}, "braille"),
        ({"LANG": "C.utf8", "TERM": "screen"}, "braille"),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, "block"),
        ({"LANG": "en_US.UTF-8", "TERM": "dumb"}, "ascii"),
        ({"LANG": "de_DE.ISO-8859-1", "TERM": "xterm"}, "ascii"),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "ascii"),
        ({}, "ascii"),
    ],
)
def test_the_marker_follows_locale_and_term(environ: dict[str, str], marker: str) -> None:
    assert auto_marker(environ, "UTF-8", coloured=True) == marker
    for encoding, coloured in (("iso-8859-1", True), ("ascii", True), ("utf-8", False)):
        assert auto_marker(environ, encoding, coloured=coloured) == "ascii"


@pytest.mark.parametrize(
    ("says", "light"),
    [
        ("0;15", True), ("0;default;15", True), ("0;7", True), ("15;0", False), ("7;8", False),
        ("0;default", False), ("", False), ("15", True), (";", False), ("0;99", False), (None, False),
    ],
)  # fmt: skip
def test_sixteen_colours_are_those_for_the_ground_that_the_terminal_says(
    says: str | None, light: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IbtuiApp, "_colour_system", lambda _: "16")
    monkeypatch.delenv("COLORFGBG", raising=False)
    if says is not None:
        monkeypatch.setenv("COLORFGBG", says)
    assert IbtuiApp(StandIn(), BRAILLE).theme == ("ansi-light" if light else "ansi-dark")


# The parts.


@pytest.mark.parametrize(
    "width", [*range(1, 200, 21), *slow(*(width for width in range(1, 200, 3) if width % 21 != 1))]
)
def test_a_status_line_is_never_cut_in_a_word(width: int) -> None:
    client = StandIn(skipped=12, pending=120, why="MXNet is not installed")
    mirror = IbtuiApp(client, BRAILLE).mirror
    frames: list[Any] = []
    client.start(frames.append)
    client.pull(mirror, None)
    mirror.apply(frames[0])
    pieces = status_pieces(Scene(view.View(row=30), mirror))
    runs = fit(pieces, width, 2, "braille")
    assert sum(len(text) for text, _ in spaced(runs, 2)) <= width
    variants = {variant for one in pieces for variant in one.variants}
    assert all(text in variants for text, _ in runs)
    if width > 40:
        assert any("running" in text for text, _ in runs)
        assert any("500" in text for text, _ in runs)


def test_the_least_important_words_go_first() -> None:
    pieces = [piece("state"), piece("a long form", "short", rank=1)]
    pieces += [piece("extra", rank=4), piece("some", rank=3)]
    for width, said in (
        (30, "state a long form extra some"), (25, "state short extra some"), (20, "state short some"),
        (12, "state short"), (5, "state"), (4, ""), (-2, ""),
    ):  # fmt: skip
        assert " ".join(text for text, _ in fit(pieces, width, 1, "ascii")) == said


@pytest.mark.parametrize(
    ("value", "by", "rung"),
    [(100, 1, 150), (100, -1, 70), (64, 1, 70), (64, -1, 50), (2, -1, 2), (10**6, 1, 10_000)],
)
def test_bins_go_up_and_down_a_ladder(value: int, by: int, rung: int) -> None:
    assert view.stepped(view.T_BINS, value, by) == rung


@pytest.mark.parametrize(
    ("pace", "by", "then"), [(60, 1, 120), (1000, 1, 0), (0, 1, 0), (0, -1, 1000), (1, -1, 1)]
)
def test_past_the_highest_pace_there_is_no_limit(pace: float, by: int, then: int) -> None:
    assert view.next_pace(pace, by) == then


@pytest.mark.parametrize(("count", "room"), [*itertools.product((1, 4, 5, 12, 64), (1, 4, 6, 100))])
def test_every_layer_is_on_a_page(count: int, room: int) -> None:
    for chosen in range(count):
        page = view.page(count, chosen, room)
        assert chosen in page
        assert page.start >= 0
        assert page.stop <= count
        assert len(page) == min(room, count)


def test_the_screen_loads_nothing_heavy() -> None:
    code = "import sys, ibtui.ui.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout.split()
    heavy = {"numba", "mxnet", "plotext", "matplotlib", "textual.widgets._markdown",
             "ibtui.ui.help", "ibtui.core._compiled"}  # fmt: skip
    assert not heavy & set(loaded)


def test_the_card_is_in_the_status_line() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.status = replace(client.status, gpu="NVIDIA H200 (9.0) · 1.2 of 139 GiB · 37 %\x1b[2J")
        await until(pilot, lambda: "NVIDIA H200 (9.0) · 1.2 of 139 GiB · 37 %\\x1b" in screen_text(app)[0])

    play(script, size=(240, 50))


# The run.


def pane_text(app: IbtuiApp, name: str) -> str:
    """The rows of a pane, without its frame."""
    region = app.query_one(f"#{name}").region
    rows = screen_text(app)[region.y : region.bottom]
    return "\n".join(row[region.x + 1 : region.right - 1].rstrip() for row in rows)


def test_the_run_pane_says_what_is_trained_and_at_first_what_is_seen() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "run  seed 1  25 s left")
        said = " ".join(pane_text(app, "run").split())
        for text in ("2→2→2→2→2 tanh", "grid 2×2: 500 train, 500 held out", "sgd, lr 0.1, batch 10",
                     "2 classes ⠿ 0 · ⠿ 1", "faint dots: chance", "space pause", "? help"):  # fmt: skip
            assert text in said
        client.status = replace(client.status, seconds=25.0)
        await until(pilot, lambda: "space pause" not in pane_text(app, "run"))
        assert "2000 epochs, a measurement" in pane_text(app, "run")

    play(script, client=StandIn(pace=60.0, epochs_per_second=60.0))


def test_the_time_left_does_not_jump_where_the_pace_rises() -> None:
    """The speed that is told is that of the last two seconds; a machine that cannot keep up is believed."""
    recording, times = StandIn(RunConfig(epochs=2000)).recording, []
    walk, moment = [0.0], 0
    while walk[-1] < 400:
        walk.append(walk[-1] + pace.of_story(int(walk[-1])) / 10)
    for at, epoch in enumerate(walk):
        speed = (epoch - walk[max(at - 20, 0)]) / (min(at, 20) / 10) if at else 0.0
        status = Status(
            state="running", epoch=int(epoch), epochs=2000, epochs_per_second=speed, story=True, trains=True
        )
        scene = Scene(view.View(), Mirror(status=status, recording=recording))
        times.append(scene.seconds_left)
        moment = at
    assert moment > 150 and np.abs(np.diff(times)).max() < 0.5
    halting = replace(status, epochs_per_second=20.0)
    assert Scene(view.View(), Mirror(status=halting, recording=recording)).seconds_left > 75


def test_layouts_without_the_inputs_name_the_classes_in_a_scatter() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "⠿ 0  ⠿ 1")
        assert "⠿ 0" not in pane_frame(app, "scatter0")
        await pilot.press("a")
        await until(pilot, lambda: "⠿ 0  ⠿ 1" in pane_frame(app, "scatter0"))
        assert "⠿ 0" not in pane_frame(app, "scatter1")
        await pilot.press("a", "a")
        await until(pilot, lambda: "⠿ 0" not in pane_frame(app, "scatter0"))

    play(script)


def pane_frame(app: IbtuiApp, name: str) -> str:
    """The lower edge of a pane."""
    region = app.query_one(f"#{name}").region
    return screen_text(app)[region.bottom - 1][region.x : region.right]


@pytest.mark.parametrize("marker", ["braille", "ascii"])
def test_the_widths_of_a_long_net_are_in_one_row(marker: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        arrow = "->" if marker == "ascii" else "→"
        await until(pilot, lambda: bool(pane_text(app, "run").strip()) and "tanh" in pane_text(app, "run"))
        first = pane_text(app, "run").splitlines()[1]
        assert first.startswith(f"2{arrow}12{arrow}10") and first.endswith("tanh")

    layers = (12, 10, 7, 5, 4, 3, 2, 2, 2, 2, 2, 2)
    play(script, client=StandIn(RunConfig(every=10, layers=layers), 50), options=WatchOptions(marker=marker))


def test_a_replay_says_so_and_names_its_file() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "replay  run.npz  seed 1")

    play(script, client=StandIn(plays=True, trains=False, file="/here/there/run.npz"))


@pytest.mark.parametrize("opening", ["L", *slow("shift+tab shift+tab enter")])
def test_the_whole_log_has_the_screen_by_a_key_and_its_pages_are_turned(opening: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.log += [f"line {n}" for n in range(200)]
        await shows(app, pilot, "line 199")
        await pilot.press(*opening.split())
        await until(pilot, lambda: set(regions(app)) == {"status", "run", "footer"})
        await shows(app, pilot, "line 199", "line 175", "2→2→2→2→2 tanh")
        await pilot.press("pageup")
        await shows(app, pilot, "line 150")
        assert "line 199" not in text_of(app)
        await pilot.press("pagedown")
        await shows(app, pilot, "line 199")

    play(script)


class Constant(StandIn):
    """A run whose net gives every input the same output."""

    def look(self, row: int | None) -> Any:
        shown = super().look(row)
        return replace(shown, points=(*shown.points[:-1], 0 * shown.points[-1]))


@pytest.mark.parametrize("size", [FULL, (100, 30), COMPACT])
def test_a_net_whose_output_is_constant_says_what_to_try(size: tuple[int, int]) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "output is the same", "--lr", "--init-sigma")

    play(script, size, client=Constant(RunConfig(every=10, init_sigma=1e-4)))


def test_of_many_facts_of_a_run_neither_what_to_try_nor_the_log_is_cut() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.status = replace(client.status, seconds=25.0)
        client.log += ["line 1", "line 2"]
        await until(pilot, lambda: "line 2" in pane_text(app, "run"))
        assert "--init-sigma" in pane_text(app, "run")

    config = RunConfig(every=10, layers=(12, 10, 7, 5, 4, 3, 2, 2, 2, 2, 2, 2), init_sigma=1e-4)
    play(script, (100, 30), client=Constant(config, 50))


def test_the_limit_of_the_pace_stays_while_it_is_changed() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "skipped 2,345")
        assert "at most" not in text_of(app)
        await pilot.press("plus")
        await shows(app, pilot, "(at most 120)")

    play(
        script, (100, 30), StandIn(skipped=2345, why="for a reason that is told at some length", gpu="x" * 20)
    )


@pytest.mark.parametrize("width", [10, 24, 38])
def test_a_path_in_the_log_is_broken_behind_a_slash(width: int) -> None:
    from ibtui.ui.logged import wrapped

    rows = list(wrapped("saved /home/somebody/results/ibtui-1.npz, as asked", width))
    assert all(len(row) <= width for row in rows)
    assert "".join(rows).replace(" ", "") == "saved/home/somebody/results/ibtui-1.npz,asasked"
    assert all(row.endswith(("/", "saved", ",", "as", "asked")) for row in rows[:-1]) or width == 10


def is_drawn(text: str) -> bool:
    """True where a picture in braille has dots."""
    return any("⠀" < char <= "⣿" for char in text)


def test_epoch_0_is_shown_while_the_engine_gets_ready() -> None:
    class Unready(StandIn):
        def unready_frame(self, log: tuple[str, ...]) -> Frame:
            preview = Preview(self.recording.experiment, dict(CEILINGS), inputs_of(self.dataset), None)
            shown = replace(self.look(0), key=(-1, -1, 0), values={}, sensitivity=None)
            plain = super().unready_frame(log)
            return Frame(plain.status, preview=preview, representation=shown, log=log)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "◌ starting", "2→2→2→2→2 tanh", "compiling, the first time only", "layer 3")
        assert all(is_drawn(pane_text(app, name)) for name in ("input", "scatter0", "scatter3"))
        assert app.mirror.recording is None
        client.unready = {}
        await shows(app, pilot, "epoch 500 of 2,000", "chance 1.42")
        assert app.mirror.preview is None

    client = Unready()
    client.unready = {"state": "starting", "message": "loading the engine"}
    play(script, client=client)


# Layouts, and panes hidden and enlarged.


def test_a_key_cycles_the_layouts_and_shows_what_was_hidden() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "run" in regions(app))
        everything = set(regions(app))
        await pilot.press("a")
        await until(pilot, lambda: regions(app).keys() & {"i_xt", "run"} == {"i_xt"})
        await pilot.press("a")
        await until(pilot, lambda: "net" in regions(app) and "scatter0" not in regions(app))
        await pilot.press("h", "a")
        await until(pilot, lambda: set(regions(app)) == everything)

    play(script)


def test_panes_are_hidden_and_enlarged_by_key_and_by_mouse() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "scatter2" in regions(app))
        everything = set(regions(app))
        await pilot.press("2", "h")
        await until(pilot, lambda: set(regions(app)) == everything - {"scatter2"})
        await pilot.click("#i_ty", button=3)
        await until(pilot, lambda: set(regions(app)) == everything - {"scatter2", "i_ty"})
        await pilot.click("#i_xt", times=2)
        await until(pilot, lambda: set(regions(app)) == {"status", "i_xt", "footer"})
        await pilot.press("h")  # back among the others
        await until(pilot, lambda: set(regions(app)) == everything - {"scatter2", "i_ty"})
        await pilot.press("H")
        await until(pilot, lambda: set(regions(app)) == everything)

    play(script)


# The net.


def net_of(client: StandIn, row: int | None, fine: int) -> Any:
    from ibtui.run.net_picture import of_net

    at = len(client.recording) - 1 if row is None else row
    return of_net(client.recording, client.recording.kept(at), (0.0, 1.0, 0.0, 1.0), fine)


class WithNet(StandIn):
    """One that sends the picture of the net when it is asked for."""

    asked = 0

    def pull(self, mirror: Any, row: int | None) -> None:
        self.asked = mirror.net
        super().pull(mirror, row)

    def look(self, row: int | None) -> Any:
        shown = super().look(row)
        key = (*shown.key[:2], shown.key[2] + 1000 * bool(self.asked))
        return replace(shown, key=key, net=net_of(self, row, self.asked)) if self.asked else shown


@pytest.mark.parametrize(
    ("marker", "term", "drawn"),
    [
        ("braille", "xterm-256color", "▀"),
        ("braille", "xterm", "░▒▓"),
        ("braille", "dumb", ["....", ",,,,"]),
        *slow_sets(("ascii", "xterm-256color", ["....", ",,,,"]), ("block", "linux", "░▒▓")),
    ],
)
def test_the_net_has_its_boundary_and_its_weights_on_the_screen(
    marker: str, term: str, drawn: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "")  # so that it is put back
    monkeypatch.delenv("COLORTERM", raising=False)

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        assert isinstance(client, WithNet) and not client.asked
        await pilot.press("n")
        await shows(app, pilot, "net  epoch 500", "weights")
        await until(pilot, lambda: client.asked == FINE)
        first = client.recording.kept(len(client.recording) - 1)["weight0"][0, 0]
        await until(pilot, lambda: f"{abs(first):.2f}" in pane_text(app, "net"))
        text = pane_text(app, "net")
        assert any(char in text for char in drawn)
        assert ("▀" in text) == (drawn == "▀")
        named = [tag for tag in (" o 0 ", " x 1 ") if tag in text]
        assert bool(named) == (drawn == ["....", ",,,,"])
        await pilot.press("left", "left")
        await shows(app, pilot, "net  epoch 480")
        await pilot.press("n")
        await until(pilot, lambda: client.asked == 0)

    play(script, client=WithNet(), options=WatchOptions(marker=marker))


def test_the_run_before_is_named_by_its_seed_and_turned_off_by_a_key() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("R", "r")  # it asks, for nothing is saved
        await shows(app, pilot, "run  seed 2", "grey: seed 1")
        for level in ("estimate", "excess", "share"):
            await until(pilot, lambda: app.view.level == level)  # noqa: B023
            edges = pane_text(app, "plane").splitlines()
            assert "grey: seed 1" in edges[0] and "I(X;T)" in edges[-1] and "I(T;Y)" in edges[-1]
            await pilot.press("e")
        client.train_to(200)
        await shows(app, pilot, "epoch 200")
        drawn = pane_text(app, "plane")
        await pilot.press("o")
        await until(pilot, lambda: "grey: seed 1" not in text_of(app))
        assert drawn != pane_text(app, "plane")

    play(script)


@pytest.mark.parametrize(
    ("share", "said"), [(0.6, "zero 60%"), (0.998, "zero >99%"), (1.0, "dead"), (0.01, "")]
)
def test_a_relus_zeros_are_told_and_a_dead_layer_is_marked(share: float, said: str) -> None:
    class Zeros(StandIn):
        def look(self, row: int | None) -> Any:
            return replace(super().look(row), zeros=np.full(4, share))

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "epoch 500", said)
        assert bool(said) == any(word in text_of(app) for word in ("zero", "dead"))
        if said:  # red is for a dead layer alone
            styles = {segment.style for row in strips(app) for segment in row if segment.text == said}
            colours = {style.color for style in styles if style is not None}
            assert colours == {app._styles[palette.WARN if said == "dead" else palette.DIM].color}

    play(script, client=Zeros(RunConfig(every=10, activation="relu")))


@pytest.mark.parametrize("severity", ["information", "warning", "error"])
@pytest.mark.parametrize("size", [FULL, SMALL, (40, 12)])
@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("saved /somewhere/far/away/ibtui-20261127-030446-epoch30.npz", "ibtui-20261127-030446-epoch30.npz"),
        ("so many words that one row of sixty cells cannot hold all that they say", "so many words"),
    ],
)
def test_a_toast_covers_no_plot(text: str, seen: str, size: tuple[int, int], severity: str) -> None:
    from textual.widgets._toast import Toast

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        app.tell(text, severity)
        await until(pilot, lambda: any(toast.region.area for toast in app.screen.query(Toast)))
        (toast,) = app.screen.query(Toast)
        assert toast.region.y == size[1] - 1 and toast.region.height == 1
        await until(pilot, lambda: seen[: size[0] - 12] in screen_text(app)[-1])
        assert (text in app.mirror.log) == (len(text) > size[0] - 2)  # where it is cut, the log has all of it

    play(script, size)


def test_the_sparklines_have_a_cursor_at_the_measurement_that_is_looked_at() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        def bars() -> str:
            return next((row for row in screen_text(app) if row.startswith(" 3 ")), "")

        await until(pilot, lambda: "▁" in bars())
        assert "│" not in bars()
        await pilot.press("home")
        await until(pilot, lambda: bars().count("│") == 3)

    play(script, COMPACT)


# Words and hints that follow the state.


def footer_text(app: IbtuiApp) -> str:
    return screen_text(app)[-1]


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_nothing_is_offered_that_a_run_that_is_over_cannot_do(state: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await until(pilot, lambda: "space pause  s step" in footer_text(app))
        client.status = replace(client.status, state=state)
        await until(pilot, lambda: "space" not in footer_text(app))
        assert "s step" not in footer_text(app) and "r restart" in footer_text(app)

    play(script, (200, 60))


def test_a_replay_at_its_end_plays_again_and_has_no_further_step() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.status = replace(client.status, plays=True, trains=False, state="paused")
        await until(pilot, lambda: "space play" in footer_text(app) and "s step" not in footer_text(app))
        client.status = replace(client.status, state="running")
        await until(pilot, lambda: "space stop  s step" in footer_text(app))

    play(script)


def test_what_is_told_twice_stands_on_the_screen_once() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        said = "the run has finished: r starts it again"
        client.status = replace(client.status, state="finished")
        await shows(app, pilot, "finished")
        for _ in range(3):
            await pilot.press("space")
        await shows(app, pilot, said)
        assert len(app._notifications) == 1
        app.clear_notifications()
        await until(pilot, lambda: said not in text_of(app))
        await pilot.press("space")
        await shows(app, pilot, said)

    play(script)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"estimator": "kde"}, "n/a: KDE has no chance level live."),
        ({"x": "identity"}, "n/a: no chance level: each sample is its own symbol of X."),
        ({}, "n/a: no chance level: each sample has a cell of its own."),
    ],
)
def test_where_there_is_no_excess_the_reason_is_said_and_the_key_that_leads_on(
    change: dict[str, Any], why: str
) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        recording = client.recording
        recording.column("chance_i_xt")[:] = math.nan
        recording.apply(replace(recording.update_since(0), tick=recording.tick + 1))
        await pilot.press("i", "e")
        await shows(app, pilot, f"{why} e twice: as estimated")
        await pilot.press("e")
        await shows(app, pilot, f"{why} e: as estimated")
        await pilot.press("e")
        await until(pilot, lambda: "as estimated" not in text_of(app))

    play(script, (120, 40), StandIn(RunConfig(every=10, **change), 50))


def test_every_number_by_kernels_says_of_how_many_samples_it_is() -> None:
    class Kernels(StandIn):  # which have no number of bins
        def look(self, row: int | None) -> Any:
            shown = super().look(row)
            return replace(shown, sensitivity=np.full_like(shown.sensitivity, math.nan))

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        recording = client.recording
        recording.column("i_xt_lower")[:] = 1.0
        recording.apply(replace(recording.update_since(0), tick=recording.tick + 1))
        await shows(app, pilot, "of 1,500 samples")
        while app.view.quantity != "i_xt_lower":
            await pilot.press("d")
            await pilot.pause(0.05)
        await until(pilot, lambda: "lower" in pane_text(app, "quantity"))
        for name in ("i_xt", "i_ty", "plane", "quantity"):
            assert re.search("1,?000 of 1,?500|of 1000", pane_text(app, name).splitlines()[0]), name

    play(script, (200, 60), Kernels(RunConfig(every=10, samples=3000, estimator="kde"), 50))


def test_the_ceiling_of_a_share_is_no_entropy() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        for key in ("i", "escape"):
            await pilot.press(key)
            await shows(app, pilot, "H(X)", "H(Y)")
            await pilot.press("e", "e")
            await shows(app, pilot, "share")
            await until(pilot, lambda: not re.search(r"H\([XY]\)", text_of(app)))
            await pilot.press("e")

    play(script, (200, 60))


def test_rows_of_weights_without_room_are_counted() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("n")
        await shows(app, pilot, "weights of layers 0, 1")
        assert re.search(r"\+\d+ rows", text_of(app)) is None
        await pilot.resize_terminal(120, 12)
        await until(pilot, lambda: re.search(r"\+\d+ rows?\b", pane_text(app, "net")) is not None)
        found = re.search(r"\+(\d+) rows?\b", pane_text(app, "net"))
        numbers = [line for line in pane_text(app, "net").splitlines() if re.search(r"[+−]\d\.\d", line)]
        assert found and len(numbers) + int(found[1]) == 2 + 2 + 2 + 2

    play(script, client=WithNet())


def test_inputs_of_weights_without_room_are_counted() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("n")
        await until(pilot, lambda: re.search(r"\+\d+ inputs", pane_text(app, "net")) is not None)
        (found,) = re.findall(r"1 ([░▓█=≡-]+) \+(\d+) inputs", pane_text(app, "net"))
        assert len(found[0]) + int(found[1]) == 64

    config = RunConfig(every=10, data="icosahedron12", layers=(64, 2))
    play(script, (60, 90), client=WithNet(config, 20))


def test_of_three_classes_the_regions_have_their_names() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("n")
        await shows(app, pilot, "net  epoch")
        await until(pilot, lambda: mirrored(app) is not None)
        answers = set(mirrored(app).ravel().tolist())
        tags = [tag for tag in ("⠿ 0", "⠿ 1", "v 2") if f" {tag} " in pane_text(app, "net")]
        assert tags == [("⠿ 0", "⠿ 1", "v 2")[answer] for answer in sorted(answers)] and len(answers) > 1

    def mirrored(app: IbtuiApp) -> Any:
        return app.mirror.representation.net.classes if app.mirror.representation.net else None

    play(script, client=WithNet(RunConfig(every=10, data="spirals:classes=3", layers=(4, 3)), 20))


def test_no_plane_is_drawn_of_a_net_of_more_inputs_and_their_number_is_said() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await pilot.press("n")
        await shows(app, pilot, "no plane: the net has 12 inputs, not 2")

    play(script, client=WithNet(RunConfig(every=10, data="icosahedron12", layers=(3, 2)), 20))


def test_a_number_of_units_keeps_its_unit() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "layers")
        for width in range(80, 200, 7):
            await pilot.resize_terminal(width, 40)
            await pilot.pause()
            for name in (each for each in regions(app) if each.startswith("scatter")):
                edge = pane_text(app, name).splitlines()[-1]
                assert not re.search(r"\b3\b(?! units)", edge), edge

    play(script, client=StandIn(RunConfig(every=10, layers=(3, 3, 3, 3, 3, 2)), 50))


def test_an_empty_log_says_so() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "2→2→2→2→2")
        app.mirror.log.clear()
        await pilot.press("L")
        await shows(app, pilot, "nothing yet")
        app.mirror.log.append("paused at epoch 7")
        await shows(app, pilot, "paused at epoch 7")
        assert "nothing yet" not in text_of(app)

    play(script)
