"""Geometry: how many directions a layer uses, and how much of it is saturated."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from ibtui.quantities import Quantity, Sample, measures


@measures(
    Quantity(
        "dimension", "dimension", short="dim", low=1.0, ceiling="width", ceiling_label="width",
        description="(Σs)² / Σs², s the singular values of the centred activations. A layer without "
        "variance has none.",
    ),
    Quantity(
        "participation_ratio", "participation ratio", short="pr", low=1.0, ceiling="width",
        ceiling_label="width",
        description="(Σλ)² / Σλ², λ the eigenvalues of the activations' covariance.",
    ),
    Quantity(
        "saturation", "saturation", short="sat.", ceiling="1",
        description="The share of activations exactly at an end of their range; n/a where an activation has "
        "no bound.",
    ),
)  # fmt: skip
def geometry(sample: Sample) -> Mapping[str, ArrayLike]:
    """Measure each layer's activations; see `ibtui.core.dimension` and `ibtui.core.binning`."""
    return sample.numbers._asdict()
