"""CKA: how alike the distances between a layer's activations and those between classes are."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from ibtui.core.dimension import label_cka
from ibtui.quantities import Quantity, Sample, measures


@measures(
    Quantity(
        "cka", "CKA with the labels", short="cka", ceiling="1",
        description="Linear centred kernel alignment of activations with one-hot labels (Kornblith et al. "
        "2019): 1 where classes are points at equal distances.",
    ),
)  # fmt: skip
def cka(sample: Sample) -> Mapping[str, ArrayLike]:
    """Measure each layer's activations; see `ibtui.core.dimension.label_cka`."""
    return {"cka": [label_cka(t, sample.dataset.y) for t in sample.activations]}
