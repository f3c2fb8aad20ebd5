"""The fused engine on an NVIDIA GPU: batch after batch in one launch of a kernel compiled at run time.

MXNet copies arrays, compiles and launches; none of its own kernels is used, so this runs on GPUs that MXNet
has no machine code for. The kernel is in `fused.cu`. Here is what it is given: a plan of its shared memory,
the batch orders of the epochs to train (from the function that every engine has them from), and so much work
at a time that a launch stays short, since a GPU that drives a display ends those that don't.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ibtui.config import ACTIVATIONS, RunConfig
from ibtui.engines.choose import Labels, Parameters
from ibtui.engines.mxnet import library
from ibtui.engines.nvidia import cuda
from ibtui.errors import EngineError

SHARED_BYTES = 48 * 1024
"""Shared memory of a block that every GPU has, and that MXNet's launch can ask for."""
MAX_THREADS = 512
"""As many as the kernel is compiled for."""
MAX_CHUNK = 128

KERNEL = "train"
SIGNATURE = (
    "const float *x, const int *y, const int *orders, const int *widths, float *parameters, float *partial, "
    "double *state, int samples, int epochs, int layers, int size, int activation, int batch_size, "
    "int chunk, int stride, float lr, int position, int chunks"
)
"""The kernel's, as `mx.rtc` reads it."""

_ORDER_BYTES = 1 << 20  # of batch orders that are handed over at a time; one epoch's at least
_SHORT_S, _LONG_S = 0.05, 0.2  # launches are made longer below, shorter above
_FIRST_CHUNKS = 256


def source() -> str:
    """The kernel's CUDA source."""
    return resources.files(__package__).joinpath("fused.cu").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Plan:
    """How a net and its batches are laid out in a block."""

    chunk: int
    """Samples at a time; a larger batch takes several chunks."""
    stride: int
    """Floats from one row of the chunk's activations to the next."""
    threads: int
    shared_bytes: int


def plan(widths: Sequence[int], batch_size: int) -> Plan:
    """The largest chunks that fit the shared memory, and threads for them.

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


def parameter_count(widths: Sequence[int]) -> int:
    """Weights and biases of a net; `widths` as for `plan`."""
    return sum(after * (before + 1) for before, after in pairwise(widths))


class Launcher(Protocol):
    """What the engine needs of a device: arrays on it, and the kernel."""

    def array(self, values: NDArray[Any]) -> Any:
        """A new array on the device, of the same dtype."""

    def write(self, array: Any, values: NDArray[Any]) -> None:
        """Replace a whole array's values."""

    def read(self, array: Any) -> NDArray[Any]:
        """A copy, once what was launched before is done."""

    def launch(self, arguments: Sequence[Any], threads: int, shared_bytes: int) -> None:
        """Run the kernel on one block: returns at once, or when it is done."""


class Card:
    """An NVIDIA GPU, by way of MXNet. Arrays are made before the first launch, in the launching thread."""

    def __init__(self, device: str) -> None:
        self._mx = library.load()
        self._context = library.context(device)
        index = int(device.removeprefix("gpu"))
        option = cuda.architecture(cuda.driver().cards[index].capability)
        with cuda.kept_locale():
            module = self._mx.rtc.CudaModule(source(), options=(option,))
        self._kernel = module.get_kernel(KERNEL, SIGNATURE)

    def array(self, values: NDArray[Any]) -> Any:
        """See `Launcher.array`."""
        return self._mx.nd.array(values, ctx=self._context, dtype=values.dtype)

    def write(self, array: Any, values: NDArray[Any]) -> None:
        """See `Launcher.write`."""
        array[:] = values

    def read(self, array: Any) -> NDArray[Any]:
        """See `Launcher.read`."""
        values: NDArray[Any] = array.asnumpy()
        return values

    def launch(self, arguments: Sequence[Any], threads: int, shared_bytes: int) -> None:
        """See `Launcher.launch`."""
        self._kernel.launch(arguments, self._context, (1, 1, 1), (threads, 1, 1), shared_bytes)


