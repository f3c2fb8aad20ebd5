"""The fused engine's compiled code: whole epochs of gradient descent on a stack of Dense layers.

Sixteen samples of a batch sit side by side in the vector lanes: unit u of the layer at `offset` has its
activations at `values[offset + u * LANES]`, and so for any width, depth and batch size the innermost work is
on full vectors. A last block of fewer samples repeats one of them in the lanes left over, and gives those no
weight in loss and gradient.
"""

from __future__ import annotations

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
Widths = NDArray[np.int64]
Order = NDArray[np.int32]

TANH, RELU, SIGMOID = range(3)


@inlined
def _inputs(x: Floats, order: Order, first: int, count: int, values: Floats) -> None:
    """Put the features of the samples `order[first : first + count]` at the head of `values`."""
    features = x.shape[1]
    for feature in range(features):
        store(values, feature * LANES, gather(x, feature, features, order, first, count))


@inlined
def _forward(widths: Widths, activation: int, parameters: Floats, values: Floats) -> None:
    """Compute the activations of every layer for the sixteen samples at the head of `values`."""
    weight, source = 0, 0
    for layer in range(1, widths.size):
        before, after = widths[layer - 1], widths[layer]
        bias, target = weight + after * before, source + before * LANES
        for unit in range(after):
            t = splat(parameters[bias + unit])
            for i in range(before):
                t = fma(splat(parameters[weight + i]), load_lanes(values, source + i * LANES), t)
            if activation == TANH:
                t = tanh(t)
            elif activation == RELU:
                t = relu(t)
            else:
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
    activation: int,
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
        before, after = widths[layer - 1], widths[layer]
        bias = weight - after
        weight, source = bias - after * before, target - before * LANES
        for unit in range(after):
            t = load_lanes(values, target + unit * LANES)
            delta = load_lanes(deltas, here + unit * LANES)
            if activation == TANH:
                delta = delta * (splat(np.float32(1)) - t * t)
            elif activation == RELU:
                delta = where_positive(t, delta)
            else:
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


def _sources() -> int:
    """Return a checksum of the other files whose code is compiled into `train_epochs`."""
    return zlib.crc32(b"".join(Path(str(module.__file__)).read_bytes() for module in (_lanes, _compiled)))


def _train_epochs(sources: int) -> Callable[..., float]:
    @compiled
    def train_epochs(
        x: Floats,
        y: Floats,
        widths: Widths,
        activation: int,
        batch_size: int,
        lr: np.float32,
        seed: np.uint64,
        start: int,
        stop: int,
        moving_loss: float,
        parameters: Floats,
        scratch: tuple[Floats, ...],
        order: Order,
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
            for begin in range(0, n, batch_size):
                end = min(begin + batch_size, n)
                share = np.float32(1 / (end - begin))
                loss = 0.0
                for first in range(begin, end, LANES):
                    count = min(LANES, end - first)
                    last = first + count == end
                    _inputs(x, order, first, count, values)
                    _forward(widths, activation, parameters, values)
                    loss += _loss(y, order, first, count, outputs, classes, values, share, deltas)
                    _backward(widths, activation, parameters, values, outputs, deltas, gradients, lr, last)
                loss /= end - begin
                moving_loss = loss if math.isnan(moving_loss) else 0.9 * moving_loss + 0.1 * loss
        return moving_loss

    return train_epochs


train_epochs: Any = _train_epochs(_sources())
