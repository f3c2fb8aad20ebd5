"""Quantities from another package: one per layer, one per run, and one that depends on the binning."""

import numpy as np

from ibtui.quantities import Quantity, measures


@measures(
    Quantity("spread", "spread", low=0.0, description="Largest less smallest activation."),
    Quantity("distance", "distance", per_layer=False, description="Between the classes' mean outputs."),
    Quantity("coarse", "coarse cells", rebinned=True, description="Cells in use, by the bins in force."),
)
def spread(sample):
    outputs, y = sample.activations[-1], sample.dataset.y
    means = [outputs[y == c].mean(axis=0) for c in (0, 1)]
    bins = sample.estimator.binning.t_bins
    return {
        "spread": [np.ptp(t) for t in sample.activations],
        "distance": np.linalg.norm(means[0] - means[1]),
        "coarse": [len(np.unique(np.floor(t * bins), axis=0)) for t in sample.activations],
    }
