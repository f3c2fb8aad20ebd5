"""Estimates of I(X;T) and I(T;Y), the axes of the information plane, and the level that chance reaches.

Everything is in nats. X is the input, T a layer's activations, Y the label; X and T are binned, unit by unit,
and a cell is one combination of bins. Three binnings:

``notebook``
    Bins of equal width on the range, and bin index ``floor((v - low) / width)`` in float64, except that a
    value equal to the upper bound always gets index n: a bin of its own, n + 1 per axis.
``closed``
    The same, but the upper bound joins bin n - 1.
``adaptive``
    For T, bins of equal mass: edges at the empirical quantiles k / n of each unit (NumPy's default, linear
    interpolation, in float64), and a value's index is the number of edges that are not above it, so that ties
    share a bin. The range plays no part, and no value is outside. X stays on its grid, by the notebook rule.

A value outside the range joins the nearest bin and is counted; the functions warn of such values
(`OutsideWarning`), `Estimator` returns their number. A range that is a single point (a ReLU layer
that has died) is one bin. Every result is NaN where activations hold NaN, and where the range is infinite or,
if the binning is adaptive, a unit's activations span no finite range.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core import _arrays as check
from ibtui.core.names import ACTIVATIONS, BINNINGS

Range = tuple[float, float]

_TABLED_LOGS = 4096
_EMPTY = np.empty((0, 0))


class OutsideWarning(UserWarning):
    """Values lie outside the range that is divided into bins, and join the nearest bin.

    Most often the range is not that of the activation: give `t_range(activation, t)`.
    """


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
    measurement, as files of before have it."""

    def __post_init__(self) -> None:
        check.choice("binning", self.kind, (*BINNINGS, "kde"))
        object.__setattr__(self, "x_bins", check.bins("x_bins", self.x_bins))
        object.__setattr__(self, "t_bins", check.bins("t_bins", self.t_bins))


class Estimates(NamedTuple):
    """One measurement of L layers: arrays of shape (L,); NaN for a layer that diverged."""

    i_xt: NDArray[np.float64]
    i_ty: NDArray[np.float64]
    chance_i_xt: NDArray[np.float64]
    """The expected I(X;T) if samples are paired at random, nats."""
    chance_i_ty: NDArray[np.float64]
    """The same for I(T;Y)."""
    occupancy: NDArray[np.float64]
    """T cells in use / samples: near 1, T identifies the sample, and the estimates say little."""
    outside: NDArray[np.int64]
    """Values outside their range: the layer's, and those of X."""


class _Cells(NamedTuple):
    labels: NDArray[np.int64]
    kinds: int
    outside: int
    valid: bool


