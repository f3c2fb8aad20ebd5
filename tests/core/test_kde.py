"""Bounds by kernels: a direct float64 double sum, a mixture whose information is known, and invariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibtui.core.information import Binning, Estimator
from ibtui.core.kde import chance_i_ty_by_shuffling, choose_samples, kde_bounds
from tests.core import oracle

RANDOM = np.random.RandomState(0)


def layer(n: int, width: int, spread: float) -> Any:
    return np.tanh(RANDOM.normal(size=(n, width)) * spread).astype(np.float32)


@pytest.mark.parametrize(("width", "spread"), [(1, 0.1), (2, 0.05), (3, 0.3), (10, 0.05)])
@pytest.mark.parametrize("noise", [1e-3, 0.1])
def test_bounds_are_the_double_sum(width: int, spread: float, noise: float) -> None:
    t, y = layer(60, width, spread), RANDOM.randint(0, 3, 60)
    for ours, slow in zip(
        kde_bounds(t, y, noise), oracle.kde_bounds(t.tolist(), y.tolist(), noise), strict=True
    ):
        assert ours == pytest.approx(slow, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kinds", [1, 2, 7])
def test_a_mixture_far_apart_has_the_entropy_of_its_components(kinds: int) -> None:
    labels = np.arange(kinds * 20) % kinds
    t = np.stack([labels * 100.0, -labels * 100.0], axis=1)
    i_xt, i_ty, i_xt_lower, i_ty_lower = kde_bounds(t, labels)
    for value in (i_xt, i_ty, i_xt_lower, i_ty_lower):
        assert value == pytest.approx(math.log(kinds), abs=1e-12)
    halves = labels // 2  # of components, not one tells another class
    assert kde_bounds(t, halves)[1] == pytest.approx(oracle.entropy(halves.tolist()), abs=1e-12)


def test_two_points_follow_the_closed_form() -> None:
    distance, noise = 0.05, 1e-3
    expected = [-math.log((1 + math.exp(-(distance**2) / (s * noise))) / 2) for s in (2, 8)]
    i_xt, i_ty, lower, ty_lower = kde_bounds([[0.0], [distance]], [3, -9], noise)
    assert [i_xt, lower] == pytest.approx(expected, rel=1e-6)
    assert [i_ty, ty_lower] == pytest.approx(expected, rel=1e-6)  # each class is one sample: H(T|y) = 0


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    t=st.lists(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2), min_size=2, max_size=25),
    seed=st.integers(0, 1000),
)
def test_bounds_keep_their_order_and_know_no_order_of_samples(t: Any, seed: int) -> None:
    values = np.array(t, np.float32)
    y = np.random.RandomState(seed).randint(0, 3, len(values))
    i_xt, i_ty, i_xt_lower, _ = kde_bounds(values, y)
    assert 0 <= i_xt_lower <= i_xt + 1e-9
    assert i_xt <= math.log(len(values)) + 1e-9
    assert i_ty <= i_xt + 1e-9
    order = np.random.RandomState(seed).permutation(len(values))
    assert kde_bounds(values[order], y[order]) == pytest.approx((i_xt, i_ty, i_xt_lower, _), abs=1e-9)
    assert kde_bounds(-values[:, ::-1], y + 5) == pytest.approx((i_xt, i_ty, i_xt_lower, _), abs=1e-5)
    assert kde_bounds(values * 4, y, 16e-3) == pytest.approx((i_xt, i_ty, i_xt_lower, _), abs=1e-5)


def test_samples_far_apart_or_alike_reach_the_ends() -> None:
    y = np.arange(50) % 2
    assert kde_bounds(np.zeros((50, 3)), y) == pytest.approx((0, 0, 0, 0), abs=1e-12)
    far = kde_bounds(np.arange(50) * 1e18, y)  # squares beyond float32
    assert far == pytest.approx((math.log(50), math.log(2)) * 2, abs=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_what_is_not_finite_has_no_bounds(bad: float) -> None:
    t = layer(20, 2, 1.0).astype(float)
    t[4, 1] = bad
    assert np.isnan(kde_bounds(t, np.arange(20) % 2)).all()
    assert np.isnan(chance_i_ty_by_shuffling(t, np.arange(20) % 2)).all()


def test_chance_is_the_mean_over_shuffles_of_a_fixed_seed() -> None:
    t, y = layer(40, 2, 0.2), np.arange(40) % 2
    random = np.random.RandomState(5)
    every = [oracle.kde_bounds(t.tolist(), random.permutation(y).tolist(), 1e-3) for _ in range(20)]
    upper, lower = chance_i_ty_by_shuffling(t, y, seed=5)
    assert upper == pytest.approx(np.mean([b[1] for b in every]), rel=1e-5)
    assert lower == pytest.approx(np.mean([b[3] for b in every]), rel=1e-5)
    assert chance_i_ty_by_shuffling(t, y) == chance_i_ty_by_shuffling(t, y + 7) != (upper, lower)
    assert upper > 0.01


def test_an_estimator_holds_the_bounds_of_each_layer() -> None:
    layers = [layer(50, 3, 0.3), layer(50, 1, 0.05)]
    y = RANDOM.randint(0, 2, 50)
    estimator = Estimator(RANDOM.uniform(size=(50, 2)), y, Binning("kde"), ["tanh", "linear"])
    measured = estimator.estimate(layers)
    for at, t in enumerate(layers):
        assert kde_bounds(t, y) == tuple(
            numbers[at]
            for numbers in (measured.i_xt, measured.i_ty, measured.i_xt_lower, measured.i_ty_lower)
        )
    for nothing in (measured.chance_i_xt, measured.chance_i_ty, measured.occupancy):
        assert np.isnan(nothing).all()
    assert measured.outside.tolist() == [0, 0]
    assert estimator.h_x == math.log(50)
    assert estimator.h_y == pytest.approx(oracle.entropy(y.tolist()), abs=1e-14)


def test_a_thousand_samples_enter_unless_all_are_asked_for() -> None:
    chosen = choose_samples(3000, 1000)
    assert len(set(chosen)) == 1000
    assert np.array_equal(chosen, np.sort(chosen))
    assert np.array_equal(chosen, choose_samples(3000, 1000))
    assert choose_samples(3000, None).tolist() == choose_samples(3000, 3000).tolist() == list(range(3000))
    n = 120
    x, t, y = RANDOM.uniform(size=(n, 2)), layer(n, 2, 0.2), np.arange(n) % 3
    few = Estimator(x, y, Binning("kde"), ["tanh"], most_kde=30)
    chosen = choose_samples(n, 30)
    assert few.estimate([t]).i_xt[0] == kde_bounds(t[chosen], y[chosen])[0]
    assert few.h_x == math.log(30)
    assert few.h_y == pytest.approx(oracle.entropy(y[chosen].tolist()), abs=1e-14)
    everything = Estimator(x, y, Binning("kde"), ["tanh"], most_kde=None)
    assert everything.estimate([t]).i_ty[0] == kde_bounds(t, y)[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: kde_bounds([[0.0]], [0, 1]), lambda: kde_bounds([[0.0]], [0], 0.0),
        lambda: kde_bounds([[0.0]], [0.5]), lambda: chance_i_ty_by_shuffling([[0.0]], [0], shuffles=0),
        lambda: choose_samples(10, 0),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        call()
