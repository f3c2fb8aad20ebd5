"""What the figures show, whatever draws them: panels of curves over epochs, with their mean over runs.

Pure functions from runs to arrays. A run is drawn as it is; of several, the mean over runs on the epochs that
all have measured, its spread (the standard deviation over runs, n - 1 in the denominator), and each run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibtui.plot import palette
from ibtui.plot.ticks import number
from ibtui.report.runs import Run, common_epochs

Array = np.ndarray[Any, Any]

NATS_PER_BIT = math.log(2)

NOT_FINITE = ("no finite activations", "not finite", "n/a")
"""What stands in the place of samples that cannot be drawn, in fewer and fewer words."""


@dataclass(frozen=True)
class Settings:
    """What is asked of the figures."""

    bits: bool = False
    excess: bool = False
    """Information less its chance level."""
    participation_ratio: bool = False
    """A panel for it too."""

    @property
    def unit(self) -> str:
        """Of information."""
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

    @property
    def newest(self) -> float:
        """The last value; NaN where there is none."""
        return float(self.values[-1]) if len(self.values) else math.nan

    @property
    def newest_spread(self) -> float | None:
        """The last value's spread."""
        return float(self.spread[-1]) if self.spread is not None and len(self.spread) else None


@dataclass(frozen=True)
class Panel:
    """Curves that share axes."""

    key: str
    title: str
    unit: str
    curves: tuple[Curve, ...]
    low: float
    high: float
    """The vertical axis."""
    ceilings: tuple[tuple[str, float], ...] = ()
    """Horizontal lines, by name."""
    per_layer: bool = True


_TITLES = {
    "i_xt": "I(X;T)",
    "i_ty": "I(T;Y)",
    "dimension": "dimension",
    "participation_ratio": "participation ratio",
}


def panels(runs: Sequence[Run], settings: Settings) -> list[Panel]:
    """Accuracy, I(X;T), I(T;Y) and dimension; the participation ratio where asked for."""
    made = [_accuracy(runs), _information(runs, "i_xt", settings), _information(runs, "i_ty", settings)]
    made.append(_size(runs, "dimension"))
    if settings.participation_ratio:
        made.append(_size(runs, "participation_ratio"))
    return made


def _accuracy(runs: Sequence[Run]) -> Panel:
    curves = (
        _curve(runs, "train", palette.TRAIN, None, [r.columns["train_accuracy"] for r in runs]),
        _curve(runs, "held out", palette.HELD_OUT, None, [r.columns["test_accuracy"] for r in runs]),
    )
    low, _ = _extent(curves, 1.0, 1.0)
    return Panel("accuracy", "accuracy", "", curves, max(0.0, math.floor(low * 10) / 10), 1.0, (), False)


def _information(runs: Sequence[Run], name: str, settings: Settings) -> Panel:
    scale = NATS_PER_BIT if settings.bits else 1.0
    curves = []
    for layer in range(len(runs[0].config.layers)):
        estimates = [run.columns[name][:, layer] / scale for run in runs]
        chances = [run.columns[f"chance_{name}"][:, layer] / scale for run in runs]
        if settings.excess:
            values = [a - b for a, b in zip(estimates, chances, strict=True)]
            curves.append(_curve(runs, str(layer), palette.of_layer(layer), layer, values))
        else:
            curves.append(_curve(runs, str(layer), palette.of_layer(layer), layer, estimates, chances))
    symbol = "H(X)" if name == "i_xt" else "H(Y)"
    levels = [(run.h_x if name == "i_xt" else run.h_y) / scale for run in runs]
    # Those of other data may differ in digits that nobody sees.
    apart = {number(level): level for level in levels if math.isfinite(level)}
    ceilings = [(symbol, level) for level in sorted(apart.values())]
    title = _TITLES[name]
    if settings.excess:
        title, ceilings = f"{title} over chance", [("chance", 0.0)]
    low, high = _extent(curves, 0.0, 0.0)
    high = max(high, *(level for _, level in ceilings), 0.0)
    margin = 0.06 * (high - low or 1.0)
    return Panel(
        name, title, settings.unit, tuple(curves), low - (margin if low < 0 else 0), high + margin,
        tuple(ceilings),
    )  # fmt: skip


