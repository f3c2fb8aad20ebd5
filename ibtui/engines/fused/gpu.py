"""The fused engine on an NVIDIA GPU: batch after batch in one launch of a kernel compiled at run time.

The kernel is in `fused.cu`; `cuda` compiles and launches it. This module plans its shared memory, hands over
the batch orders of the epochs to train (from the function that every engine has them from), and gives it so
much work at a time that a launch stays short, since a GPU that drives a display ends long ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ibtui import schedule
from ibtui.config import RunConfig
from ibtui.core.names import ACTIVATIONS
from ibtui.engines.dense import (
    BETA1,
    BETA2,
    activations,
    adam_rates,
    carried,
    packed,
    parameter_count,
    parameters_of,
    signal_to_noise,
    split,
)
from ibtui.engines.protocol import Array, Labels, State
from ibtui.errors import EngineError

SHARED_BYTES = 48 * 1024
"""The shared memory of a block that every GPU has, without asking for more."""
MAX_THREADS = 512
"""The number that the kernel is compiled for."""
MAX_CHUNK = 128

KERNEL = "train"
"""The kernel's name."""

_ORDER_BYTES = 1 << 20  # of batch orders that are handed over at a time; one epoch's at least
_SHORT_S, _LONG_S = 0.05, 0.2  # launches are made longer below, shorter above
_FIRST_CHUNKS = 256


def source() -> str:
    """Return the kernel's CUDA source."""
    return resources.files(__package__).joinpath("fused.cu").read_text(encoding="utf-8")


def options(config: RunConfig) -> tuple[str, ...]:
    """Return the compiler's options for the variant of the kernel that a configuration takes."""
    defined = {}
    if config.optimizer == "adam":
        defined = {"ADAM": "1", "NEWS1": f"{1 - BETA1!r}f", "NEWS2": f"{1 - BETA2!r}f"}
    if config.gradients:
        defined["GRADIENTS"] = "1"
    return tuple(f"-D{name}={value}" for name, value in defined.items())


@dataclass(frozen=True)
class Plan:
    """The layout of a net and its batches in a block."""

    chunk: int
    """Samples at a time; a larger batch takes several chunks."""
    stride: int
    """Floats from one row of the chunk's activations to the next."""
    threads: int
    shared_bytes: int


