"""Estimates against tables worked out by hand, published values, closed forms, and the oracle."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ibtui.core import information as info
from ibtui.core.dimension import dimension, participation_ratio
from ibtui.core.forward import forward
from ibtui.core.information import (
    BINNINGS,
    Binning,
    Estimator,
    OutsideWarning,
    chance_i_ty,
    chance_i_xt,
    chance_of_labels,
    entropy_t,
    entropy_x,
    entropy_y,
    i_ty,
    i_ty_and_chance,
    i_xt,
    mutual_information_of_labels,
)
from ibtui.core.seeding import initial_parameters
from ibtui.data.grid import grid_labels
from tests.core import oracle
from tests.marks import slow

LN2 = math.log(2)
Array = NDArray[Any]
values_outside = pytest.mark.filterwarnings("ignore::ibtui.core.information.OutsideWarning")


def labels_of_table(table: list[list[int]]) -> tuple[Array, Array]:
    """Two labellings whose table of joint counts this is."""
    counts = np.array(table)
    rows, columns = np.indices(counts.shape)
    return np.repeat(rows.ravel(), counts.ravel()), np.repeat(columns.ravel(), counts.ravel())


def layers(
    activation: str = "tanh", widths: tuple[int, ...] = (2, 2, 2, 2)
) -> tuple[Array, Array, list[Array]]:
    """The measured half of the default data, and the activations of an untrained net."""
    x, y = grid_labels()
    t = forward(x[:500], initial_parameters(widths), activation)
    return x[:500], y[:500], list(t)


# --- by hand, and published -----------------------------------------------------------------------


def test_a_table_by_hand() -> None:
    a, b = labels_of_table([[2, 1], [1, 4]])
    by_hand = 2 / 8 * math.log(16 / 9) + 2 * (1 / 8) * math.log(8 / 15) + 4 / 8 * math.log(32 / 25)
    assert mutual_information_of_labels(a, b) == pytest.approx(by_hand, abs=1e-15)


def test_the_textbook_contingency_table() -> None:
    """Manning, Raghavan, Schütze, "Introduction to Information Retrieval" (2008), example 13.3: in bits."""
    a, b = labels_of_table([[49, 27_652], [141, 774_106]])
    assert mutual_information_of_labels(a, b) / LN2 == pytest.approx(0.0001105, abs=5e-8)


def test_the_published_chance_level() -> None:
    """The example of Vinh, Epps and Bailey's program, as scikit-learn's tests quote it."""
    a = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    b = [1, 1, 1, 1, 2, 1, 2, 2, 2, 2, 3, 1, 3, 3, 3, 2, 2]
    assert mutual_information_of_labels(a, b) == pytest.approx(0.41022, abs=5e-6)
    assert chance_of_labels(a, b) == pytest.approx(0.15042, abs=5e-6)


def test_xor_needs_both_inputs() -> None:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    z = np.array([0, 1, 1, 0])
    assert i_ty(x[:, 0], z, t_range=(0, 1)) == 0.0
    assert i_ty(x[:, 1], z, t_range=(0, 1)) == 0.0
    assert i_ty(x, z, t_range=(0, 1)) == pytest.approx(LN2, abs=1e-15)


@pytest.mark.parametrize(("rows", "columns"), [([1], [3, 4]), ([2, 3], [5, 7, 1]), ([10] * 7, [3, 9, 27])])
def test_independence_is_exactly_zero(rows: list[int], columns: list[int]) -> None:
    a, b = labels_of_table([[p * q for q in columns] for p in rows])
    assert mutual_information_of_labels(a, b) == 0.0


def test_a_labelling_knows_itself_and_its_renaming() -> None:
    a = np.random.RandomState(0).randint(0, 7, 300)
    assert mutual_information_of_labels(a, a) == pytest.approx(entropy_y(a), abs=1e-14)
    assert mutual_information_of_labels(a, -(10**17) * a) == pytest.approx(entropy_y(a), abs=1e-14)


@pytest.mark.parametrize(
    ("w", "bits"), [(0.1, 2.644466), (1, 4.877066), (5, 2.775133), (10, 2.044173), (19.9, 1.596430)]
)
def test_entropy_of_a_tanh_unit_converges_to_its_exact_value(w: float, bits: float) -> None:
    assert oracle.tanh_unit_entropy(w, 30) == pytest.approx(bits, abs=1e-6)
    n = 400_000
    upper = [NormalDist().inv_cdf((i + 0.5) / n) for i in range(n // 2, n)]
    t = np.tanh(w * np.array([-z for z in upper] + upper))
    assert entropy_t(t, t_bins=30, binning="closed") / LN2 == pytest.approx(bits, abs=5e-5)


# --- binning --------------------------------------------------------------------------------------


def bin_of(v: float, n: int, bounds: tuple[float, float], kind: str) -> int:
    """The bin that a value gets, seen from outside: it shares its cell with that bin's middle alone."""
    low, high = bounds
    middles = [low + (k + 0.5) * (high - low) / n for k in range(n)] + [high]
    shares = [entropy_t([v, m], t_bins=n, t_range=bounds, binning=kind) == 0.0 for m in middles]
    return shares.index(True)


