"""One screen, one moment: no picture stays behind while training goes on."""

from __future__ import annotations

import itertools
import time

import pytest
from textual.pilot import Pilot

from ibtui.config import RunConfig
from ibtui.plot import palette
from ibtui.plot.ticks import number
from ibtui.run.protocol import Pause
from ibtui.ui.app import IbtuiApp
from ibtui.ui.drawn import Drawn
from tests.marks import slow
from tests.ui.standin import StandIn, Training
from tests.ui.test_app import play, shows, text_of, until, visible


def behind(app: IbtuiApp) -> list[str]:
    """The widgets whose picture on the screen is not the one that they would draw now."""
    return [str(w.id) for w in app.board.widgets if visible(w) and texts(w) != fresh(w)]


def texts(widget: Drawn) -> list[str]:
    return [strip.text.rstrip() for strip in widget.render_lines(widget.size.region)]


def fresh(widget: Drawn) -> list[str]:
    width, height = widget.size
    drawn = widget.paint(widget.app.scene, width, height, palette.styles("truecolor"))
    return [strip.text.rstrip() for strip in drawn[:height]] + [""] * (height - len(drawn))


def flat_out() -> Training:
    return Training(RunConfig(epochs=1_000_000), pace=2000.0)


def test_every_frame_is_of_one_moment() -> None:
    """No pane waits for its turn: what is on the screen is what all of them would draw now."""

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        for frame in range(6):
            await until(pilot, lambda: client.waiting is not None)
            client.train_to(500 + 10 * frame)
            client.answer()
            await until(pilot, lambda: client.waiting is not None)  # it is drawn
            assert not behind(app)
            shown = app.mirror.representation
            assert shown is not None and shown.epoch == app.scene.column("epoch")[-1] == 500 + 10 * frame
            value = number(float(shown.values["i_xt"][0]))
            for name in ("i_xt", "plane"):  # its title, and the end of its curve
                assert value in "".join(texts(app.query_one(f"#{name}", Drawn)))

    play(script, client=StandIn(answering=False))


@pytest.mark.slow
@pytest.mark.parametrize("key", ["space", *slow("s")])
def test_no_picture_stays_behind_when_training_stands(key: str) -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        for _ in range(3):
            await shows(app, pilot, "running")
            await pilot.pause(0.17)
            await pilot.press(key)
            await shows(app, pilot, "paused")
            await until(pilot, lambda: not behind(app))
            await pilot.press("space")

    play(script, client=flat_out())


@pytest.mark.slow
def test_no_picture_stays_behind_when_training_ends_or_the_worker_goes() -> None:
    async def ends(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "finished")
        await until(pilot, lambda: not behind(app))

    async def goes(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "running")
        await pilot.pause(0.3)
        client.lose()
        await shows(app, pilot, "dead")
        await until(pilot, lambda: not behind(app))

    play(ends, client=Training(RunConfig(epochs=1000), pace=1000.0))
    play(goes, client=flat_out())


def test_a_slow_run_is_drawn_though_nothing_more_happens() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "epoch 500", "running")
        client.train_to(510)
        await shows(app, pilot, "epoch 510")
        await until(pilot, lambda: not behind(app))

    play(script)


@pytest.mark.slow
@pytest.mark.alone
def test_a_key_changes_all_pictures_though_training_goes_on() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "running", "I(X;T)  nats")
        await pilot.press("u")
        await shows(app, pilot, "I(X;T)  bits", "I(T;Y)  bits", "information plane  bits")
        assert "nats" not in text_of(app)
        client.train_to(600)
        await pilot.press("2")
        await until(pilot, lambda: all(not w.stale for w in app.board.widgets))

    play(script)


def test_a_pause_shows_on_the_screen_soon() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        client.answering = False
        await until(pilot, lambda: client.waiting is not None)
        client.answer()
        await pilot.press("space")
        await shows(app, pilot, "pausing")  # before any answer
        await until(pilot, lambda: client.waiting is not None)
        client.answer()
        await shows(app, pilot, "paused")

    play(script)


@pytest.mark.slow
def test_a_busy_machine_does_not_stop_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer of Textual's is lost where it is over before its task begins to wait."""

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        def late() -> float:
            time.sleep(0.06)  # a busy machine
            return time.monotonic()

        with monkeypatch.context() as busy:
            busy.setattr("textual.timer._time.get_time", late)
            seen = len(client.pulls)
            await until(pilot, lambda: len(client.pulls) > seen + 3)

    play(script)


def test_every_widget_is_drawn_at_any_size() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "epoch 500")
        styles = palette.styles("truecolor")
        for widget in app.board.widgets:
            for width, height in itertools.product((0, 1, 2, 3, 5, 9, 20, 41, 120), (0, 1, 2, 3, 5, 9, 24)):
                drawn = widget.paint(app.scene, width, height, styles)
                assert all(strip.cell_length <= width for strip in drawn), (widget.id, width, height)

    play(script)


def test_a_pause_between_two_measurements_has_one_newest_point_in_the_plane() -> None:
    """Circles are where a run goes on from an epoch that is looked back at: now there is nothing beyond."""

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "epoch 500")
        before = client.recording.values(len(client.recording) - 1)
        client.between, client.values = 505, {"i_xt": before["i_xt"] * 0.5, "i_ty": before["i_ty"] * 0.5}
        client.obey(Pause())
        await until(pilot, lambda: app.scene.unrecorded is not None)
        await until(pilot, lambda: not behind(app))
        plane = app.query_one("#plane", Drawn)
        assert "○" not in "".join(texts(plane))
        assert number(float(client.values["i_xt"][0])) in texts(plane)[-1]
        client.between, client.values = None, {}
        await pilot.press(*["left"] * 9)
        await until(pilot, lambda: "○" in "".join(texts(plane)))

    play(script)


def test_the_run_before_is_dim_in_accuracy_and_loss_too() -> None:
    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        await shows(app, pilot, "epoch 500")
        await pilot.press("R", "r")
        client.train_to(20)
        await shows(app, pilot, "epoch 20 of")
        await until(pilot, lambda: not behind(app))
        shown = texts_of(app, "performance")
        await pilot.press("o")
        await until(pilot, lambda: app.view.reference == "hidden" and not behind(app))
        assert texts_of(app, "performance") != shown

    play(script, size=(200, 60))


def texts_of(app: IbtuiApp, pane: str) -> str:
    return "".join(texts(app.query_one(f"#{pane}", Drawn)))
