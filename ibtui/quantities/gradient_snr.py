"""Gradient signal-to-noise: how far the gradients of an epoch's batches agree."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ibtui.quantities import Quantity, Sample, measures


@measures(
    Quantity(
        "gradient_snr", "gradient SNR", short="snr",
        description="Norm of the mean of the batches' gradients over that of their standard deviation, in "
        "the epoch before (Shwartz-Ziv and Tishby 2017); n/a where the engine reports none.",
    ),
)  # fmt: skip
def gradient_snr(sample: Sample) -> Mapping[str, ArrayLike]:
    """Report what training found of its own gradients."""
    nothing = np.full(len(sample.layers), math.nan)
    return {"gradient_snr": sample.scalars.get("gradient_snr", nothing)}
