"""The time that measuring takes: a million labels, a measurement, a history rebinned, and how it grows."""

from __future__ import annotations

import importlib
import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, Target, at_least, at_most
from ibtui.config import RunConfig
from ibtui.core.information import Binning, mutual_information_of_labels
from ibtui.data.samples import make_dataset
from ibtui.engines import kind_of
from ibtui.quantities import Array
from ibtui.quantities.meter import Meter, quantities
from ibtui.recording import Recording
from ibtui.run.measuring import estimate_pending, meter_of, new_recording
from ibtui.run.trainer import Trainer

_HISTORY = 200
_LEAST_S = 0.02
"""The shortest stretch that is timed; what is faster is repeated until it is as long."""
REBINNED = [quantity.name for quantity in quantities() if quantity.rebinned]
_MOST_SLOPE = 1.15
"""The largest exponent of growth that counts as linear: caches overflow."""


def seconds(function: Callable[[], Any], share: float = 1.0) -> float:
    """Time one call, over as many calls as make a stretch that can be timed."""
    began = time.perf_counter()
    function()
    calls = max(1, math.ceil(_LEAST_S * share / max(time.perf_counter() - began, 1e-9)))
    began = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - began) / calls


def in_turns(work: dict[str, Callable[[], Any]], effort: Effort) -> dict[str, list[float]]:
    """Time pieces of work round by round, all of them in every round, after a call of each to warm up."""
    for function in work.values():
        function()
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(effort.rounds):
        for name, function in work.items():
            taken[name].append(seconds(function, effort.share))
    return taken


def measure(report: Report, effort: Effort) -> None:
    """Add the rows of a million labels, of a measurement and of a history rebinned."""
    effort.say("measurement: a million labels")
    _a_million(report, effort)
    effort.say("measurement: 500 samples")
    _one_measurement(report, effort)
    effort.say(f"measurement: {_HISTORY} measurements rebinned")
    history = _history(_HISTORY)
    taken = [_rebin(history, at) for at in range(2 * effort.rounds)]
    value = _milliseconds(taken)
    name = f"{_HISTORY} measurements rebinned"
    report.rows.append(Row("measurement", name, value, "ms", targets=(at_most(value, 200, "ms"),)))


def _a_million(report: Report, effort: Effort) -> None:
    random = np.random.default_rng(0)
    b = random.integers(0, 2, 1_000_000)
    a = random.integers(0, 2000, 1_000_000) * 2 + (b ^ (random.random(1_000_000) < 0.1))
    work: dict[str, Callable[[], Any]] = {"ibtui": lambda: mutual_information_of_labels(a, b)}
    if importlib.util.find_spec("sklearn") is None:
        report.absent["sklearn"] = "not installed"
    else:
        metrics: Any = importlib.import_module("sklearn.metrics")
        work["sklearn"] = lambda: metrics.mutual_info_score(a, b)
    taken = in_turns(work, effort)
    targets: tuple[Target, ...] = ()
    if "sklearn" in taken:
        ratio = Spread.of_ratios(taken["sklearn"], taken["ibtui"])
        against = "ibtui"
        row = Row(
            "measurement", _OF_LABELS + "scikit-learn", _milliseconds(taken["sklearn"]), "ms", ratio, against
        )
        report.rows.append(row)
        targets = (at_least(ratio, 10, "scikit-learn"),)
    report.rows.append(
        Row("measurement", _OF_LABELS + "ibtui", _milliseconds(taken["ibtui"]), "ms", targets=targets)
    )


_OF_LABELS = "mutual information of 1,000,000 labels, "


def _one_measurement(report: Report, effort: Effort) -> None:
    meter, kept = _meter(RunConfig(engine="fused"))
    activations = meter.forward(kept, meter.dataset.x)
    wide, of_wide = _meter(
        RunConfig(engine="fused", samples=2000, layers=(10, 7, 5, 4, 3, 2), estimator="kde")
    )
    by_kernels = wide.forward(of_wide, wide.dataset.x)
    taken = in_turns(
        {
            "estimates": lambda: meter.estimates(0, activations, kept, {}),
            "whole": lambda: meter.measure(0, kept, {"moving_loss": 0.5}),
            "kde": lambda: wide.estimates(0, by_kernels, of_wide, {}),
        },
        effort,
    )
    for name, key, most in (
        ("estimates and chance levels, 4 layers, N = 500", "estimates", 2),
        ("a whole measurement, dimension and loss too", "whole", 0.25),
        ("bounds by kernels, 6 layers, N = 1000", "kde", 60),
    ):
        value = _milliseconds(taken[key])
        report.rows.append(Row("measurement", name, value, "ms", targets=(at_most(value, most, "ms"),)))


