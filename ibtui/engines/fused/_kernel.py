"""The fused engine's compiled code: whole epochs of gradient descent on a stack of Dense layers.

Sixteen samples of a batch sit side by side in the vector lanes: unit u of the layer at `offset` has its
activations at `values[offset + u * LANES]`, and so for any width, depth and batch size the innermost work is
on full vectors. A last block of fewer samples repeats one of them in the lanes left over, and gives those no
weight in loss and gradient.

Plain gradient descent updates a parameter within the backward pass. Adam, and statistics of the batches'
gradients, take the whole batch's gradient first and update in a pass of its own: other variants of the code,
compiled where they are asked for.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibtui.core import _compiled
from ibtui.core._compiled import fill_batch_order
from ibtui.core.compiling import compiled, inlined
from ibtui.engines.dense import BETA1, BETA2
from ibtui.engines.fused import _lanes
from ibtui.engines.fused._lanes import (
    LANES,
    exp,
    first_lanes,
    fma,
    gather,
    larger,
    load_lanes,
    product,
    relu,
    sigmoid,
    splat,
    store,
    tanh,
    total,
    totals,
    where_equal,
    where_positive,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Widths = NDArray[np.int64]
Order = NDArray[np.int32]

TANH, RELU, SIGMOID, LINEAR = range(4)

# Adam takes a gradient below this for 0, and moments below its square, which moves no weight by more than a
# billionth of the learning rate: with dead and with saturated units, moments would fall below float32's
# normal numbers and stay there, and a processor takes a hundred cycles for each operation on those.
_LEAST = 4e-18


@inlined
def _inputs(x: Floats, order: Order, first: int, count: int, values: Floats) -> None:
    """Put the features of the samples `order[first : first + count]` at the head of `values`."""
    features = x.shape[1]
    for feature in range(features):
        store(values, feature * LANES, gather(x, feature, features, order, first, count))


@inlined
def _forward(widths: Widths, activations: Widths, parameters: Floats, values: Floats) -> None:
    """Compute the activations of every layer for the sixteen samples at the head of `values`."""
    weight, source = 0, 0
    for layer in range(1, widths.size):
        before, after, activation = widths[layer - 1], widths[layer], activations[layer - 1]
        bias, target = weight + after * before, source + before * LANES
        for unit in range(after):
            t = splat(parameters[bias + unit])
            for i in range(before):
                t = fma(splat(parameters[weight + i]), load_lanes(values, source + i * LANES), t)
            if activation == TANH:
                t = tanh(t)
            elif activation == RELU:
                t = relu(t)
            elif activation == SIGMOID:
                t = sigmoid(t)
            store(values, target + unit * LANES, t)
            weight += before
        weight, source = bias + after, target


@inlined
def _loss(
    y: Floats,
    order: Order,
    first: int,
    count: int,
    outputs: int,
    classes: int,
    values: Floats,
    share: np.float32,
    deltas: Floats,
) -> float:
    """Sum the softmax's cross-entropy; write its gradient by the outputs, times `share`, to `deltas`."""
    label = gather(y, 0, 1, order, first, count)
    weight = first_lanes(count)
    largest = load_lanes(values, outputs)
    for unit in range(1, classes):
        largest = larger(largest, load_lanes(values, outputs + unit * LANES))
    one, zero = splat(np.float32(1)), splat(np.float32(0))
    summed, right = zero, zero
    for unit in range(classes):
        logit = load_lanes(values, outputs + unit * LANES) - largest
        power = exp(logit)
        summed = summed + power
        right = right + where_equal(label, splat(np.float32(unit)), logit, zero)
        store(deltas, unit * LANES, power)
    scale = splat(share) * weight
    for unit in range(classes):
        probability = load_lanes(deltas, unit * LANES) / summed
        target = where_equal(label, splat(np.float32(unit)), one, zero)
        store(deltas, unit * LANES, (probability - target) * scale)
    # One logarithm for all lanes: each sum is between 1 and the number of classes, and the product of sixteen
    # such fits a float64.
    sums = where_equal(weight, zero, one, summed)
    return math.log(product(sums)) - float(total(right * weight))


@inlined
def _backward(
    widths: Widths,
    activations: Widths,
    parameters: Floats,
    values: Floats,
    outputs: int,
    deltas: Floats,
    gradients: Floats,
    lr: np.float32,
    last: bool,
) -> None:
    """Add these samples' gradient to `gradients`; after the batch's last ones descend, and clear it.

    `deltas` has the gradient by the last layer's outputs at its head; by halves, it is one layer's and the
    next one's in turn. A parameter is updated here, as soon as nothing needs its old value: a vector loaded
    from numbers that were just stored one by one would have to wait for all of them.
    """
    weight, target = parameters.size, outputs
    here, there = 0, deltas.size // 2
    for layer in range(widths.size - 1, 0, -1):
        before, after, activation = widths[layer - 1], widths[layer], activations[layer - 1]
        bias = weight - after
        weight, source = bias - after * before, target - before * LANES
        for unit in range(after):
            t = load_lanes(values, target + unit * LANES)
            delta = load_lanes(deltas, here + unit * LANES)
            if activation == TANH:
                delta = delta * (splat(np.float32(1)) - t * t)
            elif activation == RELU:
                delta = where_positive(t, delta)
            elif activation == SIGMOID:
                delta = delta * t * (splat(np.float32(1)) - t)
            row = weight + unit * before
            if layer > 1:
                for i in range(before):
                    passed = splat(parameters[row + i]) * delta
                    if unit > 0:
                        passed = passed + load_lanes(deltas, there + i * LANES)
                    store(deltas, there + i * LANES, passed)
            gradient = gradients[bias + unit] + total(delta)
            if last:
                parameters[bias + unit] -= lr * gradient
                gradient = np.float32(0)
            gradients[bias + unit] = gradient
            done = 0
            while done + LANES <= before:
                sums = load_lanes(gradients, row + done) + totals(delta, values, source + done * LANES)
                if last:
                    store(parameters, row + done, load_lanes(parameters, row + done) - splat(lr) * sums)
                    sums = splat(np.float32(0))
                store(gradients, row + done, sums)
                done += LANES
            for i in range(done, before):
                gradient = gradients[row + i] + total(delta * load_lanes(values, source + i * LANES))
                if last:
                    parameters[row + i] -= lr * gradient
                    gradient = np.float32(0)
                gradients[row + i] = gradient
        here, there = there, here
        target = source


