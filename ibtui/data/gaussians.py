"""Normally distributed points around places on a circle, one for each class."""

from __future__ import annotations

from ibtui.config import RunConfig
from ibtui.data import CLASSES, Points, dataset, noise


@dataset("normal around places on the unit circle", options={"noise": noise(0.3), "classes": CLASSES})
def gaussians(config: RunConfig, *, noise: float, classes: int) -> Points:
    """Draw around the angle 2πk / classes on the unit circle, with `noise` for the standard deviation."""
    import numpy as np

    random = np.random.RandomState(config.data_seed)
    y = np.arange(config.samples) % classes
    angle = 2 * np.pi * y / classes
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    return points + noise * random.standard_normal(points.shape), y
