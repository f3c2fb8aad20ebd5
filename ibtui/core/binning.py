"""The division of activations into cells: the binnings, their ranges, and the share of values at their ends.

X is the input, T a layer's activations; both are binned unit by unit, and a cell is one combination of bins.

``notebook``
    Bins of equal width on the range, and bin index ``floor((v - low) / width)`` in float64, except that a
    value equal to the upper bound always gets index n: a bin of its own, n + 1 per axis. On tanh with 29 bins
    these are the 30 edges from -1 to 1 of Shwartz-Ziv and Tishby's program (IDNNs). It misleads in a
    saturated net, for +1 has a bin of its own and -1 has none: one layer gives 1.118 nats so, and 0.802 with
    ``closed``; and negating all activations, a symmetry of the net, changes it.
``closed``
    The same, but the upper bound joins bin n - 1.
``width``
    For T, bin index ``floor(v / t_width)``: no range, and no value is outside. Saxe et al. (2018) use 0.07.
    Deeper or longer trained layers with larger activations get more bins, and so more information, although
    their units tell no more than a rescaled copy would.
``pooled``
    For T, bins of equal mass over all of a layer's values together: edges at the quantiles k / n of its
    distinct values (NumPy's default, linear interpolation), and a value's index is the number of edges that
    are not above it. The entropy-based adaptive binning of Chelombiev, Houghton and O'Donnell (2019). Edges
    move from measurement to measurement, and so a change of an estimate may be a change of edges alone.
``adaptive``
    For T, edges at the quantiles k / n of each unit's own values (ties share a bin); the rest is as for
    ``pooled``. What it shows is the order of values: a unit that has shrunk to nothing looks as before.

X stays on its grid in all but ``closed`` by the notebook rule, or has no grid at all (`Binning.identity`).

The range of T is that of its activation: [-1, 1] for tanh, [0, 1] for sigmoid and softmax, [0, top] for
ReLU, [-top, top] for linear and unknown ones. With `Binning.tops` the top is the same for all measurements of
a run. Without, it is the largest value of each measurement, which misleads: the bins grow with the layer, so
that a ReLU layer seems to compress where at fixed bins it expands.

With few samples, estimates of all kinds are near their ceilings whatever the net does: chance levels say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core import _arrays as check
from ibtui.core.names import BINNINGS, MEASURED

Range = tuple[float, float]

EMPTY = np.empty((0, 0))
RANGED = ("notebook", "closed")
"""The binnings that divide a range."""
UNBOUNDED = ("relu", "linear", "")
"""Activations without an upper bound."""


@dataclass(frozen=True)
class Binning:
    """The division of X and T into cells, or the kernel in its place; ValueError if it cannot be done."""

    kind: str = "notebook"
    """One of `BINNINGS`, or "kde"."""
    x_bins: int = 4
    """Bins per input axis on the range of X."""
    t_bins: int = 100
    """Bins per unit of a layer."""
    t_width: float = 0.07
    """Width of a bin of the kind "width"."""
    noise: float = 1e-3
    """Variance of the noise of the kind "kde"."""
    identity: bool = False
    """True where every sample is a symbol of X of its own; with "kde" it always is."""
    tops: tuple[float, ...] = ()
    """For each layer, where its range ends whose activation has no bound; empty: at the largest value of the
    measurement, as files of before have it. Of a layer whose activation has a bound it is 0, and plays no
    part."""

    def __post_init__(self) -> None:
        check.choice("binning", self.kind, (*BINNINGS, "kde"))
        object.__setattr__(self, "x_bins", check.bins("x_bins", self.x_bins))
        object.__setattr__(self, "t_bins", check.bins("t_bins", self.t_bins))
        object.__setattr__(self, "t_width", check.positive("t_width", self.t_width))
        object.__setattr__(self, "noise", check.positive("noise", self.noise))
        object.__setattr__(self, "tops", tuple(check.top(top) for top in self.tops))

    def covering(self, activations: Sequence[str], layers: Sequence[ArrayLike]) -> Binning:
        """Return this binning with ranges that reach the largest value of each layer; they never shrink.

        A top grows to the smallest power of two that is large enough, so that a run's estimates are made
        again only a few times. The binning is the same where it divides no range, where all activations have
        bounds, and where nothing lies outside. Values that are not finite do not count.

        Parameters
        ----------
        activations : sequence of str
            Each layer's, of `ibtui.core.names.MEASURED`.
        layers : sequence of array-like of shape (N, width)
            Their values.
        """
        if self.kind not in RANGED or not any(name in UNBOUNDED for name in activations):
            return self
        tops = list(self.tops) or [0.0] * len(activations)
        for layer, (name, values) in enumerate(zip(activations, layers, strict=True)):
            if name in UNBOUNDED and (largest := _largest(name, np.asarray(values))) > tops[layer]:
                tops[layer] = _power_of_two(largest)
        return self if tuple(tops) == self.tops else replace(self, tops=tuple(tops))

    def t_range(self, layer: int, activation: str, t: ArrayLike) -> Range:
        """Return the range of a layer's activations, (N, width): `t_range`, but up to the layer's top.

        It is not finite where activations without a bound are not: such a layer has no estimates.
        """
        if self.tops and activation in UNBOUNDED:
            top = self.tops[layer] if np.isfinite(check.matrix("t", t)).all() else math.inf
            return (0.0 if activation == "relu" else -top), top
        return t_range(activation, t)


def _largest(activation: str, values: NDArray[np.generic]) -> float:
    """The largest finite value, or magnitude where values have both signs; 0 where there is none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0
    largest = float(finite.max())
    return max(largest, 0.0) if activation == "relu" else max(largest, -float(finite.min()))


