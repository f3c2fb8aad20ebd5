"""The cost of being watched, with and without a screen, in turns: the figures in README.

python -m tests.watch.cost

It takes two minutes. On a machine that does other work, too, its figures say little.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import ibtui
from ibtui.config import WatchOptions
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from tests.run.driver import Driver
from tests.watch.loops import Net

STEP_S = 1e-3
STEPS = 300
"""Steps in a block."""
BLOCKS = 24
"""Blocks of each kind, in turns."""
ROUNDS = 7


def told(name: str, values: list[float], unit: str, scale: float = 1.0) -> None:
    low, middle, high = np.quantile(np.array(values) * scale, [0.25, 0.5, 0.75])
    print(f"{name:<70} {middle:8.3g} {unit} ({low:.3g} … {high:.3g})", flush=True)


def fastest(call: Callable[[Iterator[int]], object]) -> float:
    """The seconds of 100,000 calls."""
    counted = iter(range(1, 10**8))
    return min(timeit.repeat(lambda: call(counted), number=10**5, repeat=3))


def nothing_due() -> None:
    """Time what a loop calls in an epoch after which nothing is measured."""
    net = Net(1000)
    steps, epochs = [], []
    for number in range(ROUNDS):
        with ibtui.watch(net, net.x, net.y, every=10**9, name=f"a{number}") as run:
            run.step(0)
            steps.append(fastest(lambda counted, run=run: run.step(next(counted), loss=0.5)))
        with ibtui.watch(net, net.x, net.y, every=10**9, name=f"b{number}") as run:
            loop = run.epochs(10**8)
            next(loop)
            epochs.append(fastest(lambda counted, run=run, loop=loop: (next(loop), run.log(loss=0.5))))
    told("run.step(epoch, loss=…), nothing due", steps, "µs", 10)
    told("an epoch of run.epochs, and run.log(loss=…)", epochs, "µs", 10)


def due() -> None:
    """Time a measurement beside the forward pass that it consists of."""
    net = Net(1000)
    wide = [np.random.RandomState(i).normal(size=(784 if i == 0 else 512, 512)) / 30 for i in range(4)]
    images = np.random.RandomState(9).rand(1000, 784)

    def layers(x: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for i, weights in enumerate(wide):
            found[str(i)] = x = np.tanh(x @ weights)
        return found

    for name, function, x in (("6 and 1 units", net, net.x), ("4 x 512 units", layers, images)):
        alone, whole = [], []
        for number in range(ROUNDS):
            with ibtui.watch(function, x, net.y, every=1, name=f"c{number}", max_mb=10_000) as run:
                run.step(0)
                for epoch in range(1, 6):
                    began = time.perf_counter()
                    function(x)
                    middle = time.perf_counter()
                    run.step(epoch)
                    alone.append(middle - began)
                    whole.append(time.perf_counter() - middle)
            Path(run.path).unlink()
        told(f"a measurement, 1000 samples, {name}", whole, "ms", 1e3)
        told("    of which the forward pass", alone, "ms", 1e3)
    step = work(net)
    found = []
    with ibtui.watch(net, net.x, net.y, every=10, name="e") as run:
        for epoch in range(1000):
            began = time.perf_counter()
            run.step(epoch)
            found += [time.perf_counter() - began] if epoch % 10 == 0 else []
            step()
    told("a measurement, 1000 samples, 6 and 1 units, after 10 ms of other work", found[1:], "ms", 1e3)


@contextlib.contextmanager
def screen(path: str) -> Iterator[Callable[[int], None]]:
    """A worker that follows, and a process that pulls its frames as a screen does: both take signals."""
    command = [sys.executable, "-m", "tests.watch.cost", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        both = (process.pid, int(process.stdout.readline()))

        def send(number: int) -> None:
            for each in both:
                os.kill(each, number)

        try:
            yield send
        finally:
            send(signal.SIGCONT)
            process.stdin.close()


def pull(path: str) -> None:
    """Pull twenty frames a second, until the standard input ends."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with Driver(WorkerClient(new_job(None, WatchOptions(), watch=path))) as driver:
        driver.until(lambda d: d.recording is not None and len(d.recording) > 1)
        print(driver.worker.pid, flush=True)
        while not ended.wait(1 / 20):
            driver.pull()


def work(net: Net) -> Callable[[], None]:
    """Return a step that computes for about a millisecond: the same work each time, however long it takes."""

    def step(count: int) -> None:
        for _ in range(count):
            net.last @ net.last.T

    count, took = 100, 0.0
    while took < STEP_S:
        count = int(count * 1.2)
        took = min(timeit.repeat(functools.partial(step, count), number=1, repeat=20))
    return lambda: step(count)


def watched_or_not() -> None:
    """Time a loop of 1 ms steps alone, watched, and watched with a screen, in turns.

    The processor's time is that of the loop's process: what a screen's own processes take from a machine
    whose processors are all busy is in the other one, by the clock.
    """
    net = Net(1000)
    step = work(net)
    kinds = ("alone", "watched", "with a screen")

    def timed(epochs: Iterator[int] | range) -> tuple[float, float]:
        began, began_cpu = time.perf_counter(), time.process_time()
        for _ in epochs:
            step()
        return time.perf_counter() - began, time.process_time() - began_cpu

    for every in (10, 100):
        took: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        with ibtui.watch(net, net.x, net.y, every=every, name=f"d{every}") as run:
            list(run.epochs(2 * every))
            with screen(str(run.path)) as send:
                for number in range(BLOCKS):
                    for kind in kinds[number % 3 :] + kinds[: number % 3]:
                        send(signal.SIGCONT if kind == kinds[2] else signal.SIGSTOP)
                        if kind == kinds[2]:
                            time.sleep(0.3)  # it takes in what has come meanwhile
                        timed(range(20))
                        took[kind].append(timed(range(STEPS) if kind == kinds[0] else run.epochs(STEPS)))
        print(f"a loop of 1 ms steps, measured every {every}: longer than alone by")
        for unit, by in (("by the clock", 0), ("of the processor", 1)):
            alone, watched, shown = ([each[by] for each in took[kind]] for kind in kinds)
            pairs = {"watched": (watched, alone), "with a screen": (shown, alone),
                     "for the screen": (shown, watched)}  # fmt: skip
            for name, (more, less) in pairs.items():
                shares = [(m - n) / a for m, n, a in zip(more, less, alone, strict=True)]
                told(f"    {name}, {unit}", shares, "%", 100)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IBTUI_RUNTIME_DIR"] = str(Path(folder, "run"))
        os.chdir(folder)
        with contextlib.redirect_stderr(io.StringIO()):  # what watched loops tell
            nothing_due()
            due()
            watched_or_not()


if __name__ == "__main__":
    pull(sys.argv[1]) if sys.argv[1:] else main()
