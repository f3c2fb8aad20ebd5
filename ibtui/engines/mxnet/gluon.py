"""The engine on MXNet: an epoch as a few graphs.

Called from Python, the operators, autograd and update of one step of the default experiment take MXNet the
better part of a millisecond. So `GluonEngine` writes the steps of a chunk of an epoch (forward, backward,
update) as the operators of one hybridised graph, 25 small ones a step, which MXNet then runs by itself at one
or two microseconds each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.core.seeding import batch_order
from ibtui.engines.dense import packed, parameters_of
from ibtui.engines.mxnet import library
from ibtui.engines.protocol import Array, Labels, State

mx = library.import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock

# A graph of this many operators takes a third of a second to build; longer ones train no faster.
MAX_OPERATORS = 1500
# Operators that MXNet's engine runs as one job, measured: 15 to 100 are alike, one job for all is slower.
BULK = 40

# The value at which an activation gives exactly 1 in float32, which a constant unit is fed (see `Steps`).
_ONE = {"tanh": 20.0, "relu": 1.0, "sigmoid": 100.0}


def moved(moving_loss: float, losses: NDArray[np.float64]) -> float:
    """Return the moving loss after batches of these losses."""
    for loss in losses.tolist():
        moving_loss = loss if math.isnan(moving_loss) else 0.9 * moving_loss + 0.1 * loss
    return moving_loss


def batches(n: int, batch_size: int) -> list[int]:
    """Return the sizes of an epoch's batches; the last may be short."""
    full, rest = divmod(n, batch_size)
    return [batch_size] * full + [rest] * (rest > 0)


