"""Tables hold the file's numbers and nothing else, with the binning of the file or another one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ibtui.recording.files import load, save
from ibtui.report import recorded
from tests.report.making import (
    CONFIG,
    PER_LAYER,
    PERFORMANCE,
    record,
    refused,
    run,
    table,
)


@pytest.mark.parametrize("name", ["a", "nan", "relu"])
def test_csv_has_the_numbers_of_the_file_to_the_bit(folder, tmp_path, capsys, name):
    out = tmp_path / "x.csv"
    assert run(capsys, folder / f"{name}.npz", "--out", out)[0] == 0
    columns = table(out.read_text())
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        measurements, layers = file["i_xt"].shape
        assert columns["epoch"] == [str(e) for e in file["epoch"] for _ in range(layers)]
        assert columns["layer"] == [str(i) for i in range(layers)] * measurements
        for key in PER_LAYER:
            numbers = np.array(columns[key], file[key].dtype).reshape(measurements, layers)
            assert numbers.tobytes() == file[key].tobytes(), key
        for key in PERFORMANCE:
            numbers = np.array(columns[key], float).reshape(measurements, layers)
            assert numbers.tobytes() == np.repeat(file[key][:, None], layers, 1).tobytes(), key
        for key in ("h_x", "h_y"):
            assert {float(v) for v in columns[key]} == {float(file[key])}
    if name == "nan":
        assert columns["i_xt"][6 * 4] == "nan"


def test_json_has_the_numbers_of_the_file_to_the_bit_and_null_for_nan(folder, tmp_path, capsys):
    out = tmp_path / "x.json"
    assert run(capsys, folder / "nan.npz", "--out", out)[0] == 0
    text = out.read_text()
    assert "NaN" not in text
    (made,) = json.loads(text)["runs"]
    with np.load(folder / "nan.npz", allow_pickle=False) as file:
        assert made["i_xt"][6] == [None] * 4
        assert made["moving_loss"][0] is None
        for key in (*PER_LAYER, *PERFORMANCE, "epoch", "h_x", "h_y"):
            assert np.array(made[key], file[key].dtype).tobytes() == file[key].tobytes(), key
        assert made["config"] == json.loads(str(file["config"]))


def test_tables_of_several_files_say_which_row_is_whose(folder, tmp_path, capsys):
    a, b, out, also = folder / "a.npz", folder / "b.npz", tmp_path / "x.csv", tmp_path / "x.json"
    assert run(capsys, b, a, "--out", out, "--out", also)[0] == 0
    columns = table(out.read_text())
    assert columns["file"] == [str(b)] * 52 + [str(a)] * 52 + ["mean"] * 52 + ["standard deviation"] * 52
    assert columns["seed"] == ["2"] * 52 + ["1"] * 52 + [""] * 104
    assert set(columns["t_bins"]) == {"100"}
    assert [made["file"] for made in json.loads(also.read_text())["runs"]] == [str(b), str(a)]


def test_of_several_files_tables_hold_the_mean_and_its_spread_at_the_epochs_of_all(folder, tmp_path, capsys):
    paths = [folder / f"{name}.npz" for name in ("a", "short", "nan")]
    flags = ("--out", tmp_path / "x.csv", "--out", tmp_path / "x.json")
    assert run(capsys, *paths, *flags)[0] == 0
    columns, made = table((tmp_path / "x.csv").read_text()), json.loads((tmp_path / "x.json").read_text())
    files = [dict(np.load(path, allow_pickle=False)) for path in paths]
    epochs = [epoch for epoch in range(0, 61, 5) if epoch not in (10, 20)]
    for name, over in (("mean", np.mean), ("standard deviation", lambda v, axis: np.std(v, axis, ddof=1))):
        assert made[name]["epoch"] == epochs
        rows = [at for at, file in enumerate(columns["file"]) if file == name]
        assert [columns["epoch"][at] for at in rows[::4]] == [str(epoch) for epoch in epochs]
        for key in (*PER_LAYER, *PERFORMANCE):
            values = np.array([f[key][np.isin(f["epoch"], epochs)] for f in files])
            expected = over(values, axis=0)
            np.testing.assert_allclose(np.array(made[name][key], float), expected, rtol=1e-12)
            flat = expected if expected.ndim == 2 else np.repeat(expected[:, None], 4, 1)
            written = np.array([columns[key][at] for at in rows], float).reshape(len(epochs), 4)
            np.testing.assert_allclose(written, flat, rtol=1e-12)
    assert run(capsys, paths[0], "--out", tmp_path / "one.json")[0] == 0
    assert json.loads((tmp_path / "one.json").read_text()).keys() == {"units", "runs"}


def test_tables_are_in_nats_whatever_the_figures_are_in(folder, tmp_path, capsys):
    for flags in ((), ("--level", "excess", "--units", "bits")):
        assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.csv", "--force", *flags)[0] == 0
        with np.load(folder / "a.npz") as file:
            assert float(table((tmp_path / "x.csv").read_text())["i_ty"][0]) == file["i_ty"][0, 0]


@pytest.mark.parametrize("budget", [1 << 30, 1], ids=["activations stored", "derived from the weights"])
@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        (["--t-bins", "30"], {"t_bins": 30}),
        (["--x-bins", "7", "--binning", "closed"], {"x_bins": 7, "binning": "closed"}),
        (["--binning", "adaptive", "--t-bins", "5"], {"binning": "adaptive", "t_bins": 5}),
        (["--binning", "width", "--t-width", "0.2"], {"binning": "width", "t_width": 0.2}),
        (["--binning", "pooled", "--t-bins", "30"], {"binning": "pooled", "t_bins": 30}),
        (["--x", "identity"], {"x": "identity"}),
        (["--estimator", "kde", "--kde-noise", "0.01"], {"estimator": "kde", "kde_noise": 0.01}),
    ],
)
def test_a_re_estimated_report_equals_that_of_a_run_recorded_so(
    folder, tmp_path, capsys, flags, setting, budget
):
    recording = load(folder / "a.npz", history_bytes=budget)
    assert bool(recording.stored) == (budget > 1)
    save(recording, tmp_path / "x.npz")
    save(record(replace(CONFIG, **setting)), tmp_path / "recorded.npz")
    assert run(capsys, tmp_path / "x.npz", "--out", tmp_path / "1.csv", *flags)[0] == 0
    assert run(capsys, tmp_path / "recorded.npz", "--out", tmp_path / "2.csv")[0] == 0
    ours, theirs = table((tmp_path / "1.csv").read_text()), table((tmp_path / "2.csv").read_text())
    assert ours.pop("file") != theirs.pop("file")
    assert ours == theirs
    with np.load(folder / "a.npz") as file:
        assert float(ours["i_xt"][0]) != file["i_xt"][0, 0]


def test_re_estimation_measures_the_stored_activations_where_there_are_any(tmp_path, capsys):
    recording = record(CONFIG)
    other = record(replace(CONFIG, seed=9))
    swapped = {row: other.activations(row) for row in recording.stored}
    recording.fill({name: recording.column(name) for name in recording.names}, swapped)
    save(recording, tmp_path / "x.npz")
    save(other, tmp_path / "other.npz")
    for name in ("x", "other"):
        flags = ("--out", tmp_path / f"{name}.csv", "--t-bins", 20)
        assert run(capsys, tmp_path / f"{name}.npz", *flags)[0] == 0
    ours, theirs = (table((tmp_path / f"{name}.csv").read_text()) for name in ("x", "other"))
    assert ours["i_xt"] == theirs["i_xt"]


def test_the_report_says_which_binning_it_uses_and_which_was_recorded(folder, capsys):
    _, out, _ = run(capsys, folder / "a.npz", "--t-bins", 30)
    words = "notebook binning, T {} bins, X 4 bins per input"
    assert f"{words.format(30)}; recorded with {words.format(100)}" in " ".join(out.split())


def test_layers_are_drawn_for_pictures_alone_but_their_epochs_are_checked(
    folder, tmp_path, capsys, monkeypatch
):
    drawn = []
    monkeypatch.setattr(recorded, "of_row", lambda *_: drawn.append(1))
    for out in ("x.csv", "x.json"):
        assert run(capsys, folder / "a.npz", "--out", tmp_path / out, "--at", "0,60")[0] == 0
    assert not drawn
    assert "--at 61" in refused(capsys, folder / "a.npz", "--out", tmp_path / "y.csv", "--at", "61")
