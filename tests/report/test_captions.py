"""Captions say what was estimated, how, in which unit and of which samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.layer import Layer
from ibtui.recording.files import save
from ibtui.report import read_runs, recorded
from ibtui.report.panels import Settings
from ibtui.report.words import chance_in_words, estimation_in_words, samples_in_words
from tests.report.making import CONFIG, needs_matplotlib, record, run
from tests.report.test_figure import words_of

TANH = (Layer("0", 3, "tanh"), Layer("1", 2, "tanh"))
RELU = (Layer("0", 3, "relu"), Layer("1", 2, "softmax"), Layer("2", 2, "linear"))


@pytest.mark.parametrize(
    ("settings", "layers", "tops", "words"),
    [
        ({"binning": "notebook", "t_bins": 29, "x": "identity"}, TANH, (),
         "notebook binning, T 29 bins, X: each sample"),
        ({"binning": "closed", "x": "grid"}, TANH, (), "closed binning, T 100 bins, X 4 bins per input"),
        ({"binning": "notebook", "x": "grid", "x_bins": 1}, RELU, (4.0, 0.0, 8.0),
         "notebook binning, T 100 bins on ranges up to 8 by layer, X 1 bin per input"),
        ({"binning": "closed", "x": "grid"}, RELU, (),
         "closed binning, T 100 bins on each measurement's own range, X 4 bins per input"),
        ({"binning": "adaptive", "x": "grid"}, RELU, (),
         "adaptive binning, T 100 bins, equal mass per unit, X 4 bins per input"),
        ({"binning": "pooled", "x": "identity"}, RELU, (),
         "pooled binning, T 100 bins, equal mass over the layer, X: each sample"),
        ({"binning": "width", "x": "identity"}, RELU, (), "T bins 0.07 wide, X: each sample"),
        ({"estimator": "kde", "binning": "width"}, RELU, (),
         "KDE, noise 0.001 (I(X;T): upper bound; I(T;Y): of upper bounds)"),
    ],
)  # fmt: skip
def test_an_estimation_in_words(settings, layers, tops, words):
    assert estimation_in_words(RunConfig(**settings), layers, tops) == words


@pytest.mark.parametrize(
    ("part", "samples", "of", "words"),
    [
        ("train", 500, 500, "500 training samples"),
        ("all", 4096, 4096, "4,096 samples, all"),
        ("all", 10_000, 70_000, "10,000 of 70,000 samples"),
        ("train", 10_000, 60_000, "10,000 of 60,000 training samples"),
        ("held-out", 820, 820, "820 samples held out"),
    ],
)
def test_the_samples_in_words(folder, part, samples, of, words):
    (made,), _ = read_runs([str(folder / "a.npz")], None, {})
    config = replace(made.config, measure_on=part)
    assert samples_in_words(replace(made, samples=samples, samples_of=of, config=config)) == words


def test_samples_that_train_and_are_not_measured_count(tmp_path):
    recording = record(CONFIG)
    data = replace(
        recording.dataset, x_rest=recording.dataset.x_test[:30], y_rest=recording.dataset.y_test[:30]
    )
    recording.experiment = replace(recording.experiment, dataset=data)
    assert recording.measured_of == 100 + 30


def test_titles_and_header_name_unit_and_estimator(folder, capsys):
    _, out, _ = run(capsys, folder / "a.npz", "--units", "bits")
    words = "notebook binning, T 100 bins, X 4 bins per input"
    for name in ("I(X;T)", "I(T;Y)"):
        assert f"─ {name}, bits, {words} ─" in out
    assert f"measured: 100 training samples · {words}" in " ".join(out.split())


@needs_matplotlib
def test_the_footnote_names_unit_and_estimator(folder, tmp_path, capsys):
    flags = ("--units", "bits", "--at", 60, "--out", tmp_path / "x.svg")
    assert run(capsys, folder / "a.npz", *flags)[0] == 0
    footnote = " ".join(words_of(tmp_path / "x.svg"))
    assert "measured: 100 training samples" in footnote
    assert "information in bits, notebook binning, T 100 bins, X 4 bins per input" in footnote


def test_a_setting_that_plays_no_part_is_said_to(folder, capsys):
    _, out, _ = run(capsys, folder / "a.npz", "--t-width", "0.5")
    assert "--t-width plays no part in notebook binning" in " ".join(out.split())


def test_runs_need_only_agree_in_what_decides_their_estimates(folder):
    (made,), _ = read_runs([str(folder / "a.npz")], None, {})
    other = replace(made, name="other", config=replace(made.config, t_width=0.5, kde_noise=0.1, units="bits"))
    assert recorded.check_comparable([made, other]) == []
    for name, value in {"t_bins": 30, "binning": "closed", "x": "identity", "estimator": "kde"}.items():
        config = replace(made.config, **{name: value})
        with pytest.raises(Exception, match=f"estimated with --{name.replace('_', '-')} {value}"):
            recorded.check_comparable([made, replace(made, config=config)])


@pytest.mark.slow
def test_kde_is_of_all_samples_and_has_the_mean_over_shuffles_as_its_chance_level(tmp_path):
    """A live estimate is of 1000 of them; the report's is made again."""
    recording = record(replace(CONFIG, samples=2100, epochs=5, estimator="kde", kde_noise=0.05))
    save(recording, tmp_path / "x.npz")
    assert np.isnan(recording.column("chance_i_ty")).all()
    (made,), _ = read_runs([str(tmp_path / "x.npz")], None, {})
    (again,), _ = read_runs([str(tmp_path / "x.npz")], None, {})
    assert made.columns["chance_i_ty"].tobytes() == again.columns["chance_i_ty"].tobytes()
    assert np.isnan(made.columns["chance_i_xt"]).all()
    y = recording.dataset.y
    for row in range(2):
        for layer, t in enumerate(recording.activations(row)):
            i_xt, i_ty = bounds(t, y, 0.05)
            assert made.columns["i_xt"][row, layer] == pytest.approx(i_xt, abs=1e-5)
            assert made.columns["i_ty"][row, layer] == pytest.approx(i_ty, abs=1e-5)
            assert recording.column("i_xt")[row, layer] != made.columns["i_xt"][row, layer]
    random = np.random.RandomState(0)
    shuffled = [bounds(t, random.permutation(y), 0.05)[1] for _ in range(20)]
    assert made.columns["chance_i_ty"][-1, -1] == pytest.approx(np.mean(shuffled), rel=1e-3)


