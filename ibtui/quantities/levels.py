"""Information beside its chance level: as estimated, in excess of it, or as a share of what is beyond it.

An estimate cannot be compared between layers where their chance levels differ: one of them may be all chance.
Its excess is estimate - chance, which cannot pass H - chance, with H the estimate's own ceiling; the share is
the one over the other, 1 where a layer keeps all that it can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from ibtui.quantities import Array, Quantity

Level = Literal["estimate", "excess", "share"]
LEVELS: tuple[Level, ...] = get_args(Level)

LEAST_SHARE = -0.25
"""The lowest start of an axis of shares: of a ceiling close to chance they are any number."""
_LEAST_ROOM = 0.01
"""The part of its ceiling that must be beyond chance for a share to say anything."""
_ROUNDING = 1e-12
"""Differences of nats that are smaller are rounding, and 0."""


def at_level(
    quantity: Quantity, values: Mapping[str, Array], ceilings: Mapping[str, float], level: Level
) -> Array:
    """Return a quantity's values at a level, in nats or, of a share, without unit.

    Parameters
    ----------
    quantity : Quantity
        One without a chance level is returned as it is, at every level.
    values : mapping of str to ndarray
        The values of the quantity and of its chance level, by their names; of one shape.
    ceilings : mapping of str to float
        Values that quantities cannot pass, in nats.
    level : {"estimate", "excess", "share"}

    Returns
    -------
    ndarray
        Of the same shape; NaN where there is no chance level, and for a share where chance comes within a
        hundredth of the ceiling.
    """
    estimates = values[quantity.name]
    if level == "estimate" or not quantity.chance:
        return estimates
    excess = _settled(estimates - values[quantity.chance])
    if level == "excess":
        return excess
    return _over(excess, ceiling_at(quantity, values, ceilings, "excess"), quantity.bound(ceilings))


def ceiling_at(
    quantity: Quantity, values: Mapping[str, Array], ceilings: Mapping[str, float], level: Level
) -> Array:
    """Return the ceiling of `at_level`, in the shape of the values; NaN where there is none."""
    estimates = values[quantity.name]
    ceiling = np.full(estimates.shape, quantity.bound(ceilings))
    if level == "estimate" or not quantity.chance:
        return ceiling
    excess = _settled(ceiling - values[quantity.chance])
    return excess if level == "excess" else _over(excess, excess, quantity.bound(ceilings))


def _settled(difference: Array) -> Array:
    return np.where(np.abs(difference) < _ROUNDING, 0.0, difference)


def _over(part: Array, whole: Array, ceiling: float) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > _LEAST_ROOM * ceiling, part / whole, np.nan)