class FusedGpuEngine:
    """Stochastic gradient descent by the kernel in `fused.cu`.

    Parameters
    ----------
    config : RunConfig
        Layers, activation, learning rate, batch size, seed and the epochs between measurements are used.
    device : str
        gpu0, gpu1, …
    x : ndarray of shape (N, D), float32
    y : ndarray of shape (N,), int
        Class of each sample, from 0 to the last layer's width - 1.
    parameters : list of (W, b)
    moving_loss : float
    launcher : Launcher, optional
        In the place of that device.

    Raises
    ------
    EngineError
        If the net does not fit a block's shared memory.
    """

    name = "fused"

    def __init__(
        self,
        config: RunConfig,
        device: str,
        x: NDArray[np.float32],
        y: Labels,
        parameters: Parameters,
        moving_loss: float = math.nan,
        launcher: Launcher | None = None,
    ) -> None:
        self.device = device
        self._samples = len(x)
        self._widths = (x.shape[1], *config.layers)
        self._batch_size = min(config.batch_size, len(x))
        self._plan = plan(self._widths, self._batch_size)
        self._card: Launcher = Card(device) if launcher is None else launcher
        self._seed = config.seed
        self._chunks = _FIRST_CHUNKS
        rows = max(1, min(config.every, _ORDER_BYTES // (4 * len(x))))
        self._orders = np.zeros((rows, len(x)), np.int32)
        size = parameter_count(self._widths)
        array = self._card.array
        self._inputs = (array(np.ascontiguousarray(x, np.float32)), array(np.asarray(y, np.int32)))
        self._orders_there = array(self._orders)
        self._widths_there = array(np.array(self._widths, np.int32))
        self._parameters = array(np.zeros(size, np.float32))
        self._partial = array(np.zeros(size + 1, np.float32))
        self._state = array(np.zeros(3, np.float64))
        self._settings = (
            len(config.layers),
            size,
            ACTIVATIONS.index(config.activation),
            self._batch_size,
            self._plan.chunk,
            self._plan.stride,
            float(np.float32(config.lr)),
        )
        self.moving_loss = math.nan
        self.load(parameters, moving_loss)

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, as many in one launch as take no time to speak of."""
        from ibtui.core._compiled import fill_batch_order

        while start < stop:
            epochs = min(stop - start, len(self._orders))
            for row in range(epochs):
                fill_batch_order(np.uint64(self._seed), np.uint64(start + row), self._orders[row])
            self._card.write(self._orders_there, self._orders)
            self._train(epochs)
            start += epochs

    def _train(self, epochs: int) -> None:
        """Train the epochs whose orders are there."""
        position, end = 0, epochs * self._samples
        while position < end:
            began = time.monotonic()
            read = (*self._inputs, self._orders_there, self._widths_there)
            written = (self._parameters, self._partial, self._state)
            numbers = (self._samples, epochs, *self._settings, position, self._chunks)
            self._card.launch((*read, *written, *numbers), self._plan.threads, self._plan.shared_bytes)
            moving_loss, _, reached = self._card.read(self._state).tolist()
            if not position < reached <= end:
                raise EngineError(f"the kernel on {self.device} did not run")
            position, self.moving_loss = int(reached), moving_loss
            took = time.monotonic() - began
            if took < _SHORT_S and position < end:
                self._chunks = min(2 * self._chunks, 1 << 30)
            elif took > _LONG_S:
                self._chunks = max(1, self._chunks // 2)

    def parameters(self) -> Parameters:
        """Weights (out, in) and biases (out,) of each layer: float32 copies."""
        flat, layers, start = self._card.read(self._parameters), [], 0
        for before, after in pairwise(self._widths):
            bias = start + before * after
            stop = bias + after
            layers.append((flat[start:bias].reshape(after, before).copy(), flat[bias:stop].copy()))
            start = stop
        return layers

    def load(self, parameters: Parameters, moving_loss: float, seed: int | None = None) -> None:
        """Go on from these parameters and this moving loss (NaN: none yet); with a seed, in its order."""
        if seed is not None:
            self._seed = seed
        flat = [np.asarray(array, np.float32).ravel() for layer in parameters for array in layer]
        self._card.write(self._parameters, np.concatenate(flat))
        self._card.write(self._state, np.array([moving_loss, 0.0, 0.0]))
        self.moving_loss = float(moving_loss)

    def close(self) -> None:
        """Nothing to wait for: `train` returns when it is done."""


def try_out(device: str) -> None:
    """Train a net of the default shape for an epoch: raises what would keep a run from training there."""
    config = RunConfig(layers=(2, 2), every=1)
    x = np.linspace(0, 1, 40, dtype=np.float32).reshape(20, 2)
    parameters = [(np.full((2, 2), 0.5, np.float32), np.zeros(2, np.float32)) for _ in range(2)]
    engine = FusedGpuEngine(config, device, x, np.arange(20) % 2, parameters)
    engine.train(0, 1)
    if not 0 < engine.moving_loss < 2:
        raise EngineError(f"the fused engine gives wrong numbers on {device}")
