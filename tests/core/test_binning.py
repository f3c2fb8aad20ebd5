"""The binnings that the papers use, ranges that grow, and X as the sample's identity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibtui.core.forward import forward
from ibtui.core.information import Binning, Estimator, entropy_t, i_ty
from ibtui.core.seeding import initial_parameters
from ibtui.data.grid import grid_labels
from tests.core import oracle

X, Y = (values[:300] for values in grid_labels())


def net(activation: str, widths: tuple[int, ...] = (5, 3, 2), output: str = "same") -> list[Any]:
    return list(forward(X, initial_parameters(widths, sigma=2.0, seed=7), activation, output))


def estimate(t: Any, activation: str = "tanh", x: Any = X, y: Any = Y, **binning: Any) -> Any:
    return Estimator(x, y, Binning(**binning), [activation]).estimate([t])


# --- as the field's code has them -----------------------------------------------------------------


def test_the_notebooks_29_bins_are_the_30_edges_of_shwartz_ziv_and_tishby() -> None:
    """IDNNs: `bins = np.linspace(-1, 1, 30)` in float32, then `bins[np.digitize(t, bins) - 1]`."""
    edges = np.linspace(-1, 1, 30, dtype=np.float32)
    for t in net("tanh"):
        cells = [tuple(row) for row in (np.digitize(t.ravel(), edges) - 1).reshape(t.shape).tolist()]
        ours = estimate(t, kind="notebook", t_bins=29, identity=True)
        assert ours.i_xt[0] == pytest.approx(oracle.entropy(cells), rel=1e-14)
        assert ours.i_ty[0] == pytest.approx(oracle.mutual_information(cells, Y.tolist()), rel=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_width_is_saxes_floor(activation: str) -> None:
    """ibsgd: `np.floor(t / 0.07)`, and samples that share all of a layer's values are one symbol."""
    for t in net(activation):
        cells = [tuple(row) for row in np.floor(t.astype(float) / 0.07).tolist()]
        ours = estimate(t, activation, kind="width", identity=True)
        assert ours.i_xt[0] == pytest.approx(oracle.entropy(cells), rel=1e-14)
        conditional = sum(
            np.mean(c == Y) * oracle.entropy(cell for cell, y in zip(cells, Y, strict=True) if y == c)
            for c in set(Y.tolist())
        )
        assert ours.i_ty[0] == pytest.approx(ours.i_xt[0] - conditional, abs=1e-13)
        assert ours.outside[0] == 0


def test_pooled_bins_hold_equal_mass_of_a_layers_distinct_values() -> None:
    t = np.random.RandomState(0).permutation(1000).reshape(100, 10) ** 3.0
    edges = np.quantile(np.unique(t), np.arange(1, 8) / 8)
    labels = np.digitize(t, edges)
    assert set(np.bincount(labels.ravel())) == {125}
    cells = [tuple(row) for row in labels.tolist()]
    assert entropy_t(t, t_bins=8, binning="pooled") == pytest.approx(oracle.entropy(cells), abs=1e-13)
    # Edges are those of all units: one unit alone has other ones.
    assert entropy_t(t[:, 0], t_bins=8, binning="pooled") != oracle.entropy(labels[:, 0].tolist())
    repeated = np.concatenate([np.zeros(90), np.arange(1, 11)])  # a value counts once, however frequent
    assert entropy_t(repeated, t_bins=2, binning="pooled") == pytest.approx(
        oracle.entropy([0] * 94 + [1] * 6), abs=1e-13
    )


def test_the_notebook_bin_at_the_upper_end_makes_saturation_lopsided() -> None:
    t = np.repeat([[-1.0], [-0.999], [0.999], [1.0]], 25, axis=0)
    assert entropy_t(t, t_bins=10) == pytest.approx(
        oracle.entropy([0] * 50 + [9] * 25 + [10] * 25), abs=1e-13
    )
    assert entropy_t(t, t_bins=10, binning="closed") == pytest.approx(math.log(2), abs=1e-13)


