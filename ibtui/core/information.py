"""Estimates of I(X;T) and I(T;Y), the axes of the information plane, and the level that chance reaches.

Everything is in nats. X is the input, T a layer's activations, Y the label; X and T are binned as
`ibtui.core.binning` says, or T is given noise (`ibtui.core.kde`).

A value outside the range joins the nearest bin and is counted; the functions warn of such values
(`OutsideWarning`), `Estimator` returns their number. A range that is a single point (a ReLU layer
that has died) is one bin. Every result is NaN where activations hold NaN, where the range is infinite, and
where activations span no finite range though they decide on the bins.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core import _arrays as check
from ibtui.core.binning import (
    EMPTY,
    UNBOUNDED,
    Binning,
    Cells,
    Range,
    find_cells,
    find_label_cells,
    ordered,
    saturation,
    t_range,
)
from ibtui.core.dimension import NARROW, both
from ibtui.core.kde import MOST_KDE, bounds_of, choose_samples
from ibtui.core.names import BINNINGS, MEASURED

__all__ = [
    "BINNINGS", "Binning", "Estimates", "Estimator", "LayerNumbers", "OutsideWarning", "Range", "chance_i_ty",
    "chance_i_xt", "chance_of_labels", "entropy_t", "entropy_x", "entropy_y", "i_ty", "i_ty_and_chance",
    "i_xt", "mutual_information_of_labels", "saturation", "t_range",
]  # fmt: skip

_TABLED_LOGS = 4096
_MOST_KNOWN = 1 << 20
"""Summands of chance levels that an estimator keeps for each of X and Y: 8 MB."""
_ROWS = 10
"""The rows of `LayerNumbers` before `outside`."""
_LARGE = 1 << 20
"""From so many values on, layers are measured one by one: a copy of all of them takes memory."""


class OutsideWarning(UserWarning):
    """Values lie outside the range that is divided into bins, and join the nearest bin.

    Most often the range is not that of the activation: give `t_range(activation, t)`.
    """


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
    i_xt_lower: NDArray[np.float64]
    """The lower bound of I(X;T), nats; NaN where values are binned. `i_xt` is the upper one."""
    i_ty_lower: NDArray[np.float64]
    """The estimate of I(T;Y) from lower bounds, nats; NaN where values are binned."""


class LayerNumbers(NamedTuple):
    """All that is computed of one measurement's layers in a pass: arrays of shape (L,)."""

    i_xt: NDArray[np.float64]
    i_ty: NDArray[np.float64]
    chance_i_xt: NDArray[np.float64]
    chance_i_ty: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    dimension: NDArray[np.float64]
    participation_ratio: NDArray[np.float64]
    saturation: NDArray[np.float64]
    i_xt_lower: NDArray[np.float64]
    i_ty_lower: NDArray[np.float64]
    outside: NDArray[np.int64]


@lru_cache(maxsize=1)
def _log_table() -> NDArray[np.float64]:
    """ln k at index k, in place of logarithms taken one by one; 0 at index 0, where it is multiplied by 0."""
    table: NDArray[np.float64] = np.log(np.maximum(np.arange(_TABLED_LOGS + 1), 1))
    return table


def _relate(a: Cells, b: Cells, with_chance: bool) -> tuple[float, float]:
    """The estimate and its chance level (NaN if not asked for)."""
    from ibtui.core._compiled import relate

    if not (a.valid and b.valid):
        return math.nan, math.nan
    return relate(a.labels, a.kinds, b.labels, b.kinds, _log_table(), int(with_chance), EMPTY)


def _entropy(cells: Cells) -> float:
    if not cells.valid:
        return math.nan
    counts = np.bincount(cells.labels)
    return float((counts * np.log(len(cells.labels) / counts)).sum()) / len(cells.labels)


def _warn(name: str, values: ArrayLike, cells: Cells, bounds: Range) -> None:
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
    t_width: float,
    with_chance: bool,
) -> tuple[float, float]:
    of_x = find_cells("x", x, x_bins, x_range, binning)
    of_t = find_cells("t", t, t_bins, t_range, binning, t_width)
    check.same_length("x", of_x.labels, "t", of_t.labels)
    _warn("x", x, of_x, x_range)
    _warn("t", t, of_t, t_range)
    return _relate(of_x, of_t, with_chance)


