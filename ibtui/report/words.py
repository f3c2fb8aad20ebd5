"""The words of captions: how information was estimated, of which samples, and what chance says of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ibtui.config import RunConfig
from ibtui.core.binning import UNBOUNDED
from ibtui.core.layer import Layer
from ibtui.quantities import Quantity
from ibtui.report.recorded import SHUFFLES, RecordedRun

SHARE = "share of H − chance"
LEVELS = {"excess": "I less its chance level", "share": "share: (I − chance) / (H − chance)"}
"""The words for levels of information other than the estimate itself."""


def estimation_in_words(config: RunConfig, layers: Sequence[Layer], tops: Sequence[float] = ()) -> str:
    """Describe what estimates information: "notebook binning, T 29 bins, X: each sample".

    Parameters
    ----------
    config : RunConfig
        One whose binning and cells of X are settled, as a recording's are.
    layers : sequence of Layer
    tops : sequence of float
        For each layer, where its range ends if its activation has no bound; see `ibtui.core.Binning`.
    """
    if config.estimator == "kde":
        return f"KDE, noise {config.kde_noise:g} (I(X;T): upper bound; I(T;Y): of upper bounds)"
    per_input = f"X {config.x_bins} bin{'s'[: config.x_bins > 1]} per input"
    parts = [estimator_in_brief(config)]
    if config.binning != "width":
        parts.append(f"T {config.t_bins} bins" + _qualified(config.binning, layers, tops))
    return ", ".join([*parts, "X: each sample" if config.x == "identity" else per_input])


def estimator_in_brief(config: RunConfig) -> str:
    """Name the estimator in a word or two, for where there is little room."""
    if config.estimator == "kde":
        return f"KDE, noise {config.kde_noise:g}"
    return f"T bins {config.t_width:g} wide" if config.binning == "width" else f"{config.binning} binning"


def _qualified(binning: str, layers: Sequence[Layer], tops: Sequence[float]) -> str:
    """Say of T's bins what their number does not."""
    if binning in ("adaptive", "pooled"):
        return f", equal mass {'over the layer' if binning == 'pooled' else 'per unit'}"
    open_ended = [at for at, layer in enumerate(layers) if layer.activation in UNBOUNDED]
    if not open_ended:
        return ""
    if not tops:
        return " on each measurement's own range"
    return f" on ranges up to {max(tops[at] for at in open_ended):g} by layer"


def estimation_of(runs: Sequence[RecordedRun]) -> str:
    """Describe what estimates information in runs that can be compared."""
    tops = [run.tops for run in runs]
    widest = tuple(map(max, zip(*tops, strict=True))) if all(tops) else ()
    return estimation_in_words(runs[0].config, runs[0].layers, widest)


def samples_in_words(run: RecordedRun) -> str:
    """Say which samples are measured: "4,096 samples, all", "500 training samples"."""
    part = run.config.measure_on
    samples = {"train": "training samples", "held-out": "samples held out", "all": "samples"}[part]
    if run.samples < run.samples_of:
        return f"{run.samples:,} of {run.samples_of:,} {samples}"
    return f"{run.samples:,} {samples}{', all' * (part == 'all')}"


def chance_in_words(runs: Sequence[RecordedRun], quantities: Sequence[Quantity]) -> list[str]:
    """Say what must be known of the chance levels of these quantities: that one is none, or is a mean."""
    none = [q.label for q in quantities if q.chance and not _has_chance(runs, q)]
    said = []
    if none:
        why = "" if runs[0].config.estimator == "kde" else ": every sample has a cell of its own"
        said.append(f"chance level of {' and '.join(none)} n/a{why}")
    if runs[0].config.estimator == "kde" and len(none) < len(quantities):
        said.append(f"chance level of I(T;Y): mean over {SHUFFLES} shuffles of the labels")
    return said


def _has_chance(runs: Sequence[RecordedRun], quantity: Quantity) -> bool:
    return any(
        np.isfinite(run.columns[quantity.chance]).any() for run in runs if quantity.chance in run.columns
    )
