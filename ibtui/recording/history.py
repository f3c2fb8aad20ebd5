"""A run's measurements in memory: one row per scheduled epoch, in columns that any thread may read."""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ibtui.config import RunConfig
from ibtui.core.binning import RANGED, UNBOUNDED, Binning
from ibtui.core.layer import Layer, default_binning
from ibtui.core.names import WATCHED
from ibtui.data.samples import Dataset
from ibtui.engines.protocol import State
from ibtui.errors import IbtuiError
from ibtui.quantities import Array, Measurement, Quantity
from ibtui.recording.machine import Machine
from ibtui.recording.schema import LATER, Change, Declarations


@dataclass(frozen=True)
class Experiment(Declarations):
    """The subject of a recording: fixed before its first row, and known without the packages that made it."""

    config: RunConfig
    dataset: Dataset


@dataclass(frozen=True)
class Checkpoint:
    """The state after `epoch` epochs of training, from which a run goes on exactly."""

    epoch: int
    state: State
    """The engine's, by the names that it declares."""


@dataclass(frozen=True)
class Update:
    """Rows of a Recording that are new or newly estimated since a tick, for a mirror of it."""

    tick: int
    rows: Array
    """Which rows, ascending; int64."""
    columns: Mapping[str, Array]
    """Every column of the recording, restricted to `rows`."""
    estimated: Array
    """True for each row whose estimates are made, bool."""
    ceilings: Mapping[str, float]
    binning: Binning
    changes: tuple[Change, ...] | None = None
    """All changes of settings, if there is a new one."""


