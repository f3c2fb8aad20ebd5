"""The samples of a run: made by its dataset, checked, and split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.data import DATASETS, Points
from ibtui.errors import UsageError, blaming, printable


@dataclass(frozen=True)
class Dataset:
    """The samples of a run: those that are measured, those that train, and those held out."""

    x: NDArray[np.float32]
    """Inputs that are measured, shape (N, inputs)."""
    y: NDArray[np.int64]
    """Their classes, from 0 on, shape (N,)."""
    x_test: NDArray[np.float32]
    """Inputs held out, whether they are measured or not, shape (M, inputs)."""
    y_test: NDArray[np.int64]
    """Their classes, shape (M,)."""
    x_range: tuple[float, float] | None = (0.0, 1.0)
    """The range of each input, which is divided into bins; None: the dataset declares none."""
    trains: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    """The measured samples that train, shape (N,); by default all."""
    x_rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """Inputs that train and are not measured, shape (K, inputs)."""
    y_rest: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Their classes, shape (K,)."""
    names: tuple[str, ...] = ()
    """The classes as they are shown; by default their numbers."""

    def __post_init__(self) -> None:
        if not len(self.trains):
            object.__setattr__(self, "trains", np.ones(len(self.x), bool))
        if not len(self.x_rest):
            object.__setattr__(self, "x_rest", np.zeros((0, self.inputs), np.float32))

    @property
    def inputs(self) -> int:
        return self.x.shape[1]

    @property
    def measures_training(self) -> bool:
        """True where the measured samples are those that train, neither more nor fewer."""
        return not len(self.x_rest) and bool(self.trains.all())

    @property
    def training(self) -> Points:
        """Inputs and classes that train, in an order that does not depend on what is measured."""
        if self.measures_training:
            return self.x, self.y
        x = np.concatenate([self.x[self.trains], self.x_rest])
        return x, np.concatenate([self.y[self.trains], self.y_rest])


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
