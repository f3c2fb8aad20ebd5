"""The fused engine on the CPU: any number of epochs in one call of compiled code, without MXNet."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.dense import (
    activations,
    adam_rates,
    carried,
    packed,
    parameter_count,
    parameters_of,
    signal_to_noise,
    split,
)
from ibtui.engines.fused import _kernel
from ibtui.engines.fused._lanes import LANES
from ibtui.engines.protocol import Array, Labels, State

_ACTIVATIONS = {
    "tanh": _kernel.TANH,
    "relu": _kernel.RELU,
    "sigmoid": _kernel.SIGMOID,
    "linear": _kernel.LINEAR,
}


class FusedEngine:
    """Stochastic gradient descent in Numba-compiled code, sixteen samples at a time.

    The compiled code is kept on disk. The first engine of a process loads it (0.2 s), or compiles it
    (seconds) where there is none for this machine. The arguments are those of `EngineKind.create`.
    """

    name = "fused"
    device = "cpu"

    def __init__(self, config: RunConfig, x: NDArray[np.float32], y: Labels, state: State) -> None:
        self._config = config
        self._x = np.ascontiguousarray(x, np.float32)
        self._y = np.ascontiguousarray(y, np.float32)
        self._widths = (self._x.shape[1], *config.layers)
        self._order = np.empty(len(self._x), np.int32)
        batch_size = min(config.batch_size, len(self._x))
        self._batches = math.ceil(len(self._x) / batch_size)
        self._net = (
            np.array(self._widths, np.int64),
            np.array([_ACTIVATIONS[name] for name in activations(config)], np.int64),
            batch_size,
            np.float32(config.lr),
        )
        size = parameter_count(self._widths)
        self._parameters = np.empty(size, np.float32)
        self._layers = split(self._parameters, self._widths)
        lengths = (sum(self._widths) * LANES, 2 * max(self._widths) * LANES, size)
        self._scratch = tuple(np.zeros(length, np.float32) for length in lengths)
        adam = config.optimizer == "adam"
        self._kernel = _kernel.train_epochs(adam, config.gradients)
        self._rates = adam_rates(config.lr if adam else 0.0)
        kept, noted = size if adam else 0, size if config.gradients else 0
        self._moments = np.zeros(kept, np.float32), np.zeros(kept, np.float32)
        self._noise = np.zeros(noted), np.zeros(noted)
        self._gradient_snr = np.full(len(config.layers), math.nan)
        self._steps = 0
        self._moving_loss = math.nan
        self._seed = np.uint64(config.seed)
        self.load(state)
        self.train(0, 0)  # compiles, or loads what was compiled, now and not in the first epoch

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, in one compiled call that holds no interpreter lock."""
        self._moving_loss = self._kernel(
            self._x,
            self._y,
            *self._net,
            self._seed,
            start,
            stop,
            self._moving_loss,
            self._parameters,
            self._scratch,
            self._order,
            self._rates,
            self._moments,
            self._steps,
            self._noise,
        )
        self._steps += (stop - start) * self._batches
        if self._config.gradients and start < stop:
            self._gradient_snr = signal_to_noise(*self._noise, self._batches, self._widths)

    def state(self) -> dict[str, Array]:
        """Return copies of parameters and moving loss, and of what else the configuration has kept."""
        layers = [(weight.copy(), bias.copy()) for weight, bias in self._layers]
        return packed(layers, self._moving_loss) | carried(
            self._config, self._moments, self._steps, self._gradient_snr
        )

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        if seed is not None:
            self._seed = np.uint64(seed)
        for (weight, bias), (new_weight, new_bias) in zip(self._layers, parameters_of(state), strict=True):
            weight[...] = new_weight
            bias[...] = new_bias
        self._moving_loss = float(state["moving_loss"])
        if self._config.optimizer == "adam":
            self._moments[0][:], self._moments[1][:] = state["moment1"], state["moment2"]
            self._steps = int(state["steps"])
        if self._config.gradients:
            self._gradient_snr = np.array(state["gradient_snr"], np.float64)

    def close(self) -> None:
        """Give back nothing: the arrays go with the engine."""
