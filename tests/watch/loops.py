"""Loops to watch: a small net in NumPy alone, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ibtui.recording.streams import Row, Stream
from ibtui.run import loops
from ibtui.run.control import Control, Where

WAIT_S = 30.0
OPENED: list[Control] = []
"""Connections that `connect` has made."""


class Net:
    """Two layers that learn XOR of two halves by gradient descent."""

    def __init__(self, samples: int = 200) -> None:
        rng = np.random.RandomState(1)
        self.x = rng.uniform(size=(samples, 2)).astype(np.float32)
        self.y = ((self.x[:, 0] > 0.5) ^ (self.x[:, 1] > 0.5)).astype(np.int64)
        self.first, self.last = rng.normal(size=(2, 6)), rng.normal(size=(6, 1))
        self.calls = 0

    def __call__(self, x: np.ndarray) -> dict[str, np.ndarray]:
        self.calls += 1
        hidden = np.tanh(x @ self.first)
        return {"hidden": hidden, "out": 1 / (1 + np.exp(-(hidden @ self.last)))}

    def train(self) -> float:
        out = self(self.x)
        self.calls -= 1
        wrong = (out["out"] - self.y[:, None]) / len(self.x)
        back = wrong @ self.last.T * (1 - out["hidden"] ** 2)
        self.last -= 3 * out["hidden"].T @ wrong
        self.first -= 3 * self.x.T @ back
        return float(np.abs(wrong).sum())


def rows(path: str | Path) -> list[Row]:
    return list(Stream(path).rows())


def read(path: str | Path) -> tuple[Stream, list[Row]]:
    stream = Stream(path)
    return stream, list(stream.rows())


PROGRAM = """
import sys, time
import ibtui
from tests.watch.loops import Net
net, options = Net(), {options}
with ibtui.watch(net, net.x, net.y, **options["watch"]) as run:
    print("began", flush=True)
    for epoch in run.epochs(options["epochs"]):
        loss = net.train()
        run.log(loss=loss, wrong=loss)
        time.sleep(options["pause_s"])  # the epoch's own work
print("ended", flush=True)
"""


@contextlib.contextmanager
def process(
    epochs: int = 1_000_000, pause_s: float = 0.002, **watch: object
) -> Iterator[subprocess.Popen[str]]:
    """A loop in a process of its own, which has begun; it is killed in the end."""
    options = {"watch": {"name": "net", "every": 5, **watch}, "epochs": epochs, "pause_s": pause_s}
    code = PROGRAM.replace("{options}", repr(options))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            if child.stdout.readline() != "began\n":
                raise AssertionError(child.communicate()[1])
            yield child
        finally:
            child.kill()


def wait_until(true: object, seconds: float = WAIT_S) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def connect(name: str = "net") -> Control:
    control = Control(loops.sockets()[name])
    OPENED.append(control)
    assert control.wait(WAIT_S) is not None
    return control


def ask(control: Control, word: str, **more: int) -> Where:
    """Send a request, and return the answer."""
    control.send(word, **more)
    where = control.wait(WAIT_S)
    assert where is not None
    return where


def until(control: Control, state: str) -> Where:
    """Ask until the loop is in a state."""
    end = time.monotonic() + WAIT_S
    while (where := ask(control, "status")).state != state:
        assert time.monotonic() < end, where
        time.sleep(0.01)
    return where


def header(kind: str, **values: object) -> dict[str, object]:
    return {"kind": kind, **values}
