"""Panels: the curves that share axes in a report, whatever draws them, with their mean over runs.

Pure functions from runs to arrays. A run is drawn as it is; of several, the mean over runs on the epochs that
all have measured, its spread (the standard deviation over runs, n - 1 in the denominator), and each run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ibtui.errors import UsageError, printable
from ibtui.plot import palette
from ibtui.plot.ticks import EpochScale, Unit, number, per_unit, unit_shown
from ibtui.quantities import Array, Quantity
from ibtui.quantities.levels import LEAST_SHARE, Level, at_level, ceiling_at
from ibtui.report.recorded import RecordedRun, common_epochs, over_runs, shared_quantities
from ibtui.report.words import SHARE, estimation_of, estimator_in_brief

USUAL = ("train_accuracy", "i_xt", "i_ty", "dimension")
"""The quantities whose panels every report has; accuracy on the samples held out is in the first."""
PlaneColour = Literal["layer", "epoch"]

AXES: tuple[EpochScale, ...] = ("linear", "log")
PLANE_COLOURS: tuple[PlaneColour, ...] = ("layer", "epoch")


@dataclass(frozen=True)
class Settings:
    """The choices that figures follow."""

    units: Unit = "nats"
    level: Level = "estimate"
    """Information as estimated, in excess of its chance level, or as a share of what is beyond that."""
    axis: EpochScale = "linear"
    """The scale of the epochs."""
    plane_colour: PlaneColour = "layer"
    """The meaning of colours in the information plane."""
    quantities: tuple[str, ...] = ()
    """The names of those that have a panel besides the standard ones."""

    @classmethod
    def of(cls, run: RecordedRun, asked: Mapping[str, Any]) -> Settings:
        """Return what is asked for, and for the rest what suits a run."""
        axis = "log" if run.config.every == "log" else "linear"
        return cls(**{"units": run.config.units, "axis": axis, **asked})


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
    faint: Array | None = None
    """Shape (E,): what is drawn faintly beside it, see `Panel.faint` (of several runs, its mean)."""
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
        if self.faint is not None:
            parts.append(self.faint)
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
    faint: Literal["", "chance", "ceiling"] = ""
    """The meaning of each curve's faint line: an estimate's chance level, an excess's ceiling."""
    estimation: str = ""
    """The estimator of the quantity, in words; empty where no binning plays a part."""
    estimator: str = ""
    """The same in brief."""

    @property
    def dashed(self) -> str:
        """Return the meaning of its horizontal lines."""
        return "chance" if ("chance", 0.0) in self.ceilings else "ceiling"

    @property
    def heading(self) -> str:
        """The title with the unit."""
        return ", ".join(filter(None, (self.title, self.unit)))

    @property
    def empty(self) -> bool:
        """True where no curve has a value."""
        return not any(np.isfinite(curve.values).any() for curve in self.curves)


def panels(runs: Sequence[RecordedRun], settings: Settings) -> list[Panel]:
    """Return the panels of `USUAL`, and those asked for; `UsageError` where a run lacks a quantity."""
    known = {quantity.name: quantity for quantity in shared_quantities(runs)}
    for name in settings.quantities:
        if name not in known:
            lack = [run.name for run in runs if name not in run.quantities]
            some = f"{', '.join(lack)} has not measured it; " if len(lack) < len(runs) else ""
            raise UsageError(f"--quantity {printable(name[:60])}: {some}there is {', '.join(known)}")
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
    scale = per_unit(first.unit, settings.units)
    curves = []
    for at, quantity in enumerate(quantities):
        values = [run.columns[quantity.name] / scale for run in runs]
        curves.append(_curve(runs, quantity.brief, inks[min(at, 1)], None, values, dotted=at > 0))
    ceilings = _ceilings(runs, first, scale)
    unit = unit_shown(first.unit, settings.units)
    return Panel(first.name, _title(first), unit, tuple(curves), *_axis(first, curves, ceilings), ceilings)


def layer_panel(runs: Sequence[RecordedRun], quantity: Quantity, settings: Settings) -> Panel:
    """Return the panel of a quantity with a curve for each layer."""
    if not (quantity.chance and all(quantity.chance in run.columns for run in runs)):
        quantity = replace(quantity, chance="")
    level: Level = settings.level if quantity.chance else "estimate"
    scale = 1.0 if level == "share" else per_unit(quantity.unit, settings.units)
    values = [at_level(quantity, run.columns, run.ceilings, level) / scale for run in runs]
    faint, name = _faint(runs, quantity, level, scale)
    curves = [
        _curve(
            runs, str(layer), palette.of_layer(layer), layer, [v[:, layer] for v in values],
            None if faint is None else [v[:, layer] for v in faint],
        )
        for layer in range(len(runs[0].layers))
    ]  # fmt: skip
    ceilings = _ceilings(runs, quantity, scale) if level == "estimate" else (("chance", 0.0),)
    limits = _share_axis(curves) if level == "share" else _axis(quantity, curves, ceilings)
    said = {"estimate": "", "excess": " − chance", "share": f", {SHARE}"}[level]
    unit = "" if level == "share" else unit_shown(quantity.unit, settings.units)
    words = (estimation_of(runs), estimator_in_brief(runs[0].config)) if quantity.rebinned else ("", "")
    return Panel(
        quantity.name, _title(quantity) + said, unit, tuple(curves), *limits, ceilings, name, *words
    )  # fmt: skip


def _faint(
    runs: Sequence[RecordedRun], quantity: Quantity, level: Level, scale: float
) -> tuple[list[Array] | None, Literal["", "chance", "ceiling"]]:
    """Return each run's faint lines, (E, L), and what they are; none where all of them are NaN."""
    if not quantity.chance or level == "share":
        return None, ""
    if level == "estimate":
        lines = [run.columns[quantity.chance] / scale for run in runs]
    else:
        lines = [ceiling_at(quantity, run.columns, run.ceilings, level) / scale for run in runs]
    if not any(np.isfinite(values).any() for values in lines):
        return None, ""
    return lines, "chance" if level == "estimate" else "ceiling"


def _share_axis(curves: Iterable[Curve]) -> tuple[float, float]:
    """Return 0 to 1, and from a little below 0 on where a share is less than nothing, however little."""
    least = min([0.0, *(end for curve in curves for end in curve.extremes)])
    return max(least, LEAST_SHARE), 1.0


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
        # Where all is at the top, or there is nothing, the axis has a length all the same.
        return max([*start, min(math.floor(min([*drawn, top]) * 10) / 10, top - 0.1)]), top
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
    faint: Sequence[Array] | None = None,
    dotted: bool = False,
) -> Curve:
    epochs = common_epochs(runs)
    mean, spread = over_runs(runs, values, epochs)
    several = len(runs) > 1
    return Curve(
        label, ink, layer, epochs, mean,
        spread if several else None,
        tuple((run.epochs, v) for run, v in zip(runs, values, strict=True)) if several else (),
        None if faint is None else over_runs(runs, faint, epochs)[0],
        dotted,
    )  # fmt: skip
