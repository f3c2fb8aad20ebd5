"""Weight norm: how large each layer's weights are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ibtui.quantities import Quantity, Sample, measures


@measures(
    Quantity(
        "weight_norm", "weight norm", short="|W|",
        description="Frobenius norm of each layer's weights, without biases; n/a where the engine has none.",
    ),
)  # fmt: skip
def weight_norm(sample: Sample) -> Mapping[str, ArrayLike]:
    """Measure the weights that the engine knows."""
    if sample.weights is None:
        return {"weight_norm": np.full(len(sample.layers), math.nan)}
    with np.errstate(all="ignore"):  # weights that diverged
        return {"weight_norm": [np.linalg.norm(np.asarray(w, np.float64)) for w in sample.weights]}
