"""What measuring costs: a million labels, a measurement, a history rebinned, and how that grows."""

from __future__ import annotations

import importlib
import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from ibtui.bench.rows import Report, Row, Spread, Target, at_least, at_most
from ibtui.bench.setting import Setting
from ibtui.config import RunConfig
from ibtui.core.information import Binning, Estimator, mutual_information_of_labels
from ibtui.core.seeding import initial_parameters
from ibtui.quantities.meter import Meter, make_dataset
from ibtui.recording import Recording
from ibtui.run.estimating import Desk
from ibtui.run.trainer import Trainer

_HISTORY = 200
_LONG_S = 600.0
_LEAST_S = 0.02
"""What is faster is repeated, until a timed stretch is as long."""
_MOST_SLOPE = 1.15
"""Linear, but for caches that overflow: the exponent with which cost grows is at most this."""


def seconds(function: Callable[[], Any], share: float = 1.0) -> float:
    """Seconds that one call takes, over as many calls as make a stretch that can be timed."""
    began = time.perf_counter()
    function()
    calls = max(1, math.ceil(_LEAST_S * share / max(time.perf_counter() - began, 1e-9)))
    began = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - began) / calls


def in_turns(work: dict[str, Callable[[], Any]], setting: Setting) -> dict[str, list[float]]:
    """Seconds of each piece of work, round by round, all pieces in every round; all are warmed up before."""
    for function in work.values():
        function()
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(setting.rounds):
        for name, function in work.items():
            taken[name].append(seconds(function, setting.share))
    return taken


def measure(report: Report, setting: Setting) -> None:
    """A million labels; a measurement and its parts; a history rebinned."""
    setting.say("measurement: a million labels")
    _a_million(report, setting)
    setting.say("measurement: 500 samples")
    _one_measurement(report, setting)
    setting.say(f"measurement: {_HISTORY} measurements rebinned")
    history = _history(_HISTORY)
    taken = [_rebin(history, at) for at in range(2 * setting.rounds)]
    value = _milliseconds(taken)
    name = f"{_HISTORY} measurements rebinned"
    report.rows.append(Row("measurement", name, value, "ms", targets=(at_most(value, 200, "ms"),)))


def _a_million(report: Report, setting: Setting) -> None:
    random = np.random.default_rng(0)
    b = random.integers(0, 2, 1_000_000)
    a = random.integers(0, 2000, 1_000_000) * 2 + (b ^ (random.random(1_000_000) < 0.1))
    work: dict[str, Callable[[], Any]] = {"ibtui": lambda: mutual_information_of_labels(a, b)}
    if importlib.util.find_spec("sklearn") is None:
        report.absent["sklearn"] = "not installed"
    else:
        metrics: Any = importlib.import_module("sklearn.metrics")
        work["sklearn"] = lambda: metrics.mutual_info_score(a, b)
    taken = in_turns(work, setting)
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


def _one_measurement(report: Report, setting: Setting) -> None:
    config = RunConfig()
    meter, parameters = _meter(config)
    activations = meter.forward(parameters)
    taken = in_turns(
        {
            "estimates": lambda: meter.estimator.estimate(activations),
            "whole": lambda: meter.measure(0, parameters, 0.5),
        },
        setting,
    )
    estimates = _milliseconds(taken["estimates"])
    report.rows += [
        Row(
            "measurement",
            "estimates and chance levels, 4 layers, N = 500",
            estimates,
            "ms",
            targets=(at_most(estimates, 2, "ms"),),
        ),
        Row(
            "measurement", "a whole measurement, dimension and loss too", _milliseconds(taken["whole"]), "ms"
        ),
    ]


def _meter(config: RunConfig) -> tuple[Meter, Any]:
    dataset = make_dataset(config)
    binning = Binning(config.binning, config.x_bins, config.t_bins)
    parameters = initial_parameters(config.layers, sigma=config.init_sigma, seed=config.seed)
    return Meter(dataset, config.activation, binning), parameters


def _history(measurements: int) -> Recording:
    """A run of so many measurements on the fused engine, from first to last."""
    config = RunConfig(engine="fused", ctx="cpu", every=10, epochs=10 * (measurements - 1))
    trainer = Trainer(config, 1 << 30)
    trainer.train(config.epochs)
    return trainer.recording


def _rebin(recording: Recording, at: int) -> float:
    """Seconds until the worker's desk has the whole history in another binning."""
    desk = Desk(recording, lambda: None)
    desk.start()
    began = time.perf_counter()
    desk.rebin(Binning("notebook", 4, (30, 100)[at % 2]))
    if not desk.settle(_LONG_S):
        raise RuntimeError("the desk does not get done")
    return time.perf_counter() - began


def _milliseconds(taken: Sequence[float]) -> Spread:
    return Spread.of([1000 * s for s in taken])


# --- scaling ---------------------------------------------------------------------------------------


def scaling(report: Report, setting: Setting) -> None:
    """Cost against samples, width, bins and measurements: all sizes in every round."""
    share = 10 if setting.quick else 1
    report.rows += _grown(
        "samples", _by_samples([s // share for s in (1000, 10_000, 100_000, 1_000_000)]), setting
    )
    report.rows += _grown("units a layer", _by_width((2, 8, 32, 128)), setting, linear=False)
    report.rows += _grown("bins a unit", _by_bins((10, 100, 1000)), setting, linear=False)
    report.rows += _grown("samples trained on", _by_trained((500, 5000, 50_000)), setting, "epoch")
    setting.say("scaling: measurements")
    histories = {size: _history(size) for size in (c // share for c in (100, 200, 400, 800))}
    taken: dict[int, list[float]] = {size: [] for size in histories}
    for at in range(setting.rounds):
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
    meter, parameters = _meter(config)
    activations = [np.asarray(t, np.float64) for t in meter.forward(parameters)]
    estimator: Estimator = meter.estimator
    return lambda: estimator.estimate(activations)


def _by_trained(sizes: Sequence[int]) -> Work:
    from ibtui.engines.fused.cpu import FusedEngine

    def train(size: int) -> Callable[[], Any]:
        config = replace(RunConfig(), samples=2 * size)
        dataset, (_, parameters) = make_dataset(config), _meter(RunConfig())
        engine = FusedEngine(config, dataset.x, dataset.y, parameters)
        epochs = count()
        return lambda: engine.train(epoch := next(epochs), epoch + 1)

    return {size: train(size) for size in sizes}


def _grown(
    what: str, work: Work, setting: Setting, of: str = "estimates", *, linear: bool = True
) -> list[Row]:
    setting.say(f"scaling: {what}")
    taken = in_turns({str(size): function for size, function in work.items()}, setting)
    return _rows_of_growth(what, of, {int(size): values for size, values in taken.items()}, linear)


def _rows_of_growth(what: str, of: str, taken: dict[int, list[float]], linear: bool) -> list[Row]:
    """A row for each size, its cost against the smallest's; the last holds how it grows from the first."""
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
