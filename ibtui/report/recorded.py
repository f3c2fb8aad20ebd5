"""A recording as a report shows it: its numbers, and its layers' representations at the epochs chosen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ibtui.config import ESTIMATION, RunConfig
from ibtui.core.kde import chance_i_ty_by_shuffling
from ibtui.core.layer import Layer
from ibtui.data import has_fixed_size
from ibtui.errors import EngineError, RecordingError, UsageError, printable
from ibtui.quantities import Array, Quantity
from ibtui.quantities.meter import Meter
from ibtui.quantities.meter import quantities as standard_quantities
from ibtui.recording import Recording, resolved
from ibtui.recording.files import load
from ibtui.report.waiting import counted
from ibtui.run.measuring import (
    activations_of,
    check_derivable,
    check_x,
    estimate_row,
    fitted,
    meter_of,
)  # fmt: skip
from ibtui.run.protocol import Representation
from ibtui.run.representation import of_row
from ibtui.settings import flag

Choose = Callable[[Array], list[int]]
"""From the measured epochs to the rows whose representations are drawn."""

NOT_FINITE = ("no finite activations", "not finite", "n/a")
"""Texts in the place of samples that cannot be drawn, each shorter than the one before."""
SHUFFLES = 20
"""Shuffles of the labels, whose mean I(T;Y) is the chance level of kde: it has no exact one."""
DEFAULT_EPOCHS = 6
MOST_EPOCHS = 24

_INCIDENTAL = {"seed", "ctx", "engine", "epochs", "every", "quantities", "units", *ESTIMATION}
"""Settings in which runs of one experiment may differ; those of the estimates are checked apart."""


@dataclass(frozen=True)
class RecordedRun:
    """One recording, less what its engine kept and its activations."""

    name: str
    """The file, as it was given."""
    config: RunConfig
    """Its binning is the one that the estimates here use."""
    recorded: RunConfig
    """The file's own configuration."""
    layers: tuple[Layer, ...]
    classes: tuple[str, ...]
    """The names of the classes that have one: those of the first labels."""
    quantities: Mapping[str, Quantity]
    """The quantities measured, by name."""
    samples: int
    """The number of samples measured."""
    samples_of: int
    """The number of samples in the part that is measured, such as those that train."""
    columns: Mapping[str, Array]
    """`epoch` (E,), and each quantity, (E, L) or (E,); information in nats."""
    ceilings: Mapping[str, float]
    """Values that quantities cannot pass, by the names in their declarations; in nats."""
    tops: tuple[float, ...]
    """The ends of the ranges of layers whose activation has no bound; see `Binning`."""
    representations: tuple[Representation, ...]
    """The layers at the epochs chosen; none where their activations cannot be had here."""
    diverged_at: int | None = None
    """The first measured epoch whose training loss is not finite."""
    missing: str = ""
    """The reason for having none: they are not stored, and the engine that derives them is not here."""

    @property
    def epochs(self) -> Array:
        """The epoch of each measurement, ascending; shape (E,), int64."""
        return self.columns["epoch"]

    def class_name(self, label: int) -> str:
        return printable(self.classes[label]) if label < len(self.classes) else str(label)

    @property
    def widths(self) -> list[str]:
        return [str(layer.width) for layer in self.layers]

    @property
    def activations(self) -> str:
        """The layers' activations, each once; those that are not known are left out."""
        return ",".join(dict.fromkeys(layer.activation for layer in self.layers if layer.activation))

    @property
    def layers_in_words(self) -> str:
        """The layers' widths; where they have names of their own, with these, as a watched net's have."""
        if all(layer.name == str(at) for at, layer in enumerate(self.layers)):
            return f"layers {','.join(self.widths)}"
        said = []
        for at, layer in enumerate(self.layers):
            name = f"'{layer.name}'" if layer.name.isdecimal() else printable(layer.name)
            said.append(f"{at} {name} ({layer.width}{f' of {layer.units:,}' if layer.units else ''})")
        return f"layers {', '.join(said)}"