def _power_of_two(value: float) -> float:
    """The smallest that is not below a positive value; of the very largest numbers, the value itself."""
    mantissa, exponent = math.frexp(value)
    return value if exponent > 1023 else math.ldexp(1.0, exponent - (mantissa == 0.5))


class Cells(NamedTuple):
    """Samples by their cell."""

    labels: NDArray[np.int64]
    """The number of each sample's cell, from 0 on, shape (N,)."""
    kinds: int
    """Cells in use."""
    outside: int
    """Values outside the range."""
    valid: bool
    """False where values are not numbers, or the range is not finite."""


def ordered(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Return the sorted values whose quantiles are edges: of each unit, of all units, or none at all."""
    if kind == "adaptive":
        return np.sort(np.ascontiguousarray(values.T), axis=1)
    return np.unique(values)[np.newaxis] if kind == "pooled" else EMPTY


def find_cells(
    name: str, values: ArrayLike, bins: int, bounds: Range, kind: str, t_width: float = 0.07
) -> Cells:
    """Number the cells of "x" or "t"."""
    from ibtui.core._compiled import label_cells

    check.choice("binning", kind, BINNINGS)
    if name == "x" and kind != "closed":  # X stays on its grid
        kind = "notebook"
    matrix, bins = check.float_matrix(name, values), check.bins(f"{name}_bins", bins)
    low, high = check.bounds(f"{name}_range", bounds)
    t_width = check.positive("t_width", t_width) if kind == "width" else 0.0
    return Cells(*label_cells(matrix, ordered(matrix, kind), low, high, bins, kind == "closed", t_width))


def find_label_cells(name: str, labels: ArrayLike) -> Cells:
    """Number the distinct values of integers of shape (N,)."""
    from ibtui.core._compiled import compact

    keys = check.labels(name, labels)
    numbered = np.empty_like(keys)
    return Cells(numbered, compact(keys, numbered), 0, True)


def t_range(activation: str, t: ArrayLike) -> Range:
    """The range on which a layer's activations are binned.

    Parameters
    ----------
    activation : {"tanh", "relu", "sigmoid", "linear", "softmax", ""}
        Empty: it is not known.
    t : array-like of shape (N, width) or (N,)
        The layer's activations in this measurement; the range depends on them where it has no bound.

    Returns
    -------
    (float, float)
        [-1, 1] for tanh, [0, 1] for sigmoid and softmax, [0, the layer's maximum] for ReLU: (0, 0) for a
        layer that has died; as far as the largest magnitude, on both sides, for linear and unknown ones. Not
        finite for a layer that diverged. No values, and another activation, are a ValueError.
    """
    check.choice("activation", activation, MEASURED)
    values = check.matrix("t", t)
    if activation == "relu":
        # Not below 0, so that a range is a range even for activations that no ReLU computed; NaN stays NaN.
        return 0.0, float(np.maximum(values.max(), 0))
    if activation in UNBOUNDED:
        top = float(np.abs(np.asarray(values, np.float64)).max())
        return -top, top
    return (-1.0, 1.0) if activation == "tanh" else (0.0, 1.0)


def saturation(t: ArrayLike, activation: str) -> float:
    """The share of activations that lie exactly at an end of their range.

    Parameters
    ----------
    t, activation
        As for `t_range`, which says the ends.

    Returns
    -------
    float
        0 to 1; NaN where activations hold NaN, and where they have no bound: a ReLU's zeros are its sparsity.
    """
    values = check.matrix("t", t)
    low, high = t_range(activation, values)
    if activation in UNBOUNDED or np.isnan(values).any():
        return math.nan
    return float(((values == low) | (values == high)).mean())
