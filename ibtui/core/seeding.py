"""Everything that a seed fixes: the initial weights, and the order of the batches in every epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ibtui.core._arrays import choice, whole


def initial_parameters(
    widths: Sequence[int], *, inputs: int = 2, init: str = "normal", sigma: float = 1.0, seed: int = 1
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Random weights, biases zero, layer after layer from one stream.

    Drawn by NumPy's `RandomState`, whose streams never change, so a seed means the same net for every engine
    and every version of NumPy. ``fan-in`` draws standard normal numbers for a whole layer, row by row; then
    draws again those beyond two standard deviations, row by row, until none is; then goes to the next layer.

    Parameters
    ----------
    widths : sequence of int
        Units of each layer, at least one layer.
    inputs : int
        Width of the input.
    init : {"normal", "fan-in"}
        Weights ~ Normal(0, sigma); or ~ Normal(0, 1) truncated at two standard deviations, divided by the
        square root of the number of the layer's inputs.
    sigma : float
        Standard deviation of ``normal``, finite and not negative; ``fan-in`` takes no notice of it.
    seed : int
        0 to 2**32 - 1; whatever is out of its range is a ValueError.

    Returns
    -------
    list of (W, b)
        W of shape (out, in) and b of shape (out,), both float32, for each layer.
    """
    if not len(widths):
        raise ValueError("widths must name at least one layer")
    sizes = [whole("inputs", inputs, 1), *(whole("a layer's width", width, 1) for width in widths)]
    choice("init", init, ("normal", "fan-in"))
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be finite and not negative, not {sigma!r}")
    random = np.random.RandomState(whole("seed", seed, 0, 2**32 - 1))
    parameters = []
    for before, after in pairwise(sizes):
        weights = random.standard_normal((after, before))
        if init == "fan-in":
            while (beyond := np.abs(weights) > 2).any():
                weights[beyond] = random.standard_normal(np.count_nonzero(beyond))
        weights *= 1 / math.sqrt(before) if init == "fan-in" else sigma
        parameters.append((weights.astype(np.float32), np.zeros(after, np.float32)))
    return parameters


def batch_order(seed: int, epoch: int, n: int) -> NDArray[np.int32]:
    """The order in which an epoch visits the training samples: a pure function of its arguments.

    No generator's state is carried from epoch to epoch, so training can go on from any epoch. A fused
    training kernel gets the same order from `ibtui.core._compiled.fill_batch_order`.

    Parameters
    ----------
    seed, epoch : int
        0 to 2**64 - 1.
    n : int
        Number of training samples, 0 to 2**31 - 1; whatever is out of its range is a ValueError.

    Returns
    -------
    ndarray of shape (n,), int32
        A permutation of 0 to n - 1.
    """
    from ibtui.core._compiled import fill_batch_order

    word = 2**64 - 1
    order = np.empty(whole("n", n, 0, 2**31 - 1), np.int32)
    key = np.uint64(whole("seed", seed, 0, word)), np.uint64(whole("epoch", epoch, 0, word))
    fill_batch_order(*key, order)
    return order
