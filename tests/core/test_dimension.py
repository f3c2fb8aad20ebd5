"""Dimension and participation ratio: closed forms, and the ends of their domain."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ibtui.core.dimension import NARROW, dimension, participation_ratio
from ibtui.core.information import Binning, Estimator

Floats = NDArray[np.float64]
Measure = Callable[[Any], float]


def with_singular_values(values: list[float], n: int = 200, seed: int = 0) -> Floats:
    """Centred activations with just these singular values, turned and shifted at random."""
    random = np.random.RandomState(seed)
    deviations = random.normal(size=(n, len(values)))
    left, _ = np.linalg.qr(deviations - deviations.mean(axis=0))
    right, _ = np.linalg.qr(random.normal(size=(len(values), len(values))))
    return np.asarray((left * values) @ right + random.normal(size=len(values)))


@pytest.mark.parametrize("r", [1.0, 0.9, 0.5, 0.1, 1e-3, 1e-6, 0.0])
def test_two_units_follow_the_closed_forms(r: float) -> None:
    t = with_singular_values([3.0, 3.0 * r])
    assert dimension(t) == pytest.approx(1 + 2 * r / (1 + r**2), abs=1e-13)
    assert participation_ratio(t) == pytest.approx(1 + 2 * r**2 / (1 + r**4), abs=1e-13)


@pytest.mark.parametrize("width", [3, 7, 40])
def test_wider_layers_follow_the_definition(width: int) -> None:
    s = np.linspace(0.1, 2, width)
    t = with_singular_values(s.tolist())
    assert dimension(t) == pytest.approx(s.sum() ** 2 / (s**2).sum(), rel=1e-12)
    assert participation_ratio(t) == pytest.approx((s**2).sum() ** 2 / (s**4).sum(), rel=1e-12)
    covariance = np.linalg.eigvalsh(np.cov(t.T))
    assert participation_ratio(t) == pytest.approx(covariance.sum() ** 2 / (covariance**2).sum(), rel=1e-12)


def test_the_two_measures_differ() -> None:
    t = with_singular_values([1.0, 0.5])
    assert dimension(t) > participation_ratio(t) + 0.1


@pytest.mark.parametrize("measure", [dimension, participation_ratio])
class TestBoth:
    def test_one_unit_is_one_dimension(self, measure: Measure) -> None:
        assert measure(np.array([0.1, 0.7, 0.3])) == 1.0
        assert measure(np.array([[0.1], [0.7], [0.3]], np.float32)) == 1.0

    @pytest.mark.parametrize("value", [0.0, 0.1, -1.0, 1e300])
    @pytest.mark.parametrize("shape", [(500, 2), (7, 1), (1, 3)])
    def test_no_variance_is_no_dimension(
        self, measure: Measure, value: float, shape: tuple[int, int]
    ) -> None:
        assert math.isnan(measure(np.full(shape, value)))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_has_none_and_says_nothing(self, measure: Measure, bad: float) -> None:
        t = with_singular_values([1.0, 1.0])
        t[7, 1] = bad
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert math.isnan(measure(t))

    @pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e30, 1e300])
    def test_scale_and_shift_do_not_matter(self, measure: Measure, scale: float) -> None:
        t = with_singular_values([1.0, 0.4, 0.2])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert measure(t * scale) == pytest.approx(measure(t), rel=1e-12)
        assert measure(t + 1000) == pytest.approx(measure(t), rel=1e-9)

    def test_more_units_than_samples(self, measure: Measure) -> None:
        t = np.zeros((3, 50))
        t[1, 10] = t[2, 20] = 1
        # Three points, two equal sides: singular values 1 and sqrt(1/3).
        r = math.sqrt(1 / 3)
        expected = 1 + 2 * r / (1 + r**2) if measure is dimension else 1 + 2 * r**2 / (1 + r**4)
        assert measure(t) == pytest.approx(expected, rel=1e-14)

    def test_a_million_samples(self, measure: Measure) -> None:
        t = np.random.RandomState(0).normal(size=(1_000_000, 2))
        assert measure(t) == pytest.approx(2, abs=1e-4)

    def test_what_is_no_layer_is_refused(self, measure: Measure) -> None:
        for wrong in (np.zeros((0, 2)), np.zeros((2, 0)), np.zeros((2, 2, 2)), np.array(["a"])):
            with pytest.raises(ValueError, match="must"):
                measure(wrong)


# --- the compiled pass ----------------------------------------------------------------------------


def in_a_pass(t: Any) -> tuple[float, float]:
    """Both measures, as every measurement finds them."""
    t = np.asarray(t)
    numbers = Estimator(np.zeros((len(t), 1)), np.zeros(len(t), int), Binning(), [""]).measure([t])
    return float(numbers.dimension[0]), float(numbers.participation_ratio[0])


def check_pass(t: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert in_a_pass(t) == pytest.approx((dimension(t), participation_ratio(t)), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("width", [1, 2, 3, 10, NARROW, NARROW + 1])
@pytest.mark.parametrize("n", [1, 2, 3, 9, 200])
def test_a_pass_agrees_with_lapack(n: int, width: int) -> None:
    random = np.random.RandomState(n + width)
    t = random.normal(size=(n, width)) @ random.normal(size=(width, width)) ** 3
    for scale in (1.0, 1e-30, 1e20):
        check_pass((t * scale).astype(np.float32))
    for scale in (1e-300, 1e-160, 1e160, 1e300):
        check_pass(t / np.abs(t).max() * scale)
    check_pass(np.tanh(t * 50).astype(np.float32))  # saturated
    check_pass(np.maximum(t, 0).astype(np.float32))
    check_pass(t + 1e6)


@pytest.mark.parametrize("r", [1.0, 0.5, 1e-3, 1e-8, 1e-15, 0.0])
def test_a_pass_follows_columns_that_depend_on_each_other(r: float) -> None:
    check_pass(with_singular_values([3.0, 3.0 * r, r]))
    one = np.random.RandomState(0).normal(size=(100, 1))
    check_pass(np.hstack([one, one * r, one, np.zeros((100, 1))]))


@pytest.mark.parametrize("value", [0.0, 0.1, np.nan, np.inf, -np.inf, 3e38])
def test_a_pass_has_nothing_where_lapack_has_nothing(value: float) -> None:
    t = np.full((20, 3), value, np.float32)
    check_pass(t)
    t[:10, 1] = 0
    check_pass(t)
