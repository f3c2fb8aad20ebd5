"""The samples of a run: made by its dataset, checked, and split."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ibtui.config import MAX_ACTIVATIONS, RunConfig
from ibtui.data import MOST_CLASSES, Points, chosen, is_file, name_of
from ibtui.data.file import count_samples, naming_file, read_samples
from ibtui.data.rows import joined, taken
from ibtui.errors import UsageError, blaming, printable
from ibtui.settings import wrong


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
    """The measured training samples, shape (N,); by default all."""
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
        """Inputs of each sample."""
        return self.x.shape[1]

    @property
    def samples(self) -> int:
        """The number of samples, those held out included."""
        return int(self.trains.sum()) + len(self.x_rest) + len(self.x_test)

    @property
    def classes(self) -> int:
        """The number of classes: one more than the largest, and as many as have names."""
        largest = max(int(y.max()) for y in (self.y, self.y_test, self.y_rest) if len(y))
        return max(largest + 1, len(self.names))

    @property
    def measures_training(self) -> bool:
        """True where the measured samples are those that train, neither more nor fewer."""
        return not len(self.x_rest) and bool(self.trains.all())

    @property
    def training(self) -> Points:
        """Inputs and classes that train, in an order that does not depend on what is measured."""
        count = int(self.trains.sum())
        first = slice(count) if self.trains[:count].all() else self.trains
        return joined(self.x[first], self.x_rest), joined(self.y[first], self.y_rest)


def make_dataset(config: RunConfig) -> Dataset:
    """Make a run's samples: draw or read them, split them, and choose those that are measured.

    The first `config.split` of them train, and the others are held out; a file may say itself which are. All
    but those of the grid are permuted by the data seed before that, by which any first ones of them are a
    fixed choice at random: so of those that train, or are held out, or of both in proportion, the first
    `config.most_measured` are measured.

    Raises
    ------
    UsageError
        The dataset, or the file, cannot be had, or cannot be split so.
    """
    parts, x_range, names = _from_file(config) if is_file(config.data) else _made(config)
    (x, y), (x_test, y_test) = parts
    train, held_out = _measured(config, len(x), len(x_test))
    dataset = Dataset(
        joined(x[:train], x_test[:held_out]), joined(y[:train], y_test[:held_out]), x_test, y_test, x_range,
        np.arange(train + held_out) < train, x[train:], y[train:], names,
    )  # fmt: skip
    _check_size(config, dataset)
    return dataset


def check_samples(config: RunConfig) -> None:
    """Refuse a number of samples that was asked for, where the dataset has another one."""
    size = count_samples(config.data) if is_file(config.data) else chosen(config.data)[0].size
    if size is not None and size != config.samples:
        shown = printable(config.data)
        raise UsageError(f"--samples {config.samples}: {shown} has {size:,}; leave it out")


Parts: TypeAlias = tuple[Points, Points]
"""The training samples, and those held out."""


def _made(config: RunConfig) -> tuple[Parts, tuple[float, float] | None, tuple[str, ...]]:
    """Make the samples of a registered dataset."""
    kind, options = chosen(config.data)
    name = name_of(config.data)
    with blaming(f"--data {printable(config.data)}", UsageError):
        x, y = _checked(name, *kind.make(config, **options))
        x_range = None if kind.x_range is None else (float(kind.x_range[0]), float(kind.x_range[1]))
    if not kind.ordered:
        order = _orders(config, len(x))[0]
        x, y = x[order], y[order]
    return _split(config, x, y), x_range, ()


def _from_file(config: RunConfig) -> tuple[Parts, None, tuple[str, ...]]:
    """Read the samples of a file."""
    found = read_samples(config.data)
    with naming_file(config.data):
        if found.x_test is None or found.y_test is None:
            (order,) = _orders(config, len(found.x))
            return _split(config, taken("x", found.x, order), found.y[order]), None, found.names
        train, held_out = _orders(config, len(found.x), len(found.x_test))
        parts = (
            (taken("x", found.x, train), found.y[train]),
            (taken("x_test", found.x_test, held_out), found.y_test[held_out]),
        )
        return parts, None, found.names


def _orders(config: RunConfig, *counts: int) -> list[NDArray[np.int64]]:
    """Return a permutation of each of so many; from a stream that no dataset draws from."""
    random = np.random.RandomState([config.data_seed, 1])
    return [random.permutation(count) for count in counts]


def _split(config: RunConfig, x: NDArray[np.float32], y: NDArray[np.int64]) -> Parts:
    # A share such as 0.29 is a little less than what was meant: of 100 samples, 28.999999999999996.
    train = math.floor(len(x) * config.split + 1e-9)
    if not 0 < train < len(x):
        nothing = "train" if train == 0 else "be held out"
        raise wrong("split", config.split, f"such that of {len(x):,} samples some are left to {nothing}")
    return (x[:train], y[:train]), (x[train:], y[train:])


def _measured(config: RunConfig, train: int, held_out: int) -> tuple[int, int]:
    """Return how many of those that train are measured, and how many of those held out."""
    most = config.most_measured
    if config.measure_on == "train":
        return min(train, most), 0
    if config.measure_on == "held-out":
        return 0, min(held_out, most)
    if (both := train + held_out) <= most:
        return train, held_out
    share = (2 * most * train + both) // (2 * both)  # rounded
    share = min(max(share, 1), most - 1)
    return share, most - share


def _check_size(config: RunConfig, dataset: Dataset) -> None:
    """Refuse more samples than a measurement can compute: all that are measured, train or are held out."""
    units = sum(config.layers)
    count = len(dataset.x) + len(dataset.x_test) + len(dataset.x_rest)
    if count * units > MAX_ACTIVATIONS:
        shown = printable(config.data)
        raise UsageError(
            f"--data {shown}: {count:,} samples to measure, for a net of {units:,} units; at most "
            f"{MAX_ACTIVATIONS // units:,} can be"
        )


def _checked(name: str, x: Any, y: Any) -> Points:
    points, classes = np.asarray(x, np.float32), np.asarray(y, np.int64)
    shaped = points.ndim == 2 and points.shape[1] > 0 and classes.shape == points.shape[:1]
    if not shaped or len(points) < 4 or not np.isfinite(points).all() or classes.min() < 0:
        raise UsageError(
            f"--data {printable(name)}: must give finite points of shape (samples, inputs), at least 4, "
            f"and a class from 0 on for each; it gave {points.shape} and {classes.shape}"
        )
    if classes.max() >= MOST_CLASSES:
        raise UsageError(f"--data {printable(name)}: must give classes below {MOST_CLASSES}")
    return points, classes
