"""The cost of being watched, with and without a screen, in turns: the figures in README.

python -m tests.watch.cost
"""

from __future__ import annotations

import contextlib
import os
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
ROUNDS = 7


def told(name: str, values: list[float], unit: str, scale: float = 1.0) -> None:
    low, middle, high = np.quantile(np.array(values) * scale, [0.25, 0.5, 0.75])
    print(f"{name:<68} {middle:8.3g} {unit} ({low:.3g} … {high:.3g})")


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
    """A worker that follows, and a process that pulls its frames as a screen does."""
    command = [sys.executable, "-m", "tests.watch.cost", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


def pull(path: str) -> None:
    """Pull twenty frames a second, until the standard input ends."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with Driver(WorkerClient(new_job(None, WatchOptions(), watch=path))) as driver:
        driver.until(lambda d: d.recording is not None and len(d.recording) > 1)
        print("ready", flush=True)
        while not ended.wait(1 / 20):
            driver.pull()


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

    shares: dict[tuple[int, bool], list[float]] = {
        (every, shown): [] for every in (10, 100) for shown in (False, True)
    }
    for number in range(ROUNDS):
        alone = loop(range(steps))
        for (every, shown), found in shares.items():
            with ibtui.watch(net, net.x, net.y, every=every, name=f"d{number}") as run:
                list(run.epochs(2 * every))
                with screen(str(run.path)) if shown else contextlib.nullcontext():
                    found.append(loop(run.epochs(steps)) / alone - 1)
    for (every, shown), found in shares.items():
        kind = "with a screen" if shown else "without"
        told(f"a loop of 1 ms steps, measured every {every}, {kind}: longer by", found, "%", 100)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IBTUI_RUNTIME_DIR"] = str(Path(folder, "run"))
        os.chdir(folder)
        nothing_due()
        due()
        watched_or_not()


if __name__ == "__main__":
    pull(sys.argv[1]) if sys.argv[1:] else main()