def _meter(config: RunConfig) -> tuple[Meter, dict[str, Array]]:
    """Return what measures a run of this configuration, and what the engine keeps of its beginning."""
    recording = new_recording(config, make_dataset(config), 0)
    state = kind_of(config).initial(config, recording.dataset.inputs)
    return meter_of(recording), {name: state[name] for name in recording.experiment.kept}


def _history(measurements: int) -> Recording:
    """Record a run of so many measurements on the fused engine, from first to last."""
    config = RunConfig(engine="fused", ctx="cpu", every=10, epochs=10 * (measurements - 1))
    trainer = Trainer(config, 1 << 30)
    trainer.train(config.epochs)
    return trainer.recording


def _rebin(recording: Recording, at: int) -> float:
    """Estimate the whole history in another binning; returns the seconds that takes."""
    meter = meter_of(recording)
    began = time.perf_counter()
    meter.binning = Binning("notebook", 4, (30, 100)[at % 2])
    recording.rebin(meter.binning, meter.ceilings)
    estimate_pending(recording, meter)
    return time.perf_counter() - began


def _milliseconds(taken: Sequence[float]) -> Spread:
    return Spread.of([1000 * s for s in taken])


# --- scaling ---------------------------------------------------------------------------------------


def scaling(report: Report, effort: Effort) -> None:
    """Add the rows of cost against samples, width, bins and measurements; every round has all sizes."""
    share = 10 if effort.quick else 1
    report.rows += _grown(
        "samples", _by_samples([s // share for s in (1000, 10_000, 100_000, 1_000_000)]), effort
    )
    report.rows += _grown("units a layer", _by_width((2, 8, 32, 128)), effort, linear=False)
    report.rows += _grown("bins a unit", _by_bins((10, 100, 1000)), effort, linear=False)
    report.rows += _grown("samples trained on", _by_trained((500, 5000, 50_000)), effort, "epoch")
    effort.say("scaling: measurements")
    histories = {size: _history(size) for size in (c // share for c in (100, 200, 400, 800))}
    taken: dict[int, list[float]] = {size: [] for size in histories}
    for at in range(effort.rounds):
        for size, recording in histories.items():
            taken[size].append(_rebin(recording, at))
    report.rows += _rows_of_growth("measurements", "rebinning", taken, linear=True)


Work = dict[int, Callable[[], Any]]


def _by_samples(sizes: Sequence[int]) -> Work:
    return {size: _estimate(RunConfig(samples=2 * size)) for size in sizes}


def _by_width(widths: Sequence[int]) -> Work:
    return {width: _estimate(RunConfig(layers=(width,) * 3 + (2,))) for width in widths}


def _by_bins(counts: Sequence[int]) -> Work:
    return {count: _estimate(RunConfig(t_bins=count)) for count in counts}


def _estimate(config: RunConfig) -> Callable[[], Any]:
    meter, kept = _meter(config)
    activations = [np.asarray(t, np.float64) for t in meter.forward(kept, meter.dataset.x)]
    return lambda: meter.estimates(0, activations, kept, {})


def _by_trained(sizes: Sequence[int]) -> Work:
    def train(size: int) -> Callable[[], Any]:
        config = RunConfig(engine="fused", ctx="cpu", samples=2 * size)
        dataset, kind = make_dataset(config), kind_of(config)
        start = kind.initial(config, dataset.inputs)
        engine = kind.create(config, "cpu", dataset.x, dataset.y, start)
        epochs = count()
        return lambda: engine.train(epoch := next(epochs), epoch + 1)

    return {size: train(size) for size in sizes}


def _grown(what: str, work: Work, effort: Effort, of: str = "estimates", *, linear: bool = True) -> list[Row]:
    effort.say(f"scaling: {what}")
    taken = in_turns({str(size): function for size, function in work.items()}, effort)
    return _rows_of_growth(what, of, {int(size): values for size, values in taken.items()}, linear)


def _rows_of_growth(what: str, of: str, taken: dict[int, list[float]], linear: bool) -> list[Row]:
    """Return a row for each size, with its cost against the smallest's; the last has a target."""
    sizes = list(taken)
    rows = []
    for size in sizes:
        ratio = Spread.of_ratios(taken[size], taken[sizes[0]]) if size != sizes[0] else None
        targets: tuple[Target, ...] = ()
        if linear and size == sizes[-1] and ratio:
            slope = math.log(ratio.median) / math.log(size / sizes[0])
            text = f"grows at most linearly ({size // sizes[0]:,} x the {what})"
            targets = (Target(text, slope <= _MOST_SLOPE),)
        name = f"{of}, {size:,} {what}"
        rows.append(Row("scaling", name, _milliseconds(taken[size]), "ms", ratio, f"{sizes[0]:,}", targets))
    return rows