def plan(widths: Sequence[int], batch_size: int) -> Plan:
    """Find the largest chunks that fit the shared memory, and threads for them.

    Parameters
    ----------
    widths : sequence of int
        Of the inputs, then of each layer.
    batch_size : int

    Raises
    ------
    EngineError
        If not even one sample at a time fits.
    """
    inputs, *layers = widths
    size = parameter_count(widths)
    rows = inputs + 2 * sum(layers) + 1  # activations, their gradients, the loss
    free = SHARED_BYTES // 4 - size - len(widths)
    if free < rows:
        needed = SHARED_BYTES - 4 * (free - rows)
        raise EngineError(
            f"a net of {size:,} weights and biases and {sum(layers):,} units needs "
            f"{needed:,} bytes of a GPU block's shared memory, which has {SHARED_BYTES:,}"
        )
    most = min(batch_size, MAX_CHUNK, free // rows)
    chunk = math.ceil(batch_size / math.ceil(batch_size / most))  # chunks of nearly the same size
    # An odd stride puts a sample's neighbours in other rows into other memory banks; it needs a column more.
    stride = chunk | 1 if (chunk | 1) * rows <= free else chunk
    threads = max(chunk * min(max(layers), MAX_THREADS), size + 1)
    threads = min(max(32, 32 * math.ceil(threads / 32)), MAX_THREADS)
    return Plan(chunk, stride, threads, 4 * (size + len(widths) + stride * rows))


class Launcher(Protocol):
    """A device as the engine needs it: arrays on it, and the kernel."""

    def array(self, values: NDArray[Any]) -> Any:
        """Make an array on the device, of the same dtype."""

    def write(self, array: Any, values: NDArray[Any]) -> None:
        """Replace a whole array's values."""

    def read(self, array: Any) -> NDArray[Any]:
        """Return a copy, once what was launched before is done."""

    def launch(self, arguments: Sequence[Any], threads: int, shared_bytes: int, blocks: int = 1) -> None:
        """Run the kernel: returns at once, or when it is done."""

    def close(self) -> None:
        """Give back what is on the device."""


class FusedGpuEngine:
    """Stochastic gradient descent by the kernel in `fused.cu`.

    The arguments are those of `EngineKind.create`, and a launcher: that device, with the kernel on it,
    compiled with `options`. A net that does not fit a block's shared memory is an `EngineError`.
    """

    name = "fused"

    def __init__(
        self,
        config: RunConfig,
        device: str,
        x: NDArray[np.float32],
        y: Labels,
        state: State,
        launcher: Launcher,
    ) -> None:
        self.device = device
        self._config = config
        self._samples = len(x)
        self._widths = (x.shape[1], *config.layers)
        self._batch_size = min(config.batch_size, len(x))
        self._plan = plan(self._widths, self._batch_size)
        self._launcher = launcher
        self._seed = config.seed
        self._chunks = _FIRST_CHUNKS
        stretch = schedule.longest(config.every, config.epochs)
        rows = max(1, min(stretch, _ORDER_BYTES // (4 * len(x))))
        self._orders = np.zeros((rows, len(x)), np.int32)
        size = parameter_count(self._widths)
        array = self._launcher.array
        self._inputs = (array(np.ascontiguousarray(x, np.float32)), array(np.asarray(y, np.int32)))
        self._orders_there = array(self._orders)
        self._widths_there = array(np.array(self._widths, np.int32))
        self._parameters = array(np.zeros(size, np.float32))
        self._partial = array(np.zeros(size + 1, np.float32))
        self._progress = array(np.zeros(3, np.float64))
        adam = config.optimizer == "adam"
        rates = adam_rates(config.lr) if adam else np.zeros((1, 2), np.float32)
        self._last_rate = len(rates) - 1
        self._rates = array(rates)
        self._moments = array(np.zeros((2, size if adam else 1), np.float32))
        self._noise = array(np.zeros((2, size if config.gradients else 1), np.float64))
        self._settings = (
            len(config.layers),
            size,
            ACTIVATIONS.index(config.activation),
            ACTIVATIONS.index(activations(config)[-1]),
            self._batch_size,
            self._plan.chunk,
            self._plan.stride,
            float(np.float32(config.lr)),
            self._last_rate,
        )
        self._batches = math.ceil(len(x) / self._batch_size)
        self._steps = 0
        self._gradient_snr = np.full(len(config.layers), math.nan)
        self._moving_loss = math.nan
        self.load(state)

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, in launches of a fifth of a second at most."""
        from ibtui.core._compiled import fill_batch_order  # this imports Numba, which takes a while

        while start < stop:
            epochs = min(stop - start, len(self._orders))
            for row in range(epochs):
                fill_batch_order(np.uint64(self._seed), np.uint64(start + row), self._orders[row])
            self._launcher.write(self._orders_there, self._orders)
            start += epochs
            noted = self._config.gradients and start == stop
            self._train(epochs, epochs - 1 if noted else -1)
            self._steps += epochs * self._batches
            if noted:
                mean, scatter = self._launcher.read(self._noise)
                self._gradient_snr = signal_to_noise(mean, scatter, self._batches, self._widths)

    def _train(self, epochs: int, noted: int) -> None:
        """Train the epochs whose orders are on the device; note the gradients of one, by its number there."""
        position, end = 0, epochs * self._samples
        while position < end:
            began = time.monotonic()
            read = (*self._inputs, self._orders_there, self._widths_there)
            written = (self._parameters, self._partial, self._progress, self._moments, self._noise)
            done = min(self._steps, self._last_rate)  # more makes no difference, and might not fit an int
            numbers = (self._samples, epochs, *self._settings, done, noted, position, self._chunks)
            arguments = (*read, *written, self._rates, *numbers)
            self._launcher.launch(arguments, self._plan.threads, self._plan.shared_bytes)
            moving_loss, _, reached = self._launcher.read(self._progress).tolist()
            if not position < reached <= end:
                raise EngineError(f"the kernel on {self.device} did not run")
            position, self._moving_loss = int(reached), moving_loss
            took = time.monotonic() - began
            if took < _SHORT_S and position < end:
                self._chunks = min(2 * self._chunks, 1 << 30)
            elif took > _LONG_S:
                self._chunks = max(1, self._chunks // 2)

    def state(self) -> dict[str, Array]:
        """Return copies of parameters and moving loss, and of what else the configuration has kept."""
        layers = split(self._launcher.read(self._parameters), self._widths)
        moments = self._launcher.read(self._moments)
        return packed([(weight.copy(), bias.copy()) for weight, bias in layers], self._moving_loss) | carried(
            self._config, moments, self._steps, self._gradient_snr
        )

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        if seed is not None:
            self._seed = seed
        flat = [np.asarray(array, np.float32).ravel() for layer in parameters_of(state) for array in layer]
        self._launcher.write(self._parameters, np.concatenate(flat))
        self._moving_loss = float(state["moving_loss"])
        self._launcher.write(self._progress, np.array([self._moving_loss, 0.0, 0.0]))
        if self._config.optimizer == "adam":
            moments = [np.asarray(state[name], np.float32) for name in ("moment1", "moment2")]
            self._launcher.write(self._moments, np.stack(moments))
            self._steps = int(state["steps"])
        if self._config.gradients:
            self._gradient_snr = np.array(state["gradient_snr"], np.float64)

    def close(self) -> None:
        """Free the device's memory."""
        self._launcher.close()
