"""From a net's state to a Measurement: the one path by which every front end gets its numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ibtui.core.forward import softmax
from ibtui.core.information import Binning, Estimator
from ibtui.core.kde import MOST_KDE
from ibtui.core.layer import Layer
from ibtui.data.samples import Dataset
from ibtui.errors import IbtuiError, UsageError, blaming, printable
from ibtui.quantities import (
    FAMILIES,
    STANDARD,
    Array,
    Family,
    Forward,
    ForwardEach,
    Kept,
    Measurement,
    Quantity,
    Sample,
    Scalars,
    Subject,
    Weights,
)


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
    """Measures nets against one dataset, by `families`. For one thread alone: `binning` changes it.

    Parameters
    ----------
    dataset : Dataset
    layers : sequence of Layer
        The layers as they are measured.
    binning : Binning
    forward : callable
        From what an engine keeps, and inputs (N, D), to each layer's activations (N, width).
    extra : sequence of str
        Families to measure besides the standard ones.
    forward_each : callable or None
        `forward` for several inputs at once, to the same bits, where that costs less.
    weights : callable
        From what an engine keeps to each layer's weights, or to None.
    softmax : bool
        True where the softmax of the last layer is measured in its place.
    most_kde : int or None
        See `Estimator`.
    reported : bool
        True where training itself reports accuracy and loss.
    """

    def __init__(
        self,
        dataset: Dataset,
        layers: Sequence[Layer],
        binning: Binning,
        forward: Forward,
        extra: Sequence[str] = (),
        *,
        forward_each: ForwardEach | None = None,
        weights: Weights = lambda kept: None,
        softmax: bool = False,
        most_kde: int | None = MOST_KDE,
        reported: bool = False,
    ) -> None:
        self.dataset, self.layers = dataset, tuple(layers)
        self.forward = forward
        self._subject = Subject(dataset, self.layers, forward, weights, reported)
        self._forward_each = forward_each or self._one_by_one
        inputs = {
            "outputs": dataset.x, "held_out": dataset.x_test, "train_outputs": self._subject.train_inputs
        }  # fmt: skip
        self._inputs = {name: x for name, x in inputs.items() if x is not None and len(x)}
        self._names = [layer.activation for layer in self.layers]
        self._softmax, self._most_kde = softmax, most_kde
        self._families = [_Declared(family, len(self.layers)) for family in families(extra)]
        self._binning = binning
        self.estimator = self._estimator(binning)

    def _estimator(self, binning: Binning) -> Estimator:
        data = self.dataset
        return Estimator(data.x, data.y, binning, self._names, data.x_range or (0.0, 1.0), self._most_kde)

    @property
    def binning(self) -> Binning:
        """The binning of the estimates; setting it bins X anew."""
        return self._binning

    @binning.setter
    def binning(self, binning: Binning) -> None:
        if binning != self._binning:
            if replace(binning, tops=self._binning.tops) == self._binning:
                self.estimator = self.estimator.with_tops(binning.tops)
            else:
                self.estimator = self._estimator(binning)
            self._binning = binning

    @property
    def ceilings(self) -> dict[str, float]:
        """The values that quantities cannot pass with this binning, in nats, by their declared names."""
        return {"h_x": self.estimator.h_x, "h_y": self.estimator.h_y}

    def activations(self, kept: Kept) -> list[Array]:
        """Return the activations of the measured samples, as they are measured and stored."""
        return self._measured(list(self.forward(kept, self.dataset.x)))

    def _one_by_one(self, kept: Kept, inputs: Sequence[Array]) -> Sequence[Sequence[Array]]:
        return [self.forward(kept, x) for x in inputs]

    def _measured(self, activations: list[Array]) -> list[Array]:
        return [*activations[:-1], softmax(activations[-1])] if self._softmax else activations

    def grown(self, activations: Sequence[Array]) -> Binning:
        """Return the binning in force with ranges that reach these activations; see `Binning.covering`.

        It is the binning in force itself where nothing lies beyond a range that can grow. Where it is not,
        all measurements are to be estimated again with it, for otherwise they could not be compared.
        """
        return self._binning.covering(self._names, activations)

    def measure(self, epoch: int, kept: Kept, scalars: Scalars) -> Measurement:
        """Measure all of a net, by what its engine keeps of it and what training itself reports.

        The binning grows first where its ranges do not reach the activations; the measurement says with which
        it was made.
        """
        layers, *others = self._forward_each(kept, list(self._inputs.values()))
        known = dict(zip(self._inputs, (layers[-1], *(other[-1] for other in others)), strict=True))
        return self._measure(epoch, self._measured(list(layers)), kept, scalars, known)

    def measure_activations(self, epoch: int, activations: Sequence[Array], scalars: Scalars) -> Measurement:
        """Measure layers whose activations are given, each float32 of shape (N, width), as `measure` does."""
        return self._measure(epoch, activations, {}, scalars, {"outputs": activations[-1]})

    def _measure(
        self,
        epoch: int,
        activations: Sequence[Array],
        kept: Kept,
        scalars: Scalars,
        known: Mapping[str, Array],
    ) -> Measurement:
        self.binning = self.grown(activations)
        sample = Sample(epoch, activations, kept, scalars, self._subject, self.estimator, False, known)
        values: dict[str, Array] = {}
        for family in self._families:
            values.update(family.values(sample))
        return Measurement(epoch, self._binning, values, kept, activations)

    def estimates(
        self, epoch: int, activations: Sequence[Array], kept: Kept, scalars: Scalars
    ) -> dict[str, Array]:
        """Measure a past measurement's quantities again that depend on the binning, with the one in force.

        `grown` says whether its ranges reach the activations; they do not grow here.
        """
        sample = Sample(epoch, activations, kept, scalars, self._subject, self.estimator, True)
        found: dict[str, Array] = {}
        for family in self._families:
            if family.rebinned:
                values = family.values(sample)
                found.update((name, values[name]) for name in family.rebinned)
        return found


class _Declared:
    """A family with what its declarations ask of its values."""

    def __init__(self, family: Family, layers: int) -> None:
        self._measure = family.measure
        self._about = ", ".join(quantity.name for quantity in family.quantities)
        self._wanted = [
            (q.name, np.dtype(q.dtype), (layers,) if q.per_layer else ()) for q in family.quantities
        ]
        self.rebinned = [quantity.name for quantity in family.quantities if quantity.rebinned]

    def values(self, sample: Sample) -> dict[str, Array]:
        """Measure, and check what was measured."""
        try:
            measured: Mapping[str, Any] = self._measure(sample)
            values = {name: np.asarray(measured[name], dtype) for name, dtype, _ in self._wanted}
        except Exception:
            with blaming(self._about):
                raise
        for name, _, shape in self._wanted:
            if values[name].shape != shape:
                raise IbtuiError(f"{name} must have the shape {shape}, not {values[name].shape}")
        return values
