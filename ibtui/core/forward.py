"""The forward pass that every measurement uses, whatever engine trained the weights; accuracy and loss."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise
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
    return forward_each([x], parameters, activation, output)[0]


def forward_each(
    inputs: Sequence[ArrayLike],
    parameters: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    activation: str,
    output: str = "same",
) -> list[list[NDArray[np.float32]]]:
    """Do as `forward` for each of several inputs, to the same bits, at less cost than one by one.

    Products are taken one by one, for BLAS rounds the rows of a larger matrix differently; the rest is done
    at once.
    """
    choice("activation", activation, ACTIVATIONS)
    choice("output", output, ("same", "linear"))
    last = len(parameters) - 1
    # One memory layout, so that the matrix product takes one path through BLAS.
    now = [np.ascontiguousarray(matrix("x", x), np.float32) for x in inputs]
    ends = [0, *accumulate(map(len, now))]
    parts = [slice(start, end) for start, end in pairwise(ends)]
    layers = []
    with np.errstate(all="ignore"):
        for layer, (weights, biases) in enumerate(parameters):
            w = np.ascontiguousarray(weights, np.float32)
            b = np.ascontiguousarray(biases, np.float32)
            for t in now:
                if w.ndim != 2 or w.shape[1] != t.shape[1] or b.shape != w.shape[:1]:
                    raise ValueError(
                        f"layer {layer} needs W of shape (out, {t.shape[1]}) and b of shape (out,), "
                        f"not {w.shape} and {b.shape}"
                    )
            z = np.empty((ends[-1], len(w)), np.float32)
            for t, part in zip(now, parts, strict=True):
                np.dot(t, w.T, out=z[part])
            wide = _shifted(z, b)
            _activate(wide, output if layer == last and output != "same" else activation)
            now = [wide[part].astype(np.float32) for part in parts]
            layers.append(now)
    return [list(of_input) for of_input in zip(*layers, strict=True)]


def _shifted(z: NDArray[np.float32], biases: NDArray[np.float32]) -> NDArray[np.float64]:
    """z + biases, rounded to float32.

    NumPy takes longer for it than for the product where layers are narrow. What is compiled takes less; but a
    net can be drawn before the compiler is there, with the same bits.
    """
    shift = getattr(sys.modules.get("ibtui.core._compiled"), "shift", None)
    if shift is None:
        return (z + biases).astype(np.float64)
    out = np.empty(z.shape)
    shift(z, biases, out)
    return out


def _activate(wide: NDArray[np.float64], activation: str) -> None:
    """Replace float64 values by those of the activation function; their nearest float32 are the activations.

    NumPy's float32 `tanh` reaches 1 from 9.0109 on, where the rounded value does, on some processors and from
    10 on others, and its `sigmoid` early on all; but how many values are 1 is what is measured.
    """
    if activation == "relu":
        np.maximum(wide, 0.0, out=wide)
    elif activation == "tanh":
        np.tanh(wide, out=wide)
    elif activation == "sigmoid":
        wide[:] = _sigmoid(wide)


def _sigmoid(wide: NDArray[np.float64]) -> NDArray[np.float64]:
    # exp of minus the magnitude cannot overflow, and keeps the small end's relative precision.
    decayed = np.exp(-np.abs(wide))
    sigmoid: NDArray[np.float64] = np.where(wide < 0, decayed, 1.0) / (1 + decayed)
    return sigmoid


def softmax(outputs: ArrayLike) -> NDArray[np.float32]:
    """Each row's exponentials over their sum, computed in float64 and rounded to float32.

    Parameters
    ----------
    outputs : array-like of shape (N, classes)

    Returns
    -------
    ndarray of shape (N, classes), float32
        On [0, 1]; NaN in rows that have diverged.
    """
    scores = np.array(matrix("outputs", outputs), np.float64)
    with np.errstate(all="ignore"):
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
    return scores.astype(np.float32)


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
    right = Classes(y)
    scores = matrix("outputs", outputs)
    same_length("outputs", scores, "y", right.labels)
    return right.evaluate(scores)


@cache
def _score() -> Callable[[NDArray[Any], NDArray[np.int64]], tuple[float, float]]:
    from ibtui.core._compiled import score

    return score


class Classes:
    """Right classes of shape (N,), checked once, to `evaluate` outputs against again and again.

    ValueError unless they are integers. There may be none: accuracy and loss are NaN then.
    """

    def __init__(self, y: ArrayLike) -> None:
        self.labels = labels("y", y) if np.size(y) else np.zeros(0, np.int64)
        self._ends = (int(self.labels.min()), int(self.labels.max())) if self.labels.size else (0, 0)

    def evaluate(self, outputs: NDArray[Any]) -> tuple[float, float]:
        """Return accuracy and loss of outputs (N, classes); ValueError where they lack a class or a row."""
        samples, classes = outputs.shape
        least, most = self._ends
        if least < 0 or most >= classes:
            raise ValueError(f"y must name one of {classes} classes, not {least} to {most}")
        same_length("outputs", outputs, "y", self.labels)
        if not samples:
            return math.nan, math.nan
        accuracy, loss = _score()(np.array(outputs, np.float64, order="C"), self.labels)
        return accuracy, loss
