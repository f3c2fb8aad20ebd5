"""The data set is what DESIGN's recipe draws, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ibtui.core.information import entropy_x, entropy_y
from ibtui.data.grid import grid_labels


def recipe(ngrid: int, samples: int, seed: int) -> tuple[list[tuple[float, float]], list[int]]:
    """DESIGN's sentence, one draw after the other."""
    random = np.random.RandomState(seed)
    half = ngrid**2 // 2
    xs = list(random.choice(range(ngrid), half))
    ys = list(random.choice(range(ngrid), half))
    while len(set(zip(xs, ys, strict=True))) < half:
        xs += list(random.choice(range(ngrid), 1))
        ys += list(random.choice(range(ngrid), 1))
    marked = set(zip(xs, ys, strict=True))
    points, labels = [], []
    for _ in range(samples):
        u, v = random.uniform(size=2)
        cell = (math.floor(u / (1 / ngrid)), math.floor(v / (1 / ngrid)))
        points.append((u, v))
        labels.append(int(cell in marked))
    return points, labels


@pytest.mark.parametrize("ngrid", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", [0, 4, 123])
def test_grid_labels_follows_the_recipe_bit_for_bit(ngrid: int, seed: int) -> None:
    x, y = grid_labels(ngrid, 300, seed)
    points, labels = recipe(ngrid, 300, seed)
    assert x.dtype == np.float32
    assert y.dtype == np.int64
    assert np.array_equal(x, np.array(points, np.float32))
    assert y.tolist() == labels


def test_the_default_seed_draws_xor() -> None:
    x, y = grid_labels()
    assert x.shape == (1000, 2)
    assert y.shape == (1000,)
    assert np.array_equal(y, (x[:, 0] < 0.5) ^ (x[:, 1] < 0.5))


def test_the_first_500_points_have_the_documented_entropies() -> None:
    x, y = grid_labels()
    assert round(entropy_y(y[:500]), 5) == 0.69308
    assert round(entropy_x(x[:500]), 4) == 2.7636


@pytest.mark.parametrize(
    "wrong", [{"ngrid": 0}, {"ngrid": 1.5}, {"samples": 0}, {"samples": True}, {"seed": -1}, {"seed": 2**32}]
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        grid_labels(**wrong)
