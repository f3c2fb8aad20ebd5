"""The fused engine on the CPU: any number of epochs in one call of compiled code, without MXNet."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.dense import packed, parameter_count, parameters_of, split
from ibtui.engines.fused import _kernel
from ibtui.engines.fused._lanes import LANES
from ibtui.engines.protocol import Array, Labels, State

_ACTIVATIONS = {"tanh": _kernel.TANH, "relu": _kernel.RELU, "sigmoid": _kernel.SIGMOID}


class FusedEngine:
    """Stochastic gradient descent in Numba-compiled code, sixteen samples at a time.

    The compiled code is kept on disk. The first engine of a process loads it (0.2 s), or compiles it
    (seconds) where there is none for this machine. The arguments are those of `EngineKind.create`.
    """

    name = "fused"
    device = "cpu"

    def __init__(self, config: RunConfig, x: NDArray[np.float32], y: Labels, state: State) -> None:
        self._x = np.ascontiguousarray(x, np.float32)
        self._y = np.ascontiguousarray(y, np.float32)
        widths = (self._x.shape[1], *config.layers)
        self._widths = np.array(widths, np.int64)
        self._order = np.empty(len(self._x), np.int32)
        self._settings = (
            _ACTIVATIONS[config.activation],
            min(config.batch_size, len(self._x)),
            np.float32(config.lr),
        )
        size = parameter_count(widths)
        self._parameters = np.empty(size, np.float32)
        self._layers = split(self._parameters, widths)
        lengths = (sum(widths) * LANES, 2 * max(widths) * LANES, size)
        self._scratch = tuple(np.zeros(length, np.float32) for length in lengths)
        self._moving_loss = math.nan
        self._seed = np.uint64(config.seed)
        self.load(state)
        self.train(0, 0)  # compiles, or loads what was compiled, now and not in the first epoch

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, in one compiled call that holds no interpreter lock."""
        self._moving_loss = _kernel.train_epochs(
            self._x,
            self._y,
            self._widths,
            *self._settings,
            self._seed,
            start,
            stop,
            self._moving_loss,
            self._parameters,
            self._scratch,
            self._order,
        )

    def state(self) -> dict[str, Array]:
        """Return copies of parameters and moving loss."""
        return packed([(weight.copy(), bias.copy()) for weight, bias in self._layers], self._moving_loss)

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        if seed is not None:
            self._seed = np.uint64(seed)
        for (weight, bias), (new_weight, new_bias) in zip(self._layers, parameters_of(state), strict=True):
            weight[...] = new_weight
            bias[...] = new_bias
        self._moving_loss = float(state["moving_loss"])

    def close(self) -> None:
        """Give back nothing: the arrays go with the engine."""
