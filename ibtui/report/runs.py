"""What a report is about: each run's numbers, and how its layers look at the epochs chosen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ibtui.config import RunConfig
from ibtui.errors import RecordingError, UsageError, printable
from ibtui.quantities.meter import Meter
from ibtui.recording import PER_LAYER, PERFORMANCE, Recording
from ibtui.recording.files import load
from ibtui.run.protocol import Representation
from ibtui.run.representation import of_row

Array = np.ndarray[Any, Any]
Choose = Callable[[Array], list[int]]

BINNING = ("binning", "t_bins", "x_bins")
"""The settings of the estimates, as fields of `RunConfig`."""
DEFAULT_EPOCHS = 6
MOST_EPOCHS = 24

_INCIDENTAL = {"seed", "ctx", "engine", "epochs", "every"}
"""Settings in which runs of one experiment may differ."""


@dataclass(frozen=True)
class Run:
    """One recording, less its weights and activations."""

    name: str
    """The file, as it was given."""
    config: RunConfig
    """Its binning is the one that the estimates here use."""
    recorded: RunConfig
    """The file's own configuration."""
    samples: int
    columns: Mapping[str, Array]
    """`epoch` (E,), those of `PER_LAYER` (E, L) and of `PERFORMANCE` (E,); information in nats."""
    h_x: float
    h_y: float
    looks: tuple[Representation, ...]
    """The layers at the epochs chosen."""

    @property
    def epochs(self) -> Array:
        """The epoch of each measurement, ascending; shape (E,), int64."""
        return self.columns["epoch"]


def read_run(path: str, asked: Mapping[str, Any], choose: Choose) -> Run:
    """Read a recording and, where another binning is asked for, estimate all of it again.

    Parameters
    ----------
    path : str
    asked : mapping
        Values for some of the fields in `BINNING`.
    choose : callable
        From the measured epochs to the rows whose layers are to be looked at.

    Raises
    ------
    RecordingError
        It cannot be read, or holds no measurement.
    UsageError
        A setting is outside its domain, or an epoch outside the run.
    """
    recording = load(path, history_bytes=sys.maxsize)  # what is stored is measured, and nothing in its place
    recorded = recording.config
    if not len(recording):
        raise RecordingError(f"{printable(path)}: it holds no measurement yet")
    meter = Meter(recording.dataset, recorded.activation, recording.binning)
    re_estimate(recording, replace(recorded, **asked), meter)
    rows = choose(recording.column("epoch"))
    return Run(
        name=printable(path),
        config=recording.config,
        recorded=recorded,
        samples=len(recording.dataset.x),
        columns={name: recording.column(name).copy() for name in ("epoch", *PERFORMANCE, *PER_LAYER)},
        h_x=recording.h_x,
        h_y=recording.h_y,
        looks=tuple(of_row(recording, row, meter, (row,)) for row in rows),
    )


def re_estimate(recording: Recording, config: RunConfig, meter: Meter) -> None:
    """Give a recording the binning of `config`; nothing is touched where that is its own."""
    binning = replace(recording.binning, kind=config.binning, x_bins=config.x_bins, t_bins=config.t_bins)
    if binning == recording.binning:
        return
    meter.binning = binning
    recording.rebin(binning, meter.estimator.h_x)
    for row in recording.pending().tolist():
        recording.estimate(row, binning, meter.estimator.estimate(meter.activations(recording, row)))


def check_comparable(runs: Sequence[Run]) -> list[str]:
    """Refuse runs that cannot share an axis; notes about what else their mean would mix.

    Raises
    ------
    UsageError
        Two files differ in their number of layers or in the binning of their estimates.
    """
    first = runs[0]
    for run in runs[1:]:
        ours, theirs = len(run.config.layers), len(first.config.layers)
        if ours != theirs:
            raise UsageError(f"{run.name}: it has {ours} layers, and {first.name} has {theirs}")
        for name in BINNING:
            mine, other = getattr(run.config, name), getattr(first.config, name)
            if mine != other:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"{run.name}: estimated with {flag} {mine}, and {first.name} with {other}; "
                    f"give {flag} to estimate both alike"
                )
    mixed = [name for name in differing(runs) if name not in _INCIDENTAL]
    return [f"the runs differ in {', '.join(mixed)}: their mean mixes experiments"] if mixed else []


def differing(runs: Sequence[Run]) -> list[str]:
    """The settings that are not the same in all runs."""
    first = runs[0].config
    return [
        f.name
        for f in fields(RunConfig)
        if any(getattr(run.config, f.name) != getattr(first, f.name) for run in runs)
    ]


def common_epochs(runs: Sequence[Run]) -> Array:
    """The epochs that every run has measured, ascending."""
    common = runs[0].epochs
    for run in runs[1:]:
        common = np.intersect1d(common, run.epochs)
    return common


def nearest_rows(epochs: Array, wanted: Sequence[int], name: str) -> tuple[list[int], list[str]]:
    """The measurements nearest to the epochs wanted (the earlier of two), each once, and notes about them.

    Raises
    ------
    UsageError
        An epoch outside the measured ones.
    """
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


def default_rows(epochs: Array, count: int = DEFAULT_EPOCHS) -> list[int]:
    """The first and the last measurement, and between them more of the early ones, where most changes."""
    first, last = int(epochs[0]), int(epochs[-1])
    if len(epochs) <= count:
        return list(range(len(epochs)))
    wanted = first + np.geomspace(int(epochs[1]) - first, last - first, count - 1)
    return sorted({0, *(int(np.argmin(np.abs(epochs - epoch))) for epoch in wanted)})


def parse_epochs(text: str) -> list[int]:
    """Epochs from "0,10,100".

    Raises
    ------
    UsageError
        The text is no such list, or too long a one.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        raise UsageError(f"--at {printable(text)}: must be epochs joined by commas, such as 0,100,2000")
    if len(parts) > MOST_EPOCHS:
        raise UsageError(f"--at: {len(parts)} epochs; it takes {MOST_EPOCHS} at most")
    return [int(part) for part in parts]
