"""Performance: accuracy and loss, on the training samples and on those held out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from numpy.typing import ArrayLike

from ibtui.quantities import Quantity, Sample, measures

_NAMES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "moving_loss")
_LOSS = "Mean softmax cross-entropy of the last layer's outputs"


@measures(
    Quantity(
        "train_accuracy", "accuracy, train", short="train", per_layer=False, ceiling="1",
        description="Share of the training samples whose largest output is the right class.",
    ),
    Quantity(
        "test_accuracy", "accuracy, held out", short="held out", per_layer=False, ceiling="1",
        description="Share of the samples held out whose largest output is the right class.",
    ),
    Quantity(
        "train_loss", "loss, train", short="train", per_layer=False,
        description=f"{_LOSS}, training samples, in nats.",
    ),
    Quantity(
        "test_loss", "loss, held out", short="held out", per_layer=False,
        description=f"{_LOSS}, samples held out, in nats.",
    ),
    Quantity(
        "moving_loss", "moving loss", short="moving", per_layer=False,
        description="0.9 of the former value and 0.1 of each batch's loss, in nats.",
    ),
)  # fmt: skip
def performance(sample: Sample) -> Mapping[str, ArrayLike]:
    """Evaluate the outputs, before a softmax; see `ibtui.core.forward.evaluate`."""
    if sample.subject.reported:
        return {name: sample.scalars.get(name, math.nan) for name in _NAMES}
    train_accuracy, train_loss = sample.subject.train_classes.evaluate(sample.train_outputs)
    test_accuracy, test_loss = sample.subject.test_classes.evaluate(sample.held_out)
    return {
        "train_accuracy": train_accuracy,
        "test_accuracy": test_accuracy,
        "train_loss": train_loss,
        "test_loss": test_loss,
        "moving_loss": sample.scalars.get("moving_loss", math.nan),
    }