def read_run(path: str, asked: Mapping[str, Any], choose: Choose, pictured: bool = True) -> RecordedRun:
    """Read a recording and, where `asked` has values for some of `ESTIMATION`, estimate all of it again.

    What cannot be read, or holds no measurement, is a `RecordingError`; a setting outside its domain, or an
    epoch outside the run, is a `UsageError`. `pictured`: False where representations are not needed.
    """
    recording = load(path, history_bytes=sys.maxsize)  # what is stored is measured, and nothing in its place
    if not len(recording):
        raise RecordingError(f"{printable(path)}: it holds no measurement yet")
    rows = choose(recording.column("epoch"))
    recorded = resolved(recording.config, recording.layers, recording.dataset)
    config = resolved(replace(recorded, **asked), recording.layers, recording.dataset)
    check_x(config, recording.dataset)
    recording.config = recorded
    _estimate_as(recording, config, printable(path))
    columns = {name: recording.column(name).copy() for name in ("epoch", *recording.quantities)}
    meter, missing = meter_of(recording), ""
    if config.estimator == "kde" and _derivable(recording):
        columns["chance_i_ty"] = _shuffled_chance(recording, meter, printable(path))
    try:
        representations = tuple(of_row(recording, row, meter, (0, 0, row)) for row in rows if pictured)
    except EngineError as error:
        representations, missing = (), str(error)
    return RecordedRun(
        name=printable(path),
        config=config,
        recorded=recorded,
        layers=recording.layers,
        classes=recording.dataset.names,
        quantities=recording.quantities,
        samples=len(recording.dataset.x),
        samples_of=recording.measured_of,
        columns=columns,
        ceilings=recording.ceilings,
        tops=recording.tops,
        representations=representations,
        diverged_at=recording.diverged_at,
        missing=missing,
    )


def _estimate_as(recording: Recording, config: RunConfig, path: str) -> None:
    """Estimate all of a recording again where a configuration would have it otherwise.

    What kde estimates live is of few samples, so where it can be, that is done again of all of them.
    """
    same = deciding(config) == deciding(recording.config)
    recording.config = config
    if same and not (config.estimator == "kde" and _derivable(recording)):
        return
    meter = meter_of(recording, most_kde=None)
    # The ranges of before are no part of what is asked for.
    recording.rebin(fitted(recording, recording.binning, meter), meter.ceilings)
    meter.binning = recording.binning
    for _ in counted(range(len(recording.pending())), f"{path}: estimating"):
        estimate_row(recording, int(recording.pending()[-1]), meter)


def _derivable(recording: Recording) -> bool:
    """Return True where the activations of all measurements can be had here."""
    try:
        check_derivable(recording)
    except EngineError:
        return False
    return True


def deciding(config: RunConfig) -> dict[str, Any]:
    """Return the settings that decide an estimate, with their values."""
    return {name: getattr(config, name) for name in config.deciding}


def _shuffled_chance(recording: Recording, meter: Meter, path: str) -> Array:
    """Return the mean I(T;Y) of kde over `SHUFFLES` orders of the labels: (rows, layers), nats."""
    y, noise = recording.dataset.y, recording.binning.noise

    def chance(t: Array) -> float:
        return chance_i_ty_by_shuffling(t, y, noise, shuffles=SHUFFLES)[0]

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # it takes long, and nearly all of it without the GIL
        rows = counted(range(len(recording)), f"{path}: chance over {SHUFFLES} orders of the labels")
        return np.array([list(pool.map(chance, activations_of(recording, row, meter))) for row in rows])


def in_order(quantities: Iterable[Quantity]) -> list[Quantity]:
    """Put quantities in the order of tables, each followed by its chance level.

    First come those with a chance level, then what is measured of the activations themselves, then what only
    tells how well the bins suit them; last, in the same order, those that not every run has.
    """
    by_name = {quantity.name: quantity for quantity in quantities}
    chances, always = {q.chance for q in by_name.values()}, {q.name for q in standard_quantities()}
    own = [quantity for quantity in by_name.values() if quantity.name not in chances]
    own.sort(key=lambda q: (q.name not in always, 0 if q.chance else 1 + q.rebinned))
    return [by_name[name] for one in own for name in (one.name, one.chance) if name in by_name]


