"""Optimisers, outputs, activations and statistics of gradients: every engine follows the definition."""

from dataclasses import replace

import numpy as np
import pytest

from ibtui.engines.dense import adam_rates, parameters_of
from ibtui.engines.fused import cpu
from tests.engines import oracle
from tests.engines.test_engines import (
    ACTIVATIONS,
    FAST,
    NEEDS_MXNET,
    assert_epoch_matches,
    assert_same,
    beginning,
    distance,
    make,
    moving_loss,
    problem,
)
from tests.marks import slow

ADAM = {"optimizer": "adam", "lr": 0.01}
SETTINGS = [
    {"output": "linear"},
    {"output": "linear", "activation": "sigmoid", "layers": (4, 7)},
    {"output": "linear", "activation": "relu", "layers": (5, 4, 10)},
    {"output": "linear", "layers": (64,)},
    {"activation": "linear", "layers": (3, 5, 4)},
    {"activation": "linear", "output": "linear", "layers": (18, 17, 64), "init_sigma": 0.2},
    ADAM,
    {**ADAM, "activation": "relu", "layers": (17, 5, 3)},
    {**ADAM, "activation": "linear", "layers": (3, 2)},
    {**ADAM, "output": "linear", "activation": "sigmoid", "layers": (6, 33, 10)},
    {**ADAM, "lr": 0.1, "batch_size": 1},
    {**ADAM, "batch_size": 100},
    {**ADAM, "gradients": True},
]
RESUMED = [SETTINGS[1], SETTINGS[2], SETTINGS[4], ADAM, {"gradients": True}, {**ADAM, "gradients": True}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("engine", FAST)
def test_three_epochs_are_the_oracles(engine, settings):
    assert_epoch_matches(engine, problem(n=57, **settings), epochs=3)


@pytest.mark.parametrize("epochs", [40, *slow(900)])
@pytest.mark.parametrize("engine", FAST)
def test_adam_after_many_steps_is_the_oracles(engine, epochs):
    """A run of 50 steps an epoch; from 37,412 on the correction of the bias is no more."""
    config, x, y, parameters = problem(n=50, batch_size=1, optimizer="adam", lr=1e-4, activation="sigmoid")
    trained = make(engine, config, x, y, parameters)
    trained.train(0, epochs)
    exact, loss = oracle.train(config, x, y, parameters, range(epochs))
    assert distance(parameters_of(trained.state()), exact) < 1e-4
    assert moving_loss(trained) == pytest.approx(loss, abs=1e-5)
    assert trained.state()["steps"] == 50 * epochs


def test_the_rates_of_adam_are_those_of_its_first_algorithm_and_end_where_they_change_no_more():
    rates = adam_rates(0.3)
    for t in (1, 2, 10, 1000, len(rates)):
        root = (1 - 0.999**t) ** 0.5
        np.testing.assert_allclose(rates[t - 1], [0.3 * root / (1 - 0.9**t), 1e-8 * root], rtol=1e-6)
    assert rates[-1].tolist() == np.float32([0.3, 1e-8]).tolist()


WRONG = {
    "no correction": lambda right: 0 * right + right[-1],
    "the next step's correction": lambda right: np.roll(right, -1, axis=0),
    "the first moment uncorrected": lambda right: np.stack(
        [right[:, 1] * right[-1, 0] / right[-1, 1], right[:, 1]], axis=1
    ),
    "the guard unscaled": lambda right: np.stack([right[:, 0], right[-1, 1] + 0 * right[:, 1]], axis=1),
}


def tiny():
    """A problem with gradients of the size of Adam's guard, by the weights."""
    config, x, y, parameters = problem(n=30, layers=(3,), output="linear", **ADAM)
    return config, x * np.float32(1e-8), y, parameters


@pytest.mark.parametrize("engine", FAST)
def test_adams_guard_is_added_to_the_corrected_root(engine):
    assert_epoch_matches(engine, tiny(), epochs=3)


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_adam_would_show(monkeypatch, fault):
    monkeypatch.setattr(cpu, "adam_rates", lambda lr: np.ascontiguousarray(WRONG[fault](adam_rates(lr))))
    arguments = tiny() if "guard" in fault else problem(n=57, **ADAM)
    with pytest.raises(AssertionError):
        assert_epoch_matches("fused", arguments, epochs=3)


@pytest.mark.parametrize("settings", RESUMED, ids=str)
@pytest.mark.parametrize("engine", FAST)
def test_going_on_from_a_state_changes_nothing(engine, settings):
    arguments = problem(n=53, **settings)
    whole, half, other = (make(engine, *arguments) for _ in range(3))
    whole.train(0, 6)
    half.train(0, 3)
    other.train(20, 25)
    other.load(half.state())
    other.train(3, 4)
    other.train(4, 6)
    assert_same_state(whole.state(), other.state())


@pytest.mark.parametrize("settings", RESUMED, ids=str)
@pytest.mark.parametrize("engine", FAST)
def test_a_restart_begins_anew(engine, settings):
    config, x, y, parameters = problem(n=53, **settings)
    fresh, restarted = (
        make(engine, replace(config, seed=5), x, y, parameters),
        make(engine, config, x, y, parameters),
    )
    restarted.train(0, 3)
    restarted.load(beginning(config, x, parameters), 5)
    assert_same_state(restarted.state(), beginning(config, x, parameters))
    for each in (fresh, restarted):
        each.train(0, 2)
    assert_same_state(restarted.state(), fresh.state())


def assert_same_state(state, other):
    assert list(state) == list(other)
    for name in state:
        np.testing.assert_array_equal(state[name], other[name], err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"layers": (16, 8, 4), "activation": "sigmoid", "batch_size": 7},
        {"layers": (20, 3), "output": "linear", "activation": "relu", "batch_size": 33},
        {**ADAM, "activation": "linear"},
    ],
    ids=str,
)
@pytest.mark.parametrize("engine", FAST)
def test_the_signal_to_noise_ratio_of_gradients_is_the_oracles(engine, settings):
    arguments = problem(n=101, gradients=True, **settings)
    trained = make(engine, *arguments)
    for start, stop in ((0, 1), (1, 4)):
        trained.train(start, stop)
        expected = oracle.gradient_snr(*arguments, range(stop))
        np.testing.assert_allclose(trained.state()["gradient_snr"], expected, rtol=1e-3)
    kept = trained.state()["gradient_snr"]
    trained.train(4, 4)
    assert (trained.state()["gradient_snr"] == kept).all()