def bounds(t: np.ndarray, y: np.ndarray, noise: float) -> tuple[float, float]:
    """I(X;T) and I(T;Y) from the upper bounds on entropies: Kolchinsky and Tracey (2017), equation 10."""

    def entropy(part: np.ndarray) -> float:
        distances = ((part[:, None] - part[None]) ** 2).sum(axis=2)
        return float(-np.log(np.exp(-distances / (2 * noise)).mean(axis=1)).mean())

    values = t.astype(np.float64)
    whole = entropy(values)
    return whole, whole - sum((y == label).mean() * entropy(values[y == label]) for label in (0, 1))


def test_the_chance_level_of_kde_is_said_to_be_a_mean(folder):
    (made,), _ = read_runs([str(folder / "a.npz")], None, {})
    columns = {**made.columns, "chance_i_xt": np.full_like(made.columns["i_xt"], np.nan)}
    kde = replace(made, columns=columns, config=replace(made.config, estimator="kde"))
    own = [q for q in made.quantities.values() if q.chance]
    assert chance_in_words([kde], own) == [
        "chance level of I(X;T) n/a",
        "chance level of I(T;Y): mean over 20 shuffles of the labels",
    ]
    assert chance_in_words([made], own) == []
    assert Settings.of(kde, {}).level == "estimate"
