"""The fused engine's vector functions are good to a few units in the last place, for every float32."""

import numba
import numpy as np
import pytest

from ibtui.engines.fused import _lanes

NUMBERS = np.concatenate(
    [
        np.float32(
            [0.0, 1e-45, 1e-40, 1e-30, 3.4e38, np.inf, np.nan, 9.01, 9.02, 88.7, 88.8, 87.3, 103.9, 104.1]
        ),
        np.geomspace(1e-38, 1e4, 100_000, dtype=np.float32),
        np.linspace(0, 20, 200_000, dtype=np.float32),
    ]
)
NUMBERS = np.concatenate([NUMBERS, -NUMBERS, np.zeros(-2 * len(NUMBERS) % _lanes.LANES, np.float32)])


def mapped(function, numbers):
    @numba.njit
    def loop(numbers, results):
        for i in range(0, numbers.size, _lanes.LANES):
            _lanes.store(results, i, function(_lanes.load_lanes(numbers, i)))

    results = np.empty_like(numbers)
    loop(numbers, results)
    return results


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("function", "exact", "units"), [("tanh", np.tanh, 6), ("exp", np.exp, 2), ("sigmoid", sigmoid, 3)]
)
def test_within_a_few_units_in_the_last_place(function, exact, units):
    results = mapped(getattr(_lanes, function), NUMBERS)
    with np.errstate(all="ignore"):
        expected = exact(NUMBERS.astype(np.float64))
        rounded = expected.astype(np.float32)
        normal = np.isfinite(rounded) & (np.abs(rounded) >= np.finfo(np.float32).tiny)
        error = np.abs(results.astype(np.float64) - expected) / np.spacing(np.abs(rounded))
    assert error[normal].max() <= units
    np.testing.assert_array_equal(results[~np.isfinite(rounded)], rounded[~np.isfinite(rounded)])
    below = ~normal & np.isfinite(rounded)
    # Where 1 / (1 + exp(-x)) is below float32's normal numbers, the sum has overflowed and gives 0.
    tolerance = 3e-39 if function == "sigmoid" else 3e-45
    np.testing.assert_allclose(results[below], rounded[below], rtol=0, atol=tolerance)


def test_tanh_stays_between_its_ends_and_reaches_them():
    results = mapped(_lanes.tanh, NUMBERS)
    assert np.nanmax(results) == 1
    assert np.nanmin(results) == -1
    assert (np.abs(results[np.abs(NUMBERS) > 9.02]) == 1).all()


def test_relu_keeps_nan():
    results = mapped(_lanes.relu, NUMBERS)
    np.testing.assert_array_equal(results, np.maximum(NUMBERS, 0))


def test_sums_and_products_take_every_lane():
    @numba.njit
    def both(numbers):
        values = _lanes.load_lanes(numbers, 0)
        return _lanes.total(values), _lanes.product(values)

    assert both(np.arange(1, 17, dtype=np.float32)) == (136, np.prod(np.arange(1.0, 17.0)))


def test_sixteen_totals_are_each_the_total_to_the_bit():
    @numba.njit
    def both(numbers, results):
        factor = _lanes.load_lanes(numbers, 0)
        _lanes.store(results, 0, _lanes.totals(factor, numbers, 3))
        for k in range(_lanes.LANES):
            results[_lanes.LANES + k] = _lanes.total(
                factor * _lanes.load_lanes(numbers, 3 + k * _lanes.LANES)
            )

    numbers = np.random.RandomState(0).randn(3 + _lanes.LANES**2).astype(np.float32)
    results = np.empty(2 * _lanes.LANES, np.float32)
    both(numbers, results)
    np.testing.assert_array_equal(results[: _lanes.LANES], results[_lanes.LANES :])
    rows = numbers[3:].reshape(_lanes.LANES, _lanes.LANES).astype(np.float64)
    np.testing.assert_allclose(results[: _lanes.LANES], rows @ numbers[: _lanes.LANES], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [1, 5, 15, 16])
def test_gathering_follows_the_order_and_reads_nothing_past_the_count(count):
    @numba.njit
    def gathered(x, order, count, results):
        _lanes.store(results, 0, _lanes.gather(x, 2, x.shape[1], order, 4, count))
        _lanes.store(results, _lanes.LANES, _lanes.first_lanes(count))

    x = np.arange(90, dtype=np.float32).reshape(30, 3)
    order = np.random.RandomState(1).permutation(30).astype(np.int32)[: 4 + count]
    beyond = np.full(2 * _lanes.LANES, 2**31 - 1, np.int32)  # an index that would read far outside of x
    padded = np.concatenate([order, beyond])
    results = np.empty(2 * _lanes.LANES, np.float32)
    gathered(x, padded, count, results)
    samples = [order[4 + lane] if lane < count else order[4] for lane in range(_lanes.LANES)]
    np.testing.assert_array_equal(results[: _lanes.LANES], x[samples, 2])
    np.testing.assert_array_equal(results[_lanes.LANES :], np.arange(_lanes.LANES) < count)