def short_divisions(bounds: tuple[float, float]) -> list[int]:
    """Numbers of bins for which the plain division puts the upper bound below bin n."""
    low, high = bounds
    return [n for n in range(1, 400) if math.floor((high - low) / ((high - low) / n)) < n]


def test_the_upper_bound_has_a_bin_of_its_own_even_where_the_division_falls_short() -> None:
    short = short_divisions((0.0, 1.0))
    assert 93 in short  # 1 / (1 / 93) is below 93 in float64
    for n in [*short, 4, 100]:
        assert bin_of(1.0, n, (0.0, 1.0), "notebook") == n
        assert bin_of(1.0, n, (0.0, 1.0), "closed") == n - 1


@values_outside
@pytest.mark.parametrize("kind", ["notebook", "closed"])
def test_values_outside_join_the_nearest_bin(kind: str) -> None:
    last = 10 if kind == "notebook" else 9
    for v, expected in [(-1.5, 0), (-math.inf, 0), (1.0000001, last), (1e300, last), (math.inf, last)]:
        assert bin_of(v, 10, (-1.0, 1.0), kind) == expected


def test_bins_are_closed_below() -> None:
    for kind in ("notebook", "closed"):
        assert [bin_of(v, 4, (0.0, 1.0), kind) for v in (0.0, 0.2499, 0.25, 0.5, 0.75, 0.9999)] == [
            0,
            0,
            1,
            2,
            3,
            3,
        ]


@values_outside
def test_a_range_that_is_a_point_is_one_bin() -> None:
    t = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, -1.0]])
    for kind in ("notebook", "closed"):
        assert entropy_t(t, t_range=(0, 0), binning=kind) == 0.0
        assert entropy_t(t, t_range=(0, 5e-324), binning=kind) == 0.0


def test_adaptive_bins_hold_equal_mass() -> None:
    t = np.random.RandomState(0).normal(size=1000) ** 3
    assert entropy_t(t, t_bins=10, binning="adaptive") == pytest.approx(math.log(10), abs=1e-14)


def test_adaptive_ties_share_a_bin() -> None:
    t = np.array([1.0, 2, 2, 2, 2, 2, 2, 2, 2, 3])
    # All inner quartiles are 2, so bins are: below 2, and the rest.
    assert entropy_t(t, t_bins=4, binning="adaptive") == pytest.approx(
        oracle.entropy([0] + [1] * 9), abs=1e-15
    )
    assert entropy_t(np.full((9, 2), 0.3), binning="adaptive") == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "bins"), [(1, 5), (2, 3), (10, 4), (101, 100), (500, 100), (500, 7), (333, 1), (20, 50)]
)
def test_adaptive_edges_are_numpys_quantiles(dtype: Any, n: int, bins: int) -> None:
    for seed in range(20):
        t = np.random.RandomState(seed).normal(size=n).round(seed % 5).astype(dtype)
        edges = np.quantile(t.astype(float), np.arange(1, bins) / bins)
        labels = np.digitize(t.astype(float), edges)
        # Each tells the other: they are the same cells.
        shared = i_ty(t, labels, t_bins=bins, binning="adaptive")
        assert shared == pytest.approx(entropy_y(labels), abs=1e-13)
        assert shared == pytest.approx(entropy_t(t, t_bins=bins, binning="adaptive"), abs=1e-13)


