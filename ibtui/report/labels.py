"""Labels of axes and curves, and what is drawn of a long curve: arrays and texts, whatever draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ibtui.plot.ticks import number
from ibtui.quantities import Array

NOT_FINITE = ("no finite activations", "not finite", "n/a")
"""What stands in the place of samples that cannot be drawn, in fewer and fewer words."""


def ends(low: float, high: float) -> list[tuple[float, str]]:
    """Return the ends of an axis and its middle, with labels of seven characters at most."""
    values = (low, low / 2 + high / 2, high)
    texts = [f"{value:.3g}" for value in values]
    if max(map(len, texts)) > 7:
        texts = [number(value) if value else "0" for value in values]
    return list(zip(values, texts, strict=True))


def spread_apart(positions: Sequence[float], gap: float, low: float, high: float) -> list[float | None]:
    """Place labels that want these positions at least `gap` apart, within [low, high].

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
    """Return the stretches of a curve between its gaps."""
    at = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(at):
        return []
    return [(x[part], y[part]) for part in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)]


def reduced(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """Reduce a long curve to the first, least, greatest and last value of each of so many columns.

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
