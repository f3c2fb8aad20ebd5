"""The compiled sums of `ibtui.core.kde`; imported inside functions only, as `_compiled` is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ibtui.core.compiling import compiled, inlined


@inlined
def _add(sums: NDArray[np.float64], terms: NDArray[np.float64], i: int, total: float) -> None:
    """Add sample i's terms to the sums of the samples before it, and their total to its own."""
    for j in range(i):
        sums[j] += terms[j]
    sums[i] += total


@compiled
def sum_kernels(t: NDArray[np.float32], labellings: NDArray[np.int64], noise: float) -> NDArray[np.float64]:
    """For each sample, the sums of exp(-d² / 2σ²) and exp(-d² / 8σ²) over all samples, itself included.

    `t` has shape (N, width), `labellings` (K, N). Rows 0 and 1 are the sums over all samples, and for each
    labelling two more rows are those over samples with the same label. One exponential serves both: the
    first is the fourth power of the second. Either may vanish: each sum has the sample's own 1 in it.
    """
    n, width = t.shape
    columns = np.empty((width, n), np.float32)
    for u in range(width):
        for i in range(n):
            columns[u, i] = t[i, u]
    sums = np.ones((2 + 2 * len(labellings), n), np.float64)
    squares = np.empty(n, np.float32)
    lower = np.empty(n, np.float64)
    upper, upper_within, lower_within = np.empty(n), np.empty(n), np.empty(n)
    scale = -1.0 / (8.0 * noise)
    for i in range(n):
        for j in range(i):
            squares[j] = 0.0
        for u in range(width):
            column = columns[u]
            own = column[i]
            for j in range(i):
                gap = column[j] - own
                squares[j] += gap * gap
        for j in range(i):
            exponent = scale * squares[j]
            # What is left out is less than 1e-21 of a sum that holds a 1.
            lower[j] = math.exp(exponent) if exponent > -48.0 else 0.0
        of_upper = 0.0
        of_lower = 0.0
        for j in range(i):
            square = lower[j] * lower[j]
            upper[j] = square * square
            of_upper += upper[j]
            of_lower += lower[j]
        _add(sums[0], upper, i, of_upper)
        _add(sums[1], lower, i, of_lower)
        for k in range(len(labellings)):
            labels = labellings[k]
            of_upper = 0.0
            of_lower = 0.0
            for j in range(i):  # without a branch it runs as vectors
                same = 1.0 if labels[j] == labels[i] else 0.0
                upper_within[j] = same * upper[j]
                lower_within[j] = same * lower[j]
                of_upper += upper_within[j]
                of_lower += lower_within[j]
            _add(sums[2 + 2 * k], upper_within, i, of_upper)
            _add(sums[3 + 2 * k], lower_within, i, of_lower)
    return sums
