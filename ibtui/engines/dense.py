"""The base of engines for Dense layers: parameters are kept, and activations follow from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ibtui.config import MAX_PARAMETERS, TOO_MANY, TOO_NARROW, RunConfig, weight_count
from ibtui.core.forward import forward, forward_each
from ibtui.core.layer import Layer
from ibtui.core.seeding import initial_parameters
from ibtui.engines.protocol import Array, ArraySpec, State
from ibtui.settings import wrong

Number = TypeVar("Number", np.float32, np.float64)
Parameters = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Weights (out, in) and biases (out,) of each layer, float32."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's rates of decay, and what it adds to the root of the second moment (see `adam_rates`)."""


class Dense:
    """The declarations that kinds of engines for Dense layers share; each adds its name, `refusal`, `create`.

    The state is `weight0` (out, in) and `bias0` (out,) of the first layer, and so on, float32; and
    `moving_loss` (), float64: 0.9 old + 0.1 new per batch; the first batch's loss sets it; NaN before that.
    Adam adds `moment1` and `moment2` (parameters,), float32, in the order of `split`, and `steps` (), int64,
    the number of batches so far. `--gradients` adds `gradient_snr` (layers,), float64 (`signal_to_noise`), of
    the last epoch that was trained; NaN before one was.
    """

    def layers(self, config: RunConfig) -> tuple[Layer, ...]:
        """Return the Dense layers, named by their number."""
        names = list(activations(config))
        if config.measure_output != "same":
            names[-1] = config.measure_output
        layers = zip(config.layers, names, strict=True)
        return tuple(Layer(str(i), width, name) for i, (width, name) in enumerate(layers))

    def kept(self, config: RunConfig, inputs: int) -> dict[str, ArraySpec]:
        """Declare weights and biases."""
        check_net(config, inputs)
        specs = {}
        for i, (before, after) in enumerate(pairwise((inputs, *config.layers))):
            specs[f"weight{i}"] = ArraySpec((after, before))
            specs[f"bias{i}"] = ArraySpec((after,))
        return specs

    def checkpoint(self, config: RunConfig, inputs: int) -> dict[str, ArraySpec]:
        """Declare weights, biases and the moving loss, and what optimiser and gradients add."""
        specs = {**self.kept(config, inputs), "moving_loss": ArraySpec((), "float64")}
        if config.optimizer == "adam":
            flat = ArraySpec((parameter_count((inputs, *config.layers)),))
            specs |= {"moment1": flat, "moment2": flat, "steps": ArraySpec((), "int64")}
        if config.gradients:
            specs["gradient_snr"] = ArraySpec((len(config.layers),), "float64")
        return specs

    def initial(self, config: RunConfig, inputs: int) -> dict[str, Array]:
        """Return random weights, biases and moments of zero, and no moving loss yet."""
        start = initial_parameters(
            config.layers, inputs=inputs, init=config.init, sigma=config.init_sigma, seed=config.seed
        )
        specs = self.checkpoint(config, inputs)
        state = packed(start, math.nan)
        for name in specs.keys() - state.keys():
            state[name] = np.zeros(specs[name].shape, specs[name].dtype)
        if config.gradients:
            state["gradient_snr"].fill(math.nan)
        return {name: state[name] for name in specs}

    def scalars(self, state: State) -> dict[str, float | Array]:
        """Return the moving loss, and the gradients' signal-to-noise ratio where it is in the state."""
        scalars: dict[str, float | Array] = {"moving_loss": float(state["moving_loss"])}
        if "gradient_snr" in state:
            scalars["gradient_snr"] = state["gradient_snr"]
        return scalars

    def weights(self, kept: State) -> Sequence[NDArray[np.float32]]:
        """Return the weight matrix (out, in) of each layer; not copied."""
        return [weight for weight, _ in parameters_of(kept)]

    def activations(self, config: RunConfig, kept: State, x: Array) -> Sequence[NDArray[np.float32]]:
        """Compute the one forward pass of every measurement, whatever engine trained the weights."""
        return forward(x, parameters_of(kept), config.activation, config.output)

    def activations_of_each(
        self, config: RunConfig, kept: State, inputs: Sequence[Array]
    ) -> list[list[NDArray[np.float32]]]:
        """Do as `activations` for each of several inputs, at less cost."""
        return forward_each(inputs, parameters_of(kept), config.activation, config.output)


