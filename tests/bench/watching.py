"""The cost of being watched to a worker, how soon a key takes effect there, and how soon it trains."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, at_least, at_most
from ibtui.config import RunConfig, WatchOptions
from ibtui.run import wire
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import Frame, Pause, Peek, Resume, Status, Stop
from ibtui.run.wire import Connection

FLAT_OUT = RunConfig(engine="fused", ctx="cpu", epochs=10**8)
_FRAMES_PER_S = 20
_WINDOW_S = 1.0
_PATIENCE_S = 60.0


class Watcher:
    """Pulls frames from a worker of its own into a mirror, as a screen does, and draws nothing."""

    def __init__(self, config: RunConfig) -> None:
        self.client = WorkerClient(new_job(config, WatchOptions(epochs_per_second=0.0, history_mb=64)))
        self.mirror = Mirror()
        self._arrivals: queue.Queue[Frame | Lost] = queue.Queue()
        self.client.start(self._arrivals.put)

    def pull(self) -> Status:
        """Pull a frame; returns its status."""
        self.client.pull(self.mirror, None)
        frame = self._arrivals.get(timeout=_PATIENCE_S)
        if isinstance(frame, Lost):
            raise RuntimeError(frame.reason)
        self.mirror.apply(frame)
        return frame.status

    def until(self, wanted: Callable[[Status], bool]) -> None:
        """Pull, without a pause, until the status is as wanted."""
        end = time.monotonic() + _PATIENCE_S
        while not wanted(status := self.pull()):
            if status.state == "failed" or time.monotonic() > end:
                raise RuntimeError(f"the worker does not get there: {status.state} {status.message}")
            time.sleep(0.001)  # the worker is not asked more often, or that would slow it down

    def watch(self, until: float) -> None:
        """Pull as often as the screen does, until a time."""
        while (left := until - time.monotonic()) > 0:
            began = time.monotonic()
            self.pull()
            pause = max(0.0, min(left, began + 1 / _FRAMES_PER_S - time.monotonic()))
            time.sleep(pause)  # a screen's pace is what is measured

    def close(self) -> None:
        """End the worker."""
        self.client.send(Stop(save=False))
        self.client.close()
        self.client.wait()


def measure(report: Report, effort: Effort) -> None:
    """Add all rows of the group."""
    _first_epoch(report, effort)
    watcher = Watcher(FLAT_OUT)
    try:
        watcher.until(lambda status: status.epoch > 0)
        _throughput(report, effort, watcher)
        _latency(report, effort, watcher)
    finally:
        watcher.close()


def _first_epoch(report: Report, effort: Effort) -> None:
    effort.say("watching: first epochs")
    taken = []
    for _ in range(effort.starts):
        began = time.perf_counter()
        watcher = Watcher(FLAT_OUT)
        try:
            watcher.until(lambda status: status.epoch > 0)
            taken.append(time.perf_counter() - began)
        finally:
            watcher.close()
    value = Spread.of(taken)
    name = "start of a worker to its first epoch, fused"
    report.rows.append(Row("watching", name, value, "s", targets=(at_most(value, 2, "s"),)))


def _throughput(report: Report, effort: Effort, watcher: Watcher) -> None:
    """Add the epochs per second in windows with and without a screen, in turns."""
    # The epoch is asked for on a line of its own, and of that the worker is not aware as of a screen.
    line = wire.connect(watcher.client.name)
    watched, alone, window = [], [], _WINDOW_S * effort.share
    try:
        for at in range(2 * effort.rounds):
            effort.say(f"watching: window {at + 1} of {2 * effort.rounds}")
            watcher.pull()  # what has queued up meanwhile
            watched.append(_speed(line, lambda: watcher.watch(time.monotonic() + window)))
            alone.append(_speed(line, lambda: time.sleep(window)))  # so much time is what is measured
    finally:
        line.close()
    of_alone = Spread.of_ratios(watched, alone)
    report.rows += [
        Row("watching", "a worker flat out, nobody watching", Spread.of(alone), "epochs/s"),
        Row(
            "watching",
            f"the same, {_FRAMES_PER_S} frames/s pulled",
            Spread.of(watched),
            "epochs/s",
            of_alone,
            "nobody",
            (at_least(of_alone, 0.95, "nobody watching"),),
        ),
    ]


def _speed(line: Connection, wait: Callable[[], None]) -> float:
    """Return the epochs per second while `wait` waits."""
    before, began = _look(line)
    wait()
    after, ended = _look(line)
    return (after - before) / (ended - began)


def _look(line: Connection) -> tuple[int, float]:
    """Return epoch and time when the epoch next changes: a worker tells it by stretches."""
    known = _epoch(line)
    end = time.monotonic() + _PATIENCE_S
    while (epoch := _epoch(line)) == known and time.monotonic() < end:
        time.sleep(0.0005)  # an epoch that ends tells nobody
    return epoch, time.monotonic()


def _epoch(line: Connection) -> int:
    answer = line.ask(Peek())
    assert isinstance(answer, Frame)
    return answer.status.epoch


def _latency(report: Report, effort: Effort, watcher: Watcher) -> None:
    effort.say("watching: keys")
    taken = []
    for at in range(8 if effort.quick else 60):
        watcher.watch(time.monotonic() + 0.05 + 0.001 * (7 * at % 50))  # no fixed phase
        began = time.perf_counter()
        watcher.client.send(Pause())
        watcher.until(lambda status: status.state == "paused")
        taken.append(time.perf_counter() - began)
        watcher.client.send(Resume())
        watcher.until(lambda status: status.state == "running")
    ordered = [1000 * s for s in sorted(taken)]
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    value = Spread(late, ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4], len(ordered))
    name = "pause asked for to paused, 95th percentile"
    report.rows.append(Row("watching", name, value, "ms", targets=(at_most(value, 100, "ms"),)))