@values_outside
def test_adaptive_asks_for_finite_activations_and_for_no_range() -> None:
    t, y = np.linspace(-1, 1, 40), np.arange(40) % 2
    assert info.i_ty(t, y, binning="adaptive", t_range=(-1, math.inf)) == pytest.approx(LN2)
    t[3] = math.inf
    assert math.isnan(info.i_ty(t, y, binning="adaptive"))
    assert not math.isnan(info.i_ty(t, y))


def test_adaptive_leaves_x_on_the_notebooks_grid() -> None:
    x = np.array([[1.0, 0.9], [0.9, 0.9], [0.1, 0.1], [0.1, 1.0]])
    assert entropy_x(x, binning="adaptive") == entropy_x(x, binning="notebook") == pytest.approx(math.log(4))
    assert entropy_x(x, binning="closed") == pytest.approx(oracle.entropy("aabc"), abs=1e-15)


# --- against the oracle ---------------------------------------------------------------------------


def check_against_oracle(x: Array, t: Array, y: Array, x_bins: int, t_bins: int, kind: str) -> None:
    x_cells = oracle.cells(x.tolist(), x_bins, (0.0, 1.0), "closed" if kind == "closed" else "notebook")
    t_cells = oracle.cells(t.tolist(), t_bins, (-1.0, 1.0), kind)
    labels = y.tolist()
    for_t: dict[str, Any] = {"t_bins": t_bins, "binning": kind}
    for_both: dict[str, Any] = {"x_bins": x_bins, **for_t}
    about = pytest.approx
    assert i_xt(x, t, **for_both) == about(oracle.mutual_information(x_cells, t_cells), abs=1e-12)
    assert i_ty(t, y, **for_t) == about(oracle.mutual_information(t_cells, labels), abs=1e-12)
    assert chance_i_xt(x, t, **for_both) == about(oracle.chance(x_cells, t_cells), abs=1e-12)
    assert chance_i_ty(t, y, **for_t) == about(oracle.chance(t_cells, labels), abs=1e-12)
    assert entropy_x(x, x_bins=x_bins, binning=kind) == about(oracle.entropy(x_cells), abs=1e-12)
    assert entropy_t(t, **for_t) == about(oracle.entropy(t_cells), abs=1e-12)
    assert entropy_y(y) == about(oracle.entropy(labels), abs=1e-12)
    measured = Estimator(x, y, Binning(kind, x_bins, t_bins), ["tanh"]).estimate([t])
    assert measured.i_xt[0] == i_xt(x, t, **for_both)
    assert measured.i_ty[0] == i_ty(t, y, **for_t)
    alone = [len(set(cells)) == len(t) for cells in (x_cells, t_cells, labels)]
    chances = math.nan if any(alone[:2]) else chance_i_xt(x, t, **for_both)
    assert measured.chance_i_xt[0] == about(chances, rel=0, abs=0, nan_ok=True)
    chances = math.nan if any(alone[1:]) else chance_i_ty(t, y, **for_t)
    assert measured.chance_i_ty[0] == about(chances, rel=0, abs=0, nan_ok=True)
    assert measured.occupancy[0] == len(set(t_cells)) / len(t)
    out = oracle.outside(x.tolist(), (0.0, 1.0))
    if kind in ("notebook", "closed"):
        out += oracle.outside(t.tolist(), (-1.0, 1.0))
    assert measured.outside[0] == out


@values_outside
@pytest.mark.parametrize("kind", BINNINGS)
@pytest.mark.parametrize("width", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("seed", range(4))
def test_random_layers_match_the_oracle(kind: str, width: int, seed: int) -> None:
    random = np.random.RandomState(seed)
    n = [1, 30, 100, 200][seed]
    dtype = [np.float32, np.float64][seed % 2]
    x = random.uniform(-0.1, 1.1, size=(n, random.randint(1, 4))).round(2).astype(dtype)
    t = np.clip(random.normal(size=(n, width)).round(seed), -1.2, 1).astype(dtype)
    y = random.randint(-3, 3, n) * 10**12
    check_against_oracle(x, t, y, random.randint(1, 6), [1, 3, 30, 100][(seed + width) % 4], kind)


values = st.one_of(st.sampled_from([-1.0, 1.0, 0.0, 1.5, -1.5]), st.floats(-1.25, 1.25))


@values_outside
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.tuples(values, st.integers(-2, 2), st.lists(values, min_size=width, max_size=width)),
            min_size=1,
            max_size=40,
        )
    ),
    x_bins=st.integers(1, 5),
    t_bins=st.integers(1, 120),
    kind=st.sampled_from(BINNINGS),
)
def test_any_layer_matches_the_oracle(rows: list[Any], x_bins: int, t_bins: int, kind: str) -> None:
    x, y, t = (np.array(column) for column in zip(*rows, strict=True))
    check_against_oracle(x[:, np.newaxis], t, y, x_bins, t_bins, kind)


