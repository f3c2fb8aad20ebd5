"""The base of engines for Dense layers: parameters are kept, and activations follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ibtui.config import MAX_PARAMETERS, TOO_MANY, TOO_NARROW, RunConfig, weight_count
from ibtui.core.forward import forward, forward_each
from ibtui.core.layer import Layer
from ibtui.core.seeding import initial_parameters
from ibtui.engines.protocol import Array, ArraySpec, State
from ibtui.settings import wrong

Parameters = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Weights (out, in) and biases (out,) of each layer, float32."""


class Dense:
    """The declarations that kinds of engines for Dense layers share; each adds its name, `refusal`, `create`.

    The state is `weight0` (out, in) and `bias0` (out,) of the first layer, and so on, float32; and
    `moving_loss` (), float64: 0.9 old + 0.1 new per batch; the first batch's loss sets it; NaN before that.
    """

    def layers(self, config: RunConfig) -> tuple[Layer, ...]:
        """Return the Dense layers, named by their number."""
        last = len(config.layers) - 1
        output = config.activation if config.output == "same" else config.output
        if config.measure_output != "same":
            output = config.measure_output
        return tuple(
            Layer(str(i), width, output if i == last else config.activation)
            for i, width in enumerate(config.layers)
        )

    def kept(self, config: RunConfig, inputs: int) -> dict[str, ArraySpec]:
        """Declare weights and biases."""
        check_net(config, inputs)
        specs = {}
        for i, (before, after) in enumerate(pairwise((inputs, *config.layers))):
            specs[f"weight{i}"] = ArraySpec((after, before))
            specs[f"bias{i}"] = ArraySpec((after,))
        return specs

    def checkpoint(self, config: RunConfig, inputs: int) -> dict[str, ArraySpec]:
        """Declare weights, biases and the moving loss."""
        return {**self.kept(config, inputs), "moving_loss": ArraySpec((), "float64")}

    def initial(self, config: RunConfig, inputs: int) -> dict[str, Array]:
        """Return normally distributed weights, biases of zero, and no moving loss yet."""
        start = initial_parameters(config.layers, inputs=inputs, sigma=config.init_sigma, seed=config.seed)
        return packed(start, float("nan"))

    def scalars(self, state: State) -> dict[str, float]:
        """Return the moving loss."""
        return {"moving_loss": float(state["moving_loss"])}

    def activations(self, config: RunConfig, kept: State, x: Array) -> Sequence[NDArray[np.float32]]:
        """Compute the one forward pass of every measurement, whatever engine trained the weights."""
        return forward(x, parameters_of(kept), config.activation, config.output)

    def activations_of_each(
        self, config: RunConfig, kept: State, inputs: Sequence[Array]
    ) -> list[list[NDArray[np.float32]]]:
        """Do as `activations` for each of several inputs, at less cost."""
        return forward_each(inputs, parameters_of(kept), config.activation, config.output)


def check_net(config: RunConfig, inputs: int, classes: int = 2) -> None:
    """Refuse layers that make too many weights for their inputs, or have no unit for a class.

    Raises
    ------
    UsageError
        They do, for samples of so many inputs and classes.
    """
    shown = ",".join(map(str, config.layers))
    if config.layers[-1] < classes:
        raise wrong("layers", shown, TOO_NARROW.format(classes))
    if weight_count((inputs, *config.layers)) > MAX_PARAMETERS:
        raise wrong("layers", shown, TOO_MANY)


def packed(parameters: Iterable[tuple[Array, Array]], moving_loss: float) -> dict[str, Array]:
    """Return the state that these parameters and this moving loss are; parameters are not copied."""
    state: dict[str, Array] = {}
    for i, (weight, bias) in enumerate(parameters):
        state[f"weight{i}"], state[f"bias{i}"] = weight, bias
    state["moving_loss"] = np.array(moving_loss, np.float64)
    return state


def parameters_of(state: State) -> Parameters:
    """Return weights and biases of each layer in a state; not copied."""
    parameters: Parameters = []
    while (weights := state.get(f"weight{len(parameters)}")) is not None:
        parameters.append((weights, state[f"bias{len(parameters)}"]))
    return parameters


def split(flat: NDArray[np.float32], widths: Sequence[int]) -> Parameters:
    """Return views on one array of all parameters: each layer's weights by rows, then its biases.

    Parameters
    ----------
    flat : ndarray of shape (parameters,), float32
    widths : sequence of int
        Of the inputs, then of each layer.
    """
    views, start = [], 0
    for before, after in pairwise(widths):
        bias = start + before * after
        stop = bias + after
        views.append((flat[start:bias].reshape(after, before), flat[bias:stop]))
        start = stop
    return views


def parameter_count(widths: Sequence[int]) -> int:
    """Count the weights and biases of a net; `widths` as for `split`."""
    return sum(after * (before + 1) for before, after in pairwise(widths))
