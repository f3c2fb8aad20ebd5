"""Sparsity: how many activations are exactly zero."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ibtui.quantities import Array, Quantity, Sample, measures


@measures(
    Quantity(
        "sparsity", "sparsity", short="zeros", ceiling="1",
        description="The share of activations that are exactly 0, such as those of units that a ReLU turns "
        "off.",
    ),
)  # fmt: skip
def sparsity(sample: Sample) -> Mapping[str, ArrayLike]:
    """Count each layer's zeros."""
    return {"sparsity": [_share_of_zeros(t) for t in sample.activations]}


def _share_of_zeros(t: Array) -> float:
    return math.nan if np.isnan(t).any() else float((t == 0).mean())