@pytest.mark.parametrize("kind", BINNINGS)
def test_the_default_run_matches_the_oracle(kind: str) -> None:
    x, y, activations = layers()
    for t in activations[::3]:
        check_against_oracle(x, t, y, 4, 100, kind)


def test_relu_is_binned_up_to_the_layers_maximum() -> None:
    x, y, activations = layers("relu", (3, 2))
    measured = Estimator(x, y, Binning(), ["relu"] * 2).estimate(activations)
    for layer, t in enumerate(activations):
        cells = oracle.cells(t.tolist(), 100, (0.0, float(t.max())), "notebook")
        assert measured.i_ty[layer] == pytest.approx(oracle.mutual_information(cells, y.tolist()), abs=1e-12)
    assert measured.outside.tolist() == [0, 0]


def test_sigmoid_is_binned_on_0_to_1() -> None:
    x, y, activations = layers("sigmoid", (2,))
    measured = Estimator(x, y, Binning(), ["sigmoid"]).estimate(activations)
    assert measured.i_ty[0] == i_ty(activations[0], y, t_range=(0, 1))


# --- chance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0, 0, 1, 1], [0, 1, 0, 1]),
        ([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 1]),
        ([0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1, 2]),
        ([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 1]),
        ([0, 0, 0, 0, 0], [0, 1, 2, 2, 2]),
    ],
)
def test_chance_is_the_mean_over_all_pairings(a: list[int], b: list[int]) -> None:
    assert chance_of_labels(a, b) == pytest.approx(oracle.chance_by_enumeration(a, b), abs=1e-14)


@pytest.mark.parametrize(
    ("n", "kinds_a", "kinds_b"), [(500, 2, 2), (500, 16, 2), (500, 25, 300), (3000, 3, 4)]
)
def test_chance_matches_exact_probabilities(n: int, kinds_a: int, kinds_b: int) -> None:
    random = np.random.RandomState(n + kinds_b)
    a, b = random.randint(0, kinds_a, n), random.geometric(2 / kinds_b, n)
    assert chance_of_labels(a, b) == pytest.approx(oracle.chance(a.tolist(), b.tolist()), rel=1e-10, abs=0)


@pytest.mark.parametrize("n", [4096, *slow(4095, 4097)])
def test_chance_is_as_exact_without_the_table_of_logarithms(n: int) -> None:
    a, b = np.arange(n) < n // 3, np.arange(n) < n // 2
    assert chance_of_labels(a, b) == pytest.approx(oracle.chance(a.tolist(), b.tolist()), rel=1e-10, abs=0)


def test_chance_is_accurate_for_a_million_samples() -> None:
    """Two even halves each: a series in the joint count's moments, led by 1 / (2 (N - 1)).

    m ln(m / mu) is expanded in m - mu, whose distribution is symmetric and the same for all four cells.
    """
    n = 1_000_000
    a = np.arange(n) < n // 2
    mu, variance = n / 4, n / 16 * n / (n - 1)
    fourth = 3 * variance**2 * (1 - 2 / n)  # to a relative 1e-6 of a term that is itself 1e-6 of the sum
    expected = 4 / n * (variance / (2 * mu) + fourth / (12 * mu**3))
    assert chance_of_labels(a, a) == pytest.approx(expected, rel=1e-10, abs=0)


def test_chance_is_accurate_for_a_million_samples_in_uneven_cells() -> None:
    """The same definition, evaluated once with 40 decimal digits."""
    a, b = np.arange(1_000_000) < 300_000, np.arange(1_000_000) < 1_234
    assert chance_of_labels(a, b) == pytest.approx(5.002545062398108e-07, rel=2e-11, abs=0)


