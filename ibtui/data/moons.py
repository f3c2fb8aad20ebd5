"""Two half circles, each around an end of the other."""

from __future__ import annotations

from ibtui.config import RunConfig
from ibtui.data import Points, dataset, noise


@dataset("two half circles, each around an end of the other", options={"noise": noise(0.1)})
def moons(config: RunConfig, *, noise: float) -> Points:
    """Draw angles a at random; class 0 is (cos a, sin a), class 1 (1 - cos a, 1/2 - sin a), but for noise."""
    import numpy as np

    random = np.random.RandomState(config.data_seed)
    y = np.arange(config.samples) % 2
    angle = random.uniform(0, np.pi, config.samples)
    across, up = np.cos(angle), np.sin(angle)
    points = np.column_stack([np.where(y, 1 - across, across), np.where(y, 0.5 - up, up)])
    return points + noise * random.standard_normal(points.shape), y
