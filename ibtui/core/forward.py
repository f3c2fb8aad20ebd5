"""The forward pass that every measurement uses, whatever engine trained the weights; accuracy and loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core._arrays import choice, labels, matrix, same_length
from ibtui.core.names import ACTIVATIONS


def forward(
    x: ArrayLike,
    parameters: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    activation: str,
    output: str = "same",
) -> list[NDArray[np.float32]]:
    """Every layer's activations, ``t = act(t @ W.T + b)``, in float32; ``act`` itself is rounded correctly.

    The same arrays give the same bits, whatever their memory layout. Weights that have diverged give
    infinities and NaN, without a warning.

    Parameters
    ----------
    x : array-like of shape (N, inputs)
        Taken as float32.
    parameters : sequence of (W, b)
        W of shape (out, in) and b of shape (out,) for each layer, taken as float32.
    activation : {"tanh", "relu", "sigmoid", "linear"}
    output : {"same", "linear"}
        Activation of the last layer.

    Raises
    ------
    ValueError
        If the activation is unknown or shapes do not fit together.
    """
    choice("activation", activation, ACTIVATIONS)
    choice("output", output, ("same", "linear"))
    last = len(parameters) - 1
    # One memory layout, so that the matrix product takes one path through BLAS.
    t = np.ascontiguousarray(matrix("x", x), np.float32)
    outputs = []
    with np.errstate(all="ignore"):
        for layer, (weights, biases) in enumerate(parameters):
            w = np.ascontiguousarray(weights, np.float32)
            b = np.ascontiguousarray(biases, np.float32)
            if w.ndim != 2 or w.shape[1] != t.shape[1] or b.shape != w.shape[:1]:
                raise ValueError(
                    f"layer {layer} needs W of shape (out, {t.shape[1]}) and b of shape (out,), "
                    f"not {w.shape} and {b.shape}"
                )
            t = _activate(t @ w.T + b, output if layer == last and output != "same" else activation)
            outputs.append(t)
    return outputs


def _activate(z: NDArray[np.float32], activation: str) -> NDArray[np.float32]:
    """The activation function, rounded from its value in float64.

    NumPy's float32 `tanh` reaches 1 from 9.0109 on, where the rounded value does, on some processors and from
    10 on others, and its `sigmoid` early on all; but how many values are 1 is what is measured.
    """
    if activation == "linear":
        return z
    if activation == "relu":
        return np.maximum(z, np.float32(0))
    wide = z.astype(np.float64)
    if activation == "tanh":
        return np.tanh(wide).astype(np.float32)
    # exp of minus the magnitude cannot overflow, and keeps the small end's relative precision.
    decayed = np.exp(-np.abs(wide))
    sigmoid: NDArray[np.float64] = np.where(wide < 0, decayed, 1.0) / (1 + decayed)
    return sigmoid.astype(np.float32)


def evaluate(outputs: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Accuracy, and mean softmax cross-entropy, of the last layer's outputs.

    Parameters
    ----------
    outputs : array-like of shape (N, classes)
        The last layer's activations; computed on in float64.
    y : array-like of shape (N,), int
        The right class, 0 to classes - 1, or ValueError.

    Returns
    -------
    accuracy : float
        Share of samples whose largest output (the first of equals) is the right class. A row with NaN in it
        has no largest output, and counts as wrong.
    loss : float
        In nats. NaN where outputs have diverged.
    """
    scores = np.asarray(matrix("outputs", outputs), np.float64)
    right = labels("y", y)
    same_length("outputs", scores, "y", right)
    if right.min() < 0 or right.max() >= scores.shape[1]:
        raise ValueError(f"y must name one of {scores.shape[1]} classes, not {right.min()} to {right.max()}")
    of_right = scores[np.arange(len(right)), right]
    top = scores.max(axis=1)
    hit = (scores.argmax(axis=1) == right) & ~np.isnan(top)
    with np.errstate(all="ignore"):
        loss = np.log(np.exp(scores - top[:, np.newaxis]).sum(axis=1)) - (of_right - top)
        return float(hit.mean()), float(loss.mean())