def activations(config: RunConfig) -> tuple[str, ...]:
    """Return the name of each layer's activation as the net is trained."""
    output = config.activation if config.output == "same" else config.output
    return (config.activation,) * (len(config.layers) - 1) + (output,)


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


def carried(config: RunConfig, moments: Iterable[Array], steps: int, gradient_snr: Array) -> dict[str, Array]:
    """Return copies of what the state has besides `packed`: nothing, for plain gradient descent.

    Parameters
    ----------
    config : RunConfig
    moments : iterable of ndarray of shape (parameters,), float32
        Adam's first and second.
    steps : int
        Batches so far.
    gradient_snr : ndarray of shape (layers,), float64
    """
    state: dict[str, Array] = {}
    if config.optimizer == "adam":
        state["moment1"], state["moment2"] = (np.array(moment, np.float32) for moment in moments)
        state["steps"] = np.array(steps, np.int64)
    if config.gradients:
        state["gradient_snr"] = np.array(gradient_snr, np.float64)
    return state


def parameters_of(state: State) -> Parameters:
    """Return weights and biases of each layer in a state; not copied."""
    parameters: Parameters = []
    while (weights := state.get(f"weight{len(parameters)}")) is not None:
        parameters.append((weights, state[f"bias{len(parameters)}"]))
    return parameters


def split(flat: NDArray[Number], widths: Sequence[int]) -> list[tuple[NDArray[Number], NDArray[Number]]]:
    """Return views on one array of all parameters: each layer's weights by rows, then its biases.

    Parameters
    ----------
    flat : ndarray of shape (parameters,)
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


def adam_rates(lr: float) -> NDArray[np.float32]:
    """Return the two numbers that Adam's update takes from the number of the step, for the steps from 1 on.

    With first moment m and second moment v, step t descends by lr m̂ / (√v̂ + ε), where m̂ = m / (1 - β1^t) and
    v̂ = v / (1 - β2^t) ([1]_, Algorithm 1). That is rate · m / (√v + guard) with
    rate = lr √(1 - β2^t) / (1 - β1^t) and guard = ε √(1 - β2^t).

    Returns
    -------
    ndarray of shape (steps, 2), float32
        Rate and guard. The last row serves all further steps: there the powers are below float64's rounding.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR 2015.
    """
    steps = np.arange(1, math.ceil(-54 / math.log2(BETA2)) + 1)
    root = np.sqrt(1 - BETA2**steps)
    rates: NDArray[np.float64] = np.stack([lr * root / (1 - BETA1**steps), EPSILON * root], axis=1)
    return rates.astype(np.float32)


def signal_to_noise(
    mean: NDArray[np.float64], scatter: NDArray[np.float64], batches: int, widths: Sequence[int]
) -> NDArray[np.float64]:
    """Return each layer's signal-to-noise ratio of the batches' gradients by its weights.

    It is ‖mean of g‖ / ‖standard deviation of g‖, with g the gradient of a batch's mean loss: both over the
    batches, element by element; the deviation is the population's, the norm is Frobenius's [1]_.

    Parameters
    ----------
    mean, scatter : ndarray of shape (parameters,), float64
        Mean of the batches' gradients, and sum of squares of their differences from it, in the order of
        `split`. Biases' are not used.
    batches : int
    widths : sequence of int
        As for `split`.

    Returns
    -------
    ndarray of shape (layers,), float64
        NaN where there is no noise, as with one batch.

    References
    ----------
    .. [1] R. Shwartz-Ziv and N. Tishby, Opening the black box of deep neural networks via information, 2017.
    """
    ratios = np.full(len(widths) - 1, math.nan)
    for layer, ((means, _), (scatters, _)) in enumerate(
        zip(split(mean, widths), split(scatter, widths), strict=True)
    ):
        noise = math.sqrt(scatters.sum() / batches)
        if batches > 1 and noise != 0:
            ratios[layer] = np.linalg.norm(means) / noise
    return ratios
