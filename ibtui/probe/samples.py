"""The samples that a watched loop's net is probed with: chosen once, with their labels as classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibtui.data import MOST_CLASSES
from ibtui.data.labels import Classes, LabelError
from ibtui.probe.arrays import MOST_UNITS, Array, chosen, flat, taken, to_numpy

Y_BINS = 10
"""Bins of labels that are numbers, where nothing is said."""


@dataclass(frozen=True)
class Samples:
    """The samples as the net takes them and as the stream keeps them."""

    x: Any
    """The inputs, in their own kind of array."""
    inputs: Array
    """The same, float32 of shape (N, inputs), of very many inputs a fixed choice."""
    y: Array
    """Classes from 0 on, int64 of shape (N,)."""
    names: tuple[str, ...]
    of: int
    """The samples that there were to choose from."""
    notes: tuple[str, ...] = ()
    """Lines for the screen: how the samples were chosen and their labels read."""


def choose_samples(x: Any, y: Any, most: int, y_bins: int | None) -> Samples:
    """Choose the samples.

    Raises
    ------
    TypeError, ValueError
        These are no samples and labels.
    """
    if not hasattr(x, "__len__") or not hasattr(y, "__len__") or len(x) != len(y):
        lengths = [len(each) if hasattr(each, "__len__") else type(each).__name__ for each in (x, y)]
        raise ValueError(f"x and y must be of one length; they are {lengths[0]} and {lengths[1]}")
    if len(x) < 4:
        raise ValueError(f"x holds {len(x)} samples; at least 4 are needed")
    rows = chosen(len(x), most)
    x = taken(x, rows)
    try:
        labels = to_numpy(y)
    except TypeError:
        raise ValueError(
            "y holds no numbers: classes are whole numbers or one-hot rows; "
            "np.unique(y, return_inverse=True)[1] numbers others"
        ) from None
    labels = labels if rows is None else labels[rows]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    classes, names, note = _classes(labels, y_bins)
    return Samples(x, _inputs(x), classes, names, len(y), note)


def _inputs(x: Any) -> Array:
    """Return inputs as they are drawn; those that are no numbers only by their place."""
    try:
        return np.nan_to_num(flat(x))
    except TypeError:
        return np.arange(len(x), dtype=np.float32)[:, np.newaxis]


def _classes(y: Array, y_bins: int | None) -> tuple[Array, tuple[str, ...], tuple[str, ...]]:
    """Return the class of each label, the classes' names, and what is to be said of it."""
    if y_bins is None:
        try:
            found = Classes(y)
            return found.numbered(y), found.names(None), ()
        except LabelError as error:
            if y.ndim != 1 or y.dtype.kind not in "fiu" or len(np.unique(y)) < 2:
                raise ValueError(f"y {error}") from None
    if y.ndim != 1 or y.dtype.kind not in "fiu" or not np.isfinite(y).all():
        raise ValueError("y must be finite numbers of shape (N,) to be binned")
    bins = Y_BINS if y_bins is None else y_bins
    values = y.astype(np.float64)
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    classes = np.searchsorted(edges, values, side="right").astype(np.int64)
    used, classes = np.unique(classes, return_inverse=True)
    low, high = (-math.inf, *edges), (*edges, math.inf)
    names = tuple(f"{low[k]:.3g} … {high[k]:.3g}" for k in used)
    if len(used) < 2:
        raise ValueError("y has one value almost everywhere; there is nothing to tell apart")
    return classes.reshape(-1).astype(np.int64), names, (f"labels in {len(used)} bins of equal mass",)


def check_bins(y_bins: object) -> None:
    """Raise `ValueError` for what is no number of bins of labels."""
    if y_bins is not None and (type(y_bins) is not int or not 2 <= y_bins <= MOST_CLASSES):
        raise ValueError(f"y_bins={y_bins!r}: must be a whole number from 2 to {MOST_CLASSES}")


__all__ = ["MOST_UNITS", "Samples", "check_bins", "choose_samples"]