# --- any values, any width ------------------------------------------------------------------------

finite = st.floats(-(2.0**127), 2.0**127, width=32)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(st.one_of(finite, st.floats(-1, 1, width=32)), min_size=width, max_size=width),
            min_size=1,
            max_size=30,
        )
    ),
    t_width=st.sampled_from([0.07, 1.0, 1e-6, 1e30]),
)
def test_bins_of_a_width_take_any_finite_values(rows: list[list[float]], t_width: float) -> None:
    cells = oracle.cells(rows, 1, (0, 0), "width", t_width)
    assert entropy_t(rows, binning="width", t_width=t_width) == pytest.approx(
        oracle.entropy(cells), abs=1e-12
    )


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(
    t=st.lists(st.lists(st.integers(-40, 40), min_size=2, max_size=2), min_size=2, max_size=30),
    shift=st.integers(-1000, 1000),
    scale=st.sampled_from([0.25, 2.0, 1024.0]),
)
def test_shifts_and_scales_that_move_bins_along_change_nothing(t: Any, shift: int, scale: float) -> None:
    values = np.array(t, float)
    width = entropy_t(values, binning="width", t_width=0.5)
    assert entropy_t(values + shift, binning="width", t_width=0.5) == width
    assert entropy_t(values * scale, binning="width", t_width=0.5 * scale) == width
    assert entropy_t(values[:, ::-1], binning="width", t_width=0.5) == pytest.approx(width, abs=1e-12)
    assert entropy_t(values * scale, t_bins=5, binning="pooled") == entropy_t(
        values, t_bins=5, binning="pooled"
    )


def test_negative_zero_is_zero() -> None:
    assert entropy_t([0.0, -0.0], binning="width") == 0.0
    far = [0.0, -0.0, 1e38]  # where bins are told apart by their own bits
    assert entropy_t(far, binning="width") == pytest.approx(oracle.entropy([0, 0, 1]), abs=1e-15)


