"""Some of the samples train, the others are held out, and a fixed choice of them is measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.forward import forward
from ibtui.data import chosen
from ibtui.data.rows import joined
from ibtui.data.samples import Dataset, make_dataset
from ibtui.errors import UsageError

CHOICES = [
    {"measure_on": on, "measure_samples": most}
    for on in ("train", "held-out", "all")
    for most in ("auto", 4, 17, 100_000)
]


def permuted(config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """The samples of a dataset in the order of the data seed, one by one."""
    kind, options = chosen(config.data)
    x, y = kind.make(config, **options)
    order = list(range(len(x)))
    if config.data != "grid":
        order = np.random.RandomState([config.data_seed, 1]).permutation(len(x)).tolist()
    return np.array([x[i] for i in order], np.float32), np.array([y[i] for i in order])


def equal(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> bool:
    same = (a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    return all(same)


@pytest.mark.parametrize("data", ["grid", "moons", "gaussians:classes=5"])
@pytest.mark.parametrize(("split", "train"), [(0.5, 50), (0.8, 80), (0.29, 29), (0.994, 99), (0.01, 1)])
def test_the_first_share_trains_and_the_rest_is_held_out(data, split, train):
    config = RunConfig(data=data, samples=100, split=split, data_seed=9)
    x, y = permuted(config)
    found = make_dataset(config)
    assert equal(found.training, (x[:train], y[:train]))
    assert equal((found.x_test, found.y_test), (x[train:], y[train:]))
    assert found.samples == 100


def test_the_grid_is_split_in_its_order_as_ever():
    config = RunConfig()
    x, y = chosen("grid")[0].make(config)
    found = make_dataset(config)
    assert equal((found.x, found.y, found.x_test, found.y_test), (x[:500], y[:500], x[500:], y[500:]))
    assert found.measures_training and found.trains.all() and not len(found.x_rest)


def test_another_data_seed_permutes_otherwise():
    found = [make_dataset(RunConfig(data="icosahedron12", data_seed=seed)) for seed in (1, 2)]
    assert not np.array_equal(found[0].x_test, found[1].x_test)
    for data in found:
        words = [tuple(word) for part in (data.x, data.x_test) for word in part.tolist()]
        assert sorted(words) == sorted(itertools.product((0, 1), repeat=12))


@pytest.mark.parametrize(("split", "samples"), [(0.2, 4), (0.9999999999, 10), (0.0001, 1000)])
def test_a_split_that_leaves_no_sample_is_refused(split, samples):
    with pytest.raises(
        UsageError, match=r"^--split .*: must be such that of [\d,]+ samples some are left to"
    ):
        make_dataset(RunConfig(samples=samples, split=split))


@pytest.mark.parametrize("data", ["grid", "spirals"])
def test_the_order_of_training_does_not_depend_on_what_is_measured(data):
    usual = make_dataset(RunConfig(data=data, samples=90, split=0.7))
    for choice in CHOICES:
        found = make_dataset(RunConfig(data=data, samples=90, split=0.7, **choice))
        assert equal(found.training, usual.training), choice
        assert equal((found.x_test, found.y_test), (usual.x_test, usual.y_test)), choice


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: f"{c['measure_on']}-{c['measure_samples']}")
def test_the_first_of_those_that_train_or_are_held_out_are_measured(choice):
    config = RunConfig(data="moons", samples=90, split=0.7, **choice)
    (x, y), most = permuted(config), choice["measure_samples"]
    most = 10_000 if most == "auto" else most
    train, held_out = list(range(63)), list(range(63, 90))
    if choice["measure_on"] == "train":
        measured = train[:most]
    elif choice["measure_on"] == "held-out":
        measured = held_out[:most]
    else:
        of_train = 63 if most >= 90 else round(most * 63 / 90)
        measured = train[:of_train] + held_out[: min(most, 90) - of_train]
    found = make_dataset(config)
    assert equal((found.x, found.y), (x[measured], y[measured]))
    assert found.trains.tolist() == [sample < 63 for sample in measured]
    rest = [sample for sample in train if sample not in measured]
    assert equal((found.x_rest, found.y_rest), (x[rest].reshape(-1, 2), y[rest]))
    assert found.measures_training == (measured == train)


def test_both_parts_are_measured_however_small_one_is():
    config = RunConfig(data="moons", samples=1000, measure_on="all", measure_samples=4)
    for split, train in ((0.001, 1), (0.999, 3)):
        found = make_dataset(RunConfig(**vars(config) | {"split": split}))
        assert (len(found.x), int(found.trains.sum())) == (4, train)


def test_ten_thousand_are_measured_of_more_but_of_a_grid_all():
    for data, measured in (("moons", 10_000), ("grid", 15_000)):
        assert len(make_dataset(RunConfig(data=data, samples=30_000)).x) == measured


def test_what_trains_is_not_copied_to_be_put_together():
    for choice in CHOICES:
        config = RunConfig(data="moons", samples=90, **choice)
        found = make_dataset(config)
        assert not any(part.flags.owndata for part in (found.x_test, found.x_rest) if len(part))
        first, again = found.training[0], found.training[0]
        some_of_both = choice["measure_on"] == "all" and choice["measure_samples"] in (4, 17)
        assert np.shares_memory(first, again) != some_of_both, choice


def test_rows_that_are_no_neighbours_are_put_together_by_a_copy():
    rows = np.arange(24.0).reshape(8, 3).copy()
    for first, rest in (
        (rows[:2], rows[3:]), (rows[2:], rows[:2]), (rows[:2], rows[2:].copy()), (rows[:4:2], rows[4:]),
        (rows[:2, :2], rows[2:, :2]), (rows.T[:1], rows.T[1:]), (rows.ravel()[1:4], rows.ravel()[4:7]),
        (rows[:0], rows), (rows, rows[:0]), (rows[:3], rows[3:]),
    ):  # fmt: skip
        assert np.array_equal(joined(first, rest), np.concatenate([first, rest]))
    assert np.shares_memory(joined(rows[1:3], rows[3:5]), rows)


def test_samples_too_many_to_be_measured_are_refused():
    with pytest.raises(
        UsageError, match=r"^--data moons: 70,000 samples to measure, for a net of 4,098 units"
    ):
        make_dataset(RunConfig(data="moons", samples=70_000, layers=(4096, 2), measure_samples=100))


def test_a_dataset_that_somebody_made_up_says_what_trains():
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    y, trains = np.arange(6) % 3, np.array([False, True, False, False, True, True])
    found = Dataset(x, y, x[:1], y[:1], None, trains, x[:2], y[:2])
    assert equal(found.training, (x[[1, 4, 5, 0, 1]], y[[1, 4, 5, 0, 1]]))
    assert found.classes == 3 and found.samples == 6
    assert forward(found.training[0], [(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))], "tanh")
