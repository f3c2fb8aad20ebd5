"""The places at which activations are drawn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ibtui.core.projection import project


def test_two_units_are_drawn_as_they_are() -> None:
    t = np.random.RandomState(0).uniform(-1, 1, (20, 2)).astype(np.float32)
    assert np.array_equal(project(t), t)


def test_one_unit_is_drawn_on_the_first_axis() -> None:
    t = np.array([[0.5], [-1.0]], np.float32)
    assert project(t).tolist() == [[0.5, 0.0], [-1.0, 0.0]]
    assert project(t[:, 0]).tolist() == [[0.5, 0.0], [-1.0, 0.0]]


@pytest.mark.parametrize("width", [3, 7, 40])
def test_wider_layers_are_drawn_by_two_principal_components(width: int) -> None:
    random = np.random.RandomState(width)
    t = random.normal(size=(300, width)) * np.linspace(3, 0.5, width) + 5
    points = project(t)
    assert points.shape == (300, 2)
    assert points.dtype == np.float32
    _, vectors = np.linalg.eigh(np.cov(t.T))  # ascending
    for axis, component in enumerate(vectors.T[::-1][:2]):
        component = component * np.sign(component[np.abs(component).argmax()])
        expected = (t - t.mean(axis=0)) @ component
        np.testing.assert_allclose(points[:, axis], expected, atol=1e-4)


def test_the_sign_of_a_component_is_that_of_its_largest_loading() -> None:
    line = np.linspace(-1, 1, 11)
    assert np.all(np.diff(project(np.outer(line, [0.1, -3.0, 1.0]))[:, 0]) < 0)
    assert np.all(np.diff(project(np.outer(line, [0.1, 3.0, -1.0]))[:, 0]) > 0)


def test_of_equal_loadings_the_first_decides_even_where_rounding_would_not() -> None:
    line = np.random.RandomState(0).normal(size=50)
    for tiny in (-1e-13, 0.0, 1e-13):
        assert np.corrcoef(project(np.outer(line, [-1.0, 1.0 + tiny, 0.0]))[:, 0], line)[0, 1] < 0
        assert np.corrcoef(project(np.outer(line, [1.0, -1.0 - tiny, 0.0]))[:, 0], line)[0, 1] > 0


def test_turning_a_layer_round_turns_its_picture_round() -> None:
    """Signs come from the loadings, not from the decomposition, which gives either."""
    t = np.random.RandomState(3).normal(size=(100, 4)) * [4, 3, 2, 1]
    np.testing.assert_allclose(project(-t), -project(t), atol=1e-5)


def test_the_same_activations_give_the_same_bits() -> None:
    t = np.random.RandomState(0).normal(size=(200, 5)).astype(np.float32)
    assert np.array_equal(project(t), project(t.copy()))


def test_no_variance_is_drawn_in_one_place() -> None:
    assert not project(np.full((5, 3), 0.1)).any()


def test_one_sample_of_many_units() -> None:
    assert project(np.ones((1, 4))).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_diverged_layers_are_drawn_nowhere(bad: float) -> None:
    t = np.ones((4, 3))
    t[1, 1] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(project(t)).all()
        assert not np.isfinite(project(t[:, :2])[1, 1])
