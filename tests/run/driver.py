"""A screen without a screen: drives the real client and worker, and waits for what it wants to see."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import replace

from ibtui.config import RunConfig, WatchOptions
from ibtui.recording import Recording
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import Command, Frame, Notice, Stop
from ibtui.run.trainer import Trainer

LONG_S = 60.0
SMALL = RunConfig(engine="fused", ctx="cpu", epochs=60, every=5, samples=200)
LONG = replace(SMALL, epochs=1_000_000)
PACED = {"epochs_per_second": 300.0}


def finished(config: RunConfig = SMALL) -> Recording:
    """The recording of a run that has been trained to its end."""
    trainer = Trainer(config, 1 << 28)
    trainer.train(config.epochs)
    return trainer.recording


class Driver:
    """Pulls frames into a mirror, one at a time, as the screen does."""

    def __init__(self, client: WorkerClient) -> None:
        self.client = client
        self.mirror = Mirror()
        self.notices: list[Notice] = []
        self.log: list[str] = []
        self.states: list[str] = []
        self.lost: Lost | None = None
        self._arrivals: queue.Queue[Frame | Lost] = queue.Queue()
        client.start(self._arrivals.put)

    @classmethod
    def train(cls, config: RunConfig = SMALL, **options: object) -> Driver:
        resume = options.pop("resume", None)
        session = WatchOptions(**{"epochs_per_second": 0.0, **options})  # type: ignore[arg-type]
        return cls(WorkerClient(new_job(config, session, resume=resume)))  # type: ignore[arg-type]

    @classmethod
    def replay(cls, path: object, **options: object) -> Driver:
        return cls(WorkerClient(new_job(None, WatchOptions(**options), replay=str(path))))  # type: ignore[arg-type]

    @property
    def status(self):
        return self.mirror.status

    @property
    def recording(self):
        return self.mirror.recording

    def pull(self, row: int | None = None) -> Frame | None:
        self.client.pull(self.mirror, row)
        arrived = self._arrivals.get(timeout=LONG_S)
        if isinstance(arrived, Lost):
            self.lost = arrived
            return None
        self.notices += self.mirror.apply(arrived)
        self.log += arrived.log
        self.states.append(arrived.status.state)
        return arrived

    def send(self, command: Command) -> None:
        self.client.send(command)

    def until(self, wanted: Callable[[Driver], object], row: int | None = None) -> Driver:
        end = time.monotonic() + LONG_S
        while time.monotonic() < end:
            if self.pull(row) is None:
                raise AssertionError(f"the worker has gone: {self.lost}")
            if wanted(self):
                return self
            time.sleep(0.005)
        raise AssertionError(f"did not come about; last status: {self.status}; log: {self.log[-20:]}")

    def until_state(self, *states: str) -> Driver:
        return self.until(lambda d: d.status.state in states)

    def stop(self, save: bool = False) -> float:
        """Returns the seconds it took."""
        began = time.monotonic()
        self.client.send(Stop(save))
        self.client.close()
        self.client.wait()
        return time.monotonic() - began

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        if self.lost is None:
            self.stop()
