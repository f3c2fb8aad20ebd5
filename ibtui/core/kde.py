"""Bounds on information by kernel density: T is a layer's activations with Gaussian noise added.

Kolchinsky and Tracey, "Estimating mixture entropy with pairwise distances" (Entropy 19, 2017), as Saxe et al.
(2018) use them. With d the distance between the activations of samples i and j, and noise of variance σ²,

    I(X;T) <= - mean over i of ln (mean over j of exp(-d² / 2σ²))    (Kullback-Leibler divergence)
    I(X;T) >= the same with exp(-d² / 8σ²)                           (Bhattacharyya distance)

where each sample is a symbol of X. I(T;Y) = H(T) - Σ p(y) H(T|y) with the same bound for both terms; it is
then an estimate, and no bound. Everything is in nats.

It misleads where the noise is forgotten. The net itself has none: its size is a choice, which decides on the
scale below which activations count as equal; a layer whose activations are scaled up has more information.
No value exceeds ln N, which is reached where samples are further apart than the noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core import _arrays as check

MOST_KDE = 1000
"""Samples that enter where nothing else is said: their distances take as long as all else together."""
_CHOICE = 0
"""The seed by which samples are chosen."""


def choose_samples(n: int, most: int | None) -> NDArray[np.int64]:
    """Return the numbers of the samples that enter, ascending: all, or a fixed choice of so many."""
    if most is None or n <= check.whole("most_kde", most, 1):
        return np.arange(n)
    return np.sort(np.random.RandomState(_CHOICE).permutation(n)[:most])


def kde_bounds(t: ArrayLike, y: ArrayLike, noise: float = 1e-3) -> tuple[float, float, float, float]:
    """Bound I(X;T), and estimate I(T;Y), by kernels; see the module.

    Parameters
    ----------
    t : array-like of shape (N, width) or (N,)
        One layer's activations. Distances are taken in float32, sums in float64.
    y : array-like of shape (N,), integers
        Labels of the same samples, any values.
    noise : float
        The variance σ², above 0.

    Returns
    -------
    i_xt, i_ty, i_xt_lower, i_ty_lower : float
        From the upper bounds and from the lower ones, in nats; NaN where activations are not finite. Shapes
        that differ and values that are masked are a ValueError.
    """
    values, labels = check.float_matrix("t", t), _numbered(y)
    check.same_length("t", values, "y", labels)
    return bounds_of(values, labels, check.positive("noise", noise))


def chance_i_ty_by_shuffling(
    t: ArrayLike, y: ArrayLike, noise: float = 1e-3, *, shuffles: int = 20, seed: int = 0
) -> tuple[float, float]:
    """Return the mean of `kde_bounds`' I(T;Y), by upper and by lower bounds, if labels are shuffled.

    There is no closed form of the level that chance reaches, as there is for cells; this is an estimate of it
    from a few pairings, which `seed` fixes. Arguments and errors are those of `kde_bounds`.
    """
    from ibtui.core._compiled import sum_kernels

    values, labels = check.float_matrix("t", t), _numbered(y)
    check.same_length("t", values, "y", labels)
    noise, count = check.positive("noise", noise), check.whole("shuffles", shuffles, 1)
    random = np.random.RandomState(check.whole("seed", seed, 0, 2**32 - 1))
    orders = np.array([random.permutation(labels) for _ in range(count)])
    if (points := _points(values)) is None:
        return math.nan, math.nan
    sums = sum_kernels(points, orders, noise)
    upper, lower = zip(*(_informations(sums, orders, at)[1::2] for at in range(count)), strict=True)
    return math.fsum(upper) / count, math.fsum(lower) / count


def bounds_of(
    values: NDArray[np.float64], labels: NDArray[np.int64], noise: float
) -> tuple[float, float, float, float]:
    """Return what `kde_bounds` does, of plain arguments; labels are numbered from 0 on."""
    from ibtui.core._compiled import sum_kernels

    if (points := _points(values)) is None:
        return math.nan, math.nan, math.nan, math.nan
    orders = labels[np.newaxis]
    return _informations(sum_kernels(points, orders, noise), orders, 0)


def _points(values: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Activations in float32; None where they are not finite, or beyond it."""
    with np.errstate(over="ignore"):
        points = values.astype(np.float32)
    return points if np.isfinite(points).all() else None


def _numbered(y: ArrayLike) -> NDArray[np.int64]:
    return np.unique(check.labels("y", y), return_inverse=True)[1].astype(np.int64)


def _informations(
    sums: NDArray[np.float64], orders: NDArray[np.int64], at: int
) -> tuple[float, float, float, float]:
    """From each sample's sums of kernels over all samples, and over those of its class, to information."""
    labels = orders[at]
    of_class = np.bincount(labels)[labels]
    all_upper, all_lower = -np.log(sums[:2] / len(labels)).mean(axis=1)
    within_upper, within_lower = -np.log(sums[2 + 2 * at : 4 + 2 * at] / of_class).mean(axis=1)
    i_xt, i_xt_lower = max(float(all_upper), 0.0), max(float(all_lower), 0.0)
    return i_xt, float(all_upper - within_upper), i_xt_lower, float(all_lower - within_lower)