def _size(runs: Sequence[Run], name: str) -> Panel:
    layers = range(len(runs[0].config.layers))
    curves = tuple(
        _curve(runs, str(layer), palette.of_layer(layer), layer, [r.columns[name][:, layer] for r in runs])
        for layer in layers
    )
    _, high = _extent(curves, 1.0, 2.0)
    return Panel(name, _TITLES[name], "", curves, 1.0, high)


def _curve(
    runs: Sequence[Run],
    label: str,
    ink: int,
    layer: int | None,
    values: Sequence[Array],
    chances: Sequence[Array] | None = None,
) -> Curve:
    """One quantity of all runs, from its columns."""
    epochs = common_epochs(runs)
    mean, spread = _over_runs(runs, values, epochs)
    return Curve(
        label, ink, layer, epochs, mean,
        spread if len(runs) > 1 else None,
        tuple((run.epochs, v) for run, v in zip(runs, values, strict=True)) if len(runs) > 1 else (),
        _over_runs(runs, chances, epochs)[0] if chances is not None else None,
    )  # fmt: skip


def _over_runs(runs: Sequence[Run], values: Sequence[Array], epochs: Array) -> tuple[Array, Array]:
    """Mean and standard deviation over runs at common epochs."""
    if len(runs) == 1:
        return values[0], np.zeros(len(epochs))
    table = np.array([v[np.searchsorted(run.epochs, epochs)] for run, v in zip(runs, values, strict=True)])
    with np.errstate(invalid="ignore"):
        return table.mean(axis=0), table.std(axis=0, ddof=1)


def _extent(curves: Sequence[Curve], low: float, high: float) -> tuple[float, float]:
    """The least and the greatest of all values, and of these two."""
    for curve in curves:
        parts = [curve.values, *(v for _, v in curve.runs)]
        if curve.chance is not None:
            parts.append(curve.chance)
        if curve.spread is not None:
            parts += [curve.values - curve.spread, curve.values + curve.spread]
        finite = np.concatenate(parts)
        finite = finite[np.isfinite(finite)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high


def epoch_range(panels: Sequence[Panel]) -> tuple[float, float]:
    """The horizontal axis that all panels share."""
    low, high = math.inf, -math.inf
    for curve in panels[0].curves:
        for epochs in (curve.epochs, *(e for e, _ in curve.runs)):
            if len(epochs):
                low, high = min(low, float(epochs[0])), max(high, float(epochs[-1]))
    return low, high if high > low else low + 1.0


def ends(low: float, high: float) -> list[tuple[float, str]]:
    """The ends of an axis and its middle, with labels of seven characters at most."""
    values = (low, low / 2 + high / 2, high)
    texts = [f"{value:.3g}" for value in values]
    if max(map(len, texts)) > 7:
        texts = [number(value) if value else "0" for value in values]
    return list(zip(values, texts, strict=True))


def spread_apart(positions: Sequence[float], gap: float, low: float, high: float) -> list[float | None]:
    """Where labels go that want these positions, `gap` apart at least, within [low, high].

    Returns
    -------
    list of float or None
        In the order given. None: no room, or a position that is not finite; of too many, some stay.
    """
    order = sorted((i for i, p in enumerate(positions) if math.isfinite(p)), key=lambda i: positions[i])
    room = max(1, int((high - low) / gap + 1e-9) + 1)
    if len(order) > room:
        order = [order[int(k)] for k in np.linspace(0, len(order) - 1, room).round()]
    placed = []
    floor = low
    for i in order:
        placed.append(max(floor, min(positions[i], high)))
        floor = placed[-1] + gap
    limit = high
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], limit)
        limit = placed[k] - gap
    result: list[float | None] = [None] * len(positions)
    for i, position in zip(order, placed, strict=True):
        result[i] = position
    return result


def finite_stretches(x: Array, y: Array) -> list[tuple[Array, Array]]:
    """The stretches of a curve between its gaps."""
    at = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(at):
        return []
    return [(x[part], y[part]) for part in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)]


def reduced(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """A long curve with the first, least, greatest and last value of each of so many columns.

    No spike is lost, and no point moves.
    """
    if len(x) <= 4 * columns:
        return x, y
    column = ((x - x[0]) / (x[-1] - x[0]) * columns).astype(int)
    keep: set[int] = set()
    for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(column)) + 1):
        keep |= {int(part[0]), int(part[-1]), int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    at = sorted(keep)
    return x[at], y[at]