@pytest.mark.parametrize("kind", ["width", "pooled"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_have_no_estimate(kind: str, bad: float) -> None:
    t = np.random.RandomState(0).normal(size=(40, 2))
    t[3, 1] = bad
    assert math.isnan(i_ty(t, Y[:40], binning=kind))


# --- ranges that grow -----------------------------------------------------------------------------


def test_tops_are_powers_of_two_that_reach_the_largest_value_and_never_shrink() -> None:
    names = ["relu", "tanh", "linear", ""]
    layers = [np.array([[0.0, 3.1]]), np.array([[9.0, 9.0]]), np.array([[-5.0, 1.0]]), np.array([[0.5]])]
    grown = Binning().covering(names, layers)
    assert grown.tops == (4.0, 0.0, 8.0, 0.5)
    assert grown.covering(names, [t / 100 for t in layers]) is grown
    assert grown.covering(names, [t * 2 for t in layers]).tops == (8.0, 0.0, 16.0, 1.0)
    assert Binning().covering(["relu"], [np.array([[-7.0]])]).tops == (0.0,)  # of a ReLU, from 0 up
    assert Binning().covering(["relu"], [np.array([[8.0]])]).tops == (8.0,)


def test_what_is_not_finite_grows_no_range() -> None:
    t = np.array([[np.nan, np.inf], [2.5, -np.inf]])
    assert Binning().covering(["linear"], [t]).tops == (4.0,)
    assert Binning().covering(["linear"], [np.full((2, 2), np.nan)]).tops == (0.0,)
    largest = np.array([[np.finfo(np.float64).max]])
    assert Binning().covering(["linear"], [largest]).tops == (largest[0, 0],)


@pytest.mark.parametrize("kind", ["width", "pooled", "adaptive", "kde"])
def test_only_a_range_has_a_top(kind: str) -> None:
    binning = Binning(kind)
    assert binning.covering(["relu"], [np.array([[5.0]])]) is binning
    assert Binning().covering(["tanh", "softmax"], [np.array([[5.0]])] * 2).tops == ()


@pytest.mark.parametrize("kind", ["notebook", "closed"])
def test_a_range_ends_at_the_top(kind: str) -> None:
    for activation, t in [("relu", net("relu")[0]), ("linear", net("tanh", output="linear")[-1])]:
        grown = Binning(kind, t_bins=20).covering([activation], [t])
        top = grown.tops[0]
        assert t.max() < top
        measured = Estimator(X, Y, grown, [activation]).estimate([t])
        low = 0.0 if activation == "relu" else -top
        cells = oracle.cells(t.tolist(), 20, (low, top), kind)
        assert measured.i_ty[0] == pytest.approx(oracle.mutual_information(cells, Y.tolist()), abs=1e-12)
        beyond = Estimator(X, Y, grown, [activation]).estimate([t * np.float32(8)])
        assert beyond.outside[0] == oracle.outside((t * 8).tolist(), (low, top)) > 0
        broken = t.copy()
        broken[0, 0] = np.inf
        assert math.isnan(Estimator(X, Y, grown, [activation]).estimate([broken]).i_ty[0])


@pytest.mark.parametrize(
    "wrong",
    [{"t_width": 0}, {"t_width": math.inf}, {"noise": -1.0}, {"noise": "1"}, {"tops": (1.0, -1.0)},
     {"tops": (math.nan,)}, {"t_width": True}],
)  # fmt: skip
def test_what_makes_no_bins_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Binning(**wrong)


# --- X as identity, and chance that says nothing --------------------------------------------------


@pytest.mark.parametrize("kind", ["notebook", "closed", "adaptive", "width", "pooled"])
def test_with_x_as_identity_a_layer_tells_its_own_entropy(kind: str) -> None:
    estimator = Estimator(X, Y, Binning(kind, t_bins=12, identity=True), ["tanh"] * 3)
    activations = net("tanh")
    measured = estimator.estimate(activations)
    assert estimator.h_x == math.log(len(X))
    assert estimator.x_outside == 0
    on_grid = Estimator(X, Y, Binning(kind, t_bins=12), ["tanh"] * 3).estimate(activations)
    for layer, t in enumerate(activations):
        entropy = entropy_t(t, t_bins=12, binning=kind)
        assert measured.i_xt[layer] == pytest.approx(entropy, abs=1e-13)
        every = np.arange(len(X))
        assert measured.i_xt[layer] == pytest.approx(i_ty(t, every, t_bins=12, binning=kind), abs=1e-13)
    assert np.isnan(measured.chance_i_xt).all()
    for name in ("i_ty", "chance_i_ty", "occupancy", "outside"):
        assert np.array_equal(getattr(measured, name), getattr(on_grid, name)), name


def test_chance_says_nothing_where_samples_are_all_alone() -> None:
    apart = np.linspace(-1, 1, 300)
    of_t = estimate(apart, t_bins=10_000)
    assert of_t.occupancy[0] == 1
    assert np.isnan([of_t.chance_i_xt[0], of_t.chance_i_ty[0]]).all()
    coarse = np.round(apart, 1)
    of_x = estimate(coarse, x=apart / 2 + 0.5, x_bins=10_000)
    assert math.isnan(of_x.chance_i_xt[0])
    assert of_x.chance_i_ty[0] > 0
    of_y = estimate(coarse, y=np.arange(300))
    assert math.isnan(of_y.chance_i_ty[0])
    assert of_y.chance_i_xt[0] > 0


def test_chance_levels_are_the_same_the_second_time() -> None:
    """Arrays that an estimator keeps from one measurement to the next change no bit."""
    activations = net("tanh")
    used = Estimator(X, Y, Binning(), ["tanh"] * 3)
    for t in (activations, [t / 2 for t in activations], activations):
        fresh = Estimator(X, Y, Binning(), ["tanh"] * 3).estimate(t)
        for one, other in zip(fresh, used.estimate(t), strict=True):
            assert np.array_equal(one, other, equal_nan=True)
