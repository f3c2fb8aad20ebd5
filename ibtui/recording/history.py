"""What a run has measured: one Measurement per scheduled epoch, gathered in a Recording."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ibtui.config import RunConfig
from ibtui.core.information import Binning

Array = np.ndarray[Any, Any]
Parameters = list[tuple[Array, Array]]

ESTIMATES = ("i_xt", "i_ty", "chance_i_xt", "chance_i_ty", "occupancy", "outside")
"""Per layer, and dependent on the binning: a change of binning estimates them again."""
GEOMETRY = ("dimension", "participation_ratio", "saturation")
"""Per layer, and independent of the binning."""
PER_LAYER = ESTIMATES + GEOMETRY
PERFORMANCE = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "moving_loss")


@dataclass(frozen=True)
class Measurement:
    """One epoch, measured. Arrays are float64 of shape (layers,) where nothing else is said."""

    epoch: int
    binning: Binning
    """The binning that the estimates use."""
    i_xt: Array
    i_ty: Array
    chance_i_xt: Array
    chance_i_ty: Array
    occupancy: Array
    outside: Array
    """Values outside their range, counted in the nearest bin; int64."""
    dimension: Array
    participation_ratio: Array
    saturation: Array
    train_accuracy: float
    test_accuracy: float
    train_loss: float
    test_loss: float
    moving_loss: float
    parameters: Parameters
    activations: Sequence[Array]
    """Per layer, float32 of shape (samples, width)."""


@dataclass(frozen=True)
class Dataset:
    """The measured (training) half and the held-out half."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array


@dataclass(frozen=True)
class Checkpoint:
    """The state after `epoch` epochs of training, from which a run goes on exactly."""

    epoch: int
    parameters: Parameters
    moving_loss: float


@dataclass(frozen=True)
class Changes:
    """Rows of a Recording that are new or newly estimated since a tick, for a mirror of it."""

    tick: int
    rows: Array
    columns: dict[str, Array]
    """Every column of the recording, restricted to `rows`."""
    h_x: float
    binning: Binning


def column_types(config: RunConfig, inputs: int) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    """The columns of a recording of such runs, with the shape of one row and its dtype.

    Parameters
    ----------
    config : RunConfig
    inputs : int
        Width of the input.
    """
    layers = (len(config.layers),)
    types: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {"epoch": ((), np.int64)}
    types |= {name: (layers, np.int64 if name == "outside" else np.float64) for name in PER_LAYER}
    types |= dict.fromkeys(PERFORMANCE, ((), np.float64))
    for layer, (fan_in, width) in enumerate(zip((inputs, *config.layers), config.layers, strict=False)):
        types[f"weight{layer}"] = (width, fan_in), np.float32
        types[f"bias{layer}"] = (width,), np.float32
    return types


LOADED = 1
"""The tick of a recording that is as its file has it."""
MUCH_BYTES = 1 << 30
"""From here on a run is told what its measurements will take."""


@dataclass
class _Column:
    """A growing array: room for more rows than are used, so that appending is cheap."""

    data: Array

    def reserve(self, rows: int) -> None:
        if rows > len(self.data):
            grown = np.empty((max(64, 2 * rows), *self.data.shape[1:]), self.data.dtype)
            grown[: len(self.data)] = self.data
            self.data = grown

    def put(self, row: int, value: Any) -> None:
        self.reserve(row + 1)
        self.data[row] = value


