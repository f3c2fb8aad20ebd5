"""Quantities: what is measured of a net at one epoch, each declared once.

Columns of a recording, keys of its file, curves, tables, reports and help follow from the declaration. A
family of quantities is a module with one decorated function, from a `Sample` to their values::

    @measures(Quantity("spread", "spread", low=0.0, description="Largest less smallest activation."))
    def spread(sample):
        return {"spread": [np.ptp(t) for t in sample.activations]}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ibtui.core.forward import Classes
from ibtui.core.information import Binning, Estimator, LayerNumbers
from ibtui.core.layer import Layer
from ibtui.core.names import QUANTITIES
from ibtui.data.samples import Dataset
from ibtui.registry import Registry

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Quantity:
    """One quantity, as everything that stores or shows it needs to know it."""

    name: str
    """Name of the column, the key in the file, and the column of a table: a Python identifier."""
    label: str
    """As it is shown: "I(X;T)"."""
    short: str = ""
    """The same where there is little room."""
    unit: Literal["", "nats"] = ""
    """"nats" where it can be shown in bits."""
    per_layer: bool = True
    """One value per layer, or one per measurement."""
    low: float | None = 0.0
    """The start of its axis; None: its least value."""
    ceiling: str = ""
    """The value that it cannot pass: "width" (the layer's units), a number ("1"), or the name of a value that
    is stored with the recording ("h_x"); empty: there is none."""
    ceiling_label: str = ""
    """As the ceiling is shown: "H(X)"."""
    chance: str = ""
    """The name of the quantity that holds its chance level; empty: it has none."""
    rebinned: bool = False
    """True where a change of the binning estimates it anew."""
    dtype: Literal["float64", "int64"] = "float64"
    description: str = ""
    """A sentence that says what it is, for the help."""

    @property
    def brief(self) -> str:
        """The shortest label."""
        return self.short or self.label

    def bound(self, stored: Mapping[str, float]) -> float:
        """Return the ceiling that is stored by its name, or is a number itself; NaN where it is neither."""
        try:
            return stored[self.ceiling] if self.ceiling in stored else float(self.ceiling)
        except ValueError:
            return math.nan


Kept = Mapping[str, Array]
"""The arrays that an engine keeps of a measurement."""
Scalars = Mapping[str, ArrayLike]
"""Reports of training itself: numbers, or arrays of shape (layers,)."""
Forward = Callable[[Kept, Array], Sequence[Array]]
"""From what an engine keeps, and inputs (N, D), to each layer's activations (N, width)."""
ForwardEach = Callable[[Kept, Sequence[Array]], Sequence[Sequence[Array]]]
"""The same for several inputs."""
Weights = Callable[[Kept], "Sequence[Array] | None"]
"""From what an engine keeps to each layer's weights (out, in); None where it knows of none."""


@dataclass(frozen=True)
class Subject:
    """The part of a sample that stays the same from measurement to measurement of a run."""

    dataset: Dataset
    layers: Sequence[Layer]
    forward: Forward
    weights: Weights = lambda kept: None
    reported: bool = False
    """True where training itself reports accuracy and loss: they cannot be had from the last layer."""

    @cached_property
    def train_classes(self) -> Classes:
        """The classes of the training samples."""
        return Classes(self.dataset.training[1])

    @cached_property
    def test_classes(self) -> Classes:
        """The classes of the samples held out."""
        return Classes(self.dataset.y_test)

    @cached_property
    def train_inputs(self) -> Array | None:
        """The inputs that train, or None where they are those that are measured."""
        return None if self.dataset.measures_training else self.dataset.training[0]


@dataclass(frozen=True)
class Sample:
    """A net at one epoch, as the quantities see it."""

    epoch: int
    activations: Sequence[Array]
    """The layers' activations of the measured samples, as they are measured, each float32 of shape
    (N, width)."""
    kept: Kept
    scalars: Scalars
    """Reports of training itself, such as `moving_loss`."""
    subject: Subject
    estimator: Estimator
    """Estimates information with the binning in force."""
    rebinning: bool = False
    """True where only quantities that depend on the binning are asked for."""
    known: Mapping[str, Array] = field(default_factory=dict)
    """`outputs`, `train_outputs` and `held_out` by name, as far as they have been computed."""

    @property
    def dataset(self) -> Dataset:
        """The samples of the run."""
        return self.subject.dataset

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers that are measured."""
        return self.subject.layers

    @cached_property
    def numbers(self) -> LayerNumbers:
        """The numbers of one pass over the activations; geometry is NaN where `rebinning`."""
        return self.estimator.measure(self.activations, geometry=not self.rebinning)

    @cached_property
    def outputs(self) -> Array:
        """The net's outputs for the measured samples, float32 of shape (N, width)."""
        return self._forward("outputs", self.dataset.x)

    @cached_property
    def train_outputs(self) -> Array:
        """The net's outputs for the training samples, measured or not, float32 of shape (K, width)."""
        inputs = self.subject.train_inputs
        return self.outputs if inputs is None else self._forward("train_outputs", inputs)

    @cached_property
    def held_out(self) -> Array:
        """The net's outputs for the samples held out, float32 of shape (M, width)."""
        return self._forward("held_out", self.dataset.x_test)

    @cached_property
    def weights(self) -> Sequence[Array] | None:
        """Each layer's weights (out, in), or None where there are none that are known."""
        return self.subject.weights(self.kept)

    def _forward(self, name: str, inputs: Array) -> Array:
        if name in self.known:
            return self.known[name]
        if not len(inputs):
            return np.zeros((0, self.layers[-1].width), np.float32)
        return self.subject.forward(self.kept, inputs)[-1]


@dataclass(frozen=True)
class Family:
    """Quantities that are computed together."""

    quantities: tuple[Quantity, ...]
    measure: Callable[[Sample], Mapping[str, ArrayLike]]
    """A value of shape (layers,), or a number, for each quantity by its name."""


def measures(*quantities: Quantity) -> Callable[[Any], Family]:
    """Declare that the decorated function measures these quantities; see the module."""
    return lambda measure: Family(quantities, measure)


STANDARD = ("information", "geometry", "performance")
"""The families that every run measures, in the order of their columns."""

FAMILIES: Registry[Family] = Registry(
    "quantity",
    "ibtui.quantities",
    {name: f"ibtui.quantities.{name}:{name}" for name in (*STANDARD, *QUANTITIES)},
)


@dataclass(frozen=True)
class Measurement:
    """One epoch, measured."""

    epoch: int
    binning: Binning
    values: Mapping[str, Array]
    """Each quantity by its name: shape (layers,), or ()."""
    kept: Mapping[str, Array]
    """The arrays that the engine keeps of each measurement, such as its weights, by name."""
    activations: Sequence[Array] = field(repr=False)
    """Per layer, float32 of shape (N, width)."""
