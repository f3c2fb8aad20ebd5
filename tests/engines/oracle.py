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
    if name == "relu":
        return np.maximum(z, 0)
    assert name == "linear"
    return z


def slope(name, t):
    """Derivative of the activation, from its value."""
    if name == "tanh":
        return 1 - t * t
    if name == "sigmoid":
        return t * (1 - t)
    if name == "relu":
        return (t > 0).astype(t.dtype)
    return np.ones_like(t)


def gradients(config, x, y, parameters):
    """One batch's mean loss, and its gradient by the parameters."""
    names = [config.activation for _ in parameters]
    if config.output != "same":
        names[-1] = config.output
    values = [x]
    for name, (weight, bias) in zip(names, parameters, strict=True):
        values.append(activation(name, values[-1] @ weight.T + bias))
    logits = values[-1]
    shifted = logits - logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(y))
    loss = (log_sum[:, 0] - shifted[rows, y]).mean(dtype=np.float64)

    delta = np.exp(shifted - log_sum)
    delta[rows, y] -= 1
    delta /= x.dtype.type(len(y))
    found = [None] * len(parameters)
    for layer in reversed(range(len(parameters))):
        delta = delta * slope(names[layer], values[layer + 1])
        found[layer] = (delta.T @ values[layer], delta.sum(0))
        delta = delta @ parameters[layer][0]
    return loss, found


class Adam:
    """Algorithm 1 of Kingma and Ba, line by line, for one array."""

    def __init__(self, array, lr):
        self.theta, self.lr = array, lr
        self.m, self.v, self.t = np.zeros_like(array), np.zeros_like(array), 0

    def step(self, g):
        self.t += 1
        self.m = 0.9 * self.m + (1 - 0.9) * g
        self.v = 0.999 * self.v + (1 - 0.999) * g * g
        m_hat = self.m / (1 - 0.9**self.t)
        v_hat = self.v / (1 - 0.999**self.t)
        self.theta = self.theta - self.lr * m_hat / (np.sqrt(v_hat) + 1e-8)


class Descent:
    """Gradient descent, for one array."""

    def __init__(self, array, lr):
        self.theta, self.lr = array, lr

    def step(self, g):
        self.theta = self.theta - self.lr * g


def train(
    config, x, y, parameters, epochs, *, dtype=np.float64, moving_loss=math.nan, steps=None, noted=None
):
    """Parameters and moving loss after these epochs, or after the first `steps` batches of the first one.

    `noted` is a list that gets, for each epoch, a list of each batch's gradient.
    """
    x = x.astype(dtype)
    optimizer = {"sgd": Descent, "adam": Adam}[config.optimizer]
    lr = dtype(config.lr)
    optimizers = [tuple(optimizer(array.astype(dtype), lr) for array in layer) for layer in parameters]
    for epoch in epochs:
        order = batch_order(config.seed, epoch, len(x))
        batches = [order[i : i + config.batch_size] for i in range(0, len(x), config.batch_size)]
        of_epoch = []
        for batch in batches[:steps]:
            now = [(weight.theta, bias.theta) for weight, bias in optimizers]
            loss, found = gradients(config, x[batch], y[batch], now)
            of_epoch.append(found)
            for layer, by_layer in zip(optimizers, found, strict=True):
                for array, gradient in zip(layer, by_layer, strict=True):
                    array.step(gradient)
            moving_loss = loss if math.isnan(moving_loss) else 0.9 * moving_loss + 0.1 * loss
        if noted is not None:
            noted.append(of_epoch)
    return [(weight.theta, bias.theta) for weight, bias in optimizers], moving_loss


def gradient_snr(config, x, y, parameters, epochs):
    """By layer, of the last epoch's gradients by its weights: norm of the mean over norm of the deviation."""
    noted = []
    train(config, x, y, parameters, epochs, noted=noted)
    ratios = []
    for layer in range(len(parameters)):
        by_batch = np.array([found[layer][0] for found in noted[-1]])
        mean, deviation = by_batch.mean(axis=0), by_batch.std(axis=0)
        ratios.append(math.sqrt((mean**2).sum()) / math.sqrt((deviation**2).sum()))
    return ratios
