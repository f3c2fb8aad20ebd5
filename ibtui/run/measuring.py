"""From a configuration or a recording to what measures it: engines and quantities meet here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ibtui.config import TOO_NARROW, RunConfig
from ibtui.core.information import Binning
from ibtui.core.kde import MOST_KDE
from ibtui.core.names import WATCHED
from ibtui.data.samples import Dataset
from ibtui.engines import ENGINES, kind_of
from ibtui.errors import EngineError, blaming, printable
from ibtui.quantities import Array, Measurement
from ibtui.quantities.meter import Meter, available, quantities
from ibtui.recording import Checkpoint, Experiment, OnDisk, Recording, resolved
from ibtui.recording.streams import meter_for
from ibtui.settings import shown, wrong


def _extra(config: RunConfig) -> tuple[str, ...]:
    """Return the families that are measured besides the standard ones."""
    own = ("gradient_snr",) if config.gradients else ()
    return (*config.quantities, *(name for name in own if name not in config.quantities))


def experiment_of(config: RunConfig, dataset: Dataset) -> Experiment:
    """Declare what a run of this configuration measures."""
    kind = kind_of(config)
    with blaming(f"--engine {printable(config.engine)}"):
        layers = kind.layers(config)
        return Experiment(
            config=resolved(config, layers, dataset),
            dataset=dataset,
            layers=layers,
            quantities=quantities(_extra(config)),
            kept=kind.kept(config, dataset.inputs),
            checkpoint=kind.checkpoint(config, dataset.inputs),
        )


def check_fits(config: RunConfig, dataset: Dataset) -> None:
    """Refuse a last layer with fewer units than there are classes, and a grid where data have no range."""
    check_x(config, dataset)
    if kind_of(config).layers(config)[-1].width < dataset.classes:
        raise wrong("layers", shown(config.layers), TOO_NARROW.format(dataset.classes))


def check_x(config: RunConfig, dataset: Dataset) -> None:
    """Refuse a grid of X where the data declare no range for it."""
    if config.x == "grid" and dataset.x_range is None:
        raise wrong("x", "grid", "identity or auto, for these data declare no range to divide")


def new_recording(config: RunConfig, dataset: Dataset, history_bytes: int) -> Recording:
    """Return an empty recording, its ceilings known."""
    recording = Recording(experiment_of(config, dataset), history_bytes=history_bytes)
    recording.ceilings = meter_of(recording).ceilings
    return recording


def engine_here(config: RunConfig) -> None:
    """Raise `EngineError` where nothing here can compute what a recording's engine made of its samples."""
    if config.engine == WATCHED:
        raise EngineError("activations of a watched loop that are not stored cannot be computed again")
    if config.engine != "auto" and config.engine not in ENGINES:
        raise EngineError(f"the engine {config.engine}, which made this recording, is not installed here")


def meter_of(recording: Recording, binning: Binning | None = None, most_kde: int | None = MOST_KDE) -> Meter:
    """Return what measures nets of a recording's run, but for quantities of packages that are not here."""
    config, dataset = recording.config, recording.dataset
    if config.engine == WATCHED:
        return meter_for(recording, binning, most_kde)

    def forward(kept: Mapping[str, Array], x: Array) -> Sequence[Array]:
        engine_here(config)
        return kind_of(config).activations(config, kept, x)

    def forward_each(kept: Mapping[str, Array], inputs: Sequence[Array]) -> Sequence[Sequence[Array]]:
        engine_here(config)
        kind = kind_of(config)
        if (at_once := getattr(kind, "activations_of_each", None)) is not None:
            layers: Sequence[Sequence[Array]] = at_once(config, kept, inputs)
            return layers
        return [kind.activations(config, kept, x) for x in inputs]

    def weights(kept: Mapping[str, Array]) -> Sequence[Array] | None:
        engine_here(config)
        known = getattr(kind_of(config), "weights", None)
        return None if known is None else known(kept)

    return Meter(
        dataset,
        recording.layers,
        binning or recording.binning,
        forward,
        available(_extra(config)),
        forward_each=forward_each,
        weights=weights,
        softmax=config.measure_output == "softmax",
        most_kde=most_kde,
    )


def measure(recording: Recording, checkpoint: Checkpoint, meter: Meter) -> Measurement:
    """Measure a state of the recording's run, with the recording's binning."""
    kind, state = kind_of(recording.config), checkpoint.state
    meter.binning = recording.binning
    kept = {name: state[name] for name in recording.experiment.kept}
    measurement = meter.measure(checkpoint.epoch, kept, kind.scalars(state))
    recording.widen(measurement.binning)
    return measurement


def activations_of(recording: Recording, row: int, meter: Meter) -> Sequence[Array]:
    """Return past activations, stored or derived to the same bits; `EngineError` where neither can be."""
    stored = recording.activations(row)
    if isinstance(stored, OnDisk):
        return list(stored)
    return stored if stored is not None else meter.activations(recording.kept(row))


def estimates_of(recording: Recording, row: int, meter: Meter) -> dict[str, Array]:
    """Measure again what depends on the binning of a past measurement; raises as `activations_of`."""
    per_run = [name for name, quantity in recording.quantities.items() if not quantity.per_layer]
    scalars = {name: float(recording.column(name)[row]) for name in per_run}
    activations = activations_of(recording, row, meter)
    return meter.estimates(int(recording.column("epoch")[row]), activations, recording.kept(row), scalars)


def check_derivable(recording: Recording) -> None:
    """Refuse, as `activations_of` does, to estimate a recording anew some of whose activations are lost."""
    if len(recording.stored) == len(recording):
        return
    if recording.config.engine != WATCHED:
        engine_here(recording.config)
    elif lost := sum(not _never_stored(recording, row) for row in _unstored(recording)):
        raise EngineError(
            f"activations of {lost:,} measurements are beyond the memory for them; --history-mb gives more"
        )


def _unstored(recording: Recording) -> list[int]:
    stored = set(recording.stored)
    return [row for row in range(len(recording)) if row not in stored]


def _never_stored(recording: Recording, row: int) -> bool:
    """Return True for a measurement of a watched loop that consists of scalars alone."""
    if recording.config.engine != WATCHED or recording.activations(row) is not None:
        return False
    return bool(np.isnan(recording.column("dimension")[row]).all())


def fitted(recording: Recording, binning: Binning, meter: Meter) -> Binning:
    """Return a binning with ranges that hold all of a recording; raises as `activations_of`."""
    fitting, names = replace(binning, tops=()), [layer.activation for layer in recording.layers]
    for row in range(len(recording)):
        if _never_stored(recording, row):
            continue
        fitting = fitting.covering(names, activations_of(recording, row, meter))
        if not fitting.tops:  # it needs no ranges
            break
    return fitting


def estimate_row(recording: Recording, row: int, meter: Meter) -> None:
    """Measure a row again, with the recording's binning, whose ranges may turn out too small for it."""
    names = [layer.activation for layer in recording.layers]
    if _never_stored(recording, row):
        recording.estimate(row, recording.binning, {})
        return
    recording.widen(recording.binning.covering(names, activations_of(recording, row, meter)))
    meter.binning = recording.binning
    recording.estimate(row, meter.binning, estimates_of(recording, row, meter))


def estimate_pending(recording: Recording, meter: Meter) -> None:
    """Make all estimates that a recording still waits for, with its binning."""
    while len(pending := recording.pending()):
        estimate_row(recording, int(pending[-1]), meter)