def chunks(sizes: list[int], layers: int) -> list[tuple[int, ...]]:
    """Divide an epoch's batches into chunks of nearly equal numbers of steps, each within `MAX_OPERATORS`."""
    most = max(1, MAX_OPERATORS // (6 * layers + 2))
    steps = math.ceil(len(sizes) / math.ceil(len(sizes) / most))
    return [tuple(sizes[start : start + steps]) for start in range(0, len(sizes), steps)]


def cross_entropy(logits: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute each sample's softmax cross-entropy in nats; MXNet's own, in float32, is off by up to 1e-6."""
    with np.errstate(invalid="ignore"):
        shifted = np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True)
        losses: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]
    return losses


class Steps(HybridBlock):  # type: ignore[misc]
    """Some steps of gradient descent as one graph: parameters in, outputs and parameters out.

    A layer's bias is the last column of its weights, and each layer but the last has one more unit, which is
    fed a constant and gives exactly 1 to that column of the next. Its gradient is exactly 0: so one product
    is a layer's whole forward step, one its backward step, and one its update.

    Parameters
    ----------
    sizes : tuple of int
        Samples in the batch of each step; the last may be short.
    config : RunConfig
        Layers, activation and learning rate are used.
    """

    def __init__(self, sizes: tuple[int, ...], config: RunConfig) -> None:
        super().__init__()
        self._sizes = sizes
        self._config = config
        self.hybridize(static_alloc=True, static_shape=True, inline_limit=0, forward_bulk_size=BULK)

    def hybrid_forward(self, F: Any, order: Any, x: Any, y: Any, *arrays: Any) -> list[Any]:
        """Return the outputs for the samples in `order` (n,), before each one's step, then the new weights.

        `x` is (N, D + 1), its last column 1; `y` (N,); `arrays` the weights and then, for ReLU, the floors.
        """
        layers = len(self._config.layers)
        weights, floors = list(arrays[:layers]), arrays[layers:]
        targets = F.one_hot(F.take(y, order), depth=self._config.layers[-1])
        outputs = []
        for size, inputs, target in zip(
            self._sizes, self._parts(F, F.take(x, order)), self._parts(F, targets), strict=True
        ):
            values = self._forward(F, inputs, weights)
            outputs.append(values[-1])
            delta = F.softmax(values[-1]) - target
            weights = self._descend(F, values, delta, weights, floors, -self._config.lr / size)
        return [F.concat(*outputs, dim=0), *weights]

    def _parts(self, F: Any, array: Any) -> list[Any]:
        """Divide an array's rows into batches: one operator for those of equal size, one for a short one."""
        steps = self._sizes.count(self._sizes[0])
        end = steps * self._sizes[0]
        equal = F.slice_axis(array, axis=0, begin=0, end=end)
        parts = list(F.split(equal, num_outputs=steps, axis=0)) if steps > 1 else [equal]
        if steps < len(self._sizes):
            parts.append(F.slice_axis(array, axis=0, begin=end, end=None))
        return parts

    def _forward(self, F: Any, inputs: Any, weights: Sequence[Any]) -> list[Any]:
        """Return the inputs, then every layer's activations."""
        # Not F.Activation (and so not Dense's own): its ReLU on the CPU makes 0 of NaN, and hides divergence.
        activation = {"tanh": F.tanh, "relu": F.relu, "sigmoid": F.sigmoid}[self._config.activation]
        values = [inputs]
        for weight in weights:
            values.append(activation(F.linalg.gemm2(values[-1], weight, transpose_b=True)))
        return values

    def _descend(
        self,
        F: Any,
        values: list[Any],
        delta: Any,
        weights: list[Any],
        floors: Sequence[Any],
        step: float,
    ) -> list[Any]:
        """Return the weights after a step; `delta` is the gradient of the summed loss by the outputs."""
        after = list(weights)
        for layer in reversed(range(len(weights))):
            t = values[layer + 1]
            if self._config.activation == "tanh":
                slope = F.contrib.quadratic(t, a=-1.0, b=0.0, c=1.0)
            elif self._config.activation == "sigmoid":
                slope = F.contrib.quadratic(t, a=-1.0, b=1.0, c=0.0)
            else:
                slope = F.broadcast_greater(t, floors[layer])
            delta = delta * slope
            after[layer] = F.linalg.gemm(
                delta, values[layer], weights[layer], transpose_a=True, alpha=step, beta=1.0
            )
            if layer:
                delta = F.linalg.gemm2(delta, weights[layer])
        return after


class GluonEngine:
    """A stack of Dense layers trained by graphs of many steps; its arguments are `EngineKind.create`'s."""

    name = "gluon"

    def __init__(
        self,
        config: RunConfig,
        device: str,
        x: NDArray[np.float32],
        y: Labels,
        state: State,
    ) -> None:
        self.device = device
        self._config = config
        self._context = library.context(device)
        self._x = self._array(np.column_stack([x, np.ones(len(x))]))
        self._y = self._array(y)
        self._labels = np.array(y, np.int64)
        self._floors = self._all_floors() if config.activation == "relu" else []
        sizes = batches(len(x), config.batch_size)
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._sizes = np.array(sizes)
        self._chunks = chunks(sizes, len(config.layers))
        self._steps = {chunk: Steps(chunk, config) for chunk in set(self._chunks)}
        self._weights: list[Any] = []
        self._seed = config.seed
        self._moving_loss = math.nan
        self.load(state)

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, a graph for each chunk; MXNet holds no interpreter lock."""
        for epoch in range(start, stop):
            order = batch_order(self._seed, epoch, len(self._labels))
            on_device = self._array(order, np.int32)
            outputs, first = [], 0
            for chunk in self._chunks:
                last = first + sum(chunk)
                some, *self._weights = self._steps[chunk](
                    on_device[first:last], self._x, self._y, *self._weights, *self._floors
                )
                outputs.append(some)
                first = last
            logits = np.concatenate([some.asnumpy() for some in outputs])
            summed = np.add.reduceat(cross_entropy(logits, self._labels[order]), self._starts)
            self._moving_loss = moved(self._moving_loss, summed / self._sizes)

    def state(self) -> dict[str, Array]:
        """Return copies of parameters and moving loss."""
        arrays = zip(self._weights, self._config.layers, strict=True)
        joined = [weight.asnumpy()[:units] for weight, units in arrays]
        layers = [(weight[:, :-1].copy(), weight[:, -1].copy()) for weight in joined]
        return packed(layers, self._moving_loss)

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        if seed is not None:
            self._seed = seed
        joined = [np.column_stack(layer) for layer in parameters_of(state)]
        for layer, weight in enumerate(joined[:-1]):
            constant = np.zeros((1, weight.shape[1]), np.float32)
            constant[0, -1] = _ONE[self._config.activation]
            joined[layer] = np.vstack([weight, constant])
        self._weights = [self._array(weight) for weight in joined]
        self._moving_loss = float(state["moving_loss"])

    def close(self) -> None:
        """Wait for what MXNet still has to do, and let go of the graphs."""
        mx.nd.waitall()
        self._steps.clear()

    def _array(self, values: NDArray[Any], dtype: Any = np.float32) -> Any:
        return mx.nd.array(np.asarray(values, dtype), ctx=self._context, dtype=dtype)

    def _all_floors(self) -> list[Any]:
        """Make the bounds above which ReLU's slope is 1: 0, and infinity for a constant unit."""
        *inner, last = self._config.layers
        rows = [np.append(np.zeros(units), np.inf) for units in inner] + [np.zeros(last)]
        return [self._array(row[None]) for row in rows]
