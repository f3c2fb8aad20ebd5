"""The report in a terminal: what is drawn, and that no figure is wider or higher than the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.recording.files import save
from ibtui.report import read_runs, recorded
from ibtui.report.chart import Axis, charting, finite_stretches, reduced
from ibtui.report.display import Display
from ibtui.report.panels import Settings, panels
from ibtui.report.text import report_lines
from tests.marks import slow_sets
from tests.report.making import (
    CODE,
    CONFIG,
    drawn,
    record,
    refused,
    run,
)


@pytest.mark.parametrize(
    ("colours", "marker"),
    [
        ("none", "ascii"),
        ("truecolor", "block"),
        *slow_sets(("none", "braille"), ("16", "ascii"), ("256", "braille")),
    ],
)
@pytest.mark.parametrize(
    ("width", "height"),
    [(80, 23), *slow_sets((40, 20), (120, 39))],
)
def test_no_line_is_wider_than_the_terminal(folder, width, height, colours, marker):
    display, default = Display(width, height, colours, marker), Settings()
    asked = ("participation_ratio", "test_loss", "saturation", "outside", "moving_loss")
    for names, settings in (
        (["a"], Settings("bits", "excess", quantities=asked)),
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
    titles = [f"├─ {name}, nats, notebook binning, T 100 bins, X 4 bins" for name in ("I(X;T)", "I(T;Y)")]
    order = ["accuracy ─", *titles, "─ dimension ─"]
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
    inside = re.search(r"I\(T;Y\), nats,.*?└", curves, re.S)[0]
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
    assert CODE.sub("", coloured).count("epoch 0  class ⠿ 0  ⠿ 1  several") == 1


def test_of_many_classes_each_has_its_character_and_the_key_says_of_how_many(tmp_path):
    config = replace(CONFIG, data="gaussians:classes=12", layers=(12,))
    names = ("$x", "_y", "\x1b[2J", *(f"the {number}." for number in range(3, 12)))
    save(record(config, names=names), tmp_path / "many.npz")
    coloured = Display(width=200, colours="256")
    (key,) = (line for line in drawn([tmp_path / "many.npz"], coloured, at="0") if "several" in line)
    letters = "⠿⠿vsdpnzcuab"
    said = [f"{letter} {printable(name)}" for letter, name in zip(letters, names, strict=True)]
    assert CODE.sub("", key).rstrip() == f"epoch 0  class {'  '.join(said)}  several"
    (key,) = (line for line in drawn([tmp_path / "many.npz"], Display(width=60), at="0") if "several" in line)
    assert key.rstrip().endswith("vV \\x1b[2J  of 12  *# several") and key.startswith("epoch 0  class oO $x")


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
    panel = panels(made, Settings("bits", "excess"))[1]
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


@pytest.mark.parametrize("width", range(30, 120, 7))
def test_no_line_of_the_head_ends_or_begins_with_a_separator(folder, width):
    lines = [CODE.sub("", line).rstrip() for line in drawn([folder / "a.npz"], Display(width, 39))]
    head = lines[: lines.index("")]
    assert not [line for line in head if line.endswith("·") or line.lstrip().startswith("·")]
    facts = " ".join(line.strip() for line in head).replace(" · ", " ")
    for fact in (
        "measurements, epochs 0 to 60",
        "sgd lr 0.1",
        "batch 10",
        "seed 1",
        "grid 2",
        "notebook binning",
    ):
        assert fact in facts
    assert width < 60 or sum(line.count(" · ") for line in head) > 3
