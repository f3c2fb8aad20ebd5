"""The cost of being watched, with and without a screen, in turns: the figures in README.

python -m tests.watch.cost
"""

from __future__ import annotations

import contextlib
import os
import tempfile
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
ROUNDS = 7


def told(name: str, values: list[float], unit: str, scale: float = 1.0) -> None:
    low, middle, high = np.quantile(np.array(values) * scale, [0.25, 0.5, 0.75])
    print(f"{name:<56} {middle:8.3g} {unit} ({low:.3g} … {high:.3g})")


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


@contextlib.contextmanager
def screen(path: str) -> Iterator[None]:
    """A worker that follows, and what pulls its frames as a screen does."""
    import threading

    driver = Driver(WorkerClient(new_job(None, WatchOptions(), watch=path)))
    driver.until(lambda d: d.recording is not None and len(d.recording) > 1)
    ended = threading.Event()

    def pull() -> None:
        while not ended.wait(1 / 20):
            driver.pull()

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        driver.stop()


def watched_or_not() -> None:
    """Time a loop of 1 ms steps alone, watched, and watched with a screen, in turns."""
    net = Net(1000)
    steps = 1000

    def loop(epochs: Iterator[int] | range) -> float:
        began = time.perf_counter()
        for _ in epochs:
            end = time.perf_counter() + STEP_S
            while time.perf_counter() < end:
                net.last @ net.last.T
        return (time.perf_counter() - began) / steps

    shares: dict[str, list[float]] = {"": [], " and shown": []}
    for number in range(ROUNDS):
        alone = loop(range(steps))
        for kind in shares:
            with ibtui.watch(net, net.x, net.y, every=10, name=f"d{number}") as run:
                list(run.epochs(20))
                with screen(run.path) if kind else contextlib.nullcontext():
                    shares[kind].append(loop(run.epochs(steps)) / alone - 1)
    for kind, found in shares.items():
        told(f"a loop of 1 ms steps watched every 10{kind}: longer by", found, "%", 100)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IBTUI_RUNTIME_DIR"] = str(Path(folder, "run"))
        os.chdir(folder)
        nothing_due()
        due()
        watched_or_not()


if __name__ == "__main__":
    main()