class OnDisk(Sequence[Array]):
    """The activations of a measurement that stay in a file: a layer's are read when they are asked for."""

    def __init__(self, layers: int, read: Callable[[int], Array]) -> None:
        self._layers, self._read = range(layers), read

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, layer: Any) -> Any:
        if isinstance(layer, slice):
            return [self._read(each) for each in self._layers[layer]]
        return self._read(self._layers[layer])


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
    """

    experiment: Experiment
    ceilings: dict[str, float] = field(default_factory=dict)
    """Values that quantities cannot pass, by the names in their declarations; in nats, with this binning."""
    checkpoint: Checkpoint | None = None
    """The state from which training goes on exactly."""
    changes: list[Change] = field(default_factory=list)
    """Settings that were changed while the run went on, oldest first."""
    machine: Machine = field(default_factory=dict)
    """The machine that computes the run, or computed it last; empty: it is not known."""
    tops: tuple[float, ...] = ()
    """The ends of the ranges of layers whose activation has no bound; see `Binning`."""
    damage: str = ""
    """The part of its file that could not be read, in words; empty: all could."""
    history_bytes: int = 256 << 20
    """Budget for activations; the oldest are dropped beyond it, for most engines can derive them again."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        self.quantities: dict[str, Quantity] = {q.name: q for q in self.experiment.quantities}
        self._columns = {
            name: _Column(np.empty((0, *spec.shape), spec.dtype))
            for name, spec in self.experiment.columns.items()
        }
        self._binning: tuple[tuple[RunConfig, tuple[float, ...]], Binning] | None = None
        """The binning, and what it was made from: making it costs as much as a small estimate."""
        self._stamp = _Column(np.empty(0, np.int64))
        self._estimated = _Column(np.empty(0, bool))
        self._activations: dict[int, Sequence[Array]] = {}
        self._activation_bytes = 0
        self._rows = self._tick = 0
        self._changed_at = LOADED
        """The tick of the last change of a setting."""

    def __len__(self) -> int:
        return self._rows

    @property
    def config(self) -> RunConfig:
        """The experiment's; its binning is the one that every estimate uses, or will once re-estimated."""
        return self.experiment.config

    @config.setter
    def config(self, config: RunConfig) -> None:
        self.experiment = replace(self.experiment, config=config)

    @property
    def dataset(self) -> Dataset:
        return self.experiment.dataset

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.experiment.layers

    @property
    def measured_of(self) -> int:
        """The number of samples of the part that is measured, which may be more than are."""
        data, part = self.dataset, self.config.measure_on
        if self.config.engine == WATCHED:
            return max(self.config.samples, len(data.x))
        return {"train": data.samples - len(data.x_test), "held-out": len(data.x_test)}.get(
            part, data.samples
        )

    @property
    def diverged_at(self) -> int | None:
        """The first measured epoch whose training loss is not finite; None where it always is."""
        loss = self.column("train_loss")
        # A watched loop need not log its loss: NaN says that, too.
        wrong = np.flatnonzero(np.isinf(loss) if self.config.engine == WATCHED else ~np.isfinite(loss))
        return int(self.column("epoch")[wrong[0]]) if len(wrong) else None

    @property
    def rebinned(self) -> tuple[str, ...]:
        """The names of the quantities that a change of binning estimates anew."""
        return tuple(q.name for q in self.experiment.quantities if q.rebinned)

    @property
    def tick(self) -> int:
        """Grows with every change of a row."""
        return self._tick

    def stamp(self, row: int) -> int:
        """Return the tick at which a row changed last."""
        return int(self._stamp.data[row])

    def first_changed(self, since: int) -> int:
        """Return the first row that changed after a tick, or that was added then; `len` if there is none."""
        changed = self._stamp.data[: self._rows] > since
        return int(changed.argmax()) if changed.any() else self._rows

    @property
    def binning(self) -> Binning:
        """The binning that every estimate uses, or will once re-estimated."""
        source = self.config, self.tops
        if self._binning is None or self._binning[0] != source:
            c = resolved(self.config, self.layers, self.dataset)
            kind, identity = c.binning if c.estimator == "binned" else c.estimator, c.x == "identity"
            made = Binning(kind, c.x_bins, c.t_bins, c.t_width, c.kde_noise, identity, self.tops)
            self._binning = source, made
        return self._binning[1]

    @property
    def has_old_estimates(self) -> bool:
        """True where it comes from a file of an earlier version, which holds that version's estimates."""
        return not self.quantities.keys() >= set(LATER)

    @property
    def has_open_ranges(self) -> bool:
        """True where values are divided on a range that the activation of some layer does not bound."""
        return self.binning.kind in RANGED and any(layer.activation in UNBOUNDED for layer in self.layers)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._columns)

    def column(self, name: str) -> Array:
        """Return all rows of a column, shape (rows, …): a view, not to be written to or kept."""
        return self._columns[name].data[: self._rows]

    @property
    def newest_epoch(self) -> int:
        """The epoch of the last row; -1 if there is none."""
        return int(self._columns["epoch"].data[self._rows - 1]) if self._rows else -1

    def values(self, row: int) -> dict[str, Array]:
        """Return a copy of every quantity's value at a measurement: shape (layers,), or ()."""
        return {name: np.array(self._columns[name].data[row]) for name in self.quantities}

    def kept(self, row: int) -> dict[str, Array]:
        """Return a copy of what the engine keeps of a measurement, by name."""
        return {name: self._columns[name].data[row].copy() for name in self.experiment.kept}

    def activations(self, row: int) -> Sequence[Array] | None:
        """Return the stored activations of a measurement; None where the budget was passed."""
        return self._activations.get(row)

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` of all quantities, with a row for each epoch and layer (from 0)."""
        pandas = _imported("pandas")
        epochs, layers = self.column("epoch"), len(self.layers)
        columns = {
            name: self.column(name).ravel() if quantity.per_layer else np.repeat(self.column(name), layers)
            for name, quantity in self.quantities.items()
        }
        index = pandas.MultiIndex.from_product([epochs, range(layers)], names=["epoch", "layer"])
        return pandas.DataFrame(columns, index=index)

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` over `epoch` and `layer`; units, labels and ceilings are attributes."""
        xarray = _imported("xarray")
        variables = {
            name: (
                ("epoch", "layer") if quantity.per_layer else ("epoch",),
                self.column(name).copy(),
                {"long_name": quantity.label, "units": quantity.unit or "1"},
            )
            for name, quantity in self.quantities.items()
        }
        coordinates = {"epoch": self.column("epoch").copy(), "layer": range(len(self.layers))}
        return xarray.Dataset(variables, coordinates, {**self.ceilings, "config": self.config.to_json()})

    @property
    def stored(self) -> list[int]:
        """The rows whose activations are stored, ascending."""
        with self.lock:
            return sorted(self._activations)

    @property
    def whole_bytes(self) -> int:
        """Memory that all of the run's measurements will take in the end, activations apart."""
        row = sum(c.data.dtype.itemsize * math.prod(c.data.shape[1:]) for c in self._columns.values())
        return int(row) * self.config.planned

    def forewarning(self) -> str:
        """Say what a user should know to begin with of a run whose measurements will take much memory."""
        if self.whole_bytes < MUCH_BYTES:
            return ""
        return (
            f"the {self.config.planned:,} measurements of this run will take "
            f"{self.whole_bytes / 1e9:,.1f} GB of memory, and on a screen as much again; a larger --every "
            "takes less"
        )

    def fill(self, columns: Mapping[str, Array], activations: Mapping[int, Sequence[Array]]) -> None:
        """Put whole columns into an empty recording, with the activations of some of its rows.

        Rows without a single estimate (written in the middle of a change of binning) wait for them. A network
        that diverged looks the same; estimating it once more gives the same.
        """
        with self.lock:
            for name, column in self._columns.items():
                column.data = np.ascontiguousarray(columns[name])
            self._rows, self._tick = len(columns["epoch"]), LOADED
            self._stamp.data = np.ones(self._rows, np.int64)
            floats = [name for name in self.rebinned if self.quantities[name].dtype == "float64"]
            estimates = [columns[name] for name in floats]
            known = [~np.isnan(column).all(axis=tuple(range(1, column.ndim))) for column in estimates]
            self._estimated.data = np.logical_or.reduce(known) if known else np.ones(self._rows, bool)
            for row in sorted(activations):
                self._store(row, activations[row])

    def take_over(self, old: Recording) -> None:
        """Take over all rows of a recording of the same layers, of which this one may have more quantities.

        They keep their ticks, for a mirror of the old one to see what is new.
        """
        with old.lock, self.lock:
            rows = len(old)
            for name, column in self._columns.items():
                column.reserve(rows)
                has = name in old.names
                column.data[:rows] = old.column(name) if has else self._unknown(name)
            self._stamp.data, self._estimated.data = old._stamp.data.copy(), old._estimated.data.copy()
            self._rows, self._tick, self._changed_at = rows, old.tick, old._changed_at
            self._activations, self._activation_bytes = dict(old._activations), old._activation_bytes
            self.ceilings, self.changes, self.tops = dict(old.ceilings), list(old.changes), old.tops
            self.machine = old.machine

    def drop_last(self) -> None:
        """Remove the last row. Only before anyone else has seen the recording."""
        with self.lock:
            self._rows -= 1
            if (activations := self._activations.pop(self._rows, None)) is not None:
                self._activation_bytes -= _memory_of(activations)

    def append(self, measurement: Measurement) -> None:
        """Add a row. If its binning is no longer the recording's, its estimates wait to be made again."""
        with self.lock:
            row = self._rows
            current = measurement.binning == self.binning
            self._columns["epoch"].put(row, measurement.epoch)
            for name in self.quantities:
                self._columns[name].put(row, measurement.values.get(name, self._unknown(name)))
            for name in self.experiment.kept:
                self._columns[name].put(row, measurement.kept[name])
            self._estimated.put(row, current)
            if not current:
                self._forget_estimates(slice(row, row + 1))
            if len(measurement.activations):
                self._store(row, measurement.activations)
            self._tick += 1
            self._stamp.put(row, self._tick)
            self._rows = row + 1

    def _store(self, row: int, activations: Sequence[Array]) -> None:
        self._activations[row] = activations
        self._activation_bytes += _memory_of(activations)
        while self._activation_bytes > self.history_bytes and self._activations:
            oldest = self._activations.pop(next(iter(self._activations)))
            self._activation_bytes -= _memory_of(oldest)

    def _forget_estimates(self, rows: slice) -> None:
        for name in self.rebinned:
            self._columns[name].data[rows] = self._unknown(name)

    def _unknown(self, name: str) -> float:
        """Return what stands where a quantity has no value."""
        return 0 if self.quantities[name].dtype == "int64" else math.nan

    def rebin(self, binning: Binning, ceilings: Mapping[str, float]) -> None:
        """Change the binning, and so the ceilings: every estimate is forgotten, to be made again."""
        with self.lock:
            before = self.config
            self._set_binning(binning, ceilings)
            epoch = self.newest_epoch
            for name in _of_binning(binning, before):
                if (value := getattr(self.config, name)) != getattr(before, name):
                    self.changes.append(Change(epoch, name, value))
                    self._changed_at = self._tick + 1
            self._await_estimates()

    def widen(self, binning: Binning) -> None:
        """Widen ranges to those of a binning that a measurement needed: the past is to be estimated again.

        Nothing is done where the recording has another binning by now.
        """
        with self.lock:
            tops = _widest(self.tops, binning.tops)
            if tops != self.tops and replace(binning, tops=self.tops) == self.binning:
                self.tops = tops
                self._await_estimates()

    def _await_estimates(self) -> None:
        """Forget every estimate, to be made again."""
        rows = slice(0, self._rows)
        self._forget_estimates(rows)
        self._estimated.data[rows] = False
        self._tick += 1
        self._stamp.data[rows] = self._tick

    def _set_binning(self, binning: Binning, ceilings: Mapping[str, float]) -> None:
        if binning != self.binning:
            self.config = replace(self.config, **_of_binning(binning, self.config))
            self.tops = binning.tops
        self.ceilings = dict(ceilings)

    def pending(self) -> Array:
        """Return the rows whose estimates are still to be made, ascending."""
        with self.lock:
            return np.flatnonzero(~self._estimated.data[: self._rows])

    def estimate(self, row: int, binning: Binning, values: Mapping[str, Array]) -> bool:
        """Fill in a row's estimates, as far as known; return False, at once, if the binning has changed."""
        with self.lock:
            if binning != self.binning:
                return False
            for name in self.rebinned:
                if name in values:
                    self._columns[name].data[row] = values[name]
            self._estimated.data[row] = True
            self._tick += 1
            self._stamp.data[row] = self._tick
            return True

    def update_since(self, tick: int) -> Update | None:
        """Return the rows that changed after a tick; None if nothing did."""
        with self.lock:
            if self._tick <= tick:
                return None
            rows = np.flatnonzero(self._stamp.data[: self._rows] > tick)
            columns = {name: column.data[rows] for name, column in self._columns.items()}
            estimated = self._estimated.data[rows]
            changes = tuple(self.changes) if self._changed_at > tick else None
            return Update(self._tick, rows, columns, estimated, self.ceilings, self.binning, changes)

    def check(self, update: Update) -> None:
        """Raise `ValueError` if an update that came from another process cannot be one of this recording."""
        rows, count = update.rows, len(update.rows)
        ascending = rows.dtype == np.int64 and rows.ndim == 1 and bool((np.diff(rows) > 0).all())
        if not ascending or (count and not 0 <= rows[0] <= rows[-1] < self._rows + count):
            raise ValueError("not the rows of an update")
        columns = {name: column.data for name, column in self._columns.items()}
        columns["estimated"] = self._estimated.data
        arrived = {**update.columns, "estimated": update.estimated}
        for name, data in columns.items():
            values = arrived.get(name)
            if values is None or values.shape != (count, *data.shape[1:]) or values.dtype != data.dtype:
                raise ValueError(f"not the column {name} of an update")

    def apply(self, update: Update) -> None:
        """Bring this mirror of a recording up to date (activations do not travel)."""
        with self.lock:
            self._set_binning(update.binning, update.ceilings)
            if update.changes is not None:
                self.changes, self._changed_at = list(update.changes), update.tick
            rows = update.rows
            count = max(self._rows, int(rows[-1]) + 1) if len(rows) else self._rows
            arrived = [(column, update.columns[name]) for name, column in self._columns.items()]
            arrived += [(self._estimated, update.estimated), (self._stamp, np.asarray(update.tick))]
            for column, values in arrived:
                column.reserve(count)
                column.data[rows] = values
            self._rows, self._tick = count, update.tick


def _memory_of(activations: Sequence[Array]) -> int:
    return 0 if isinstance(activations, OnDisk) else sum(t.nbytes for t in activations)


def resolved(config: RunConfig, layers: Sequence[Layer], dataset: Dataset) -> RunConfig:
    """Return a configuration that says which binning and cells of X suit its layers and its dataset."""
    binning = default_binning(layers) if config.binning == "auto" else config.binning
    x = ("grid" if dataset.x_range else "identity") if config.x == "auto" else config.x
    return config if (binning, x) == (config.binning, config.x) else replace(config, binning=binning, x=x)


def _widest(some: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(max, some, others)) if some and others else some or others


def _of_binning(binning: Binning, config: RunConfig) -> dict[str, Any]:
    """Return the settings that a binning stands for, by their names; the estimator kde bins nothing."""
    binned = binning.kind != "kde"
    return {
        "binning": binning.kind if binned else config.binning,
        "x_bins": binning.x_bins,
        "t_bins": binning.t_bins,
        "t_width": binning.t_width,
        "estimator": "binned" if binned else "kde",
        "kde_noise": binning.noise,
        "x": "identity" if binning.identity else "grid",
    }


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise IbtuiError(f"{name} is not installed: pip install {name}") from error
