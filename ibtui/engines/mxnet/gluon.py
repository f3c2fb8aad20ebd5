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
from ibtui.engines.dense import (
    BETA1,
    BETA2,
    Parameters,
    activations,
    adam_rates,
    carried,
    packed,
    parameter_count,
    parameters_of,
    signal_to_noise,
    split,
)
from ibtui.engines.mxnet import library
from ibtui.engines.protocol import Array, Labels, State

mx = library.import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock

# A graph of this many operators takes a third of a second to build; longer ones train no faster.
MAX_OPERATORS = 1500
# Operators that MXNet's engine runs as one job, measured: 15 to 100 are alike, one job for all is slower.
BULK = 40

# The value at which an activation gives exactly 1 in float32, which a constant unit is fed (see `Steps`).
_ONE = {"tanh": 20.0, "relu": 1.0, "sigmoid": 100.0, "linear": 1.0}


def moved(moving_loss: float, losses: NDArray[np.float64]) -> float:
    """Return the moving loss after batches of these losses."""
    for loss in losses.tolist():
        moving_loss = loss if math.isnan(moving_loss) else 0.9 * moving_loss + 0.1 * loss
    return moving_loss


def batches(n: int, batch_size: int) -> list[int]:
    """Return the sizes of an epoch's batches; the last may be short."""
    full, rest = divmod(n, batch_size)
    return [batch_size] * full + [rest] * (rest > 0)