def test_samples_that_are_all_alone_leave_no_excess() -> None:
    """Estimate and chance are both H(X) if every sample has a T cell of its own."""
    x, _, _ = layers()
    t = np.linspace(-1, 1, 500)
    assert i_xt(x, t, t_bins=10_000) == pytest.approx(entropy_x(x), abs=1e-13)
    assert chance_i_xt(x, t, t_bins=10_000) == pytest.approx(entropy_x(x), abs=1e-13)


def test_one_cell_has_neither_information_nor_chance() -> None:
    x, y, _ = layers()
    t = np.zeros((500, 2))
    assert i_xt(x, t) == chance_i_xt(x, t) == i_ty(t, y) == chance_i_ty(t, y) == 0.0


# --- many samples, many units ---------------------------------------------------------------------


def test_many_cells_of_large_tables_match_the_small_table() -> None:
    """The same labellings through the table of all pairs, and (spread out) through the hash table."""
    random = np.random.RandomState(0)
    a, b = random.randint(0, 150, 20_000), random.randint(0, 150, 20_000)
    spread_a = random.permutation(20_000)[a] * 10**13
    dense = mutual_information_of_labels(a, b)
    assert mutual_information_of_labels(spread_a, b) == pytest.approx(dense, rel=1e-12)
    many_a, many_b = random.randint(0, 9000, 20_000), random.randint(0, 9000, 20_000)
    expected = oracle.mutual_information(many_a.tolist(), many_b.tolist())
    assert mutual_information_of_labels(many_a, many_b) == pytest.approx(expected, rel=1e-12)


def test_labels_may_be_any_integers() -> None:
    ends = np.array([-(2**63), 2**63 - 1, 0, 1, 0, 1])
    plain = np.array([0, 1, 2, 3, 2, 3])
    assert mutual_information_of_labels(ends, plain) == pytest.approx(entropy_y(plain), abs=1e-15)
    assert mutual_information_of_labels(np.array([0, 2**64 - 1], np.uint64), [True, False]) == pytest.approx(
        LN2
    )


def test_the_hash_table_goes_round_at_its_end() -> None:
    """Keys that all belong into the last of its 16 slots: the multiplier's inverse, times the slot."""
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    keys = np.array([inverse * ((15 << 60) + i) % 2**64 for i in (0, 1, 2, 0, 3, 1)], np.uint64)
    plain = np.array([0, 1, 2, 0, 3, 1])
    assert mutual_information_of_labels(keys, plain) == pytest.approx(entropy_y(plain), abs=1e-15)
    assert entropy_y(keys) == entropy_y(plain)


def test_wide_layers_do_not_overflow() -> None:
    random = np.random.RandomState(0)
    t = np.repeat(random.uniform(-1, 1, (50, 64)), 4, axis=0)  # 101**64 cells, 50 in use
    assert entropy_t(t) == pytest.approx(math.log(50), abs=1e-14)
    assert entropy_t(t, t_bins=2**31 - 2) == pytest.approx(math.log(50), abs=1e-14)


def test_the_last_unit_of_a_wide_layer_counts() -> None:
    y = np.arange(200) % 2
    t = np.zeros((200, 40))
    t[:, -1] = y
    assert i_ty(t, y) == pytest.approx(LN2, abs=1e-15)


# --- diverged and degenerate ----------------------------------------------------------------------


