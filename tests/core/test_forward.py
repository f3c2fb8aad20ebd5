"""The forward pass and its evaluation: the definitions, and calm where training has diverged."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from ibtui.core.forward import evaluate, forward, forward_each, softmax
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


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "linear"])
@pytest.mark.parametrize("widths", [[2, 2, 2], [1, 40, 3]])
def test_several_inputs_at_once_have_the_bits_of_each_alone(activation: str, widths: list[int]) -> None:
    random = np.random.RandomState(0)
    inputs = [random.normal(size=(n, 5)).astype(np.float32) for n in (37, 500, 1)]
    parameters = initial_parameters(widths, inputs=5, seed=4)
    for output in ("same", "linear"):
        at_once = forward_each(inputs, parameters, activation, output)
        for x, layers in zip(inputs, at_once, strict=True):
            alone = forward(x, parameters, activation, output)
            assert all(np.array_equal(t, u) for t, u in zip(layers, alone, strict=True))
            assert all(t.base is None for t in layers)  # none keeps the others in memory


def test_the_bits_are_the_same_before_there_is_a_compiler() -> None:
    code = (
        "import sys, numpy as np; from ibtui.core.forward import forward;"
        "from ibtui.core.seeding import initial_parameters;"
        "x = np.random.RandomState(0).normal(size=(99, 2));"
        "nets = [(w, w[:, 0]) for w, _ in initial_parameters([3, 20, 2])];"
        "first = forward(x, nets, 'tanh'); assert 'numba' not in sys.modules;"
        "import ibtui.core._compiled; again = forward(x, nets, 'tanh');"
        "print(all(np.array_equal(t, u) for t, u in zip(first, again)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("classes", [1, 2, 3, 10])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 30.0, 1e4])
def test_evaluate_is_the_definition(classes: int, scale: float) -> None:
    random = np.random.RandomState(classes)
    outputs, y = random.normal(size=(200, classes)) * scale, random.randint(0, classes, 200)
    outputs[::7] = outputs[::7].round()  # with ties
    accuracy, loss = evaluate(outputs, y)
    losses = []
    for scores, right in zip(outputs.tolist(), y.tolist(), strict=True):
        top = max(scores)
        losses.append(math.log(math.fsum(math.exp(s - top) for s in scores)) + top - scores[right])
    assert loss == pytest.approx(math.fsum(losses) / 200, rel=1e-12, abs=1e-15)
    assert accuracy == np.mean(outputs.argmax(axis=1) == y)


def test_a_loss_near_zero_keeps_its_digits() -> None:
    gaps = [30.0, 33.0, 36.0]
    loss = evaluate([[gap, 0.0] for gap in gaps], [0, 0, 0])[1]
    assert loss == pytest.approx(math.fsum(math.log1p(math.exp(-gap)) for gap in gaps) / 3, rel=1e-14)


def test_infinite_outputs_have_no_loss_but_where_they_are_least() -> None:
    assert math.isnan(evaluate([[math.inf, 0.0]], [0])[1])
    assert math.isnan(evaluate([[-math.inf, -math.inf]], [0])[1])
    assert evaluate([[0.0, -math.inf]], [0]) == (1.0, 0.0)
    assert evaluate([[0.0, -math.inf]], [1]) == (0.0, math.inf)


def test_softmax_is_the_definition() -> None:
    outputs = np.random.RandomState(0).normal(size=(50, 4)).astype(np.float32) * 20
    exact = [[math.exp(s - max(row)) for s in row] for row in outputs.tolist()]
    expected = [[e / math.fsum(row) for e in row] for row in exact]
    shares = softmax(outputs)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, expected, rtol=1e-7)
    assert softmax([[1000.0, 0.0]]).tolist() == [[1.0, 0.0]]
    assert np.isnan(softmax([[math.nan, 0.0], [math.inf, 0.0]])).all()
