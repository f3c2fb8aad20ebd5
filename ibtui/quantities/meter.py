"""From a net's state to a Measurement: the one path by which every front end gets its numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ibtui.core.information import Binning, Estimator
from ibtui.core.layer import Layer
from ibtui.data.samples import Dataset
from ibtui.errors import UsageError, printable
from ibtui.quantities import FAMILIES, STANDARD, Array, Family, Measurement, Quantity, Sample

Forward = Callable[[Mapping[str, Array], Array], Sequence[Array]]
"""From what an engine keeps of a measurement, and inputs (N, D), to each layer's activations (N, width)."""


def families(extra: Sequence[str] = ()) -> list[Family]:
    """Return the standard families and those named, as `--quantities` names them.

    Raises
    ------
    UsageError
        One is unknown, cannot be loaded, or declares a quantity that another one has.
    """
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
    """Measures nets against one dataset. Not to be shared between threads: `binning` changes it.

    Parameters
    ----------
    dataset : Dataset
    layers : sequence of Layer
    binning : Binning
    forward : callable
        See `Forward`.
    extra : sequence of str
        Names of further families of quantities.
    """

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
        return Estimator(self.dataset.x, self.dataset.y, binning, activations, self.dataset.x_range)

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

    def measure(
        self,
        epoch: int,
        kept: Mapping[str, Array],
        scalars: Mapping[str, float],
    ) -> Measurement:
        """Measure everything of a net at an epoch.

        Parameters
        ----------
        epoch : int
        kept : mapping of str to ndarray
            What the engine keeps of a measurement.
        scalars : mapping of str to float
            What training itself reports.
        """
        activations = list(self.forward(kept, self.dataset.x))
        held_out = self.forward(kept, self.dataset.x_test)[-1]
        values = self._values(epoch, activations, held_out, scalars, self._families)
        return Measurement(epoch, self.binning, values, kept, activations)

    def estimates(self, activations: Sequence[Array], names: Sequence[str]) -> dict[str, Array]:
        """Measure again, with the binning in force, those quantities that depend on it.

        Parameters
        ----------
        activations : sequence of ndarray
            A past measurement's, per layer (N, width).
        names : sequence of str
            The recording's quantities; others are left out.

        Returns
        -------
        dict of str to ndarray
            A value of shape (layers,) for each quantity that is re-estimated.
        """
        rebinned = [f for f in self._families if any(q.rebinned for q in f.quantities)]
        values = self._values(0, activations, activations[-1][:0], {}, rebinned)
        wanted = {q.name for f in rebinned for q in f.quantities if q.rebinned} & set(names)
        return {name: value for name, value in values.items() if name in wanted}

    def _values(
        self,
        epoch: int,
        activations: Sequence[Array],
        held_out: Array,
        scalars: Mapping[str, float],
        of: Sequence[Family],
    ) -> dict[str, Array]:
        sample = Sample(epoch, activations, held_out, scalars, self.dataset, self.layers, self.estimator)
        values: dict[str, Array] = {}
        for family in of:
            measured: Mapping[str, Any] = family.measure(sample)
            for quantity in family.quantities:
                shape = (len(self.layers),) if quantity.per_layer else ()
                value = np.asarray(measured[quantity.name], quantity.dtype)
                if value.shape != shape:
                    raise ValueError(f"{quantity.name} must have the shape {shape}, not {value.shape}")
                values[quantity.name] = value
        return values
