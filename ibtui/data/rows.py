"""Rows of large arrays: taken in another order, and put together, without more copies than must be."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ibtui.archive import RefusedError

Number = TypeVar("Number", bound=np.generic)

_CHUNK = 1 << 20
"""Numbers that are converted at a time."""


def taken(name: str, values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return samples in another order, flat and as float32; little more memory is used than for the result.

    Raises `RefusedError`, which says the array's name, for what is not finite in float32.
    """
    result = np.empty((len(order), math.prod(values.shape[1:])), np.float32)
    rows = max(1, _CHUNK // result.shape[1])
    for start in range(0, len(order), rows):
        part = result[start : start + rows]
        with np.errstate(over="ignore", invalid="ignore"):
            part[:] = values[order[start : start + rows]].reshape(part.shape)
        if not np.isfinite(part).all():
            raise RefusedError(f"{name} holds what is no finite number of 32 bits")
    return result


def joined(first: NDArray[Number], rest: NDArray[Number]) -> NDArray[Number]:
    """Return rows and further rows in one array, which is a view where they are neighbours in another one."""
    if not len(rest) or not len(first):
        return first if len(first) else rest
    base = first.base
    if isinstance(base, np.ndarray) and base is rest.base and base.flags.c_contiguous:
        one, other = first.flags.c_contiguous, rest.flags.c_contiguous
        if one and other and base.shape[1:] == first.shape[1:] and base.dtype == first.dtype == rest.dtype:
            begin, size = first.ctypes.data - base.ctypes.data, first.nbytes // len(first)
            if first.ctypes.data + first.nbytes == rest.ctypes.data and begin % size == 0:
                return base[begin // size :][: len(first) + len(rest)]
    return np.concatenate([first, rest])
