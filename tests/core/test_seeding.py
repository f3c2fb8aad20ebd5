"""A seed fixes the net and the order of every epoch's batches."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ibtui.core.seeding import batch_order, initial_parameters
from tests.core import oracle


def test_parameters_come_from_one_stream_layer_after_layer() -> None:
    parameters = initial_parameters([3, 1, 2], inputs=5, sigma=0.5, seed=9)
    stream = np.random.RandomState(9).standard_normal(3 * 5 + 1 * 3 + 2 * 1) * 0.5
    drawn = np.concatenate([w.ravel() for w, _ in parameters])
    assert np.array_equal(drawn, stream.astype(np.float32))
    assert [w.shape for w, _ in parameters] == [(3, 5), (1, 3), (2, 1)]
    assert [b.shape for _, b in parameters] == [(3,), (1,), (2,)]
    assert all(w.dtype == b.dtype == np.float32 and not b.any() for w, b in parameters)


def test_the_default_net_is_frozen() -> None:
    (w, _), *_ = initial_parameters([2, 2, 2, 2])
    expected = [
        [1.624345364, -0.611756414],
        [-0.528171752, -1.072968622],
    ]
    np.testing.assert_allclose(w, expected, rtol=1e-7)


def truncated(widths: list[int], inputs: int, seed: int) -> list[np.ndarray[Any, Any]]:
    """Weights of fan-in, drawn one by one."""
    random = np.random.RandomState(seed)
    weights = []
    for before, after in pairwise([inputs, *widths]):
        drawn = [random.standard_normal() for _ in range(after * before)]
        while beyond := [i for i, value in enumerate(drawn) if abs(value) > 2]:
            for i in beyond:
                drawn[i] = random.standard_normal()
        weights.append(np.reshape(drawn, (after, before)) / np.sqrt(before))
    return weights


@pytest.mark.parametrize("seed", [0, 1, 77])
def test_fan_in_draws_again_what_is_beyond_two_deviations_layer_after_layer(seed: int) -> None:
    parameters = initial_parameters([30, 7, 2], inputs=12, init="fan-in", seed=seed)
    for (w, b), expected in zip(parameters, truncated([30, 7, 2], 12, seed), strict=True):
        assert (w.dtype, w.shape) == (np.float32, expected.shape)
        np.testing.assert_allclose(w, expected, rtol=1e-6)
        assert not b.any()


def test_fan_in_has_the_deviation_of_a_truncated_normal_whatever_sigma() -> None:
    (w, _), *_ = initial_parameters([400], inputs=100, init="fan-in", sigma=9.0)
    assert np.abs(w).max() <= 0.2
    assert w.std() == pytest.approx(0.0879626, rel=0.01)  # of a normal cut at two deviations: 0.879626


@pytest.mark.parametrize(
    ("widths", "options"),
    [
        ([2], {"init": "xavier"}),
        ([], {}),
        ([2, 0], {}),
        ([2.0], {}),
        ([2], {"inputs": 0}),
        ([2], {"sigma": -1.0}),
        ([2], {"sigma": float("nan")}),
        ([2], {"seed": -1}),
        ([2], {"seed": 2**32}),
    ],
)
def test_impossible_nets_are_refused(widths: list[Any], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        initial_parameters(widths, **options)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 500, 5000])
@pytest.mark.parametrize(
    ("seed", "epoch"), [(0, 0), (1, 0), (0, 1), (1, 1999), (2**64 - 1, 2**64 - 1), (2**63, 7)]
)
def test_batch_order_matches_the_oracle(n: int, seed: int, epoch: int) -> None:
    order = batch_order(seed, epoch, n)
    assert order.dtype == np.int32
    assert order.shape == (n,)
    assert order.tolist() == oracle.batch_order(seed, epoch, n)


def test_batch_order_uses_all_64_bits_of_a_draw() -> None:
    """With the high 32 alone, about ten of this many draws would differ."""
    assert batch_order(7, 3, 300_000).tolist() == oracle.batch_order(7, 3, 300_000)


def test_batch_order_never_changes() -> None:
    assert batch_order(1, 0, 10).tolist() == [7, 2, 6, 8, 0, 1, 5, 9, 3, 4]


def test_seed_and_epoch_are_not_interchangeable() -> None:
    orders = {tuple(batch_order(seed, epoch, 50)) for seed in range(40) for epoch in range(40)}
    assert len(orders) == 1600


def test_all_orders_are_equally_likely() -> None:
    """Chi-squared over the 24 orders of four samples, by epochs of one seed and by seeds of one epoch."""
    for pairs in ([(3, e) for e in range(24_000)], [(s, 3) for s in range(24_000)]):
        keys = [int(np.dot(batch_order(s, e, 4), [64, 16, 4, 1])) for s, e in pairs]
        _, counts = np.unique(keys, return_counts=True)
        assert len(counts) == 24
        assert ((counts - 1000) ** 2 / 1000).sum() < 58  # 23 degrees of freedom: exceeded once in 10,000


def test_every_sample_is_as_likely_in_every_place() -> None:
    n, epochs = 20, 20_000
    counts = np.zeros((n, n))
    for epoch in range(epochs):
        counts[np.arange(n), batch_order(1, epoch, n)] += 1
    expected = epochs / n
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - (n - 1) ** 2) < 4.5 * (2 * (n - 1) ** 2) ** 0.5


@pytest.mark.parametrize(
    ("seed", "epoch", "n"), [(-1, 0, 5), (0, -1, 5), (0, 0, -1), (2**64, 0, 5), (0.5, 0, 5)]
)
def test_batch_order_refuses_what_is_out_of_range(seed: Any, epoch: Any, n: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        batch_order(seed, epoch, n)
