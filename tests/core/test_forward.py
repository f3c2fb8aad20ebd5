"""The forward pass and its evaluation: the definitions, and calm where training has diverged."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from ibtui.core.forward import evaluate, forward
from ibtui.core.seeding import initial_parameters

F32 = NDArray[np.float32]


def plain(x: F32, parameters: list[tuple[F32, F32]], activation: str) -> list[list[list[float]]]:
    """Unit by unit in Python's float64."""
    functions: dict[str, Callable[[float], float]] = {
        "tanh": math.tanh,
        "relu": lambda z: max(z, 0.0),
        "sigmoid": lambda z: 1 / (1 + math.exp(-z)) if z > -700 else 0.0,
    }
    rows, layers = x.tolist(), []
    for w, b in parameters:
        rows = [
            [
                functions[activation](sum(p * q for p, q in zip(row, unit, strict=True)) + bias)
                for unit, bias in zip(w.tolist(), b.tolist(), strict=True)
            ]
            for row in rows
        ]
        layers.append(rows)
    return layers


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("widths", [[2, 2, 2, 2], [3, 1, 40, 2], [1]])
def test_forward_is_the_definition(activation: str, widths: list[int]) -> None:
    random = np.random.RandomState(0)
    x = random.uniform(size=(50, 2)).astype(np.float32)
    parameters = [
        (w, random.normal(size=len(w)).astype(np.float32)) for w, _ in initial_parameters(widths, seed=5)
    ]
    layers = forward(x, parameters, activation)
    assert [t.shape for t in layers] == [(50, width) for width in widths]
    for t, expected in zip(layers, plain(x, parameters, activation), strict=True):
        assert t.dtype == np.float32
        np.testing.assert_allclose(t, expected, rtol=1e-4, atol=1e-5)


def test_the_same_values_give_the_same_bits_in_any_memory_layout() -> None:
    x = np.random.RandomState(0).uniform(size=(501, 2)).astype(np.float32)
    parameters = initial_parameters([7, 3, 2], seed=2)
    first = forward(x, parameters, "tanh")
    odd = np.zeros(501 * 2 + 1, np.float32)[1:].reshape(501, 2)  # at another alignment
    odd[:] = x
    for same in (x.copy(), np.asfortranarray(x), odd, x.astype(np.float64)):
        again = forward(same, [(np.asfortranarray(w), b.copy()) for w, b in parameters], "tanh")
        assert all(np.array_equal(t, u) for t, u in zip(first, again, strict=True))


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_diverged_weights_neither_raise_nor_warn(activation: str, bad: float) -> None:
    x = np.random.RandomState(0).uniform(-1, 1, size=(30, 2)).astype(np.float32)
    parameters = initial_parameters([2, 2])
    parameters[0][0][0, 1] = bad
    parameters[1][0][1, 0] = -bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers = forward(x, parameters, activation)
        evaluate(layers[-1], np.zeros(30, int))
    if math.isnan(bad):
        assert np.isnan(layers[0][:, 0]).all()
        assert not np.isnan(layers[0][:, 1]).any()


def rounded(activation: str, z: float) -> np.float32:
    """The float32 nearest to the function's value, from its definition in forty digits."""
    with localcontext() as context:
        context.prec = 40
        e = Decimal(z).exp()
        value = (e - 1 / e) / (e + 1 / e) if activation == "tanh" else 1 / (1 + 1 / e)
        below = np.float32(float(value))
        near = [np.nextafter(below, np.float32(-2)), below, np.nextafter(below, np.float32(2))]
        return min(near, key=lambda t: abs(Decimal(float(t)) - value))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_activations_are_the_nearest_numbers(activation: str) -> None:
    one = [(np.eye(1, dtype=np.float32), np.zeros(1, np.float32))]
    random = np.random.RandomState(3)
    z = np.concatenate(
        [
            random.uniform(-12, 12, 2000),
            random.uniform(9, 10.1, 500),  # where tanh becomes 1
            random.uniform(16.5, 17.5, 500),  # where the sigmoid does
            10.0 ** random.uniform(-30, 1.9, 500) * random.choice([-1, 1], 500),
            [0.0, -80.0, 80.0, 9.0109, 9.01092, 17.3286, 17.3288],
        ]
    ).astype(np.float32)
    (t,) = forward(z, one, activation)
    assert t[:, 0].tolist() == [rounded(activation, float(value)) for value in z]


def test_activations_reach_their_ends() -> None:
    one = [(np.eye(1, dtype=np.float32), np.zeros(1, np.float32))]
    z = np.array([-np.inf, -3e38, 3e38, np.inf], np.float32)
    assert forward(z, one, "tanh")[0][:, 0].tolist() == [-1, -1, 1, 1]
    assert forward(z, one, "sigmoid")[0][:, 0].tolist() == [0, 0, 1, 1]


def test_forward_refuses_what_does_not_fit() -> None:
    x = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match="activation"):
        forward(x, initial_parameters([2]), "softplus")
    with pytest.raises(ValueError, match="layer 0"):
        forward(x, initial_parameters([2], inputs=3), "tanh")
    with pytest.raises(ValueError, match="layer 1"):
        forward(x, initial_parameters([2]) + initial_parameters([2], inputs=3), "tanh")


def test_evaluate_by_hand() -> None:
    outputs = np.array([[1.0, -1.0], [-1.0, 1.0], [0.5, 0.5], [0.5, 0.5]], np.float32)
    accuracy, loss = evaluate(outputs, np.array([0, 0, 0, 1]))
    assert type(accuracy) is float
    assert type(loss) is float
    assert accuracy == 0.5  # the first of equal outputs decides
    floor = math.log1p(math.exp(-2))
    assert loss == pytest.approx((floor + (2 + floor) + 2 * math.log(2)) / 4, rel=1e-14)


def test_the_loss_of_tanh_outputs_has_a_floor() -> None:
    assert evaluate(np.array([[1.0, -1.0]]), np.array([0]))[1] == pytest.approx(0.1269, abs=1e-4)


def test_the_loss_neither_overflows_nor_vanishes() -> None:
    assert evaluate(np.array([[0.0, 1e4]]), np.array([0])) == (0.0, 1e4)
    assert evaluate(np.array([[0.0, 40.0]]), np.array([1]))[1] == pytest.approx(math.exp(-40), abs=1e-16)


def test_nan_outputs_have_no_loss_and_count_as_wrong() -> None:
    accuracy, loss = evaluate(np.array([[np.nan, 0.0], [1.0, 0.0]]), np.array([0, 0]))
    assert accuracy == 0.5
    assert math.isnan(loss)


@pytest.mark.parametrize("y", [[0, 2], [-1, 0], [0], [0.0, 1.0], [[0, 1]]])
def test_evaluate_refuses_labels_that_are_not_classes(y: list[float]) -> None:
    with pytest.raises(ValueError, match="must"):
        evaluate(np.zeros((2, 2)), np.array(y))
