"""A dataset from another package: two rings, one for each class."""

import numpy as np

from ibtui.data import dataset


@dataset("two rings around the origin, one for each class", x_range=(-2, 2))
def rings(config):
    random = np.random.RandomState(config.data_seed)
    y = random.randint(0, 2, config.samples)
    angle = random.uniform(0, 2 * np.pi, config.samples)
    radius = 0.5 + y + random.uniform(0, 0.5, config.samples)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y
