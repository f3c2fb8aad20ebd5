"""The datasets that are drawn: balanced, of the geometry that they declare, and the same bits for ever."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.information import entropy_y
from ibtui.data import DATASETS, Option, chosen, dataset, described
from ibtui.data.samples import check_samples, make_dataset
from ibtui.errors import UsageError
from ibtui.settings import real

DRAWN = ("circles", "moons", "spirals", "gaussians")
CLASSED = ("circles", "spirals", "gaussians")


def drawn(data: str, samples: int = 600, seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    kind, options = chosen(data)
    return kind.make(RunConfig(data=data, samples=samples, data_seed=seed), **options)


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_seed_draws_the_same_bits_and_another_others(name):
    first, again, other = drawn(name), drawn(name), drawn(name, seed=5)
    assert [part.tobytes() for part in first] == [part.tobytes() for part in again]
    assert first[0].tobytes() != other[0].tobytes()
    assert np.isfinite(first[0]).all() and first[0].shape == (600, 2)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("samples", [4, 7, 600])
def test_classes_are_as_large_as_each_other(name, samples):
    for classes in (2, 3, 64) if name in CLASSED else (2,):
        data = f"{name}:classes={classes}" if name in CLASSED else name
        counts = np.bincount(drawn(data, samples)[1], minlength=classes)
        assert len(counts) == classes and counts.sum() == samples
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("classes", [2, 5])
def test_circles_are_rings_of_equal_distances(classes):
    x, y = drawn(f"circles:noise=0,classes={classes}")
    for point, label in zip(x, y, strict=True):
        assert math.hypot(*point) == pytest.approx((label + 1) / classes)
    for label in range(classes):
        angles = np.arctan2(*x[y == label].T)
        assert np.histogram(angles, 4, (-math.pi, math.pi))[0].min() > 600 / classes / 4 * 0.6


def test_moons_are_half_circles_each_around_an_end_of_the_other():
    x, y = drawn("moons:noise=0")
    for (across, up), label in zip(x, y, strict=True):
        if label == 0:
            assert math.hypot(across, up) == pytest.approx(1) and up >= 0
        else:
            assert math.hypot(across - 1, up - 0.5) == pytest.approx(1) and up <= 0.5
    for label in (0, 1):
        assert np.ptp(x[y == label, 0]) > 1.9


@pytest.mark.parametrize("classes", [2, 7])
def test_spirals_are_arms_of_one_turn(classes):
    x, y = drawn(f"spirals:noise=0,classes={classes}")
    for point, label in zip(x, y, strict=True):
        radius = math.hypot(*point)
        turned = math.atan2(point[1], point[0]) / (2 * math.pi) - radius - label / classes
        assert abs(turned - round(turned)) < 1e-9
        assert 0 <= radius < 1
    # As dense further out: a quarter of an arm's samples lies within half of its length.
    assert np.mean(np.hypot(*x.T) < 0.5) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("classes", [2, 6])
def test_gaussians_have_their_means_on_the_unit_circle(classes):
    x, y = drawn(f"gaussians:noise=0.2,classes={classes}", 6000)
    for label in range(classes):
        angle = 2 * math.pi * label / classes
        own = x[y == label]
        assert own.mean(0) == pytest.approx([math.cos(angle), math.sin(angle)], abs=0.03)
        assert np.cov(own.T) == pytest.approx(0.04 * np.eye(2), abs=0.006)
    assert len(np.unique(drawn("gaussians:noise=0")[0], axis=0)) == 2


@pytest.mark.parametrize("name", DRAWN)
def test_noise_is_normal_of_the_standard_deviation_that_was_asked_for(name):
    still, _ = drawn(f"{name}:noise=0", 5000)
    moved, _ = drawn(f"{name}:noise=0.5", 5000)
    added = (moved - still).ravel()
    assert added.std() == pytest.approx(0.5, abs=0.02) and added.mean() == pytest.approx(0, abs=0.02)
    assert np.mean(np.abs(added) < 0.5) == pytest.approx(0.6827, abs=0.02)


# The 12-bit data.

ANTI = {(0, 9), (1, 7), (2, 5), (3, 6), (4, 10), (8, 11)}
FAR = {
    0: (1, 3, 5, 10, 11), 1: (2, 3, 4, 11), 2: (3, 4, 8, 9), 3: (8, 10), 4: (6, 9, 11), 5: (6, 7, 10, 11),
    6: (7, 9, 11), 7: (8, 9, 10), 8: (9, 10),
}  # fmt: skip


def rule(word: str) -> int:
    """The label of a word by the rule, pair by pair."""
    ones = [place for place, bit in enumerate(word) if bit == "1"]
    score = 103.0 * len(ones)
    for pair in itertools.combinations(ones, 2):
        score += -34 if pair in ANTI else 2 if pair[1] in FAR.get(pair[0], ()) else -22
    return int(score > 429.5)


def test_the_words_are_labelled_by_the_rule():
    x, y = drawn("icosahedron12", 4096)
    words = [f"{number:012b}" for number in range(4096)]
    assert ["".join(str(int(bit)) for bit in row) for row in x] == words
    assert y.tolist() == [rule(word) for word in words]
    assert int(y.sum()) == 2118
    assert entropy_y(y) / math.log(2) == pytest.approx(0.999157, abs=5e-7)


def test_its_pairs_are_those_of_an_icosahedron():
    """One corner opposite, five far, five near; near to a corner is far from the opposite one."""
    opposite = dict(ANTI) | {b: a for a, b in ANTI}
    far = {(a, b) for a, others in FAR.items() for b in others}
    far |= {(b, a) for a, b in far}
    near = {(a, b) for a in range(12) for b in range(12) if a not in (b, opposite[b]) and (a, b) not in far}
    for a in range(12):
        assert sum((a, b) in far for b in range(12)) == sum((a, b) in near for b in range(12)) == 5
        for b in range(12):
            assert ((a, b) in near) == ((a, opposite[b]) in far)


def test_a_dataset_of_a_fixed_size_is_whole_whatever_samples_say():
    data = make_dataset(RunConfig(data="icosahedron12", samples=10, split=0.8, measure_on="all"))
    assert (len(data.x), len(data.x_test), data.samples) == (4096, 820, 4096)
    assert int(data.trains.sum()) == 3276


# Ranges, options.


def test_only_the_grid_declares_the_range_of_its_inputs():
    ranges = {name: DATASETS[name].x_range for name in DATASETS.own}
    assert ranges == {"grid": (0, 1), **dict.fromkeys((*DRAWN, "icosahedron12"))}
    assert make_dataset(RunConfig()).x_range == (0.0, 1.0)
    assert make_dataset(RunConfig(data="moons")).x_range is None


def test_another_package_declares_options_the_range_and_the_size(monkeypatch):
    @dataset("lines", x_range=(-3, 3), options={"slope": Option(1.0, real(9.0))}, size=5)
    def lines(config, *, slope):
        x = np.arange(5) / 4
        return np.column_stack([x, slope * x]), [0, 1, 0, 1, 63]

    monkeypatch.setitem(DATASETS._loaded, "lines", lines)
    found = make_dataset(RunConfig(data="lines:slope=2"))
    x = np.concatenate([found.x, found.x_test])
    assert found.x_range == (-3.0, 3.0) and np.array_equal(x[:, 1], 2 * x[:, 0])
    assert found.classes == 64 and found.names == ()
    with pytest.raises(UsageError, match=r"^--samples 1000: lines has 5; leave it out$"):
        check_samples(RunConfig(data="lines"))
    with pytest.raises(UsageError, match=r"^--data lines:slope=0: must be a number above 0 and up to 9$"):
        make_dataset(RunConfig(data="lines:slope=0"))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (([[1, 2]] * 4, [0, 1, -1, 1]), "must give finite"), (([[1, 2]] * 4, [0, 1]), "must give finite"),
        (([[1, 2]] * 3, [0, 1, 0]), "at least 4"), (([[1, np.nan]] * 4, [0, 1, 0, 1]), "must give finite"),
        (([1, 2, 3, 4], [0, 1, 0, 1]), r"it gave \(4,\) and \(4,\)"), (3, "--data theirs: TypeError"),
        (([[1, 2]] * 4, [0, 1, 0, 64]), "must give classes below 64"),
    ],
)  # fmt: skip
def test_a_dataset_that_makes_something_else_is_told_in_a_line(monkeypatch, made, why):
    monkeypatch.setitem(DATASETS._loaded, "theirs", dataset("theirs")(lambda config: made))
    with pytest.raises(UsageError, match=why) as error:
        make_dataset(RunConfig(data="theirs"))
    assert str(error.value).isprintable() and str(error.value).startswith("--data theirs: ")


def test_the_help_has_every_option_with_its_default():
    assert [described(name) for name in DATASETS.own] == [
        "grid", "circles[:noise=0.05,classes=2]", "moons[:noise=0.1]", "spirals[:noise=0.02,classes=2]",
        "gaussians[:noise=0.3,classes=2]", "icosahedron12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("moons:noise=x", "--data moons:noise=x: must be a number from 0 up to 10"),
        ("moons:noise=nan", "--data moons:noise=nan: must be a number from 0 up to 10"),
        ("moons:classes=2", "--data moons:classes=2: moons has no option classes; there is noise"),
        ("circles:class=3", "--data circles:class=3: circles has no option class; did you mean classes?"),
        ("circles:classes=1", "--data circles:classes=1: must be a whole number from 2 to 64"),
        ("circles:classes=2.0", "--data circles:classes=2.0: must be a whole number from 2 to 64"),
        (
            "icosahedron12:noise=1",
            "--data icosahedron12:noise=1: icosahedron12 has no option noise; it has none",
        ),
        ("spirals:noise=1,noise=1", "--data spirals:noise=1,noise=1: noise is there twice"),
        ("moon", "moon: no dataset of that name; did you mean moons?"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(data, line):
    with pytest.raises(UsageError) as error:
        make_dataset(RunConfig(data=data))
    assert str(error.value) == line