def test_nan_silences_its_own_layer_alone() -> None:
    x, y, activations = layers()
    estimator = Estimator(x, y, Binning(), ["tanh"] * 4)
    before = estimator.estimate(activations)
    activations[2] = activations[2].copy()
    activations[2][17, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = estimator.estimate(activations)
    for name in ("i_xt", "i_ty", "chance_i_xt", "chance_i_ty", "occupancy"):
        numbers = getattr(after, name)
        assert np.isnan(numbers).tolist() == [False, False, True, False]
        assert np.array_equal(np.delete(numbers, 2), np.delete(getattr(before, name), 2))


@values_outside
@pytest.mark.parametrize("kind", BINNINGS)
def test_nan_and_infinite_ranges_give_nan_without_a_warning(kind: str) -> None:
    x, y, (t, *_) = layers()
    broken = t.copy()
    broken[3, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(i_xt(x, broken, binning=kind))
        assert math.isnan(chance_i_xt(x, broken, binning=kind))
        assert math.isnan(i_xt(broken, t, binning=kind))
        assert math.isnan(entropy_x(broken, binning=kind))
        assert math.isnan(i_ty(broken, y, binning=kind))
        assert math.isnan(chance_i_ty(broken, y, binning=kind))
        for bounds in ((0, math.inf), (-math.inf, math.inf), (0, math.nan), (-1e308, 1e308)):
            assert math.isnan(i_xt(x, t, x_range=bounds, binning=kind))
            assert math.isnan(i_ty(t, y, t_range=bounds, binning=kind)) == (kind in ("notebook", "closed"))
    assert math.isnan(i_ty([0.0, math.inf], [0, 1], binning=kind)) == (kind not in ("notebook", "closed"))


def test_a_relu_layer_that_overflowed_is_nan_and_one_that_died_is_one_cell() -> None:
    x, y, _ = layers()
    overflowed, dead = np.zeros((500, 2), np.float32), np.zeros((500, 2), np.float32)
    overflowed[0, 0] = np.inf
    for kind in BINNINGS:
        measured = Estimator(x, y, Binning(kind), ["relu"] * 2).estimate([overflowed, dead])
        assert np.isnan(measured.i_xt[0])
        assert np.isnan(measured.occupancy[0])
        assert measured.i_xt[1] == measured.chance_i_xt[1] == measured.i_ty[1] == 0.0
        assert measured.occupancy[1] == 1 / 500


def test_x_with_nan_leaves_i_ty_alone() -> None:
    x, y, activations = layers()
    x = x.copy()
    x[0, 0] = np.nan
    estimator = Estimator(x, y, Binning(), ["tanh"] * 4)
    measured = estimator.estimate(activations)
    assert math.isnan(estimator.h_x)
    assert np.isnan(measured.i_xt).all()
    assert np.isnan(measured.chance_i_xt).all()
    assert measured.i_ty[0] == i_ty(activations[0], y)
    assert measured.occupancy[0] > 0


def test_values_outside_are_counted_with_those_of_x() -> None:
    x = np.array([[0.5, 1.1], [-0.1, 0.5], [0.0, 1.0]])
    t = np.array([[1.0, -1.0], [1.1, -1.1], [0.0, np.inf]])
    estimator = Estimator(x, [0, 1, 0], Binning(), ["tanh"] * 2)
    measured = estimator.estimate([t, np.zeros((3, 1))])
    assert estimator.x_outside == 2
    assert measured.outside.tolist() == [5, 2]
    assert measured.outside.dtype == np.int64


# --- the estimator --------------------------------------------------------------------------------


def test_estimates_are_arrays_by_layer() -> None:
    x, y, activations = layers()
    estimator = Estimator(x, y, Binning(), ["tanh"] * 4)
    measured = estimator.estimate(activations)
    assert measured._fields == (
        "i_xt", "i_ty", "chance_i_xt", "chance_i_ty", "occupancy", "outside", "i_xt_lower", "i_ty_lower",
    )  # fmt: skip
    assert all(field.shape == (4,) for field in measured)
    assert all(field.dtype == np.float64 for field in measured if field is not measured.outside)
    assert np.isnan(measured.i_xt_lower).all()
    assert np.isnan(measured.i_ty_lower).all()
    assert (estimator.h_x, estimator.h_y) == (entropy_x(x), entropy_y(y))
    assert type(estimator.h_x) is type(estimator.h_y) is float
    assert type(i_xt(x, activations[0])) is float
    assert all(field.shape == (0,) for field in Estimator(x, y, Binning(), []).estimate([]))


@values_outside
def test_each_layer_is_binned_on_the_range_of_its_own_activation() -> None:
    x, y, (t, *_) = layers()
    mixed = Estimator(x, y, Binning(), ["tanh", "sigmoid"]).estimate([t, t])
    assert mixed.i_ty.tolist() == [i_ty(t, y), i_ty(t, y, t_range=(0, 1))]


def test_the_range_of_x_may_be_another() -> None:
    x, y, (t, *_) = layers()
    wide = Estimator(x, y, Binning(), ["tanh"], (-1.0, 1.0))
    assert wide.h_x == entropy_x(x, x_range=(-1, 1)) != entropy_x(x)
    assert wide.estimate([t]).i_xt[0] == i_xt(x, t, x_range=(-1, 1))


def test_any_memory_layout_gives_the_same_bits_and_compiles_nothing_anew() -> None:
    from ibtui.core import _compiled

    x, y, (t, *_) = layers()
    expected = Estimator(x, y, Binning(), ["tanh"]).estimate([t])
    locked = t.astype(np.float64)
    locked.flags.writeable = False
    y_locked = y.copy()
    y_locked.flags.writeable = False
    for same in (np.asfortranarray(t), t.astype(np.float64)[::1], locked, t[::-1][::-1], t.tolist()):
        again = Estimator(x, y_locked, Binning(), ["tanh"]).estimate([same])
        assert all(
            np.array_equal(one, other, equal_nan=True) for one, other in zip(expected, again, strict=True)
        )
    i_xt(x, t), i_ty(t, y), mutual_information_of_labels(y, y), chance_of_labels(y, y)
    functions: list[Any] = [
        _compiled.label_cells,
        _compiled.relate,
        _compiled.compact,
        _compiled.measure_layers,
    ]
    assert [len(function.signatures) for function in functions] == [1, 1, 1, 1]


def test_threads_may_share_an_estimator() -> None:
    x, y, activations = layers()
    estimator = Estimator(x, y, Binning(), ["tanh"] * 4)
    expected = estimator.estimate(activations)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            measured = estimator.estimate(activations)
            pairs = zip(expected, measured, strict=True)
            if not all(np.array_equal(one, other, equal_nan=True) for one, other in pairs):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


X, Y = np.array([[0.5], [1.5], [-1.0], [0.0]]), np.array([0, 1, 0, 1])
T = np.maximum(20 * X, 0).astype(np.float32)
WARNING = {
    "x": lambda: entropy_x(X),
    "x of a pair": lambda: i_xt(X, T, t_range=(0, 30)),
    "x of its chance": lambda: chance_i_xt(X, T, t_range=(0, 30)),
    "x in adaptive bins": lambda: i_xt(X, T, binning="adaptive"),
    "t": lambda: entropy_t(T),
    "t of a pair": lambda: i_xt(X, T, x_range=(-1, 2)),
    "t of its chance": lambda: chance_i_xt(X, T, x_range=(-1, 2)),
    "t and labels": lambda: i_ty(T, Y),
    "t and labels by chance": lambda: chance_i_ty(T, Y),
}


@pytest.mark.parametrize("name", WARNING)
def test_values_outside_are_warned_of_with_their_number(name: str) -> None:
    bounds = "(0, 1)" if name[0] == "x" else "(-1, 1)"
    said = rf"^2 of 4 values of {name[0]} are outside {name[0]}_range {re.escape(bounds)}, "
    with pytest.warns(OutsideWarning, match=said) as caught:
        WARNING[name]()
    assert [warning.filename for warning in caught] == [__file__]  # it points to the caller


def test_values_inside_and_what_the_product_measures_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        i_xt(X, T, x_range=(-1, 1.5), t_range=info.t_range("relu", T))
        i_ty(T, Y, binning="adaptive")
        Estimator(X, Y, Binning(), ["tanh"]).estimate([T])
        both = i_ty_and_chance(T, Y)
    with pytest.warns(OutsideWarning):
        assert both == (i_ty(T, Y), chance_i_ty(T, Y))


MASKED = np.ma.masked_greater(X, 1)
MASKED_LABELS = np.ma.masked_equal(Y, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: i_xt(MASKED, T), lambda: i_xt(X, MASKED), lambda: chance_i_xt(X, MASKED),
        lambda: i_ty(MASKED, Y), lambda: i_ty(T, MASKED_LABELS), lambda: chance_i_ty(MASKED, Y),
        lambda: entropy_x(MASKED), lambda: entropy_t(MASKED), lambda: entropy_y(MASKED_LABELS),
        lambda: mutual_information_of_labels(Y, MASKED_LABELS), lambda: chance_of_labels(MASKED_LABELS, Y),
        lambda: info.t_range("relu", MASKED), lambda: info.saturation(MASKED, "relu"),
        lambda: dimension(MASKED), lambda: participation_ratio(MASKED),
        lambda: Estimator(MASKED, Y, Binning(), ["tanh"]),
        lambda: Estimator(X, Y, Binning(), ["tanh"]).estimate([MASKED]),
    ],
)  # fmt: skip
def test_a_mask_is_refused_where_it_hides_something(call: Any) -> None:
    with pytest.raises(ValueError, match="must have no masked values"):
        call()
    assert i_ty(np.ma.array(T / 30), np.ma.array(Y)) == i_ty(T / 30, Y)


def test_estimating_changes_none_of_its_arguments() -> None:
    x, y, activations = layers()
    copies = [x.copy(), y.copy(), *(t.copy() for t in activations)]
    Estimator(x, y, Binning("adaptive"), ["tanh"] * 4).estimate(activations)
    assert all(np.array_equal(one, other) for one, other in zip(copies, [x, y, *activations], strict=True))


# --- ranges and saturation ------------------------------------------------------------------------


def test_t_range_by_activation() -> None:
    t = np.array([[0.0, 0.25]], np.float32)
    assert info.t_range("tanh", t) == (-1.0, 1.0)
    assert info.t_range("sigmoid", t) == (0.0, 1.0)
    assert info.t_range("relu", t) == (0.0, 0.25)
    assert info.t_range("relu", t * 0) == (0.0, 0.0)
    assert math.isnan(info.t_range("relu", t * np.nan)[1])
    assert info.t_range("softmax", t) == (0.0, 1.0)
    for symmetric in ("linear", ""):
        assert info.t_range(symmetric, t - 1) == (-1.0, 1.0)
        assert info.t_range(symmetric, [-math.inf, 1.0]) == (-math.inf, math.inf)


def test_saturation_is_the_share_at_the_ends() -> None:
    t = np.array([[1.0, -1.0], [0.999999, 0.0], [0.0, 0.5]], np.float32)
    assert info.saturation(t, "tanh") == 2 / 6
    assert info.saturation(t, "sigmoid") == 3 / 6
    assert info.saturation(np.abs(t), "softmax") == 4 / 6
    for unbounded in ("relu", "linear", ""):  # zeros are sparsity, and a maximum there always is
        assert math.isnan(info.saturation(t, unbounded))
    assert math.isnan(info.saturation(t * np.nan, "tanh"))


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"t_bins": 0},
        {"t_bins": 2.5},
        {"t_bins": "100"},
        {"t_bins": 2**31},
        {"x_bins": -1},
        {"x_range": (1, 0)},
        {"t_range": (0,)},
        {"t_range": "ab"},
        {"t_range": None},
        {"binning": "equal"},
        {"binning": None},
    ],
)
def test_bad_arguments_are_refused_by_name(wrong: dict[str, Any]) -> None:
    x, _, (t, *_) = layers()
    for function in (i_xt, chance_i_xt):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            function(x, t, **wrong)


