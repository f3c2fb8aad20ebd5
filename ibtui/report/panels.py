"""Panels: the curves that share axes in a report, whatever draws them, with their mean over runs.

Pure functions from runs to arrays. A run is drawn as it is; of several, the mean over runs on the epochs that
all have measured, its spread (the standard deviation over runs, n - 1 in the denominator), and each run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ibtui.errors import UsageError, printable
from ibtui.plot import palette
from ibtui.plot.ticks import Unit, number, per_unit, unit_shown
from ibtui.quantities import Array, Quantity
from ibtui.report.recorded import RecordedRun, common_epochs, over_runs, shared_quantities

USUAL = ("train_accuracy", "i_xt", "i_ty", "dimension")
"""The quantities whose panels every report has; accuracy on the samples held out is in the first."""


@dataclass(frozen=True)
class Settings:
    """The choices that figures follow."""

    bits: bool = False
    excess: bool = False
    """True: quantities less their chance level."""
    quantities: tuple[str, ...] = ()
    """The names of those that have a panel besides the standard ones."""

    @property
    def unit(self) -> Unit:
        return "bits" if self.bits else "nats"


@dataclass(frozen=True)
class Curve:
    """One quantity over epochs."""

    label: str
    ink: int
    layer: int | None
    epochs: Array
    """Shape (E,), ascending."""
    values: Array
    """Shape (E,): the run's or, of several, their mean: NaN where one of them has no value."""
    spread: Array | None = None
    """Standard deviation over runs; None where there is one run."""
    runs: tuple[tuple[Array, Array], ...] = ()
    """Each run's epochs and values, where there are several."""
    chance: Array | None = None
    """Shape (E,): the chance level (of several runs, its mean)."""
    dotted: bool = False
    """True for all but the first of a panel whose curves are not of layers."""

    @property
    def newest(self) -> float:
        """The last value; NaN where there is none."""
        return float(self.values[-1]) if len(self.values) else math.nan

    @property
    def newest_spread(self) -> float | None:
        return float(self.spread[-1]) if self.spread is not None and len(self.spread) else None

    @property
    def extremes(self) -> list[float]:
        """The least and the greatest finite number that is drawn; none where there is none."""
        parts = [self.values, *(values for _, values in self.runs)]
        if self.chance is not None:
            parts.append(self.chance)
        if self.spread is not None:
            parts += [self.values - self.spread, self.values + self.spread]
        drawn = np.concatenate(parts)
        drawn = drawn[np.isfinite(drawn)]
        return [float(drawn.min()), float(drawn.max())] if len(drawn) else []


@dataclass(frozen=True)
class Panel:
    """Curves that share axes."""

    key: str
    """The name of the first quantity."""
    title: str
    unit: str
    curves: tuple[Curve, ...]
    low: float
    high: float
    """The vertical axis."""
    ceilings: tuple[tuple[str, float], ...] = ()
    """Horizontal lines, by name."""


def panels(runs: Sequence[RecordedRun], settings: Settings) -> list[Panel]:
    """Return the panels of `USUAL`, and those asked for; `UsageError` where a run lacks a quantity."""
    known = {quantity.name: quantity for quantity in shared_quantities(runs)}
    for name in settings.quantities:
        if name not in known:
            raise UsageError(f"--quantity {printable(name[:60])}: there is {', '.join(known)}")
    made: dict[str, Panel] = {}
    for name in (*USUAL, *settings.quantities):
        quantity = known[name]
        if quantity.per_layer:
            panel = layer_panel(runs, quantity, settings)
        else:
            panel = _of_run(runs, [q for q in known.values() if _title(q) == _title(quantity)], settings)
        made.setdefault(panel.key, panel)
    return list(made.values())


def _title(quantity: Quantity) -> str:
    """Return what a panel is called: quantities that are not of layers share one up to a comma."""
    return quantity.label if quantity.per_layer else quantity.label.partition(", ")[0]