def _relate_t_and_y(
    t: ArrayLike, y: ArrayLike, t_bins: int, t_range: Range, binning: str, t_width: float, with_chance: bool
) -> tuple[float, float]:
    of_t, of_y = _t_and_y_cells(t, y, t_bins, t_range, binning, t_width)
    _warn("t", t, of_t, t_range)
    return _relate(of_t, of_y, with_chance)


def _t_and_y_cells(
    t: ArrayLike, y: ArrayLike, t_bins: int, t_range: Range, binning: str, t_width: float
) -> tuple[Cells, Cells]:
    of_t = find_cells("t", t, t_bins, t_range, binning, t_width)
    of_y = find_label_cells("y", y)
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
    t_width: float = 0.07,
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
        The ranges that are divided into bins. `t_range` plays no part but in `notebook` and `closed`.
    binning : {"notebook", "closed", "adaptive", "width", "pooled"}
        See `ibtui.core.binning`.
    t_width : float
        The width of T's bins where the binning is `width`; above 0.

    Returns
    -------
    float
        0 or more; NaN where `x` or `t` holds NaN, or a range is not finite: `x_range`, and `t_range` or,
        where it plays no part, that of the activations.

    Raises
    ------
    ValueError
        If shapes, bins, ranges or the binning make no sense, or values are masked.

    Warns
    -----
    OutsideWarning
        Values lie outside their range.
    """
    return _relate_x_and_t(x, t, x_bins, t_bins, x_range, t_range, binning, t_width, False)[0]


def i_ty(
    t: ArrayLike,
    y: ArrayLike,
    *,
    t_bins: int = 100,
    t_range: Range = (-1, 1),
    binning: str = "notebook",
    t_width: float = 0.07,
) -> float:
    """Plug-in estimate of I(T;Y), in nats; the rest is as for `i_xt`.

    Parameters
    ----------
    y : array-like of shape (N,), integers
        Labels of the same samples, any values.
    """
    return _relate_t_and_y(t, y, t_bins, t_range, binning, t_width, False)[0]


def chance_i_xt(
    x: ArrayLike,
    t: ArrayLike,
    *,
    x_bins: int = 4,
    t_bins: int = 100,
    x_range: Range = (0, 1),
    t_range: Range = (-1, 1),
    binning: str = "notebook",
    t_width: float = 0.07,
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
    return _relate_x_and_t(x, t, x_bins, t_bins, x_range, t_range, binning, t_width, True)[1]


def chance_i_ty(
    t: ArrayLike,
    y: ArrayLike,
    *,
    t_bins: int = 100,
    t_range: Range = (-1, 1),
    binning: str = "notebook",
    t_width: float = 0.07,
) -> float:
    """Return the expected `i_ty` if samples of T and Y are paired at random: exact; see `chance_i_xt`."""
    return _relate_t_and_y(t, y, t_bins, t_range, binning, t_width, True)[1]


def i_ty_and_chance(
    t: ArrayLike,
    y: ArrayLike,
    *,
    t_bins: int = 100,
    t_range: Range = (-1, 1),
    binning: str = "notebook",
    t_width: float = 0.07,
) -> tuple[float, float]:
    """`i_ty` and `chance_i_ty` at once, without their warnings. Arguments and errors as for `i_ty`.

    The chance level is NaN where every sample has a cell of its own: it says nothing then.
    """
    of_t, of_y = _t_and_y_cells(t, y, t_bins, t_range, binning, t_width)
    information, chance = _relate(of_t, of_y, True)
    return information, math.nan if len(of_t.labels) in (of_t.kinds, of_y.kinds) else chance


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
    of_a, of_b = find_label_cells("a", a), find_label_cells("b", b)
    check.same_length("a", of_a.labels, "b", of_b.labels)
    return _relate(of_a, of_b, with_chance)


def _entropy_warned(
    name: str, values: ArrayLike, bins: int, bounds: Range, kind: str, t_width: float = 0.07
) -> float:
    cells = find_cells(name, values, bins, bounds, kind, t_width)
    _warn(name, values, cells, bounds)
    return _entropy(cells)


def entropy_x(x: ArrayLike, *, x_bins: int = 4, x_range: Range = (0, 1), binning: str = "notebook") -> float:
    """Plug-in entropy of binned X, in nats: the ceiling of I(X;T). Arguments and errors as for `i_xt`."""
    return _entropy_warned("x", x, x_bins, x_range, binning)


def entropy_t(
    t: ArrayLike,
    *,
    t_bins: int = 100,
    t_range: Range = (-1, 1),
    binning: str = "notebook",
    t_width: float = 0.07,
) -> float:
    """Plug-in entropy of binned T, in nats. Arguments and errors as for `i_ty`."""
    return _entropy_warned("t", t, t_bins, t_range, binning, t_width)


def entropy_y(y: ArrayLike) -> float:
    """Plug-in entropy of the labels, in nats: the ceiling of I(T;Y). Arguments and errors as for `i_ty`."""
    return _entropy(find_label_cells("y", y))


class _Plan(NamedTuple):
    widths: NDArray[np.int64]
    geometry: NDArray[np.int64]
    """For each layer, as `_compiled.measure_layers` takes it."""
    wide: bool
    """True where the dimensions of a layer are left to LAPACK."""
    calls: list[slice]
    """The layers of each call."""


class Estimator:
    """Measures the information of layers against one data set, whose cells are found once.

    Nothing changes the numbers that it gives: threads may share one. Nearly all of its work runs without the
    GIL.

    Chance levels are NaN wherever they say nothing: where each sample is a symbol of its own of X (for
    I(X;T)), of T or of Y. The estimate and its expected value are then one number, and what is between them
    is rounding. With "kde" there are none (`ibtui.core.kde.chance_i_ty_by_shuffling`).

    Parameters
    ----------
    x : array-like of shape (N, inputs)
        The measured inputs.
    y : array-like of shape (N,), integers
        Their labels.
    binning : Binning
    activations : sequence of {"tanh", "relu", "sigmoid", "linear", "softmax", ""}
        Each layer's activation function, which decides T's range; see `Binning.t_range`. An unknown one, or
        shapes that differ, are a ValueError.
    x_range : (float, float)
        The range of each input, which is divided into bins.
    most_kde : int or None
        So many samples enter the estimate by "kde", whose time grows with their square: the same ones in
        every measurement. None: all.

    Attributes
    ----------
    h_x, h_y : float
        Entropies of X and of Y, in nats: the ceilings of I(X;T) and I(T;Y). `h_x` is NaN if X holds NaN, and
        ln N where each sample is a symbol of its own. With "kde" they are those of the samples that enter.
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
        most_kde: int | None = MOST_KDE,
    ) -> None:
        self.binning = binning
        self.activations = tuple(check.choice("activation", name, MEASURED) for name in activations)
        self._y = find_label_cells("y", y)
        inputs = check.matrix("x", x)
        check.same_length("x", inputs, "y", self._y.labels)
        self.x_outside = 0
        if binning.kind == "kde":
            self._chosen = choose_samples(len(inputs), most_kde)
            self._y = find_label_cells("y", self._y.labels[self._chosen])
        self.h_y = _entropy(self._y)
        self._samples = len(inputs)
        if binning.identity or binning.kind == "kde":
            self._x = Cells(np.empty(0, np.int64), 0, 0, True)
            self.h_x = math.log(len(self._y.labels))
        else:
            self._x = find_cells("x", inputs, binning.x_bins, x_range, binning.kind)
            self.h_x = _entropy(self._x)
            self.x_outside = self._x.outside
        bounded = [name not in UNBOUNDED for name in self.activations]
        zero = np.zeros(1)
        self._ranges = np.array([t_range(name, zero) for name in self.activations]).reshape(-1, 2)
        self._unbounded = [layer for layer, known in enumerate(bounded) if not known]
        self._ends = np.array(bounded, np.int64)  # 1 where saturation is known
        self._plans: dict[tuple[tuple[int, ...], bool], _Plan] = {}
        self._sorted = binning.kind in ("adaptive", "pooled")
        self._cells = (
            0 if binning.kind == "kde" else binning.t_bins,
            binning.kind == "closed",
            binning.t_width if binning.kind == "width" else 0.0,
            *(self._x.labels, self._x.kinds, self._y.labels, self._y.kinds, _log_table()),
            *(_unknown(self._x), _unknown(self._y)),
        )

    def with_tops(self, tops: tuple[float, ...]) -> Estimator:
        """Return the same estimator for ranges that end there (`Binning.tops`); X is not binned anew."""
        other = copy.copy(self)
        other.binning = replace(self.binning, tops=tops)
        return other

    def estimate(self, activations: Sequence[ArrayLike]) -> Estimates:
        """Measure each layer's activations, (N, width), of the estimator's samples, in their order.

        ValueError if there are not as many layers as activation functions, or one has other samples.
        """
        numbers = self.measure(activations, geometry=False)
        return Estimates._make(getattr(numbers, name) for name in Estimates._fields)

    def measure(self, activations: Sequence[ArrayLike], *, geometry: bool = True) -> LayerNumbers:
        """Do as `estimate`, and find dimension, participation ratio and saturation in the same pass.

        Without `geometry` these are NaN.
        """
        from ibtui.core._compiled import measure_layers

        count = len(activations)
        if count != len(self.activations):
            raise ValueError(f"there must be activations of {len(self.activations)} layers, not of {count}")
        layers = [self._checked(layer, t) for layer, t in enumerate(activations)]
        plan = self._plan(tuple([t.shape[1] for t in layers]), geometry)
        ranges = self._ranges
        if self._unbounded:
            ranges = ranges.copy()
            for layer in self._unbounded:
                ranges[layer] = self.binning.t_range(layer, self.activations[layer], layers[layer])
        numbers = np.full((_ROWS, count), math.nan)
        outside = np.full(count, self.x_outside)
        missing = plan.wide
        for some in plan.calls:
            flat = np.concatenate(layers[some], axis=None, dtype=np.float64)
            edges = ordered(flat.reshape(self._samples, -1), self.binning.kind) if self._sorted else EMPTY
            missing |= measure_layers(
                flat, plan.widths[some], ranges[some], edges, *self._cells, plan.geometry[some], some.start,
                numbers, outside,
            )  # fmt: skip
        if missing:
            for layer in np.flatnonzero(np.isnan(numbers[5])):
                numbers[5:7, layer] = both(layers[layer])
        if self.binning.kind == "kde":
            for layer, t in enumerate(layers):
                values = np.array(t, np.float64)[self._chosen]
                numbers[[0, 1, 8, 9], layer] = bounds_of(values, self._y.labels, self.binning.noise)
        if not self._x.valid:
            numbers[[0, 2]] = math.nan
        return LayerNumbers._make((*numbers, outside))

    def _plan(self, widths: tuple[int, ...], geometry: bool) -> _Plan:
        """Say what is measured of layers of these widths, and how; it is kept, being always the same."""
        if (plan := self._plans.get((widths, geometry))) is None:
            count = len(widths)
            narrow = np.array(widths, np.int64) <= NARROW
            # All layers in one call, unless they are large, or need edges of their own.
            apart = self._sorted or sum(widths) * self._samples > _LARGE
            plan = self._plans[widths, geometry] = _Plan(
                np.array(widths, np.int64),
                self._ends + 2 * narrow if geometry else np.zeros(count, np.int64),
                geometry and not narrow.all(),
                [slice(at, at + 1) for at in range(count)] if apart else [slice(0, count)] * (count > 0),
            )
        return plan

    def _checked(self, layer: int, t: ArrayLike) -> NDArray[Any]:
        """A layer's values (N, width), at little cost where they are as engines give them."""
        if type(t) is not np.ndarray or t.dtype != np.float32 or t.ndim != 2 or not t.size:
            t = check.float_matrix(f"layer {layer}", t)
        if len(t) != self._samples:
            raise ValueError(
                f"x and layer {layer} must have as many samples, not {self._samples} and {len(t)}"
            )
        return t


def _unknown(cells: Cells) -> NDArray[np.float64]:
    """Room for what chance levels against a labelling are made of (`_compiled._chance`)."""
    if not cells.labels.size:
        return EMPTY
    rows = len(np.unique(np.bincount(cells.labels)))
    return np.full((rows, min(len(cells.labels) + 1, _MOST_KNOWN // rows)), math.nan)
