"""The pace of a run that is watched, and what is told of one that was changed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ibtui import pace
from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.errors import UsageError
from ibtui.run import effects
from ibtui.run.protocol import Detach, Pause, Rebin, Restart, Resume, SetPace, Step
from ibtui.run.runs import running, stop_run
from tests.run.driver import LONG, LONG_S, SMALL, Driver


def test_the_story_is_slow_at_first_and_goes_on_as_before() -> None:
    assert [pace.of_story(epoch) for epoch in (0, 39, 40, 199, 200, 10**6)] == [5, 5, 20, 20, 60, 60]
    assert WatchOptions().epochs_per_second == "auto"
    with pytest.raises(UsageError, match="auto or a number from 0"):
        WatchOptions(epochs_per_second="slow")


@pytest.mark.parametrize(("start", "stop"), [(0, 2000), (10, 20), (30, 41), (150, 220), (500, 600), (7, 7)])
def test_its_time_is_that_of_its_epochs(start: int, stop: int) -> None:
    slowly = sum(1 / pace.of_story(epoch) for epoch in range(start, stop))
    assert pace.seconds_of_story(start, stop) == pytest.approx(slowly)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (Binning(), Binning(t_bins=70), "T 100 → 70, 149 measurements, 11 ms"),
        (
            Binning(),
            Binning("closed", x_bins=5),
            "binning notebook → closed, X 4 → 5, 149 measurements, 11 ms",
        ),
        (Binning(), Binning("kde"), "binning notebook → kde, 149 measurements, 11 ms"),
        (Binning(), Binning(identity=True), "X: each sample, 149 measurements, 11 ms"),
    ],
)
def test_another_binning_is_told_in_a_line(before: Binning, after: Binning, line: str) -> None:
    assert effects.of_binning(before, after, 149, 0.011) == line


def test_a_run_that_is_watched_follows_the_story_until_another_pace_is_asked_for() -> None:
    with Driver.train(SMALL, epochs_per_second="auto") as driver:
        driver.until(lambda d: d.status.epoch > 0)
        assert (driver.status.story, driver.status.pace) == (True, 5)
        driver.send(SetPace(250))
        driver.until(lambda d: d.status.state == "finished")
        assert (driver.status.story, driver.status.pace) == (False, 250)
        assert "pace 5 → 250 epochs/s" in driver.log


def test_a_detached_run_that_nobody_watches_is_no_slower_than_it_was() -> None:
    driver = Driver.train(LONG, epochs_per_second="auto")
    driver.until(lambda d: d.status.epoch > 0 and d.status.pace == 5)
    driver.send(Detach())
    driver.until(lambda d: d.status.detached)
    driver.client.close()
    name = driver.client.name
    end = time.monotonic() + LONG_S
    while (run := next(run for run in running() if run.name == name)).status.pace != pace.AFTERWARDS:  # type: ignore[union-attr]
        assert time.monotonic() < end, run
        time.sleep(0.05)
    assert stop_run(name, yes=True) == 0
    driver.worker.wait()


def test_every_command_leaves_a_line() -> None:
    with Driver.train(replace(SMALL, every=10), paused=True) as driver:
        driver.until_state("paused")
        for command in (Step(13), Rebin(Binning(t_bins=70)), Restart(2), Resume(), Pause(), Detach()):
            driver.send(command)
            driver.obeyed()
        driver.until(lambda d: "T 100 → 70" in " ".join(d.log) and "detached" in " ".join(d.log))
        said = " ".join(d for d in driver.log)
        for line in (
            "step to epoch 13",
            "goes on from epoch 0",
            "restarted with seed 2",
            "paused at epoch",
        ):
            assert line in said
        stop_run(driver.client.name, yes=True)
        driver.until_lost()


def test_estimates_that_are_made_again_are_told_as_such():
    same = Binning()
    assert effects.of_binning(same, same, 291, 0.011) == "re-estimated 291 measurements, 11 ms"