def _of_run(runs: Sequence[RecordedRun], quantities: Sequence[Quantity], settings: Settings) -> Panel:
    """Return the panel of quantities with one value per measurement, such as accuracy: train, held out."""
    first, inks = quantities[0], (palette.TRAIN, palette.HELD_OUT)
    scale = per_unit(first.unit, settings.unit)
    curves = []
    for at, quantity in enumerate(quantities):
        values = [run.columns[quantity.name] / scale for run in runs]
        curves.append(_curve(runs, quantity.brief, inks[min(at, 1)], None, values, dotted=at > 0))
    ceilings = _ceilings(runs, first, scale)
    unit = unit_shown(first.unit, settings.unit)
    return Panel(first.name, _title(first), unit, tuple(curves), *_axis(first, curves, ceilings), ceilings)


def layer_panel(runs: Sequence[RecordedRun], quantity: Quantity, settings: Settings) -> Panel:
    """Return the panel of a quantity with a curve for each layer."""
    scale = per_unit(quantity.unit, settings.unit)
    has_chance = all(quantity.chance in run.columns for run in runs)
    curves = []
    for layer in range(len(runs[0].layers)):
        values = [run.columns[quantity.name][:, layer] / scale for run in runs]
        chances = [run.columns[quantity.chance][:, layer] / scale for run in runs] if has_chance else None
        if chances is not None and settings.excess:
            values, chances = [a - b for a, b in zip(values, chances, strict=True)], None
        curves.append(_curve(runs, str(layer), palette.of_layer(layer), layer, values, chances))
    title, ceilings = _title(quantity), _ceilings(runs, quantity, scale)
    if has_chance and settings.excess:
        title, ceilings = f"{title} over chance", (("chance", 0.0),)
    unit = unit_shown(quantity.unit, settings.unit)
    return Panel(quantity.name, title, unit, tuple(curves), *_axis(quantity, curves, ceilings), ceilings)


def _ceilings(runs: Sequence[RecordedRun], quantity: Quantity, scale: float) -> tuple[tuple[str, float], ...]:
    """Return the ceilings that are stored with the runs; layers' widths and numbers are no lines."""
    levels = [run.ceilings[quantity.ceiling] / scale for run in runs if quantity.ceiling in run.ceilings]
    # Those of other data may differ in digits that nobody sees.
    apart = {number(level): level for level in levels if math.isfinite(level)}
    return tuple((quantity.ceiling_label, level) for level in sorted(apart.values()))


def _axis(
    quantity: Quantity, curves: Iterable[Curve], ceilings: Sequence[tuple[str, float]]
) -> tuple[float, float]:
    drawn = [end for curve in curves for end in curve.extremes]
    start = [] if quantity.low is None else [quantity.low]
    top = quantity.bound({})
    if quantity.ceiling == "width":
        return min(start or drawn, default=0.0), max([*drawn, 2.0])
    if not quantity.per_layer and math.isfinite(top):
        return max([*start, math.floor(min([*drawn, top]) * 10) / 10]), top
    ends = [*start, *drawn, *(level for _, level in ceilings)] or [0.0]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low or 1.0)
    return low - (0.0 if low == quantity.low else margin), float(np.fmin(high + margin, top))


def _curve(
    runs: Sequence[RecordedRun],
    label: str,
    ink: int,
    layer: int | None,
    values: Sequence[Array],
    chances: Sequence[Array] | None = None,
    dotted: bool = False,
) -> Curve:
    epochs = common_epochs(runs)
    mean, spread = over_runs(runs, values, epochs)
    several = len(runs) > 1
    return Curve(
        label, ink, layer, epochs, mean,
        spread if several else None,
        tuple((run.epochs, v) for run, v in zip(runs, values, strict=True)) if several else (),
        None if chances is None else over_runs(runs, chances, epochs)[0],
        dotted,
    )  # fmt: skip


def epoch_range(panels: Sequence[Panel]) -> tuple[float, float]:
    """Return the horizontal axis that all panels share."""
    low, high = math.inf, -math.inf
    for curve in panels[0].curves:
        for epochs in (curve.epochs, *(e for e, _ in curve.runs)):
            if len(epochs):
                low, high = min(low, float(epochs[0])), max(high, float(epochs[-1]))
    return low, high if high > low else low + 1.0
