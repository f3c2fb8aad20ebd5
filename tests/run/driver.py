"""A screen without a screen: drives the real client and worker, and waits for what it wants to see."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ibtui.config import RunConfig, WatchOptions
from ibtui.recording import Recording
from ibtui.run import wire
from ibtui.run.client import Patience, WorkerClient
from ibtui.run.job import new_job
from ibtui.run.log import LogFile
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import Command, Frame, Notice, SetPace, Stop
from ibtui.run.server import Server
from ibtui.run.state import RunState
from ibtui.run.trainer import Trainer
from ibtui.run.wire import Connection

LONG_S = 60.0
SMALL = RunConfig(engine="fused", ctx="cpu", epochs=60, every=5, samples=200, binning="notebook", x="grid")
LONG = replace(SMALL, epochs=1_000_000)
PACED = {"epochs_per_second": 300.0}


def finished(config: RunConfig = SMALL) -> Recording:
    """The recording of a run that has been trained to its end."""
    trainer = Trainer(config, 1 << 28)
    trainer.train(config.epochs)
    return trainer.recording


@contextmanager
def serving(
    name: str, state: RunState | None = None, end: Callable[[bool], None] = lambda _: None, **options: float
) -> Iterator[Server]:
    """A run of this name that answers from a thread of this process, for as long as the block lasts."""
    state = state or RunState(WatchOptions(), LogFile(-1))
    server = Server(state, name, end, lambda: None, **options)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        yield server
    finally:
        state.ended.set()
        server.close()


class Line:
    """Makes connections, as clients do, and can break the newest."""

    def __init__(self) -> None:
        self._newest: Connection | None = None

    def __call__(self, name: str) -> Connection:
        self._newest = wire.connect(name)
        return self._newest

    def hang_up(self) -> None:
        assert self._newest is not None
        self._newest.hang_up()


class Driver:
    """Pulls frames into a mirror, one at a time, as the screen does."""

    def __init__(self, client: WorkerClient) -> None:
        self.client = client
        self.mirror = Mirror()
        self.notices: list[Notice] = []
        self.log: list[str] = []
        self.states: list[str] = []
        self.lost: Lost | None = None
        self._marks = 0
        self._arrivals: queue.Queue[Frame | Lost] = queue.Queue()
        client.start(self._arrivals.put)

    @classmethod
    def train(
        cls,
        config: RunConfig = SMALL,
        *,
        resume: str | None = None,
        patience: Patience | None = None,
        connect: Callable[[str], Connection] = wire.connect,
        **options: object,
    ) -> Driver:
        session = WatchOptions(**{"epochs_per_second": 0.0, **options})  # type: ignore[arg-type]
        job = new_job(config, session, resume=resume)
        return cls(WorkerClient(job, patience=patience, connect=connect))

    @classmethod
    def replay(cls, path: object, **options: object) -> Driver:
        return cls(WorkerClient(new_job(None, WatchOptions(**options), replay=str(path))))  # type: ignore[arg-type]

    @property
    def worker(self) -> subprocess.Popen[bytes]:
        assert self.client.process is not None
        return self.client.process

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
            time.sleep(0.005)  # a screen, too, pulls at its own pace
        raise AssertionError(f"did not come about; last status: {self.status}; log: {self.log[-20:]}")

    def obeyed(self) -> Driver:
        """Wait until all that was sent before has been carried out; the pace is another one then."""
        self._marks += 1
        mark = 1e6 + self._marks
        self.send(SetPace(mark))
        return self.until(lambda d: d.status.pace == mark)

    def until_lost(self) -> Lost:
        while self.lost is None:
            self.pull()
        return self.lost

    def until_state(self, *states: str) -> Driver:
        return self.until(lambda d: d.status.state in states)

    def until_trained(self) -> Driver:
        """Wait until there is something that no seed gives back."""
        return self.until(lambda d: d.status.state == "running" and d.status.epoch > 0)

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
        else:
            self.client.close()
