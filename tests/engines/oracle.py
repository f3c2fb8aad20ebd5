"""Training written out from its definition, slowly, with nothing but NumPy's elementary operations.

`train(..., dtype=np.float64)` is the oracle; with float32 it is the plain loop whose distance from the oracle
says how much rounding costs.
"""

from __future__ import annotations

import math

import numpy as np

from ibtui.core.seeding import batch_order


def activation(name, z):
    if name == "tanh":
        return np.tanh(z)
    if name == "sigmoid":
        return 1 / (1 + np.exp(-z))
    return np.maximum(z, 0)


def slope(name, t):
    """Derivative of the activation, from its value."""
    if name == "tanh":
        return 1 - t * t
    if name == "sigmoid":
        return t * (1 - t)
    return (t > 0).astype(t.dtype)


def step(name, x, y, parameters, lr):
    """One step of gradient descent on one batch: the mean loss before it, and the parameters after it."""
    values = [x]
    for weight, bias in parameters:
        values.append(activation(name, values[-1] @ weight.T + bias))
    logits = values[-1]
    shifted = logits - logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(y))
    loss = (log_sum[:, 0] - shifted[rows, y]).mean(dtype=np.float64)

    delta = np.exp(shifted - log_sum)
    delta[rows, y] -= 1
    delta /= x.dtype.type(len(y))
    after = list(parameters)
    for layer in reversed(range(len(parameters))):
        weight, bias = parameters[layer]
        delta = delta * slope(name, values[layer + 1])
        after[layer] = (weight - lr * (delta.T @ values[layer]), bias - lr * delta.sum(0))
        delta = delta @ weight
    return loss, after


def train(config, x, y, parameters, epochs, *, dtype=np.float64, moving_loss=math.nan, steps=None):
    """Parameters and moving loss after these epochs, or after the first `steps` batches of the first one."""
    x = x.astype(dtype)
    parameters = [(weight.astype(dtype), bias.astype(dtype)) for weight, bias in parameters]
    lr = dtype(config.lr)
    for epoch in epochs:
        order = batch_order(config.seed, epoch, len(x))
        batches = [order[i : i + config.batch_size] for i in range(0, len(x), config.batch_size)]
        for batch in batches[:steps]:
            loss, parameters = step(config.activation, x[batch], y[batch], parameters, lr)
            moving_loss = loss if math.isnan(moving_loss) else 0.9 * moving_loss + 0.1 * loss
    return parameters, moving_loss