def check_comparable(runs: Sequence[RecordedRun]) -> list[str]:
    """Return notes about what the mean over these runs would mix besides seeds.

    `UsageError` where they cannot share an axis: two differ in their number of layers, or in their binning.
    """
    first = runs[0]
    for run in runs[1:]:
        ours, theirs = len(run.layers), len(first.layers)
        if ours != theirs:
            raise UsageError(f"{run.name}: it has {ours} layers, and {first.name} has {theirs}")
        other = deciding(first.config)
        for name, mine in deciding(run.config).items():  # those that decide about others come first
            if mine != other[name]:
                raise UsageError(
                    f"{run.name}: estimated with {flag(name)} {mine}, and {first.name} with {other[name]}; "
                    f"give {flag(name)} to estimate both alike"
                )
    mixed = [name for name in differing(runs) if name not in _INCIDENTAL]
    notes = []
    if "data_seed" in mixed and has_fixed_size(first.config.data):  # the same samples, in another order
        mixed.remove("data_seed")
        notes.append("the split is drawn anew for each run")
    if mixed:
        notes.append(f"the runs differ in {', '.join(mixed)}: their mean mixes experiments")
    for name in dict.fromkeys(name for run in runs for name in run.quantities):
        without = [run.name for run in runs if name not in run.quantities]
        notes += [f"{name}: no mean, for {', '.join(without)} has not measured it"] if without else []
    return notes


def differing(runs: Sequence[RecordedRun]) -> list[str]:
    """Return the settings that are not the same in all runs."""
    first = runs[0].config
    return [
        f.name
        for f in fields(RunConfig)
        if any(getattr(run.config, f.name) != getattr(first, f.name) for run in runs)
    ]


def shared_quantities(runs: Sequence[RecordedRun]) -> list[Quantity]:
    """Return the quantities that every run has measured, in the order of tables."""
    return [q for q in in_order(runs[0].quantities.values()) if all(q.name in run.quantities for run in runs)]


def common_epochs(runs: Sequence[RecordedRun]) -> Array:
    """Return the epochs that every run has measured, ascending."""
    common = runs[0].epochs
    for run in runs[1:]:
        common = np.intersect1d(common, run.epochs)
    return common


def over_runs(runs: Sequence[RecordedRun], values: Sequence[Array], epochs: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation (n - 1) over runs at common epochs, of each run's values."""
    if len(runs) == 1:
        return values[0], np.zeros(len(epochs))
    table = np.array([v[np.searchsorted(run.epochs, epochs)] for run, v in zip(runs, values, strict=True)])
    with np.errstate(invalid="ignore"):
        return table.mean(axis=0), table.std(axis=0, ddof=1)


def nearest_rows(epochs: Array, wanted: Sequence[int], name: str) -> tuple[list[int], list[str]]:
    """Return the rows nearest to the epochs wanted, each once, and notes; `UsageError` outside the run."""
    rows: list[int] = []
    notes = []
    for epoch in wanted:
        if not epochs[0] <= epoch <= epochs[-1]:
            raise UsageError(f"--at {epoch}: {name} was measured from epoch {epochs[0]:,} to {epochs[-1]:,}")
        row = int(np.argmin(np.abs(epochs - epoch)))
        if epochs[row] != epoch:
            notes.append(f"{name}: epoch {epoch:,} was not measured; {epochs[row]:,} is the nearest that was")
        if row not in rows:
            rows.append(row)
    return rows, notes


def default_rows(epochs: Array) -> list[int]:
    """Choose the first and the last measurement and, of those between, more of the early ones."""
    first, last = int(epochs[0]), int(epochs[-1])
    if len(epochs) <= DEFAULT_EPOCHS:
        return list(range(len(epochs)))
    wanted = first + np.geomspace(int(epochs[1]) - first, last - first, DEFAULT_EPOCHS - 1)
    return sorted({0, *(int(np.argmin(np.abs(epochs - epoch))) for epoch in wanted)})


def parse_epochs(text: str) -> list[int]:
    """Return the epochs of "0,10,100", or of "none"; `UsageError` where the text is no such list, or long."""
    if text.strip() == "none":
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        right = "epochs joined by commas, such as 0,100,2000, or none"
        raise UsageError(f"--at {printable(text)}: must be {right}")
    if len(parts) > MOST_EPOCHS:
        raise UsageError(f"--at: {len(parts)} epochs; it takes {MOST_EPOCHS} at most")
    return [int(part) for part in parts]
