"""A recording on the screen: the same text as live, and quickly, from the real worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ibtui.config import RunConfig, WatchOptions
from ibtui.core.information import Binning
from ibtui.recording import files
from ibtui.run.client import WorkerClient
from ibtui.run.job import Job, new_job
from ibtui.run.trainer import Trainer
from ibtui.ui.app import IbtuiApp
from tests.ui.test_app import screen_text

CONFIG = RunConfig(engine="fused", ctx="cpu", epochs=60, every=5, samples=200)
SESSION = WatchOptions(epochs_per_second=0.0, marker="braille")
Script = Callable[[Pilot[None], IbtuiApp], Awaitable[None]]


def panes(text: list[str]) -> list[str]:
    """The first line says what is going on, which differs, the run pane too; the footer what can be done."""
    lines = [line for line in text[1:-1] if "log" not in line]
    for at, line in enumerate(lines):
        if (left := max(line.find("╭ run"), line.find("╭ replay"))) >= 0:
            return [*lines[:at], *(line[:left] for line in lines[at:])]
    return lines


def arrived(app: IbtuiApp) -> bool:
    """True once training is over, and all that was asked for has come."""
    status, look, recording = app.mirror.status, app.mirror.representation, app.mirror.recording
    if status is None or look is None or recording is None or status.state != "finished":
        return False
    row = len(recording) - 1 if app.view.row is None else app.view.row
    return app.link.state.binning is None and not status.pending and look.row == row


async def settled(pilot: Pilot[None], app: IbtuiApp) -> list[str]:
    """The panes of a live run once everything has come, and nothing has changed for half a second."""
    texts: list[list[str]] = []
    for _ in range(1200):
        await pilot.pause(0.05)
        texts = [*texts[-9:], panes(screen_text(app))] if arrived(app) else []
        if len(texts) == 10 and all(text == texts[0] for text in texts):
            return texts[0]
    raise AssertionError("\n".join(screen_text(app)))


def play(job: Job, size: tuple[int, int], script: Script) -> None:
    client = WorkerClient(job)
    app = IbtuiApp(client, SESSION)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await script(pilot, app)

    try:
        asyncio.run(run())
    finally:
        client.close()
        client.wait()


def live(job: Job, keys: list[list[str]], size: tuple[int, int]) -> list[list[str]]:
    """The panes of a live run once it is over, and after each group of keys."""
    shown = []

    async def look(pilot: Pilot[None], app: IbtuiApp) -> None:
        for group in keys:
            await pilot.press(*group)
            shown.append(await settled(pilot, app))

    play(job, size, look)
    return shown


def replayed(path: str, keys: list[list[str]], size: tuple[int, int], wanted: list[list[str]]) -> None:
    """Wait for the panes of a replay to show what is wanted, after each group of keys."""

    async def look(pilot: Pilot[None], app: IbtuiApp) -> None:
        for group, text in zip(keys, wanted, strict=True):
            await pilot.press(*group)
            for _ in range(600):
                if panes(screen_text(app)) == text:
                    break
                await pilot.pause(0.05)
            assert panes(screen_text(app)) == text, f"after {group}"

    play(new_job(None, SESSION, replay=str(Path(path).resolve())), size, look)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_replay_and_live_screens_show_the_same_text(size):
    trainer = Trainer(CONFIG, 1 << 28)
    trainer.train(60)
    files.save(trainer.recording, "run.npz")
    keys = [[], ["left"], ["left"] * 2, ["home"], ["right"], ["end"], ["b"], ["left_square_bracket"], ["i"]]
    shown = live(new_job(CONFIG, SESSION), keys, size)
    assert shown[0] != shown[1] != shown[3]
    replayed("run.npz", keys, size, shown)


@pytest.mark.slow
def test_rebinned_in_replay_is_what_was_recorded_with_that_binning():
    closed = replace(CONFIG, binning="closed")
    trainer = Trainer(CONFIG, 1 << 28)
    assert trainer.recording.binning != Binning("closed", 4, 100)
    trainer.train(60)
    files.save(trainer.recording, "notebook.npz")
    replayed("notebook.npz", [["b"]], (120, 40), live(new_job(closed, SESSION), [[]], (120, 40)))
