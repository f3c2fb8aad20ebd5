"""Datasets: a registry. Importing it imports neither a dataset nor NumPy.

A dataset is a module with one decorated function, from a configuration to points and labels::

    @dataset("points on two circles, one for each class", x_range=(-1, 1))
    def circles(config):
        ...
        return x, y  # (samples, inputs) float32, (samples,) int64
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ibtui.config import RunConfig
from ibtui.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Points: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.int64]]"


@dataclass(frozen=True)
class DatasetKind:
    """A registered dataset."""

    make: Callable[[RunConfig], Points]
    """From a configuration to points (samples, inputs) and classes (samples,), drawn by its data seed."""
    summary: str
    x_range: tuple[float, float]
    """The range of each input, which is divided into bins."""


def dataset(summary: str, *, x_range: tuple[float, float]) -> Callable[[Any], DatasetKind]:
    """Declare the decorated function a dataset; its module is named by an entry point of `ibtui.datasets`."""
    return lambda make: DatasetKind(make, summary, x_range)


DATASETS: Registry[DatasetKind] = Registry("dataset", "ibtui.datasets", {"grid": "ibtui.data.grid:grid"})
