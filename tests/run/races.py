"""Random commands at random moments against the real worker; what must hold whatever they are."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ibtui.core.information import Binning
from ibtui.recording import Recording, files
from ibtui.run import places, wire
from ibtui.run.client import WorkerClient
from ibtui.run.measuring import estimates_of, meter_of
from ibtui.run.protocol import Pause, Pull, Rebin, Restart, Resume, Save, SetPace, Step
from tests.run.driver import SMALL, Driver

SHUTDOWN_S = 2.0


@dataclass
class Played:
    """The events of one game."""

    commands: int = 0
    frames: int = 0
    restarts: int = 0
    saves: int = 0
    steps_checked: int = 0
    guests: int = 0
    shutdown_s: float = 0.0


class Watcher(Driver):
    """Checks every frame as it comes."""

    def __init__(self, client: WorkerClient) -> None:
        self._seen = (-1, -1, 0)
        super().__init__(client)

    def pull(self, row=None):
        frame = super().pull(row)
        if frame is not None and self.recording is not None:
            run, epoch, rows = self._seen
            now = (self.status.run, self.status.epoch, len(self.recording))
            assert now[0] >= run, "a run came back"
            if now[0] == run:
                assert now[1] >= epoch, f"epoch {now[1]} after {epoch}"
                assert now[2] >= rows, "rows were lost"
            self._seen = now
            measured = self.recording.column("epoch")
            scheduled = measured[:-1] if measured[-1:] == self.recording.config.epochs else measured
            assert (np.diff(scheduled) == self.recording.config.every).all()
            checkpoint = self.mirror.checkpoint
            assert checkpoint is None or not len(measured) or _no_hole(measured, checkpoint.epoch, self)
        return frame


def _no_hole(measured: np.ndarray, reached: int, watcher: Watcher) -> bool:
    """Going on from the checkpoint makes every row that is not there yet."""
    return bool(reached <= measured[-1] + watcher.recording.config.every)


class Game:
    """One worker, and one seed's commands."""

    def __init__(self, seed: int, moves: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.played = Played()
        self._moves, self._folder = moves, folder
        self._binning: Binning | None = None
        self._guests: list[Driver] = []
        # Seldom to the end, mostly not: both sides of "finished" are to be crossed.
        self._config = replace(
            SMALL, epochs=self.random.choice([400, 1_000_000]), every=self.random.choice([1, 5, 7])
        )

    def play(self) -> Played:
        pace = self.random.choice([0.0, 0.0, 200.0, 2000.0])
        self.driver = driver = Watcher.train(
            self._config, epochs_per_second=pace, snapshot_dir=str(self._folder), history_mb=1
        )
        try:
            for _ in range(self.random.randrange(4)):  # before there is a worker that listens
                self._move()
            driver.until(lambda d: d.recording is not None)
            for _ in range(self._moves):
                self._move()
                self._wait()
            self._come_to_rest()
        except BaseException:
            driver.stop()
            raise
        self._shut_down()
        return self.played

    def _send(self, command) -> None:
        self.driver.send(command)
        self.played.commands += 1

    def _move(self) -> None:
        r = self.random
        listening = self.driver.recording is not None
        moves = [self._pause, self._resume, self._step, self._rebin, self._rebin, self._pace, self._save]
        if listening:
            moves += [self._pull, self._pull, self._restart, self._guest, self._check_step]
        r.choice(moves)()

    def _wait(self) -> None:
        time.sleep(self.random.choice([0, 0, 0.001, 0.01, 0.05]))  # at no event, but at any moment

    def _pause(self) -> None:
        self._send(Pause())

    def _resume(self) -> None:
        self._send(Resume())

    def _step(self) -> None:
        self._send(Step(self.random.choice([1, 1, 10, 33])))

    def _rebin(self) -> None:
        r = self.random
        kind = r.choice(["notebook", "closed", "adaptive"])
        self._binning = Binning(kind, r.choice([2, 4, 9]), r.choice([3, 10, 100]))
        self._send(Rebin(self._binning))

    def _pace(self) -> None:
        self._send(
            SetPace(self.random.choice([0.0, 50.0, 1000.0, 1e9, 1e-30, float("inf"), float("nan"), -1.0]))
        )

    def _save(self) -> None:
        if self.played.saves < 5:
            self.played.saves += 1
            self._send(Save())

    def _restart(self) -> None:
        self.played.restarts += 1
        self._send(Restart(self.random.choice([None, 1, 2, 99])))

    def _pull(self) -> None:
        rows = len(self.driver.recording)
        for _ in range(self.random.randrange(1, 4)):
            self.driver.pull(self.random.choice([None, 0, self.random.randrange(rows + 3), -5, 10**6]))
            self.played.frames += 1

    def _guest(self) -> None:
        """A second screen comes, looks, and goes in the middle of something."""
        self.played.guests += 1
        name = self.driver.client.name
        guest = Driver(WorkerClient(name=name))
        guest.pull()
        if self.random.random() < 0.5:
            with wire.connect(name) as line:
                line.send(Pull())  # an answer that nobody reads
        guest.client.close()

    def _check_step(self) -> None:
        """A step while paused moves exactly one epoch."""
        driver = self.driver
        self._send(Pause())
        driver.obeyed()
        driver.until_state("paused", "finished")
        epoch, run = driver.status.epoch, driver.status.run
        self._send(Step(1))
        expected = min(epoch + 1, self._config.epochs)
        driver.until(lambda d: d.status.epoch >= expected and d.status.state in ("paused", "finished"))
        driver.obeyed()
        assert (driver.status.run, driver.status.epoch) == (run, expected), "a step is one epoch"
        self.played.steps_checked += 1

    def _come_to_rest(self) -> None:
        driver, played = self.driver, self.played
        self._send(Pause())
        driver.obeyed()
        driver.until(lambda d: d.status.state in ("paused", "finished") and not d.status.pending)
        driver.until(lambda d: d.status.saves == played.saves).pull()
        assert driver.status.run == played.restarts, "a restart was lost"
        if self._binning is not None:
            assert driver.status.binning == self._binning, "not the binning asked for last"
            assert driver.recording.binning == self._binning
        _assert_estimates(driver.recording)
        assert len(list(self._folder.glob("*.npz"))) == played.saves, "a snapshot was lost"
        for path in self._folder.glob("*.npz"):
            assert len(files.load(path)) > 0

    def _shut_down(self) -> None:
        driver, saved = self.driver, self.played.saves
        if self.random.random() < 0.5:
            self._send(Resume())
        last_save = self.random.random() < 0.5
        if last_save:
            self._send(Save())
        process = driver.worker
        self.played.shutdown_s = driver.stop(save=self.random.random() < 0.3)
        assert self.played.shutdown_s < SHUTDOWN_S, f"shutdown took {self.played.shutdown_s:.2f} s"
        assert process.returncode == 0, f"it was killed, or failed: {process.returncode}"
        assert not list(places.folder().iterdir()), "something is left in the runtime folder"
        assert not list(self._folder.glob(f".*{files.TEMPORARY}"))
        if last_save:
            assert len(list(self._folder.glob("*.npz"))) >= saved + 1, "a save just before the end was lost"


def _assert_estimates(recording: Recording) -> None:
    """Every estimate is what the recording's binning gives."""
    meter = meter_of(recording)
    for row in range(0, len(recording), max(1, len(recording) // 20)):
        estimates = estimates_of(recording, row, meter)
        for name, values in estimates.items():
            np.testing.assert_array_equal(recording.column(name)[row], values, err_msg=name)


def children() -> int:
    """Threads of this process that talk to workers: a game is to leave none."""
    return sum(thread.name == "client" for thread in threading.enumerate())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
