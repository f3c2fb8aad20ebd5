"""The axis of epochs, linear or logarithmic, that all panels of a report share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ibtui.plot import palette
from ibtui.plot.ticks import EpochScale, along, number, ticks
from ibtui.quantities import Array
from ibtui.report.panels import Panel

_APART = 10
"""Columns from one tick of a linear axis to the next."""


@dataclass(frozen=True)
class EpochAxis:
    """The places of epochs: as they are, or at log10(1 + epoch)."""

    first: float
    last: float
    """Its ends, in epochs; they differ."""
    scale: EpochScale = "linear"

    @classmethod
    def of(cls, panels: Sequence[Panel], scale: EpochScale) -> EpochAxis:
        """Return an axis with room for every measurement of some panels."""
        drawn = [curve.epochs for curve in panels[0].curves]
        drawn += [epochs for curve in panels[0].curves for epochs, _ in curve.runs]
        low = min((float(epochs[0]) for epochs in drawn if len(epochs)), default=0.0)
        high = max((float(epochs[-1]) for epochs in drawn if len(epochs)), default=0.0)
        return cls(low, high if high > low else low + 1.0, scale)

    def at(self, epochs: Array) -> Array:
        """Return the places of epochs."""
        return np.asarray(along(epochs, self.scale), np.float64)

    @property
    def ends(self) -> tuple[float, float]:
        """The places of the first and the last epoch."""
        return float(along(self.first, self.scale)), float(along(self.last, self.scale))

    def steps(self, epochs: Array) -> Array:
        """Return which step of the colours of epochs each has, from 0 on."""
        low, high = self.ends
        part = (self.at(epochs) - low) / (high - low)
        return np.minimum((part * palette.CYCLE).astype(np.intp), palette.CYCLE - 1)

    def ticks(self, columns: float) -> list[tuple[float, str]]:
        """Choose round epochs for an axis of so many columns of text, as places with their labels.

        On a logarithmic axis they are 0 and powers of ten, with twice and five times those where no label
        touches another.
        """
        low, high = self.ends
        count = max(2, min(int(columns / _APART), 9))
        if self.scale == "linear":
            return list(ticks(low, high, count))
        for powers, factors in _CHOICES:
            chosen = [(float(along(epoch, "log")), _label(epoch)) for epoch in self._round(powers, factors)]
            if _apart(chosen, columns / (high - low)):
                break
        if len(chosen) > 1:
            return chosen
        # Less than a power of ten, far from 0.
        return [(float(along(epoch, "log")), label) for epoch, label in ticks(self.first, self.last, count)]

    @property
    def small_ticks(self) -> list[float]:
        """The places between powers of ten on a logarithmic axis; none on a linear one."""
        epochs = self._round(range(_POWERS), range(1, 10)) if self.scale == "log" else []
        return [float(along(epoch, "log")) for epoch in epochs]

    def _round(self, powers: Sequence[int], factors: Sequence[int]) -> list[int]:
        epochs = (0, *(factor * 10**power for power in powers for factor in factors))
        return [epoch for epoch in epochs if self.first <= epoch <= self.last]


_POWERS = 10
"""Powers of ten on a logarithmic axis, from 1 on."""
_CHOICES = [
    (range(_POWERS), (1, 2, 5)),
    (range(_POWERS), (1,)),
    *((range(1, _POWERS, step), (1,)) for step in range(1, 5)),
]
"""Powers of ten to be labelled, and their factors: the first choice that has room is taken."""


def _label(epoch: int) -> str:
    return f"{epoch:,}" if epoch < 100_000 else number(epoch)


def _apart(ticks: Sequence[tuple[float, str]], scale: float) -> bool:
    """Return True where no label touches the one before; `scale`: columns to a place."""
    return all(
        (right - left) * scale >= (len(before) + len(label)) / 2 + 1
        for (left, before), (right, label) in pairwise(ticks)
    )
