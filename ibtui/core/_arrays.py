"""Checks on arguments: each turns what a caller passed into one plain thing, or says what is wrong with it.

The compiled code has one signature per function, so what reaches it must always be C-contiguous, aligned,
writeable and of one dtype; anything else (a read-only array out of a recording, say) would compile everything
anew.
"""

from __future__ import annotations

import math
import operator
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_PLAIN: Final = ("C", "A", "W", "E")  # C order, aligned, writeable, no subclass
_MOST_SAMPLES = 2**31 - 1  # cells are numbered in 32 bits
_MOST_BINS = 2**31 - 2  # so that (cells in use) x (bins + 1) stays inside 63 bits


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """An integer between `least` and `most`; numpy integers count, booleans and floats don't."""
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if number < least:
        raise ValueError(f"{name} must be {least} or more, not {number}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, not {number}")
    return number


def bins(name: str, value: Any) -> int:
    """A number of bins."""
    return whole(name, value, 1, _MOST_BINS)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    try:
        number = math.nan if isinstance(value, (str, bool, np.bool_)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}")
    return number


def top(value: Any) -> float:
    """A finite end of a range, 0 or more."""
    return 0.0 if value == 0 else positive("tops", value)


def choice(name: str, value: Any, known: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return value


def bounds(name: str, value: Any) -> tuple[float, float]:
    """A (low, high) pair; equal bounds are allowed, and so are infinite ones (a diverged layer's)."""
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers (low, high), not {value!r}") from None
    if high < low:
        raise ValueError(f"{name} must not end before it begins: {low} > {high}")
    return low, high


def _unmasked(name: str, values: ArrayLike) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        raise ValueError(f"{name} must have no masked values: leave their samples out, everywhere alike")
    return np.asarray(values)


def matrix(name: str, values: ArrayLike) -> NDArray[Any]:
    """Real numbers of shape (N, width), any real dtype; shape (N,) is one unit."""
    array = _unmasked(name, values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, not {array.dtype}")
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} must have the shape (N,) or (N, width), neither 0, not {array.shape}")
    if len(array) > _MOST_SAMPLES:
        raise ValueError(f"{name} must have at most {_MOST_SAMPLES} rows, not {len(array)}")
    return array


def float_matrix(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`matrix` as plain float64, ready for compiled code."""
    return np.require(matrix(name, values), np.float64, _PLAIN)


def labels(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Integers of shape (N,) as plain int64, ready for compiled code; any values, of either sign."""
    array = _unmasked(name, values)
    if array.dtype.kind not in "iub":
        raise ValueError(f"{name} must hold integers, not {array.dtype}")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must have the shape (N,) with N > 0, not {array.shape}")
    if len(array) > _MOST_SAMPLES:
        raise ValueError(f"{name} must have at most {_MOST_SAMPLES} entries, not {len(array)}")
    return np.require(array, np.int64, _PLAIN)


def same_length(first: str, one: NDArray[Any], second: str, other: NDArray[Any]) -> None:
    """Samples are paired row by row, so there must be as many of the one as of the other."""
    if len(one) != len(other):
        raise ValueError(f"{first} and {second} must have as many samples, not {len(one)} and {len(other)}")