def _ordered(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Each unit's values sorted, shape (width, N), where the binning needs them."""
    return np.sort(np.ascontiguousarray(values.T), axis=1) if kind == "adaptive" else _EMPTY


def _cells(name: str, values: ArrayLike, bins: int, bounds: Range, kind: str) -> _Cells:
    """Number the cells of "x" or "t"."""
    from ibtui.core._compiled import label_cells

    check.choice("binning", kind, BINNINGS)
    if name == "x" and kind == "adaptive":  # X stays on its grid
        kind = "notebook"
    matrix, bins = check.float_matrix(name, values), check.bins(f"{name}_bins", bins)
    low, high = check.bounds(f"{name}_range", bounds)
    return _Cells(*label_cells(matrix, _ordered(matrix, kind), low, high, bins, kind == "closed"))


def _label_cells(name: str, labels: ArrayLike) -> _Cells:
    from ibtui.core._compiled import compact

    keys = check.labels(name, labels)
    numbered = np.empty_like(keys)
    return _Cells(numbered, compact(keys, numbered), 0, True)


@lru_cache(maxsize=1)
def _log_table() -> NDArray[np.float64]:
    """ln k at index k, in place of logarithms taken one by one; 0 at index 0, where it is multiplied by 0."""
    table: NDArray[np.float64] = np.log(np.maximum(np.arange(_TABLED_LOGS + 1), 1))
    return table


def _relate(a: _Cells, b: _Cells, with_chance: bool) -> tuple[float, float]:
    """The estimate and its chance level (NaN if not asked for)."""
    from ibtui.core._compiled import relate

    if not (a.valid and b.valid):
        return math.nan, math.nan
    return relate(a.labels, a.kinds, b.labels, b.kinds, _log_table(), with_chance)


def _entropy(cells: _Cells) -> float:
    if not cells.valid:
        return math.nan
    counts = np.bincount(cells.labels)
    return float((counts * np.log(len(cells.labels) / counts)).sum()) / len(cells.labels)


def _warn(name: str, values: ArrayLike, cells: _Cells, bounds: Range) -> None:
    """Warn the caller's caller's caller of values outside the range, if there are any."""
    if cells.outside and cells.valid:
        low, high = bounds
        warnings.warn(
            f"{cells.outside:,} of {np.size(values):,} values of {name} are outside {name}_range "
            f"({low:g}, {high:g}), and were put into the nearest bin; give their range as {name}_range",
            OutsideWarning,
            stacklevel=4,
        )


def _relate_x_and_t(
    x: ArrayLike,
    t: ArrayLike,
    x_bins: int,
    t_bins: int,
    x_range: Range,
    t_range: Range,
    binning: str,
    with_chance: bool,
) -> tuple[float, float]:
    of_x = _cells("x", x, x_bins, x_range, binning)
    of_t = _cells("t", t, t_bins, t_range, binning)
    check.same_length("x", of_x.labels, "t", of_t.labels)
    _warn("x", x, of_x, x_range)
    _warn("t", t, of_t, t_range)
    return _relate(of_x, of_t, with_chance)


def _relate_t_and_y(
    t: ArrayLike, y: ArrayLike, t_bins: int, t_range: Range, binning: str, with_chance: bool
) -> tuple[float, float]:
    of_t, of_y = _t_and_y_cells(t, y, t_bins, t_range, binning)
    _warn("t", t, of_t, t_range)
    return _relate(of_t, of_y, with_chance)


def _t_and_y_cells(
    t: ArrayLike, y: ArrayLike, t_bins: int, t_range: Range, binning: str
) -> tuple[_Cells, _Cells]:
    of_t = _cells("t", t, t_bins, t_range, binning)
    of_y = _label_cells("y", y)
    check.same_length("t", of_t.labels, "y", of_y.labels)
    return of_t, of_y


def i_xt(
    x: ArrayLike,
    t: ArrayLike,
    *,
    x_bins: int = 4,
    t_bins: int = 100,
    x_range: Range = (0, 1),
    t_range: Range = (-1, 1),
    binning: str = "notebook",
) -> float:
    """Plug-in estimate of I(X;T), in nats.

    I = Σ m/N ln(m N / (a b)) over the pairs of an X cell with a samples and a T cell with b samples that
    share m > 0 of the N samples.

    Parameters
    ----------
    x : array-like of shape (N, inputs) or (N,)
        Inputs.
    t : array-like of shape (N, width) or (N,)
        One layer's activations for the same samples.
    x_bins, t_bins : int
        Bins per input axis, and per unit; 1 or more.
    x_range, t_range : (float, float)
        The ranges that are divided into bins. `t_range` plays no part if the binning is adaptive.
    binning : {"notebook", "closed", "adaptive"}
        See the module's description.

    Returns
    -------
    float
        0 or more; NaN where `x` or `t` holds NaN, or a range is not finite: `x_range`, and `t_range` or, if
        the binning is adaptive, that of a unit's activations.

    Raises
    ------
    ValueError
        If shapes, bins, ranges or the binning make no sense, or values are masked.

    Warns
    -----
    OutsideWarning
        Values lie outside their range.
    """
    return _relate_x_and_t(x, t, x_bins, t_bins, x_range, t_range, binning, False)[0]


def i_ty(
    t: ArrayLike, y: ArrayLike, *, t_bins: int = 100, t_range: Range = (-1, 1), binning: str = "notebook"
) -> float:
    """Plug-in estimate of I(T;Y), in nats; the rest is as for `i_xt`.

    Parameters
    ----------
    y : array-like of shape (N,), integers
        Labels of the same samples, any values.
    """
    return _relate_t_and_y(t, y, t_bins, t_range, binning, False)[0]


def chance_i_xt(
    x: ArrayLike,
    t: ArrayLike,
    *,
    x_bins: int = 4,
    t_bins: int = 100,
    x_range: Range = (0, 1),
    t_range: Range = (-1, 1),
    binning: str = "notebook",
) -> float:
    """Return the expected `i_xt` if samples of X and T are paired at random: exact, in nats.

    The mean over all N! pairings, from the cells' sample counts alone (hypergeometric model). With few
    samples per cell it comes close to the estimate's ceiling, so an estimate without it misleads. Arguments,
    errors and warnings are those of `i_xt`, and it is NaN where that is.

    References
    ----------
    Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison: variants, properties,
    normalization and correction for chance", JMLR 11 (2010), equation 24.
    """
    return _relate_x_and_t(x, t, x_bins, t_bins, x_range, t_range, binning, True)[1]


def chance_i_ty(
    t: ArrayLike, y: ArrayLike, *, t_bins: int = 100, t_range: Range = (-1, 1), binning: str = "notebook"
) -> float:
    """Return the expected `i_ty` if samples of T and Y are paired at random: exact; see `chance_i_xt`."""
    return _relate_t_and_y(t, y, t_bins, t_range, binning, True)[1]


def i_ty_and_chance(
    t: ArrayLike, y: ArrayLike, *, t_bins: int = 100, t_range: Range = (-1, 1), binning: str = "notebook"
) -> tuple[float, float]:
    """`i_ty` and `chance_i_ty` at once, without their warnings. Arguments and errors as for `i_ty`."""
    return _relate(*_t_and_y_cells(t, y, t_bins, t_range, binning), True)


def mutual_information_of_labels(a: ArrayLike, b: ArrayLike) -> float:
    """Plug-in mutual information of two labellings, in nats.

    Parameters
    ----------
    a, b : array-like of shape (N,), integers
        Any values; samples with the same value are in the same cell.

    Returns
    -------
    float
        0 or more, and exactly 0 where the table of counts is the product of its margins.

    Raises
    ------
    ValueError
        If shapes differ or labels are not integers.
    """
    return _relate_labels(a, b, False)[0]


def chance_of_labels(a: ArrayLike, b: ArrayLike) -> float:
    """Return the expected `mutual_information_of_labels` for a random pairing; see `chance_i_xt`."""
    return _relate_labels(a, b, True)[1]


def _relate_labels(a: ArrayLike, b: ArrayLike, with_chance: bool) -> tuple[float, float]:
    of_a, of_b = _label_cells("a", a), _label_cells("b", b)
    check.same_length("a", of_a.labels, "b", of_b.labels)
    return _relate(of_a, of_b, with_chance)


def _entropy_warned(name: str, values: ArrayLike, bins: int, bounds: Range, kind: str) -> float:
    cells = _cells(name, values, bins, bounds, kind)
    _warn(name, values, cells, bounds)
    return _entropy(cells)


def entropy_x(x: ArrayLike, *, x_bins: int = 4, x_range: Range = (0, 1), binning: str = "notebook") -> float:
    """Plug-in entropy of binned X, in nats: the ceiling of I(X;T). Arguments and errors as for `i_xt`."""
    return _entropy_warned("x", x, x_bins, x_range, binning)


def entropy_t(
    t: ArrayLike, *, t_bins: int = 100, t_range: Range = (-1, 1), binning: str = "notebook"
) -> float:
    """Plug-in entropy of binned T, in nats. Arguments and errors as for `i_ty`."""
    return _entropy_warned("t", t, t_bins, t_range, binning)


def entropy_y(y: ArrayLike) -> float:
    """Plug-in entropy of the labels, in nats: the ceiling of I(T;Y). Arguments and errors as for `i_ty`."""
    return _entropy(_label_cells("y", y))


def t_range(activation: str, t: ArrayLike) -> Range:
    """The range on which a layer's activations are binned.

    Parameters
    ----------
    activation : {"tanh", "relu", "sigmoid"}
    t : array-like of shape (N, width) or (N,)
        The layer's activations in this measurement; only ReLU's range depends on them.

    Returns
    -------
    (float, float)
        [-1, 1] for tanh, [0, 1] for sigmoid, [0, the layer's maximum] for ReLU: (0, 0) for a layer that has
        died, and not finite for one that diverged. No values, and an unknown activation, are a ValueError.
    """
    check.choice("activation", activation, ACTIVATIONS)
    values = check.matrix("t", t)
    if activation == "relu":
        # Not below 0, so that a range is a range even for activations that no ReLU computed; NaN stays NaN.
        return 0.0, float(np.maximum(values.max(), 0))
    return (-1.0, 1.0) if activation == "tanh" else (0.0, 1.0)


def saturation(t: ArrayLike, activation: str) -> float:
    """The share of activations that lie exactly at an end of their range.

    Parameters
    ----------
    t, activation
        As for `t_range`, which says the ends. Of a ReLU that is 0, and the layer's maximum, which at least
        one activation always reaches.

    Returns
    -------
    float
        0 to 1; NaN where activations hold NaN.
    """
    values = check.matrix("t", t)
    low, high = t_range(activation, values)
    if np.isnan(values).any():
        return math.nan
    return float(((values == low) | (values == high)).mean())


class Estimator:
    """Measures the information of layers against one data set, whose cells are found once.

    It holds no state that changes: threads may share one. Nearly all of `estimate` runs without the GIL.

    Parameters
    ----------
    x : array-like of shape (N, inputs)
        The measured inputs.
    y : array-like of shape (N,), integers
        Their labels.
    binning : Binning
    activations : sequence of {"tanh", "relu", "sigmoid"}
        Each layer's activation function, which decides T's range; see `t_range`. An unknown one, or shapes
        that differ, are a ValueError.
    x_range : (float, float)
        The range of each input, which is divided into bins.

    Attributes
    ----------
    h_x, h_y : float
        Entropies of binned X and of Y, in nats: the ceilings of I(X;T) and I(T;Y). `h_x` is NaN if X holds
        NaN.
    x_outside : int
        Values of X outside their range.
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        binning: Binning,
        activations: Sequence[str],
        x_range: Range = (0.0, 1.0),
    ) -> None:
        self.binning = binning
        self.activations = tuple(check.choice("activation", name, ACTIVATIONS) for name in activations)
        self._x = _cells("x", x, binning.x_bins, x_range, binning.kind)
        self._y = _label_cells("y", y)
        check.same_length("x", self._x.labels, "y", self._y.labels)
        self.h_x = _entropy(self._x)
        self.h_y = _entropy(self._y)
        self.x_outside = self._x.outside

    def estimate(self, activations: Sequence[ArrayLike]) -> Estimates:
        """Measure each layer's activations, (N, width), of the estimator's samples, in their order.

        ValueError if there are not as many layers as activation functions, or one has other samples.
        """
        from ibtui.core._compiled import measure_layer

        layers = len(activations)
        if layers != len(self.activations):
            raise ValueError(f"there must be activations of {len(self.activations)} layers, not of {layers}")
        numbers = np.full((5, layers), math.nan)  # a row for each of Estimates' first five
        outside = np.zeros(layers, np.int64)
        kind, bins = self.binning.kind, self.binning.t_bins
        for layer, t in enumerate(activations):
            values = check.float_matrix(f"layer {layer}", t)
            check.same_length("x", self._x.labels, f"layer {layer}", values)
            low, high = t_range(self.activations[layer], values)
            of_x, of_y = self._x, self._y
            *information, kinds, out, valid = measure_layer(
                values, _ordered(values, kind), low, high, bins, kind == "closed",
                of_x.labels, of_x.kinds, of_y.labels, of_y.kinds, _log_table(), True,
            )  # fmt: skip
            outside[layer] = out + self.x_outside
            if valid:
                numbers[:, layer] = *information, kinds / len(values)
        if not self._x.valid:
            numbers[[0, 2]] = math.nan
        return Estimates._make((*numbers, outside))