def test_bad_arrays_are_refused() -> None:
    x, y, (t, *_) = layers()
    for call in (
        lambda: i_xt(x[:-1], t),
        lambda: i_ty(t, y[:-1]),
        lambda: i_ty(t, y.astype(float)),
        lambda: i_ty(t, y[:, np.newaxis]),
        lambda: i_ty(t.astype(complex), y),
        lambda: i_ty(t[np.newaxis], y),
        lambda: i_ty(t[:0], y[:0]),
        lambda: i_ty(t[:, :0], y),
        lambda: entropy_y([]),
        lambda: Estimator(x[:-1], y, Binning(), ["tanh"]),
        lambda: Estimator(x, y, Binning(), ["softplus"]),
        lambda: Estimator(x, y, Binning(), ["tanh"]).estimate([t, t]),
        lambda: Estimator(x, y, Binning(), ["tanh", "tanh"]).estimate([t, t[1:]]),
    ):
        with pytest.raises(ValueError, match="must"):
            call()


def test_a_binning_is_checked_when_it_is_made() -> None:
    assert Binning() == Binning("notebook", 4, 100)
    assert type(Binning(t_bins=np.int64(7)).t_bins) is int  # type: ignore[arg-type]
    wrongs: list[dict[str, Any]] = [{"kind": "equal"}, {"x_bins": 0}, {"t_bins": 1.5}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="must"):
            Binning(**wrong)


def test_importing_core_does_not_load_the_compiler() -> None:
    code = (
        "import sys, ibtui.core.information, ibtui.core.seeding, ibtui.core.projection, ibtui.data.grid;"
        "print([m for m in ('numba', 'scipy', 'textual', 'mxnet') if m in sys.modules])"
    )
    beside_the_package = Path(info.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=beside_the_package)
    assert run.stdout == "[]\n", run.stderr
