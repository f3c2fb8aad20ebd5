"""Labels beside a plot, each near its value and none on another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def spread_apart(positions: Sequence[float], gap: float, low: float, high: float) -> list[float | None]:
    """Place labels that want these positions at least `gap` apart, within [low, high], in the order given.

    None: no room, or a position that is not finite; of too many, some stay.
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
