"""From the frameworks' arrays to NumPy's. No framework is imported: it is looked up among what is."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST_UNITS = 512
"""Units of a wider layer that are watched: a fixed choice."""


def loaded(name: str) -> Any:
    """Return a module that the user's program has imported; None where it has not."""
    return sys.modules.get(name)


def is_tensor(value: object) -> bool:
    """Return True for a tensor of PyTorch."""
    torch = loaded("torch")
    return torch is not None and hasattr(torch, "Tensor") and isinstance(value, torch.Tensor)


def to_numpy(value: Any) -> Array:
    """Return an array's values on the CPU.

    Raises
    ------
    TypeError
        It is no array of numbers.
    """
    if is_tensor(value):
        value = value.detach().cpu()
        value = value if value.dtype.is_complex or not value.dtype.is_floating_point else value.float()
        return np.asarray(value.numpy())
    if type(value).__module__.startswith(("mxnet", "cupy")):
        convert = getattr(value, "asnumpy", None) or value.get
        return np.asarray(convert())
    try:
        array = np.asarray(value)
    except Exception:  # such as an array on a GPU, which has no numbers here
        array = np.asarray(None)
    if array.dtype == object and hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    if array.dtype.kind not in "fiubV":  # V: bfloat16 and the like, of ml_dtypes
        raise TypeError(f"{type(value).__name__} holds no array of real numbers")
    return array


def to_scalar(value: Any) -> float:
    """Return a number, or an array of one, as a float; `TypeError` or `ValueError` where it is none."""
    if isinstance(value, (int, float)):
        return float(value)
    array = to_numpy(value)
    if array.size != 1:
        raise TypeError(f"{array.size} numbers, where a scalar is one")
    return float(array.reshape(-1)[0])


def chosen(count: int, most: int) -> Array | None:
    """Choose `most` of `count` things, always the same ones, in order; None where that is all of them."""
    if count <= most:
        return None
    # A generator of its own: the user's, NumPy's global one among them, is not touched.
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def flat(values: Any) -> Array:
    """Return what a layer made of the samples as float32 of shape (samples, units), a copy."""
    array = to_numpy(values)
    rows = len(array) if array.ndim else 0
    table = array.reshape(rows, -1) if array.size else np.zeros((rows, 0), np.float32)
    columns = chosen(table.shape[1], MOST_UNITS)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array(table if columns is None else table[:, columns], np.float32, order="C")


def units(values: Any) -> int:
    """Return how many units a layer has."""
    return math.prod(int(size) for size in values.shape[1:])


def taken(values: Any, rows: Array | None) -> Any:
    """Return these rows of an array of any framework, in its own kind."""
    if rows is None:
        return values
    if type(values).__module__.startswith("mxnet"):
        return values[rows.tolist()]
    if is_tensor(values):
        return values[loaded("torch").as_tensor(rows, device=values.device)]
    if hasattr(values, "shape"):
        return values[rows]
    return np.asarray(values)[rows]