def chunks(sizes: list[int], layers: int, adam: bool = False) -> list[tuple[int, ...]]:
    """Divide an epoch's batches into chunks of nearly equal numbers of steps, each within `MAX_OPERATORS`."""
    most = max(1, MAX_OPERATORS // ((18 if adam else 6) * layers + 2))
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
        Layers, activations, optimiser and learning rate are used.
    gradients : bool
        Return the gradients besides.
    """

    def __init__(self, sizes: tuple[int, ...], config: RunConfig, gradients: bool = False) -> None:
        super().__init__()
        self._sizes = sizes
        self._config = config
        self._adam = config.optimizer == "adam"
        self._gradients = gradients
        self._activations = activations(config)
        self.hybridize(static_alloc=True, static_shape=True, inline_limit=0, forward_bulk_size=BULK)

    def hybrid_forward(self, F: Any, order: Any, x: Any, y: Any, *arrays: Any) -> list[Any]:
        """Return the outputs for the samples in `order` (n,), before each one's step, then what changes.

        `x` is (N, D + 1), its last column 1; `y` (N,). `arrays` are the layers' weights; for Adam their first
        moments, their second ones, and the rate and guard of each step; then what `GluonEngine` has for
        slopes. Weights and moments are returned anew, then the gradients by layer (steps, …), if asked for.
        """
        layers = len(self._config.layers)
        changing, rates, slopes = arrays[: layers * (3 if self._adam else 1)], (), arrays[layers:]
        if self._adam:
            rates = F.split(arrays[3 * layers], num_outputs=2 * len(self._sizes), axis=0)
            slopes = arrays[3 * layers + 1 :]
        by_layer = [list(changing[layer::layers]) for layer in range(layers)]
        targets = F.one_hot(F.take(y, order), depth=self._config.layers[-1])
        outputs, found = [], []
        for step, (size, inputs, target) in enumerate(
            zip(self._sizes, self._parts(F, F.take(x, order)), self._parts(F, targets), strict=True)
        ):
            values = self._forward(F, inputs, [weight for weight, *_ in by_layer])
            outputs.append(values[-1])
            delta = F.softmax(values[-1]) - target
            rate = rates[2 * step : 2 * step + 2]
            by_layer, gradients = self._descend(F, values, delta, by_layer, slopes, size, rate)
            found.append(gradients)
        kept = [array for arrays in zip(*by_layer, strict=True) for array in arrays]
        if self._gradients:
            kept += [F.stack(*steps, axis=0) for steps in zip(*found, strict=True)]
        return [F.concat(*outputs, dim=0), *kept]

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
        functions = {"tanh": F.tanh, "relu": F.relu, "sigmoid": F.sigmoid, "linear": lambda sums: sums}
        values = [inputs]
        for weight, name in zip(weights, self._activations, strict=True):
            values.append(functions[name](F.linalg.gemm2(values[-1], weight, transpose_b=True)))
        return values

    def _descend(
        self,
        F: Any,
        values: list[Any],
        delta: Any,
        by_layer: list[list[Any]],
        slopes: Sequence[Any],
        size: int,
        rate: Sequence[Any],
    ) -> tuple[list[list[Any]], list[Any]]:
        """Return weights and moments by layer after a step, and gradients by layer where they are computed.

        `delta` is the gradient of the batch's summed loss by the outputs.
        """
        after, gradients = list(by_layer), [None] * len(by_layer)
        for layer in reversed(range(len(by_layer))):
            weight, *moments = by_layer[layer]
            delta = self._through(F, layer, values[layer + 1], delta, slopes)
            if moments or self._gradients:
                gradients[layer] = F.linalg.gemm2(delta, values[layer], transpose_a=True, alpha=1 / size)
            if moments:
                after[layer] = _adam(F, gradients[layer], weight, *moments, *rate)
            else:
                step = -self._config.lr / size
                after[layer] = [
                    F.linalg.gemm(delta, values[layer], weight, transpose_a=True, alpha=step, beta=1.0)
                ]
            if layer:
                delta = F.linalg.gemm2(delta, weight)
        return after, gradients

    def _through(self, F: Any, layer: int, t: Any, delta: Any, slopes: Sequence[Any]) -> Any:
        """Carry a gradient by a layer's activations `t` on to the sums that they are of."""
        name = self._activations[layer]
        if name == "tanh":
            return delta * F.contrib.quadratic(t, a=-1.0, b=0.0, c=1.0)
        if name == "sigmoid":
            return delta * F.contrib.quadratic(t, a=-1.0, b=1.0, c=0.0)
        if name == "relu":
            return delta * F.broadcast_greater(t, slopes[layer])
        return F.broadcast_mul(delta, slopes[layer]) if layer < len(slopes) else delta


def _adam(F: Any, gradient: Any, weight: Any, moment1: Any, moment2: Any, rate: Any, guard: Any) -> list[Any]:
    """Return weights and moments after a step (`ibtui.engines.dense.adam_rates`)."""
    moment1 = moment1 + (gradient - moment1) * (1 - BETA1)
    moment2 = moment2 + (F.square(gradient) - moment2) * (1 - BETA2)
    step = F.broadcast_mul(moment1, rate) / F.broadcast_add(F.sqrt(moment2), guard)
    return [weight - step, moment1, moment2]


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
        self._widths = (x.shape[1], *config.layers)
        self._context = library.context(device)
        self._x = self._array(np.column_stack([x, np.ones(len(x))]))
        self._y = self._array(y)
        self._labels = np.array(y, np.int64)
        self._slopes = self._all_slopes()
        sizes = batches(len(x), config.batch_size)
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._sizes = np.array(sizes)
        adam = config.optimizer == "adam"
        self._chunks = chunks(sizes, len(config.layers), adam)
        distinct = set(self._chunks)
        self._steps = {chunk: Steps(chunk, config) for chunk in distinct}
        self._noting = {chunk: Steps(chunk, config, gradients=True) for chunk in distinct}
        self._rates = adam_rates(config.lr) if adam else None
        self._arrays: list[Any] = []  # weights by layer, then first moments, then second ones
        self._done = 0
        self._gradient_snr = np.full(len(config.layers), math.nan)
        self._seed = config.seed
        self._moving_loss = math.nan
        self.load(state)

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, a graph for each chunk; MXNet holds no interpreter lock."""
        for epoch in range(start, stop):
            noise = _Noise(parameter_count(self._widths)) if self._config.gradients else None
            order = batch_order(self._seed, epoch, len(self._labels))
            logits = self._epoch(order, noise if epoch == stop - 1 else None)
            summed = np.add.reduceat(cross_entropy(logits, self._labels[order]), self._starts)
            self._moving_loss = moved(self._moving_loss, summed / self._sizes)
            if noise and noise.batches:
                self._gradient_snr = signal_to_noise(noise.mean, noise.scatter, noise.batches, self._widths)

    def _epoch(self, order: NDArray[np.int32], noise: _Noise | None) -> NDArray[np.float32]:
        """Train an epoch; return the outputs for each sample in its order, before its step."""
        graphs = self._steps if noise is None else self._noting
        on_device = self._array(order, np.int32)
        outputs, first, kept = [], 0, len(self._arrays)
        for chunk in self._chunks:
            last = first + sum(chunk)
            some, *arrays = graphs[chunk](
                on_device[first:last],
                self._x,
                self._y,
                *self._arrays,
                *self._next_rates(len(chunk)),
                *self._slopes,
            )
            self._arrays = arrays[:kept]
            self._done += len(chunk)
            outputs.append(some)
            first = last
            if noise is not None:
                for gradients in zip(*(array.asnumpy() for array in arrays[kept:]), strict=True):
                    noise.note(self._flat(gradients))
        return np.concatenate([some.asnumpy() for some in outputs])

    def _next_rates(self, steps: int) -> list[Any]:
        """Return the rate and guard of the next steps as an array (2 steps, 1), where Adam needs them."""
        if self._rates is None:
            return []
        rows = np.minimum(self._done + np.arange(steps), len(self._rates) - 1)
        return [self._array(self._rates[rows].reshape(-1, 1))]

    def state(self) -> dict[str, Array]:
        """Return copies of parameters and moving loss, and of what else the configuration has kept."""
        layers = len(self._config.layers)
        weights, *moments = (
            self._flat([array.asnumpy() for array in self._arrays[first : first + layers]])
            for first in range(0, len(self._arrays), layers)
        )
        return packed(split(weights, self._widths), self._moving_loss) | carried(
            self._config, moments, self._done, self._gradient_snr
        )

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        if seed is not None:
            self._seed = seed
        self._arrays = self._joined(parameters_of(state), _ONE[self._config.activation])
        if self._config.optimizer == "adam":
            for name in ("moment1", "moment2"):
                self._arrays += self._joined(split(state[name], self._widths), 0.0)
            self._done = int(state["steps"])
        if self._config.gradients:
            self._gradient_snr = np.array(state["gradient_snr"], np.float64)
        self._moving_loss = float(state["moving_loss"])

    def _joined(self, parameters: Parameters, constant: float) -> list[Any]:
        """Return each layer's weights and biases as one array, with the constant unit's row where it is."""
        joined = [np.column_stack(layer) for layer in parameters]
        for layer, weight in enumerate(joined[:-1]):
            row = np.zeros((1, weight.shape[1]), np.float32)
            row[0, -1] = constant
            joined[layer] = np.vstack([weight, row])
        return [self._array(weight) for weight in joined]

    def _flat(self, joined: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return what `_joined` took, in the order of `split`, in an array of its own."""
        parts = []
        for weight, units in zip(joined, self._config.layers, strict=True):
            parts += [weight[:units, :-1].ravel(), weight[:units, -1]]
        return np.concatenate(parts)

    def close(self) -> None:
        """Wait for what MXNet still has to do, and let go of the graphs."""
        mx.nd.waitall()
        self._steps.clear()
        self._noting.clear()

    def _array(self, values: NDArray[Any], dtype: Any = np.float32) -> Any:
        return mx.nd.array(np.asarray(values, dtype), ctx=self._context, dtype=dtype)

    def _all_slopes(self) -> list[Any]:
        """Make what decides the slopes of ReLU and linear units, by layer; other layers need nothing.

        ReLU's is 1 above a bound: 0, and infinity for a constant unit. A linear unit's is 1, a constant's 0.
        """
        *inner, last = self._config.layers
        rows = []
        if (units := {"relu": (0.0, np.inf), "linear": (1.0, 0.0)}.get(self._config.activation)) is not None:
            rows = [np.append(np.full(width, units[0]), units[1]) for width in inner]
        if activations(self._config)[-1] == "relu":
            rows.append(np.zeros(last))
        return [self._array(row[None]) for row in rows]


class _Noise:
    """Mean of gradients, and sum of squares of their differences from it, by Welford's recurrence."""

    def __init__(self, size: int) -> None:
        self.mean, self.scatter, self.batches = np.zeros(size), np.zeros(size), 0

    def note(self, gradient: NDArray[np.float32]) -> None:
        """Take a batch's gradient in."""
        self.batches += 1
        difference = gradient - self.mean
        self.mean += difference / self.batches
        self.scatter += difference * (gradient - self.mean)
