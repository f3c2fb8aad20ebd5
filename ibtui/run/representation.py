"""From a measurement to a Representation: what the layers make of the samples at one epoch, ready to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ibtui.core.information import i_ty_and_chance, t_range
from ibtui.core.layer import Layer
from ibtui.core.projection import project
from ibtui.data.samples import Dataset
from ibtui.quantities import Array, Measurement
from ibtui.quantities.meter import Meter
from ibtui.recording import Recording
from ibtui.run.measuring import activations_of
from ibtui.run.protocol import Inputs, Key, Representation

MOST_POINTS = 5000
"""More than a terminal has dots for; of more samples, evenly spaced ones are drawn."""
SENSITIVITY_BINS = (10, 30, 100)
"""The numbers of bins in `Representation.sensitivity`."""


def of_row(recording: Recording, row: int, meter: Meter, key: Key) -> Representation:
    """Draw a measurement of the recording; raises as `activations_of`."""
    epoch = int(recording.column("epoch")[row])
    return _representation(
        key, epoch, row, activations_of(recording, row, meter), recording.values(row), meter
    )


def numbers_of_row(recording: Recording, row: int, key: Key) -> Representation:
    """Return the numbers of a measurement whose activations cannot be had: there are no points."""
    epoch, labels = int(recording.column("epoch")[row]), recording.dataset.y
    return Representation(key, epoch, row, (), labels[:0], len(labels), (), recording.values(row))


def of_measurement(measurement: Measurement, meter: Meter, key: Key) -> Representation:
    """Draw a state between two scheduled measurements."""
    return _representation(key, measurement.epoch, None, measurement.activations, measurement.values, meter)


def beforehand(
    dataset: Dataset, layers: Sequence[Layer], activations: Sequence[Array], key: Key
) -> Representation:
    """Draw what a run begins with by NumPy alone, while its numbers cannot be had yet."""
    points, shown = [project(t) for t in activations], _shown(len(dataset.y))
    return Representation(
        key=key,
        epoch=0,
        row=None,
        points=tuple(np.ascontiguousarray(p[shown]) for p in points),
        labels=dataset.y[shown],
        samples=len(dataset.y),
        ranges=tuple(_axes(t, p, layer) for t, p, layer in zip(activations, points, layers, strict=True)),
    )


def inputs_of(dataset: Dataset) -> Inputs:
    """Draw the measured inputs; of more than two dimensions, their first two principal components."""
    points, shown = project(dataset.x), _shown(len(dataset.y))
    if dataset.x_range is not None and dataset.inputs == 2:
        axes = (*dataset.x_range, *dataset.x_range)
    else:
        (left, low), (right, high) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        axes = (*_roomy(left, right), *_roomy(low, high))
    return Inputs(np.ascontiguousarray(points[shown]), dataset.y[shown], axes)


def _roomy(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) / 20 or 1.0
    return low - margin, high + margin


def _shown(samples: int) -> slice:
    return slice(None, None, max(1, math.ceil(samples / MOST_POINTS)))


def _representation(
    key: Key,
    epoch: int,
    row: int | None,
    activations: Sequence[Array],
    values: Mapping[str, Array],
    meter: Meter,
) -> Representation:
    samples = len(meter.dataset.y)
    shown = _shown(samples)
    points = [project(t) for t in activations]
    layers = list(zip(activations, points, meter.layers, strict=True))
    sensitivity = np.array([_sensitivity(t, layer, meter) for layer, t in enumerate(activations)])
    return Representation(
        key=key,
        epoch=epoch,
        row=row,
        points=tuple(np.ascontiguousarray(p[shown]) for p in points),
        labels=meter.dataset.y[shown],
        samples=samples,
        ranges=tuple(_axes(t, p, layer) for t, p, layer in layers),
        values=dict(values),
        sensitivity=np.ascontiguousarray(np.moveaxis(sensitivity, 2, 0)),
        zeros=np.array([float((t == 0).mean()) for t in activations]),
    )


def _axes(t: Array, points: Array, layer: Layer) -> tuple[float, float, float, float]:
    """Return the activation's range if units are drawn, or room for all points if components are."""
    low, high = t_range(layer.activation, t)
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


def _sensitivity(t: Array, layer: int, meter: Meter) -> list[tuple[float, float]]:
    binning, y = meter.binning, meter.dataset.y
    if binning.kind in ("width", "kde"):  # they have no number of bins
        return [(math.nan, math.nan)] * len(SENSITIVITY_BINS)
    bounds = binning.t_range(layer, meter.layers[layer].activation, t)
    return [
        i_ty_and_chance(t, y, t_bins=bins, t_range=bounds, binning=binning.kind) for bins in SENSITIVITY_BINS
    ]
