"""`ibtui report`: the file's numbers in the figures and tables, and nothing else."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ibtui import cli
from ibtui.config import RunConfig
from ibtui.core.seeding import initial_parameters
from ibtui.data import make_dataset
from ibtui.errors import UsageError
from ibtui.plot import palette
from ibtui.quantities import Quantity
from ibtui.quantities.meter import quantities
from ibtui.recording import Checkpoint, Recording
from ibtui.recording.files import load, save
from ibtui.report import read_runs, recorded
from ibtui.report.chart import Axis, charting, finite_stretches, reduced
from ibtui.report.display import Display, display_of
from ibtui.report.figure import draw_figure
from ibtui.report.panels import Settings, panels
from ibtui.report.table import as_csv
from ibtui.report.text import report_lines
from ibtui.run.measuring import measure, meter_of, new_recording

CONFIG = RunConfig(epochs=60, every=5, samples=200)
DEFAULT = Settings()
PER_LAYER = [q.name for q in quantities() if q.per_layer]
PERFORMANCE = [q.name for q in quantities() if not q.per_layer]
CODE = re.compile("\x1b\\[[0-9;]*m")
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is an extra"
)


def record(
    config: RunConfig, drop: tuple[int, ...] = (), poison: int | None = None, sigma: float = 1.0
) -> Recording:
    """A recording of weights that move smoothly from one random draw to another."""
    recording = new_recording(config, make_dataset(config), 1 << 30)
    meter = meter_of(recording)
    start = initial_parameters(config.layers, inputs=2, sigma=sigma, seed=config.seed)
    stop = initial_parameters(config.layers, inputs=2, sigma=3 * sigma, seed=config.seed + 100)
    for epoch in range(0, config.epochs + 1, config.every):
        if epoch in drop:
            continue
        part = np.float32(epoch / config.epochs)
        state = {"moving_loss": np.array(0.1 * epoch if epoch else float("nan"))}
        for layer, ((v, b), (w, c)) in enumerate(zip(start, stop, strict=True)):
            weight = (1 - part) * v + part * w
            state[f"weight{layer}"] = weight * np.float32("nan") if epoch == poison else weight
            state[f"bias{layer}"] = (1 - part) * b + part * c
        recording.append(measure(recording, Checkpoint(epoch, state), meter))
    return recording


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a, b and c: three seeds. nan: b, diverged at 30. relu, deep: other nets. short: without 10, 20.

    huge: activations up to the largest float, infinite in the last layers.
    """
    folder = tmp_path_factory.mktemp("recordings")
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        save(record(replace(CONFIG, seed=seed)), folder / f"{name}.npz")
    save(record(replace(CONFIG, seed=2), poison=30), folder / "nan.npz")
    save(record(replace(CONFIG, layers=(3, 7, 1, 2), activation="relu")), folder / "relu.npz")
    save(record(replace(CONFIG, layers=(2, 2, 2))), folder / "three.npz")
    save(record(replace(CONFIG, layers=(2,) * 12)), folder / "deep.npz")
    save(record(replace(CONFIG, seed=5), drop=(10, 20)), folder / "short.npz")
    huge = replace(CONFIG, layers=(64,) * 6 + (2,), activation="relu")
    save(record(huge, sigma=1e6), folder / "huge.npz")
    save(record(replace(CONFIG, epochs=1, every=5)), folder / "one.npz")
    save(new_recording(CONFIG, make_dataset(CONFIG), 1), folder / "empty.npz")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.main(["report", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def drawn(
    paths: list[Path], display: Display, at: str | None = None, settings: Settings = DEFAULT
) -> list[str]:
    made, notes = read_runs([str(path) for path in paths], at, {})
    return report_lines(made, panels(made, settings), settings, notes, display)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which the command is refused."""
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("ibtui: ")
    assert err.count("\n") == 1
    return err


def table(text: str) -> dict[str, list[str]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    return {name: [row[name] for row in rows] for name in rows[0]}


# Tables.


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
    assert columns["file"] == [str(b)] * 52 + [str(a)] * 52
    assert columns["seed"] == ["2"] * 52 + ["1"] * 52
    assert [made["file"] for made in json.loads(also.read_text())["runs"]] == [str(b), str(a)]


def test_tables_are_in_nats_whatever_the_figures_are_in(folder, tmp_path, capsys):
    for flags in ((), ("--bits", "--excess")):
        assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.csv", "--force", *flags)[0] == 0
        with np.load(folder / "a.npz") as file:
            assert float(table((tmp_path / "x.csv").read_text())["i_ty"][0]) == file["i_ty"][0, 0]


# Any quantity.


def test_the_columns_of_a_table_are_a_quantity_and_then_its_chance_level(folder, tmp_path, capsys):
    assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.csv")[0] == 0
    assert (tmp_path / "x.csv").read_text().splitlines()[0].split(",") == [
        "file", "epoch", "layer", "i_xt", "chance_i_xt", "i_ty", "chance_i_ty", "dimension",
        "participation_ratio", "saturation", "occupancy", "outside", "train_accuracy", "test_accuracy",
        "train_loss", "test_loss", "moving_loss", "h_x", "h_y", "seed", "binning", "t_bins", "x_bins",
    ]  # fmt: skip


def test_any_quantity_may_have_a_panel_and_has_one_only(folder, capsys):
    asked = (
        "--quantity",
        "test_loss",
        "--quantity",
        "train_loss",
        "--participation-ratio",
        "--quantity",
        "i_xt",
    )
    status, out, _ = run(capsys, folder / "a.npz", *asked)
    assert status == 0
    assert [out.count(f"─ {title} ") for title in ("loss", "participation ratio", "I(X;T)")] == [1, 1, 1]
    with np.load(folder / "a.npz") as file:
        for key, name in (("train_loss", "train"), ("test_loss", "held out")):
            assert f"│ {name} {float(file[key][-1]):.2f}" in out


@pytest.mark.parametrize("out", [(), ("--out", "x.csv"), ("--out", "x.png")], ids=["drawn", "csv", "png"])
def test_a_quantity_that_was_not_measured_is_refused_with_those_that_were(folder, capsys, out):
    line = refused(capsys, folder / "a.npz", "--quantity", "spread", *out)
    assert "--quantity spread: there is i_xt, chance_i_xt, i_ty" in line
    assert not os.path.exists("x.csv")


FOREIGN = Quantity("rank", "rank of T", short="rk", unit="nats", low=None, ceiling="most", ceiling_label="M",
                   chance="low_rank")  # fmt: skip


def with_foreign(run: recorded.RecordedRun, **changes: object) -> recorded.RecordedRun:
    """A run that has measured what no package here knows; its chance level is half of it."""
    rank = 2 + run.columns["i_xt"]
    known = {**run.quantities, "rank": FOREIGN, "low_rank": Quantity("low_rank", "low rank", unit="nats")}
    columns = {**run.columns, "rank": rank, "low_rank": rank / 2}
    return replace(run, quantities=known, columns=columns, ceilings={**run.ceilings, "most": 6.0}, **changes)


def test_a_quantity_of_another_package_is_drawn_from_its_declaration(folder):
    made, _ = read_runs([str(folder / "a.npz")], "60", {})
    runs, settings = [with_foreign(made[0])], Settings(quantities=("rank",), bits=True)
    panel = panels(runs, settings)[-1]
    expected = (2 + made[0].columns["i_xt"][:, 3]) / np.log(2)
    np.testing.assert_allclose(panel.curves[3].values, expected, rtol=1e-12)
    np.testing.assert_allclose(panel.curves[3].chance, expected / 2, rtol=1e-12)
    assert (panel.title, panel.unit, panel.ceilings) == ("rank of T", "bits", (("M", 6 / np.log(2)),))
    assert 0 < panel.low < panel.curves[0].chance.min()  # it declares no lowest value
    text = "\n".join(report_lines(runs, panels(runs, settings), settings, [], Display(140)))
    assert re.search("^epoch 60 .* rank of T +chance", text, re.M)
    assert f"│ M {6 / np.log(2):.2f}" in text
    assert "─ rank of T  bits ─" in text
    excess = panels(runs, replace(settings, excess=True))[-1]
    np.testing.assert_allclose(excess.curves[3].values, expected / 2, rtol=1e-12)


def test_runs_share_what_all_of_them_have_measured(folder):
    made, _ = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], None, {})
    runs = [with_foreign(made[0]), made[1]]
    with pytest.raises(UsageError, match="--quantity rank: there is i_xt"):
        panels(runs, Settings(quantities=("rank",)))
    columns = table(as_csv(runs))
    assert columns["rank"][0] == str(2 + made[0].columns["i_xt"][0, 0])
    assert columns["rank"][-1] == ""


@needs_matplotlib
def test_layers_that_cannot_be_had_here_are_left_out(folder):
    made, _ = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], None, {})
    settings, without = Settings(), replace(made[0], representations=())
    for runs, count in (([without], 0), ([without, made[1]], 1)):
        drawn = panels(runs, settings)
        text = "\n".join(report_lines(runs, drawn, settings, [], Display()))
        assert "information plane" in text
        assert text.count("layer 3  dim ") == text.count("class oO") == count
        assert draw_figure(runs, drawn, settings, [], "svg").count(b"<!-- dim ") == 4 * count


# Another binning.


@pytest.mark.parametrize("budget", [1 << 30, 1], ids=["activations stored", "derived from the weights"])
@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        (["--t-bins", "30"], {"t_bins": 30}),
        (["--x-bins", "7", "--binning", "closed"], {"x_bins": 7, "binning": "closed"}),
        (["--binning", "adaptive", "--t-bins", "5"], {"binning": "adaptive", "t_bins": 5}),
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
    assert "notebook binning, T 30, X 4; recorded with notebook, T 100, X 4" in " ".join(out.split())


# In the terminal.


@pytest.mark.parametrize(
    ("colours", "marker"),
    [("none", "ascii"), ("none", "braille"), ("truecolor", "block"), ("16", "ascii"), ("256", "braille")],
)
@pytest.mark.parametrize(("width", "height"), [(40, 20), (80, 23), (120, 39)])
def test_no_line_is_wider_than_the_terminal(folder, width, height, colours, marker):
    display, default = Display(width, height, colours, marker), Settings()
    asked = ("participation_ratio", "test_loss", "saturation", "outside", "moving_loss")
    for names, settings in (
        (["a"], Settings(bits=True, excess=True, quantities=asked)),
        (["a", "b", "nan"], default), (["relu"], default), (["deep"], default),
    ):  # fmt: skip
        lines = drawn([folder / f"{name}.npz" for name in names], display, "60", settings)
        bare = [CODE.sub("", line) for line in lines]
        assert max(map(len, bare)) <= width
        assert ("\x1b" in "".join(lines)) == (colours != "none")
        if marker == "ascii":
            assert "".join(bare).isascii()


def test_the_figures_are_all_there_and_the_numbers_are_the_newest_of_the_file(folder):
    text = "\n".join(drawn([folder / "a.npz"], Display(120, 39), at="0,60"))
    order = ["accuracy ─", "├─ I(X;T)  nats ─", "├─ I(T;Y)  nats ─", "─ dimension ─"]
    places = [text.rindex(title) for title in (*order, "epoch 0  class", "epoch 60\n")]
    assert places == sorted(places)
    assert "information plane" in text
    assert text.count("layer 3  dim") == 2
    with np.load(folder / "a.npz") as file:
        for layer in range(4):
            row = re.search(rf"^layer {layer} +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)", text, re.M)
            keys = ("i_xt", "chance_i_xt", "i_ty", "chance_i_ty", "dimension", "participation_ratio")
            for shown, key in zip(row.groups(), keys, strict=True):
                assert float(shown) == pytest.approx(file[key][-1, layer], abs=0.006)
        assert f"H(X) {float(file['h_x']):.2f}" in text


def test_each_figure_fits_the_height_of_the_terminal(folder):
    for height in (23, 39):
        lines = drawn([folder / "a.npz"], Display(80, height))
        lengths = [len(block.splitlines()) for block in "\n".join(lines).split("\n\n")]
        assert max(lengths) <= height
        assert len(lengths) == 3 + 2 + 6


def test_a_flat_line_is_drawn_at_its_height():
    """A plot of 9 rows from 0 to 8: the value 6 is in the third row from the top."""
    x, y = Axis(0, 10, []), Axis(0, 8, [(0, "0"), (8, "8")])
    with charting(24, 9, x, y, Display(marker="ascii")) as chart:
        chart.line(np.array([0.0, 5.0, 10.0]), np.array([6.0, 6.0, 6.0]), 24, "1")
        lines = [line.plain for line in chart.lines("title")]
    assert [row for row, line in enumerate(lines) if "1" in line] == [3]
    assert lines[3].count("1") == chart.columns


def test_layers_keep_their_colours_and_are_named_at_their_ends(folder):
    lines = drawn([folder / "a.npz"], Display(120, 39, "truecolor"))
    inks = palette.styles("truecolor")
    for layer in range(4):
        red, green, blue = inks[palette.of_layer(layer)].color.get_truecolor()
        colour = f"{red};{green};{blue}"
        ends = [line for line in lines if re.search(rf"\x1b\[38;2;{colour}m {layer} \d", line)]
        assert len(ends) == 3  # I(X;T), I(T;Y), dimension


def test_without_colours_layers_and_classes_have_characters_of_their_own(folder):
    text = "\n".join(drawn([folder / "a.npz"], Display(100, 40), at="60"))
    curves, scatters = text.split("epoch 60  class")
    inside = re.search(r"I\(T;Y\)  nats .*?└", curves, re.S)[0]
    plot = "".join(line.split("│")[1] for line in inside.splitlines() if line.count("│") == 2)
    assert {"0", "1", "2", "3"} <= set(plot)
    assert {"o", "x"} <= set(scatters)


def scattered(points: np.ndarray, labels: np.ndarray, display: Display) -> list[tuple[str, list[int]]]:
    """Characters and the numbers of their colours inside a chart of 3 by 1 cells; the one behind is last."""
    with charting(6, 1, Axis(0, 3, [(0, "0")]), Axis(0, 1, [(0, "0")]), display) as chart:
        chart.samples(points, labels)
        line = chart.lines("")[1]
    looks = [line.get_style_at_offset(Console(), at) for at in range(len(line))]
    return [
        (char, [colour.number for colour in (look.color, look.bgcolor) if colour])
        for char, look in list(zip(line.plain, looks, strict=True))[2:-1]
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_cell_where_classes_meet_is_of_neither_whichever_comes_last(turn):
    """20 samples of class 0 and 3 of class 1 in one cell, 4 and 1 of one class each in the others."""
    points = np.array([[0.5, 0.5]] * 23 + [[1.5, 0.5]] * 4 + [[2.5, 0.5]])[::turn]
    labels = np.array([0] * 20 + [1] * 3 + [0] * 4 + [1])[::turn]
    inks = [palette.MIXED, palette.of_class(0), palette.of_class(1)]
    colours = [[palette.styles("256")[ink].color.number] for ink in inks]
    for display in (Display(), Display(marker="ascii")):
        assert "".join(char for char, _ in scattered(points, labels, display)) == "#Ox"
    display = Display(colours="256", marker="ascii")
    assert scattered(points, labels, display) == list(zip("#Ox", colours, strict=True))
    for marker in ("braille", "block"):
        row = scattered(points, labels, Display(colours="256", marker=marker))
        assert [colour for _, colour in row] == colours


def test_a_half_block_of_two_classes_shows_both():
    points, labels = np.array([[0.5, 0.1], [0.5, 0.9]]), np.array([0, 1])
    styles = palette.styles("256")
    both = [styles[palette.of_class(label)].color.number for label in (1, 0)]
    assert scattered(points, labels, Display(colours="256", marker="block"))[0] == ("▀", both)


def test_the_first_scatters_say_which_character_or_colour_is_which_class(folder):
    lettered = "\n".join(drawn([folder / "a.npz"], Display(), at="0,60"))
    key = "class oO 0  xX 1  *# several"
    assert [line for line in lettered.splitlines() if "several" in line] == [
        f"epoch 0  {key}  the latter: four samples or more"
    ]
    assert f"epoch 0  {key}\n" in "\n".join(drawn([folder / "a.npz"], Display(width=40), at="0"))
    coloured = "\n".join(drawn([folder / "a.npz"], Display(colours="256"), at="0,60"))
    assert CODE.sub("", coloured).count("epoch 0  class 0  class 1  several") == 1


def test_several_runs_are_averaged_on_their_common_epochs(folder):
    paths = [folder / f"{name}.npz" for name in ("a", "short", "c")]
    made, _ = read_runs([str(path) for path in paths], None, {})
    curve = panels(made, Settings())[1].curves[2]
    files = [np.load(path) for path in paths]
    kept = [e for e in range(0, 61, 5) if e not in (10, 20)]
    assert curve.epochs.tolist() == kept
    values = np.array([[f["i_xt"][f["epoch"].tolist().index(e), 2] for e in kept] for f in files])
    np.testing.assert_allclose(curve.values, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(curve.spread, values.std(axis=0, ddof=1), rtol=1e-12)
    assert [epochs.tolist() for epochs, _ in curve.runs] == [f["epoch"].tolist() for f in files]
    text = "\n".join(drawn(paths, Display(120, 39)))
    assert "mean ± standard deviation over 3 runs" in text
    assert f"{values[:, -1].mean():.2f} ± {values[:, -1].std(ddof=1):.2f}" in text


def of_two(folder: Path, *changes: dict[str, object]) -> str:
    """The report over a and b, changed like this."""
    made, notes = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], None, {})
    made = [replace(run, **change) for run, change in zip(made, changes, strict=True)]
    settings = Settings()
    return "\n".join(report_lines(made, panels(made, settings), settings, notes, Display(width=120)))


def ceilings(h_x: float, h_y: float) -> dict[str, object]:
    return {"ceilings": {"h_x": h_x, "h_y": h_y}}


def test_ceilings_that_read_the_same_are_said_once(folder):
    text = of_two(folder, ceilings(2.7601, 0.693), ceilings(2.7599, 0.691))
    assert "ceilings H(X) 2.76, H(Y) 0.69 " in text
    assert text.count("│ H(X) 2.76") == 1
    assert "ceilings H(X) 2.66, H(X) 2.76, H(Y) 0.69 " in of_two(
        folder, ceilings(2.7601, 0.69), ceilings(2.66, 0.69)
    )


def test_where_only_some_of_the_runs_have_a_value_there_is_no_mean_and_it_says_how_many(folder):
    made, _ = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], None, {})
    without = [{key: values.copy() for key, values in run.columns.items()} for run in made]
    without[0]["dimension"][-1, 2:] = without[1]["dimension"][-1, 3] = np.nan
    text = of_two(folder, *({"columns": columns} for columns in without))
    assert "n/a ±" not in text
    rows = [re.search(rf"^layer {layer} .*", text, re.M)[0] for layer in range(4)]
    cells = [re.split(r"  +", row)[5] for row in rows]
    assert [bool(re.fullmatch(r"\d\.\d+ ± \d\.\d+", cell)) for cell in cells] == [True, True, False, False]
    assert cells[2:] == ["1 of 2", "n/a"]
    assert "no mean where only some of the runs have a value" in text
    assert "no mean" not in of_two(folder, {}, {})


def test_excess_and_bits(folder):
    made, _ = read_runs([str(folder / "a.npz")], None, {})
    panel = panels(made, Settings(bits=True, excess=True))[1]
    with np.load(folder / "a.npz") as file:
        expected = (file["i_xt"] - file["chance_i_xt"])[:, 1] / np.log(2)
    np.testing.assert_allclose(panel.curves[1].values, expected, rtol=1e-12, atol=1e-15)
    assert panel.unit == "bits"
    assert panel.ceilings == (("chance", 0.0),)


def test_a_value_that_is_none_is_a_gap():
    x, y = np.arange(6.0), np.array([1, np.nan, 2, 3, np.inf, 4])
    stretches = [(a.tolist(), b.tolist()) for a, b in finite_stretches(x, y)]
    assert stretches == [([0], [1]), ([2, 3], [2, 3]), ([5], [4])]


def test_reducing_a_long_curve_loses_no_spike():
    x = np.arange(10_000.0)
    y = np.zeros(10_000)
    y[[1234, 7777]] = 5, -5
    kept_x, kept_y = reduced(x, y, 50)
    assert len(kept_x) <= 4 * 51
    assert {1234.0, 7777.0, 0.0, 9999.0} <= set(kept_x.tolist())
    assert (kept_y == y[kept_x.astype(int)]).all()


# Epochs.


def test_an_epoch_that_was_not_measured_gives_the_nearest_and_says_so(folder, capsys):
    status, out, _ = run(capsys, folder / "a.npz", "--at", "12,60")
    assert status == 0
    assert "epoch 12 was not measured; 10 is the nearest that was" in " ".join(out.split())
    assert re.findall(r"^epoch ([\d,]+)(?:$|  class)", out, re.M) == ["10", "60"]


def test_by_default_early_epochs_are_shown_more_often():
    epochs = np.arange(0, 2001, 10)
    rows = recorded.default_rows(epochs)
    assert epochs[rows].tolist() == [0, 10, 40, 140, 530, 2000]
    assert recorded.default_rows(np.array([7])) == [0]
    assert recorded.default_rows(np.array([0, 5, 6])) == [0, 1, 2]


@pytest.mark.parametrize("at", ["61", "0,100000", "x", "", "1,,2", "-5", "1.5", ",".join(["1"] * 99)])
def test_epochs_that_cannot_be_are_refused(folder, capsys, at):
    assert "--at" in refused(capsys, folder / "a.npz", "--at", at)


# Pictures.


@needs_matplotlib
@pytest.mark.parametrize(
    "names", [["a"], ["a", "b", "nan"], ["relu"], ["deep"], ["one"], ["huge"]], ids="-".join
)
def test_png_is_a_picture_of_a_sane_size_and_the_same_each_time(folder, tmp_path, capsys, names):
    paths = [folder / f"{name}.npz" for name in names]
    at = () if names == ["one"] else ("--at", "0,60")
    assert run(capsys, *paths, "--out", tmp_path / "1.png", "--out", tmp_path / "2.png", *at)[0] == 0
    first, second = ((tmp_path / out).read_bytes() for out in ("1.png", "2.png"))
    assert first == second
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(first))
    height, width, _ = pixels.shape
    assert width == 1440
    assert 1000 < height < 5000
    ink = (pixels[..., :3] < 0.9).any(axis=2)
    assert 0.01 < ink.mean() < 0.4
    assert not ink[:, :3].any()  # nothing is cut off at the edges
    assert not ink[:, -3:].any()
    assert not ink[:3].any()
    assert not ink[-3:].any()


def words_of(svg: Path) -> list[str]:
    return re.findall("<!-- (.*) -->", svg.read_text())


@needs_matplotlib
def test_where_the_chance_level_is_0_the_key_and_the_curves_name_it_and_not_the_plane(
    folder, tmp_path, capsys
):
    for out, flags in (("x.svg", ("--excess",)), ("y.svg", ("--excess", "--bits"))):
        assert run(capsys, folder / "a.npz", "--out", tmp_path / out, *flags)[0] == 0
        assert words_of(tmp_path / out).count("chance") == 3


@needs_matplotlib
def test_what_is_not_finite_is_said_in_its_place(folder, tmp_path, capsys):
    assert run(capsys, folder / "huge.npz", "--out", tmp_path / "x.svg", "--at", 0)[0] == 0
    words = words_of(tmp_path / "x.svg")
    assert words.count("no finite activations") == words.count("dim n/a") == 2
    for display in (Display(), Display(width=250)):
        text = "\n".join(drawn([folder / "huge.npz"], display, "0"))
        said = "no finite activations" if display.width > 100 else "not finite"
        assert text.count(said) == 2
        assert not re.search("[\\w./]─", text)  # no number in a title is cut


@needs_matplotlib
def test_svg_and_pdf_are_whole_and_undated(folder, tmp_path, capsys):
    from xml.etree import ElementTree

    for out in ("x.svg", "x.pdf"):
        flags = ("--participation-ratio", "--at", 60)
        assert run(capsys, folder / "a.npz", "--out", tmp_path / out, *flags)[0] == 0
    svg = (tmp_path / "x.svg").read_text()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    for word in ("accuracy", "dimension", "participation ratio", "information plane", "layer 3", "epoch 60"):
        assert f"<!-- {word}" in svg, word
    assert "<dc:date>" not in svg
    pdf = (tmp_path / "x.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"CreationDate" not in pdf


@needs_matplotlib
def test_a_picture_has_the_colours_of_the_screen(folder, tmp_path, capsys):
    run(capsys, folder / "a.npz", "--out", tmp_path / "x.svg", "--at", 60)
    svg = (tmp_path / "x.svg").read_text()
    inks = palette.styles("truecolor")
    for ink in (*map(palette.of_layer, range(4)), *map(palette.of_class, range(2))):
        assert inks[ink].color.get_truecolor().hex in svg


def test_without_matplotlib_the_extra_is_named(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert ".[report]" in refused(capsys, folder / "a.npz", "--out", tmp_path / "x.png")
    assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.csv")[0] == 0


# What is refused.


def test_what_cannot_be_read_is_refused_by_name(folder, tmp_path, capsys):
    (tmp_path / "text.npz").write_text("no recording")
    assert "text.npz" in refused(capsys, tmp_path / "text.npz")
    assert "gone.npz: No such file" in refused(capsys, folder / "a.npz", tmp_path / "gone.npz")
    assert "no measurement" in refused(capsys, folder / "empty.npz")
    assert "three.npz: it has 3 layers" in refused(capsys, folder / "a.npz", folder / "three.npz")
    again = folder / ".." / folder.name / "a.npz"
    assert "a.npz: given twice" in refused(capsys, folder / "a.npz", folder / "b.npz", again)
    refused(capsys)


def test_runs_estimated_differently_are_not_averaged(folder, tmp_path, capsys):
    save(record(replace(CONFIG, seed=8, t_bins=30)), tmp_path / "x.npz")
    line = refused(capsys, folder / "a.npz", tmp_path / "x.npz")
    assert "x.npz: estimated with --t-bins 30" in line
    assert run(capsys, folder / "a.npz", tmp_path / "x.npz", "--t-bins", 30)[0] == 0


@pytest.mark.parametrize(
    "flags", [("--t-bins", "0"), ("--x-bins", "a"), ("--binning", "b"), ("--marker", "z")]
)
def test_settings_outside_their_domain_are_refused_by_name(folder, capsys, flags):
    assert f"{flags[0]} {flags[1]}: must be" in refused(capsys, folder / "a.npz", *flags)


def test_nothing_is_overwritten_unless_forced_and_nothing_is_left_behind(folder, tmp_path, capsys):
    out = tmp_path / "x.csv"
    out.write_text("precious")
    assert "--force" in refused(capsys, folder / "a.npz", "--out", out)
    assert out.read_text() == "precious"
    assert run(capsys, folder / "a.npz", "--out", out, "--force")[0] == 0
    assert out.read_text().startswith("file,epoch,layer,")
    refused(capsys, folder / "three.npz", folder / "a.npz", "--out", tmp_path / "y.csv")
    refused(capsys, folder / "a.npz", "--out", tmp_path / "y.gif")
    refused(capsys, folder / "a.npz", "--out", tmp_path / "no" / "y.csv")
    assert os.listdir(tmp_path) == ["x.csv"]


# As a command.


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "TERM", "NO_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "ibtui", "report", *map(str, arguments)],
        capture_output=True,
        env=plain | environment,
        timeout=120,
    )


def test_piped_it_is_a_hundred_columns_of_plain_text(folder):
    done = command(folder / "a.npz", PYTHONIOENCODING="utf-8", COLUMNS="33", TERM="xterm-256color")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert max(map(len, text.splitlines())) == 100
    assert "\x1b" not in text
    assert re.search("[⠁-⣿]", text)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_without_unicode_gets_ascii(folder, environment):
    done = command(folder / "a.npz", **{"PYTHONIOENCODING": "utf-8"} | environment)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"information plane" in done.stdout


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none"),
        ({"TERM": "dumb"}, "none"),
    ],
)
def test_the_display_follows_the_terminal(monkeypatch, environment, colours):
    for name in ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "91")
    monkeypatch.setenv("LINES", "31")
    display = display_of(Terminal(), os.environ)
    expected = "ascii" if environment["TERM"] == "dumb" else "braille"
    assert display == Display(91, 30, colours, expected)


def test_plotext_is_left_as_it_was(folder):
    import plotext

    drawn([folder / "a.npz"], Display(80, 23))
    assert set(plotext.figure.build().string(True)) <= set("┌─┐│└┘ \n")
