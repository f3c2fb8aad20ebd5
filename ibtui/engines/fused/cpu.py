"""The fused engine on the CPU: any number of epochs in one call of compiled code, without MXNet."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.choose import Labels, Parameters
from ibtui.engines.fused import _kernel
from ibtui.engines.fused._lanes import LANES

_KINDS = {"tanh": _kernel.TANH, "relu": _kernel.RELU, "sigmoid": _kernel.SIGMOID}


class FusedEngine:
    """Stochastic gradient descent in Numba-compiled code, sixteen samples at a time.

    The compiled code is kept on disk. The first engine of a process loads it, or compiles it where there is
    none for this machine: see `compiled`.

    Parameters
    ----------
    config : RunConfig
        Layers, activation, learning rate, batch size and seed are used.
    x : ndarray of shape (N, D), float32
    y : ndarray of shape (N,), int
        Class of each sample, from 0 to the last layer's width - 1.
    parameters : list of (W, b)
    moving_loss : float
    """

    name = "fused"
    device = "cpu"

    def __init__(
        self,
        config: RunConfig,
        x: NDArray[np.float32],
        y: Labels,
        parameters: Parameters,
        moving_loss: float = math.nan,
    ) -> None:
        self._x = np.ascontiguousarray(x, np.float32)
        self._y = np.ascontiguousarray(y, np.float32)
        self._widths = np.array([self._x.shape[1], *config.layers], np.int64)
        self._order = np.empty(len(self._x), np.int32)
        self._settings = (
            _KINDS[config.activation],
            min(config.batch_size, len(self._x)),
            np.float32(config.lr),
        )
        widest = int(self._widths.max())
        size = sum(after * (before + 1) for before, after in zip(self._widths, config.layers, strict=False))
        self._parameters = np.empty(size, np.float32)
        lengths = (int(self._widths.sum()) * LANES, 2 * widest * LANES, size)
        self._scratch = tuple(np.zeros(length, np.float32) for length in lengths)
        self.moving_loss = math.nan
        self._seed = np.uint64(config.seed)
        self.load(parameters, moving_loss)
        self.train(0, 0)  # compiles, or loads what was compiled, now and not in the first epoch

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, in one compiled call that holds no interpreter lock."""
        self.moving_loss = _kernel.train_epochs(
            self._x,
            self._y,
            self._widths,
            *self._settings,
            self._seed,
            start,
            stop,
            self.moving_loss,
            self._parameters,
            self._scratch,
            self._order,
        )

    def parameters(self) -> Parameters:
        """Weights (out, in) and biases (out,) of each layer: float32 copies."""
        return [(weight.copy(), bias.copy()) for weight, bias in self._views()]

    def load(self, parameters: Parameters, moving_loss: float, seed: int | None = None) -> None:
        """Go on from these parameters and this moving loss (NaN: none yet); with a seed, in its order."""
        if seed is not None:
            self._seed = np.uint64(seed)
        for (weight, bias), (new_weight, new_bias) in zip(self._views(), parameters, strict=True):
            weight[...] = new_weight
            bias[...] = new_bias
        self.moving_loss = float(moving_loss)

    def close(self) -> None:
        """Nothing to give back: the arrays go with the engine."""

    def _views(self) -> Parameters:
        """Each layer's part of the one array of parameters: weights by rows, then biases."""
        views, start = [], 0
        for before, after in zip(self._widths, self._widths[1:], strict=False):
            bias = start + before * after
            stop = bias + after
            views.append((self._parameters[start:bias].reshape(after, before), self._parameters[bias:stop]))
            start = stop
        return views


def compiled() -> bool:
    """Whether this process has the compiled code, so that an engine is made in no time.

    If not, making one loads it from disk (0.2 s), or compiles it (seconds) where this machine has not yet.
    """
    return bool(_kernel.train_epochs.signatures)
