"""Arms of one turn around one centre, one for each class."""

from __future__ import annotations

from ibtui.config import RunConfig
from ibtui.data import CLASSES, Points, dataset, noise


@dataset("arms of one turn around one centre", options={"noise": noise(0.02), "classes": CLASSES})
def spirals(config: RunConfig, *, noise: float, classes: int) -> Points:
    """Draw the distance r from the origin, 0 to 1; class k lies at the angle 2π (r + k / classes).

    r is the root of what is uniform, so that an arm is as dense further out; noise is added after that.
    """
    import numpy as np

    random = np.random.RandomState(config.data_seed)
    y = np.arange(config.samples) % classes
    radius = np.sqrt(random.uniform(size=config.samples))
    angle = 2 * np.pi * (radius + y / classes)
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return points + noise * random.standard_normal(points.shape), y
