"""Effective rank: how many directions a layer uses, by the entropy of its singular values."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from ibtui.core import dimension
from ibtui.quantities import Quantity, Sample, measures


@measures(
    Quantity(
        "effective_rank", "effective rank", short="eff. rank", low=1.0, ceiling="width",
        ceiling_label="width",
        description="exp of the entropy of s / Σs, s the singular values of the centred activations (Roy and "
        "Vetterli 2007).",
    ),
)  # fmt: skip
def effective_rank(sample: Sample) -> Mapping[str, ArrayLike]:
    """Measure each layer's activations; see `ibtui.core.dimension.effective_rank`."""
    return {"effective_rank": [dimension.effective_rank(t) for t in sample.activations]}
