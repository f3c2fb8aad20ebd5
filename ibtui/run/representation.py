"""From a measurement to a Representation: one epoch's representation, ready to draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ibtui.core.information import chance_i_ty, i_ty, t_range
from ibtui.core.projection import project
from ibtui.quantities.meter import Meter
from ibtui.recording import PER_LAYER, PERFORMANCE, Measurement, Recording
from ibtui.run.protocol import Representation

Array = np.ndarray[Any, Any]

MOST_POINTS = 5000
"""More than a terminal has dots for; of more samples, evenly spaced ones are drawn."""
SENSITIVITY_BINS = (10, 30, 100)


def of_row(recording: Recording, row: int, meter: Meter, key: tuple[int, ...]) -> Representation:
    """The look of a measurement of the recording."""
    values: dict[str, Any] = {name: recording.column(name)[row].copy() for name in PER_LAYER}
    values |= {name: float(recording.column(name)[row]) for name in PERFORMANCE}
    epoch = int(recording.column("epoch")[row])
    return _look(key, epoch, row, meter.activations(recording, row), values, meter)


def of_present(m: Measurement, meter: Meter, key: tuple[int, ...]) -> Representation:
    """The look of weights between two scheduled measurements."""
    values = {name: getattr(m, name) for name in (*PER_LAYER, *PERFORMANCE)}
    return _look(key, m.epoch, None, m.activations, values, meter)


def _look(
    key: tuple[int, ...],
    epoch: int,
    row: int | None,
    activations: Sequence[Array],
    values: dict[str, Any],
    meter: Meter,
) -> Representation:
    samples = len(meter.dataset.y)
    shown = slice(None, None, max(1, math.ceil(samples / MOST_POINTS)))
    points = [project(t) for t in activations]
    return Representation(
        key=key,
        epoch=epoch,
        row=row,
        points=tuple(np.ascontiguousarray(p[shown]) for p in points),
        labels=meter.dataset.y[shown],
        samples=samples,
        ranges=tuple(_box(t, p, meter.activation) for t, p in zip(activations, points, strict=True)),
        values=values,
        sensitivity=np.array(
            [[_sensitivity(t, meter, of) for t in activations] for of in (i_ty, chance_i_ty)]
        ),
    )


def _box(t: Array, points: Array, activation: str) -> tuple[float, float, float, float]:
    """The axes: the activation's range where units are drawn, room for all points where components are."""
    low, high = t_range(activation, t)
    if not (math.isfinite(high) and high > low):
        low, high = 0.0, 1.0
    if t.shape[1] == 2:
        return low, high, low, high
    if t.shape[1] == 1:
        return low, high, -1.0, 1.0
    finite = points[np.isfinite(points)]
    reach = float(np.abs(finite).max()) if finite.size else 1.0
    reach = math.ceil(2 * reach) / 2 if 0 < reach < 1e6 else max(reach, 1.0)
    return -reach, reach, -reach, reach


def _sensitivity(t: Array, meter: Meter, estimate: Callable[..., float]) -> list[float]:
    bounds, kind, y = t_range(meter.activation, t), meter.binning.kind, meter.dataset.y
    return [estimate(t, y, t_bins=bins, t_range=bounds, binning=kind) for bins in SENSITIVITY_BINS]