@inlined
def _note(gradients: Floats, batch: int, mean: Doubles, scatter: Doubles) -> None:
    """Take the gradient of a batch, counted from 1, into mean and sum of squared differences from the mean.

    By Welford's recurrence: nothing cancels where the noise is small.
    """
    share = 1.0 / batch
    for i in range(gradients.size):
        difference = gradients[i] - mean[i]
        mean[i] += difference * share
        scatter[i] += difference * (gradients[i] - mean[i])


@inlined
def _descend(gradients: Floats, lr: np.float32, parameters: Floats) -> None:
    """Update as `_backward` does, to the bit; clear the gradient."""
    for i in range(gradients.size):
        parameters[i] -= lr * gradients[i]
        gradients[i] = np.float32(0)


@inlined
def _descend_by_moments(
    gradients: Floats,
    news: tuple[np.float32, np.float32],
    rate: np.float32,
    guard: np.float32,
    moment1: Floats,
    moment2: Floats,
    parameters: Floats,
) -> None:
    """Update by Adam, each moment with its share of news; clear the gradient."""
    zero, least = np.float32(0), np.float32(_LEAST)
    for i in range(gradients.size):
        gradient = gradients[i]
        gradient = zero if abs(gradient) < least else gradient
        first = moment1[i] + news[0] * (gradient - moment1[i])
        first = zero if abs(first) < least * least else first
        second = moment2[i] + news[1] * (gradient * gradient - moment2[i])
        second = zero if second < least * least else second
        moment1[i] = first
        moment2[i] = second
        parameters[i] -= rate * first / (math.sqrt(second) + guard)
        gradients[i] = zero


def _sources() -> int:
    """Return a checksum of the other files whose code is compiled into `train_epochs`."""
    return zlib.crc32(b"".join(Path(str(module.__file__)).read_bytes() for module in (_lanes, _compiled)))


def _train_epochs(
    sources: int, adam: bool, statistics: bool, news: tuple[np.float32, np.float32]
) -> Callable[..., float]:
    apart = adam or statistics  # the update is

    @compiled
    def train_epochs(
        x: Floats,
        y: Floats,
        widths: Widths,
        activations: Widths,
        batch_size: int,
        lr: np.float32,
        seed: np.uint64,
        start: int,
        stop: int,
        moving_loss: float,
        parameters: Floats,
        scratch: tuple[Floats, ...],
        order: Order,
        rates: Floats,
        moments: tuple[Floats, Floats],
        step: int,
        noise: tuple[Doubles, Doubles],
    ) -> float:
        # Numba keeps compiled code as long as this file does not change, whatever becomes of the files it
        # calls; but the value of a variable from the enclosing function belongs to the cache's key.
        _ = sources
        values, deltas, gradients = scratch
        n = order.size
        classes = widths[-1]
        outputs = (widths.sum() - classes) * LANES
        gradients[:] = 0
        for epoch in range(start, stop):
            fill_batch_order(seed, np.uint64(epoch), order)
            if statistics and epoch == stop - 1:
                noise[0][:] = 0
                noise[1][:] = 0
            for begin in range(0, n, batch_size):
                end = min(begin + batch_size, n)
                share = np.float32(1 / (end - begin))
                loss = 0.0
                for first in range(begin, end, LANES):
                    count = min(LANES, end - first)
                    last = not apart and first + count == end
                    _inputs(x, order, first, count, values)
                    _forward(widths, activations, parameters, values)
                    loss += _loss(y, order, first, count, outputs, classes, values, share, deltas)
                    _backward(widths, activations, parameters, values, outputs, deltas, gradients, lr, last)
                loss /= end - begin
                moving_loss = loss if math.isnan(moving_loss) else 0.9 * moving_loss + 0.1 * loss
                if statistics and epoch == stop - 1:
                    _note(gradients, begin // batch_size + 1, *noise)
                if adam:
                    row = min(step, rates.shape[0] - 1)
                    _descend_by_moments(gradients, news, rates[row, 0], rates[row, 1], *moments, parameters)
                    step += 1
                elif statistics:
                    _descend(gradients, lr, parameters)
        return moving_loss

    return train_epochs


@functools.cache
def train_epochs(adam: bool, statistics: bool) -> Any:
    """Return the compiled function that trains: by Adam or not, with statistics of gradients or not."""
    return _train_epochs(_sources(), adam, statistics, (np.float32(1 - BETA1), np.float32(1 - BETA2)))
