"""Rings around one centre, one for each class."""

from __future__ import annotations

from ibtui.config import RunConfig
from ibtui.data import CLASSES, Points, dataset, noise


@dataset("rings around one centre, one for each class", options={"noise": noise(0.05), "classes": CLASSES})
def circles(config: RunConfig, *, noise: float, classes: int) -> Points:
    """Draw angles at random; class k lies (k + 1) / classes from the origin, but for the noise."""
    import numpy as np

    random = np.random.RandomState(config.data_seed)
    y = np.arange(config.samples) % classes
    angle, radius = random.uniform(0, 2 * np.pi, config.samples), (y + 1) / classes
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return points + noise * random.standard_normal(points.shape), y
