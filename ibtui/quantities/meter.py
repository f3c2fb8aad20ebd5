"""From weights to a Measurement: the one path by which every front end gets its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ibtui.config import RunConfig
from ibtui.core import dimension
from ibtui.core.forward import evaluate, forward
from ibtui.core.information import Binning, Estimator, saturation
from ibtui.data.grid import grid_labels
from ibtui.recording import Dataset, Measurement, Parameters, Recording

Array = np.ndarray[Any, Any]


def make_dataset(config: RunConfig) -> Dataset:
    """The experiment's points: the first half trains and is measured, the second half is held out."""
    x, y = grid_labels(config.grid, config.samples, config.data_seed)
    half = config.samples // 2
    return Dataset(x[:half], y[:half], x[half:], y[half:])


def new_recording(config: RunConfig, dataset: Dataset, history_bytes: int) -> Recording:
    """An empty recording, its ceilings known."""
    recording = Recording(config, dataset, history_bytes=history_bytes)
    ceilings = Estimator(dataset.x, dataset.y, recording.binning, config.activation)
    recording.h_x, recording.h_y = ceilings.h_x, ceilings.h_y
    return recording


class Meter:
    """Measures networks against one data set. Not to be shared between threads: `binning` changes it."""

    def __init__(self, dataset: Dataset, activation: str, binning: Binning) -> None:
        self.dataset, self.activation = dataset, activation
        self.estimator = Estimator(dataset.x, dataset.y, binning, activation)
        self._binning = binning

    @property
    def binning(self) -> Binning:
        """The binning of the estimates; setting it bins X anew."""
        return self._binning

    @binning.setter
    def binning(self, binning: Binning) -> None:
        if binning != self._binning:
            self.estimator = Estimator(self.dataset.x, self.dataset.y, binning, self.activation)
            self._binning = binning

    def forward(self, parameters: Parameters) -> list[Array]:
        """Activations of the measured samples, per layer (samples, width) float32."""
        return forward(self.dataset.x, parameters, self.activation)

    def measure(self, epoch: int, parameters: Parameters, moving_loss: float) -> Measurement:
        """Everything that is measured of a network at an epoch."""
        d = self.dataset
        activations = self.forward(parameters)
        estimates = self.estimator.estimate(activations)
        dimensions = np.array([dimension.both(t) for t in activations])
        held_out = forward(d.x_test, parameters, self.activation)[-1]
        train_accuracy, train_loss = evaluate(activations[-1], d.y)
        test_accuracy, test_loss = evaluate(held_out, d.y_test)
        return Measurement(
            epoch=epoch,
            binning=self.binning,
            **estimates._asdict(),
            dimension=dimensions[:, 0],
            participation_ratio=dimensions[:, 1],
            saturation=np.array([saturation(t, self.activation) for t in activations]),
            train_accuracy=train_accuracy,
            test_accuracy=test_accuracy,
            train_loss=train_loss,
            test_loss=test_loss,
            moving_loss=moving_loss,
            parameters=parameters,
            activations=activations,
        )

    def activations(self, recording: Recording, row: int) -> Sequence[Array]:
        """A past measurement's activations: stored, or derived from its weights to the same bits."""
        stored = recording.activations(row)
        return stored if stored is not None else self.forward(recording.parameters(row))
