"""From a net's state to a Measurement: the one path by which every front end gets its numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ibtui.core.information import Binning, Estimator
from ibtui.core.layer import Layer
from ibtui.data.samples import Dataset
from ibtui.errors import IbtuiError, UsageError, blaming, printable
from ibtui.quantities import FAMILIES, STANDARD, Array, Family, Measurement, Quantity, Sample

Kept = Mapping[str, Array]
"""The arrays that an engine keeps of a measurement."""
Scalars = Mapping[str, float | Array]
"""The numbers that training itself reports."""
Forward = Callable[[Kept, Array], Sequence[Array]]
"""From what an engine keeps, and inputs (N, D), to each layer's activations (N, width)."""


def families(extra: Sequence[str] = ()) -> list[Family]:
    """Return the standard families and those named; `UsageError` where one cannot be had, or names clash."""
    found = [FAMILIES[name] for name in dict.fromkeys((*STANDARD, *extra))]
    taken: set[str] = {"epoch"}
    for family in found:
        for quantity in family.quantities:
            if quantity.name in taken or not quantity.name.isidentifier():
                raise UsageError(f"--quantities: {printable(quantity.name)} is taken, or is no name")
            taken.add(quantity.name)
    return found


def available(names: Sequence[str]) -> list[str]:
    """Return those names of families that can be loaded here: a recording may come from elsewhere."""
    found = []
    for name in names:
        with contextlib.suppress(UsageError):
            FAMILIES[name]
            found.append(name)
    return found


def quantities(extra: Sequence[str] = ()) -> tuple[Quantity, ...]:
    """Return the quantities of `families`, in the order of their columns."""
    return tuple(quantity for family in families(extra) for quantity in family.quantities)


class Meter:
    """Measures nets against one dataset, by `families`. For one thread alone: `binning` changes it."""

    def __init__(
        self,
        dataset: Dataset,
        layers: Sequence[Layer],
        binning: Binning,
        forward: Forward,
        extra: Sequence[str] = (),
    ) -> None:
        self.dataset, self.layers = dataset, tuple(layers)
        self.forward = forward
        self._families = families(extra)
        self._binning = binning
        self.estimator = self._estimator(binning)

    def _estimator(self, binning: Binning) -> Estimator:
        activations = [layer.activation for layer in self.layers]
        return Estimator(
            self.dataset.x, self.dataset.y, binning, activations, self.dataset.x_range or (0.0, 1.0)
        )

    @property
    def binning(self) -> Binning:
        """The binning of the estimates; setting it bins X anew."""
        return self._binning

    @binning.setter
    def binning(self, binning: Binning) -> None:
        if binning != self._binning:
            self.estimator = self._estimator(binning)
            self._binning = binning

    @property
    def ceilings(self) -> dict[str, float]:
        """The values that quantities cannot pass with this binning, in nats, by their declared names."""
        return {"h_x": self.estimator.h_x, "h_y": self.estimator.h_y}

    def measure(self, epoch: int, kept: Kept, scalars: Scalars) -> Measurement:
        """Measure all of a net, by what its engine keeps of it and what training itself reports."""
        activations = list(self.forward(kept, self.dataset.x))
        sample = self._sample(epoch, activations, kept, scalars)
        values = {name: v for family in self._families for name, v in self._values(family, sample).items()}
        return Measurement(epoch, self.binning, values, kept, activations)

    def estimates(
        self, epoch: int, activations: Sequence[Array], kept: Kept, scalars: Scalars
    ) -> dict[str, Array]:
        """Measure a past measurement's quantities again that depend on the binning, with the one in force."""
        sample = self._sample(epoch, activations, kept, scalars)
        return {
            quantity.name: values[quantity.name]
            for family in self._families
            if any(quantity.rebinned for quantity in family.quantities)
            for values in [self._values(family, sample)]
            for quantity in family.quantities
            if quantity.rebinned
        }

    def _sample(self, epoch: int, activations: Sequence[Array], kept: Kept, scalars: Scalars) -> Sample:
        def held_out() -> Array:
            return self.forward(kept, self.dataset.x_test)[-1]

        return Sample(epoch, activations, held_out, scalars, self.dataset, self.layers, self.estimator)

    def _values(self, family: Family, sample: Sample) -> dict[str, Array]:
        values: dict[str, Array] = {}
        with blaming(", ".join(quantity.name for quantity in family.quantities)):
            measured: Mapping[str, Any] = family.measure(sample)
            for quantity in family.quantities:
                shape = (len(self.layers),) if quantity.per_layer else ()
                value = np.asarray(measured[quantity.name], quantity.dtype)
                if value.shape != shape:
                    raise IbtuiError(f"{quantity.name} must have the shape {shape}, not {value.shape}")
                values[quantity.name] = value
        return values
