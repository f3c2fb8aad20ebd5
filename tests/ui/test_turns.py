"""Pictures of the whole history take turns while training goes on, and never stay behind for it."""

from __future__ import annotations

import time

import pytest
from textual.pilot import Pilot

from ibtui.config import RunConfig
from ibtui.plot import palette
from ibtui.ui.app import IbtuiApp
from ibtui.ui.board import LAG_S
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


def late(app: IbtuiApp) -> list[Drawn]:
    return [widget for widget in app.board.widgets if widget.may_lag]


def flat_out() -> Training:
    return Training(RunConfig(epochs=1_000_000), pace=2000.0)


def test_histories_are_drawn_in_turns_while_training_goes_on() -> None:
    """In each frame one, and those that have waited too long."""

    async def script(app: IbtuiApp, pilot: Pilot[None], client: StandIn) -> None:
        seen: set[str | None] = set()
        for frame in range(12):
            await until(pilot, lambda: client.waiting is not None)
            client.train_to(500 + 10 * frame)
            if frame == 8:
                await pilot.pause(LAG_S)  # all have waited too long
            before, began = {w: w.drawn_at for w in late(app)}, time.monotonic()
            client.answer()
            await until(pilot, lambda: client.waiting is not None)  # it is drawn
            drawn = [w for w in late(app) if w.drawn_at > before[w]]
            if frame < 3:  # the first ones show all that there is
                continue
            seen |= {w.id for w in drawn}
            assert min(before, key=before.__getitem__) in drawn
            assert sum(w.drawn_at - before[w] < LAG_S for w in drawn) <= 1
            assert all(w.drawn_at > began - LAG_S for w in late(app))
        assert seen == {"i_xt", "i_ty", "plane", "quantity", "performance"}

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
        moment = time.monotonic()
        await until(pilot, lambda: all(not w.stale for w in app.board.widgets))
        assert time.monotonic() - moment < 1

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
