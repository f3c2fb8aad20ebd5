"""The samples of a run: made by its dataset, checked, and split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.data import DATASETS, Points
from ibtui.errors import UsageError, blaming, printable


@dataclass(frozen=True)
class Dataset:
    """The measured samples, which also train, and those held out."""

    x: NDArray[np.float32]
    """Inputs, shape (N, inputs)."""
    y: NDArray[np.int64]
    """Classes from 0 on, shape (N,)."""
    x_test: NDArray[np.float32]
    """Inputs held out, shape (M, inputs)."""
    y_test: NDArray[np.int64]
    """Their classes, shape (M,)."""
    x_range: tuple[float, float] = (0.0, 1.0)
    """The range of each input, which is divided into bins."""

    @property
    def inputs(self) -> int:
        return self.x.shape[1]


def make_dataset(config: RunConfig) -> Dataset:
    """Make a run's samples: the first half trains and is measured, the second half is held out."""
    kind = DATASETS[config.data]
    with blaming(f"--data {printable(config.data)}", UsageError):
        x, y = _checked(config.data, *kind.make(config))
        low, high = map(float, kind.x_range)
    half = len(x) // 2
    return Dataset(x[:half], y[:half], x[half:], y[half:], (low, high))


def _checked(name: str, x: Any, y: Any) -> Points:
    points, classes = np.asarray(x, np.float32), np.asarray(y, np.int64)
    shaped = points.ndim == 2 and points.shape[1] > 0 and classes.shape == points.shape[:1]
    if not shaped or len(points) < 4 or not np.isfinite(points).all() or classes.min() < 0:
        raise UsageError(
            f"--data {printable(name)}: must give finite points of shape (samples, inputs), at least 4, "
            f"and a class from 0 on for each; it gave {points.shape} and {classes.shape}"
        )
    return points, classes