@pytest.mark.parametrize("engine", FAST)
def test_a_little_noise_is_not_lost_beside_a_large_gradient(engine):
    config, x, y, parameters = problem(n=60, gradients=True, layers=(3, 2), lr=1e-12)
    x, y = x[:1] + np.float32(1e-3) * x, 0 * y
    trained = make(engine, config, x, y, parameters)
    trained.train(0, 1)
    expected = oracle.gradient_snr(config, x, y, parameters, range(1))
    assert min(expected) > 300
    np.testing.assert_allclose(trained.state()["gradient_snr"], expected, rtol=2e-3)


@pytest.mark.parametrize("engine", FAST)
def test_gradients_without_noise_have_no_ratio(engine):
    config, x, y, parameters = problem(n=50, gradients=True, batch_size=50)
    trained = make(engine, config, x, y, parameters)
    assert np.isnan(trained.state()["gradient_snr"]).all()
    trained.train(0, 2)
    assert np.isnan(trained.state()["gradient_snr"]).all()
    same = make(engine, replace(config, batch_size=10, lr=1e-12), x * 0 + x[0], y * 0, parameters)
    same.train(0, 1)
    assert np.isnan(same.state()["gradient_snr"]).all()


@pytest.mark.parametrize("settings", [{}, {"layers": (40, 18, 3), "batch_size": 21}, ADAM], ids=str)
@pytest.mark.parametrize("engine", FAST)
def test_measuring_gradients_changes_no_bit_of_training(engine, settings):
    config, *rest = problem(n=203, **settings)
    plain, measured = make(engine, config, *rest), make(engine, replace(config, gradients=True), *rest)
    for each in (plain, measured):
        each.train(0, 3)
        each.train(3, 4)
    assert_same(parameters_of(measured.state()), parameters_of(plain.state()))
    assert moving_loss(measured) == moving_loss(plain)


@NEEDS_MXNET
@pytest.mark.parametrize("settings", [{}, ADAM], ids=str)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "linear"])
def test_gluons_constant_units_stay_as_they_are(activation, settings):
    trained = make("gluon", *problem(layers=(3, 4, 2), activation=activation, **settings))
    before = [array.asnumpy()[-1] for array in trained._arrays[:2]]
    trained.train(0, 3)
    for row, array in zip(before, trained._arrays, strict=False):
        np.testing.assert_array_equal(array.asnumpy()[-1], row)
        assert row[-1] > 0 and not row[:-1].any()
