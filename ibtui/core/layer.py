"""A measured layer, as far as it is known without its activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One layer whose activations are measured."""

    name: str
    """As it is shown; layers are otherwise counted from 0."""
    width: int
    """Units: the second dimension of its activations."""
    activation: str
    """One of `ibtui.core.names.MEASURED`; it decides the range on which values are binned."""
    units: int = 0
    """Units that the layer has where more than `width`, which are a fixed choice of them; 0: no more."""


def default_binning(layers: Sequence[Layer]) -> str:
    """Return the binning that suits the activation of the hidden layers."""
    return suiting_binning(layers[0].activation)


def suiting_binning(activation: str) -> str:
    """Return the binning that suits an activation; equal mass where it is not known."""
    suiting = {"tanh": "notebook", "sigmoid": "notebook", "softmax": "notebook"}
    suiting |= {"relu": "width", "linear": "width"}
    return suiting.get(activation, "pooled")