@dataclass
class Recording:
    """The measurements of one run, in the order of their epochs.

    One thread appends; any thread may read, re-estimate or save. Rows are only ever added, so a reader that
    took `len(recording)` can trust every row below it.

    Attributes
    ----------
    config : RunConfig
        The run; its binning is the one that every estimate uses, or will once re-estimated.
    dataset : Dataset
    checkpoint : Checkpoint or None
        Where training stands, for an exact resume.
    history_bytes : int
        Budget for activations; the oldest are dropped beyond it, for they can be derived from the weights.
    """

    config: RunConfig
    dataset: Dataset
    h_x: float = float("nan")
    h_y: float = float("nan")
    checkpoint: Checkpoint | None = None
    history_bytes: int = 256 << 20
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        types = column_types(self.config, self.dataset.x.shape[1])
        self._columns = {
            name: _Column(np.empty((0, *shape), dtype)) for name, (shape, dtype) in types.items()
        }
        self._stamp = _Column(np.empty(0, np.int64))
        self._estimated = _Column(np.empty(0, bool))
        self._activations: dict[int, Sequence[Array]] = {}
        self._activation_bytes = 0
        self._rows = self._tick = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def tick(self) -> int:
        """Grows with every change of a row."""
        return self._tick

    def stamp(self, row: int) -> int:
        """The tick at which a row changed last."""
        return int(self._stamp.data[row])

    def first_changed(self, since: int) -> int:
        """The first row that changed after a tick, or that was added then; `len` where there is none."""
        changed = self._stamp.data[: self._rows] > since
        return int(changed.argmax()) if changed.any() else self._rows

    @property
    def binning(self) -> Binning:
        """The binning of the estimates."""
        return Binning(self.config.binning, self.config.x_bins, self.config.t_bins)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def column(self, name: str) -> Array:
        """All rows of a column: shape (rows, …). A view: not to be written to, not to be kept."""
        return self._columns[name].data[: self._rows]

    def parameters(self, row: int) -> Parameters:
        """Weights (out, in) and biases (out,) at a measurement, float32."""
        return [
            (self._columns[f"weight{i}"].data[row].copy(), self._columns[f"bias{i}"].data[row].copy())
            for i in range(len(self.config.layers))
        ]

    def activations(self, row: int) -> Sequence[Array] | None:
        """The stored activations of a measurement; None where the budget was passed."""
        return self._activations.get(row)

    @property
    def stored(self) -> list[int]:
        """The rows whose activations are stored, ascending."""
        with self.lock:
            return sorted(self._activations)

    @property
    def whole_bytes(self) -> int:
        """Memory that all of the run's measurements will take in the end, activations apart."""
        row = sum(c.data.dtype.itemsize * math.prod(c.data.shape[1:]) for c in self._columns.values())
        return int(row) * self._planned

    @property
    def _planned(self) -> int:
        return len(range(0, self.config.epochs, self.config.every)) + 1

    def forewarning(self) -> str:
        """What is to be said to begin with of a run whose measurements will take much memory.

        The parameters of each are kept, so that any can be looked at and estimated anew.
        """
        if self.whole_bytes < MUCH_BYTES:
            return ""
        return (
            f"the {self._planned:,} measurements of this run will take {self.whole_bytes / 1e9:,.1f} GB of "
            "memory, and on a screen as much again; a larger --every takes less"
        )

    def fill(self, columns: Mapping[str, Array], activations: Mapping[int, Sequence[Array]]) -> None:
        """Take whole columns into an empty recording, with the activations of some of its rows.

        Rows without a single estimate (written in the middle of a change of binning) wait for them. A network
        that diverged looks the same; estimating it once more gives the same.
        """
        with self.lock:
            for name, column in self._columns.items():
                column.data = np.ascontiguousarray(columns[name])
            self._rows, self._tick = len(columns["epoch"]), LOADED
            self._stamp.data = np.ones(self._rows, np.int64)
            known = [~np.isnan(columns[name]).all(axis=1) for name in ESTIMATES if name != "outside"]
            self._estimated.data = np.logical_or.reduce(known)
            for row in sorted(activations):
                self._store(row, activations[row])

    def drop_last(self) -> None:
        """Take the last row back. Only before anyone else has seen the recording."""
        with self.lock:
            self._rows -= 1
            if (activations := self._activations.pop(self._rows, None)) is not None:
                self._activation_bytes -= sum(t.nbytes for t in activations)

    def append(self, m: Measurement) -> None:
        """Add a row. Where its binning is no longer the recording's, its estimates wait to be made again."""
        with self.lock:
            row = self._rows
            current = m.binning == self.binning
            for name in (*PER_LAYER, *PERFORMANCE, "epoch"):
                self._columns[name].put(row, getattr(m, name))
            for layer, (weight, bias) in enumerate(m.parameters):
                self._columns[f"weight{layer}"].put(row, weight)
                self._columns[f"bias{layer}"].put(row, bias)
            self._estimated.put(row, current)
            if not current:
                self._forget_estimates(slice(row, row + 1))
            self._store(row, m.activations)
            self._tick += 1
            self._stamp.put(row, self._tick)
            self._rows = row + 1

    def _store(self, row: int, activations: Sequence[Array]) -> None:
        self._activations[row] = activations
        self._activation_bytes += sum(t.nbytes for t in activations)
        while self._activation_bytes > self.history_bytes and self._activations:
            oldest = self._activations.pop(next(iter(self._activations)))
            self._activation_bytes -= sum(t.nbytes for t in oldest)

    def _forget_estimates(self, rows: slice) -> None:
        for name in ESTIMATES:
            self._columns[name].data[rows] = 0 if name == "outside" else np.nan

    def rebin(self, binning: Binning, h_x: float) -> None:
        """Take another binning: every estimate is forgotten, to be made again (see `pending`, `estimate`)."""
        with self.lock:
            self.config = replace(
                self.config, binning=binning.kind, x_bins=binning.x_bins, t_bins=binning.t_bins
            )
            self.h_x = h_x
            rows = slice(0, self._rows)
            self._forget_estimates(rows)
            self._estimated.data[rows] = False
            self._tick += 1
            self._stamp.data[rows] = self._tick

    def pending(self) -> Array:
        """The rows whose estimates are still to be made, ascending."""
        with self.lock:
            return np.flatnonzero(~self._estimated.data[: self._rows])

    def estimate(self, row: int, binning: Binning, estimates: Any) -> bool:
        """Fill in a row's estimates; False, and nothing done, where the binning has changed meanwhile."""
        with self.lock:
            if binning != self.binning:
                return False
            for name in ESTIMATES:
                self._columns[name].data[row] = getattr(estimates, name)
            self._estimated.data[row] = True
            self._tick += 1
            self._stamp.data[row] = self._tick
            return True

    def changes(self, since: int) -> Changes | None:
        """The rows that changed after tick `since`; None where nothing did."""
        with self.lock:
            if self._tick <= since:
                return None
            rows = np.flatnonzero(self._stamp.data[: self._rows] > since)
            columns = {name: column.data[rows] for name, column in self._columns.items()}
            columns["estimated"] = self._estimated.data[rows]
            return Changes(self._tick, rows, columns, self.h_x, self.binning)

    def mirror(self, changes: Changes) -> None:
        """Take over changes of another recording of the same run (activations do not travel)."""
        with self.lock:
            b = changes.binning
            if b != self.binning:
                self.config = replace(self.config, binning=b.kind, x_bins=b.x_bins, t_bins=b.t_bins)
            self.h_x = changes.h_x
            rows = changes.rows
            count = max(self._rows, int(rows[-1]) + 1) if len(rows) else self._rows
            columns = self._columns | {"estimated": self._estimated}
            for name, column in columns.items():
                column.reserve(count)
                column.data[rows] = changes.columns[name]
            self._stamp.reserve(count)
            self._stamp.data[rows] = changes.tick
            self._rows, self._tick = count, changes.tick
