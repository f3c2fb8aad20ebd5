"""A recording on the screen: the same text as live, and quickly, from the real worker."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ibtui import storage
from ibtui.config import RunConfig, Session
from ibtui.core.information import Binning
from ibtui.training.engine import Choice
from ibtui.training.trainer import Trainer
from ibtui.ui.app import IbtuiApp
from ibtui.worker.client import WorkerClient
from ibtui.worker.job import Job, new_job
from tests.ui.test_app import screen_text

CONFIG = RunConfig(engine="fused", ctx="cpu", epochs=60, every=5, samples=200)
SESSION = Session(epochs_per_second=0.0, marker="braille")


async def until(pilot: Pilot[None], app: IbtuiApp, wanted: object) -> None:
    for _ in range(1500):
        if wanted():  # type: ignore[operator]
            await pilot.pause(0.2)
            return
        await pilot.pause(0.02)
    raise AssertionError("\n".join(screen_text(app)))


def screens(job: Job, state: str, keys: list[list[str]], size: tuple[int, int]) -> list[list[str]]:
    """What the screen shows of a job once it is in a state, and after each group of keys."""
    client = WorkerClient(job)
    app = IbtuiApp(client, SESSION)
    shown: list[list[str]] = []

    async def look() -> None:
        async with app.run_test(size=size) as pilot:
            at = {None: lambda: app.mirror.status is not None and app.mirror.status.state == state}
            await until(pilot, app, at[None])
            for group in [[], *keys]:
                await pilot.press(*group)
                await pilot.pause(0.3)
                await until(pilot, app, lambda: not app.mirror.status.pending)  # type: ignore[union-attr]
                shown.append(screen_text(app))

    asyncio.run(look())
    client.close()
    client.wait()
    return shown


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_replay_and_live_screens_show_the_same_text(size):
    trainer = Trainer(CONFIG, Choice("fused", "cpu", ""), 1 << 28)
    trainer.train(60)
    storage.save(trainer.recording, "run.npz")
    keys = [["left"], ["left", "left"], ["home"], ["right"], ["end"], ["b"], ["left_square_bracket"], ["i"]]
    live = screens(new_job(CONFIG, SESSION), "finished", keys, size)
    replay = screens(new_job(None, SESSION, replay=str(Path("run.npz").resolve())), "paused", keys, size)
    for number, (one, other) in enumerate(zip(live, replay, strict=True)):
        # The first line says what is going on, which differs; the footer and the log say what can be done.
        panes = [line for line in one[1:-1] if "log" not in line]
        again = [line for line in other[1:-1] if "log" not in line]
        assert panes == again, f"after {[[], *keys][number]}"
    assert live[0] != live[1] != live[3]


def test_rebinned_in_replay_is_what_was_recorded_with_that_binning():
    trainers = [
        Trainer(config, Choice("fused", "cpu", ""), 1 << 28)
        for config in (CONFIG, replace(CONFIG, binning="closed"))
    ]
    for trainer, name in zip(trainers, ("notebook.npz", "closed.npz"), strict=True):
        trainer.train(60)
        storage.save(trainer.recording, name)
    assert trainers[0].recording.binning != Binning("closed", 4, 100)
    jobs = [
        new_job(None, SESSION, replay=str(Path(name).resolve())) for name in ("notebook.npz", "closed.npz")
    ]
    (_, rebinned), (recorded,) = (
        screens(jobs[0], "paused", [["b"]], (120, 40)),
        screens(jobs[1], "paused", [], (120, 40)),
    )
    assert rebinned[1:-1] == recorded[1:-1]
