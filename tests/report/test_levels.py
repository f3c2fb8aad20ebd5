"""Information as estimated, in excess of its chance level, and as a share of what is beyond that."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui.quantities.levels import LEVELS
from ibtui.report import read_runs
from ibtui.report.display import Display
from ibtui.report.figure import draw_figure
from ibtui.report.panels import Panel, Settings, panels
from ibtui.report.recorded import RecordedRun
from ibtui.report.text import report_lines
from tests.report.making import drawn, needs_matplotlib, refused, run
from tests.report.test_figure import words_of


def of(folder: Path, names: str, settings: Settings) -> tuple[list[RecordedRun], list[Panel]]:
    runs, _ = read_runs([str(folder / f"{name}.npz") for name in names], None, {})
    return runs, panels(runs, settings)


@pytest.mark.parametrize(("key", "ceiling"), [("i_xt", "h_x"), ("i_ty", "h_y")])
@pytest.mark.parametrize("names", ["a", "abc"])
def test_excess_and_share_are_those_of_each_measurement(folder, names, key, ceiling):
    files = [np.load(folder / f"{name}.npz") for name in names]
    for level in ("excess", "share"):
        _, made = of(folder, names, Settings("bits", level))
        panel = next(panel for panel in made if panel.key == key)
        for layer, curve in enumerate(panel.curves):
            for at in range(13):
                values, ceilings = [], []
                for file in files:
                    over = float(file[key][at, layer]) - float(file[f"chance_{key}"][at, layer])
                    most = float(file[ceiling]) - float(file[f"chance_{key}"][at, layer])
                    share = over / most if most > 0.01 * float(file[ceiling]) else math.nan
                    values.append(share if level == "share" else over / math.log(2))
                    ceilings.append(most / math.log(2))
                mean = pytest.approx(sum(values) / len(values), rel=1e-9, abs=1e-11, nan_ok=True)
                assert curve.values[at] == mean
                if level == "excess":
                    assert curve.faint[at] == pytest.approx(
                        sum(ceilings) / len(ceilings), rel=1e-9, abs=1e-11, nan_ok=True
                    )
            assert (curve.faint is None) == (level == "share")
        assert panel.ceilings == (("chance", 0.0),)


def test_a_share_goes_from_0_to_1_and_has_no_unit(folder):
    _, made = of(folder, "a", Settings("bits", "share"))
    for panel in made[1:3]:
        least = min(curve.extremes[0] for curve in panel.curves)
        assert (panel.low, panel.high, panel.unit) == (min(least, 0.0), 1.0, "")
        assert panel.low > -0.1
        assert panel.title.endswith(", share of H − chance")
    assert made[3].unit == made[3].faint == ""  # the dimension is as ever
    runs, _ = of(folder, "a", Settings())
    columns = {**runs[0].columns, "i_xt": runs[0].columns["chance_i_xt"] - 0.1}
    assert -0.25 <= panels([replace(runs[0], columns=columns)], Settings(level="share"))[1].low < 0


def test_the_axis_of_an_excess_has_room_for_its_ceilings(folder):
    _, made = of(folder, "a", Settings(level="excess"))
    tops = [np.nanmax(curve.faint) for curve in made[1].curves]
    assert made[1].high > max(tops) > max(np.nanmax(curve.values) for curve in made[1].curves)


def test_the_report_names_the_level_and_what_the_lines_are(folder):
    texts = {
        level: "\n".join(drawn([folder / "a.npz"], Display(120, 39), "60", Settings("bits", level)))
        for level in LEVELS
    }
    keys = {level: re.search(r"^layer 0 1 2 3 +(.*)$", text, re.M)[1] for level, text in texts.items()}
    assert keys == {
        "estimate": "···· chance level   ╌╌╌╌ ceiling",
        "excess": "···· ceiling   ╌╌╌╌ chance level",
        "share": "╌╌╌╌ chance level",
    }
    for level, title in (
        ("estimate", "─ I(X;T), bits, notebook"),
        ("excess", "─ I(X;T) − chance, bits, notebook"),
        ("share", "─ I(X;T), share of H − chance, notebook"),
    ):
        assert title in texts[level]
    assert [text.count("│ chance") for text in texts.values()] == [0, 2, 2]
    assert "share: (I − chance) / (H − chance)" in texts["share"]
    assert "I less its chance level" in texts["excess"]
    heads = {level: re.search(r"^epoch 60 .*$", text, re.M)[0].split() for level, text in texts.items()}
    assert heads["estimate"].count("chance") == heads["excess"].count("ceiling") == 2
    assert "information plane, I(T;Y) over" not in texts["estimate"]


def without_chance(run: RecordedRun) -> RecordedRun:
    """A run of which chance says nothing, as where X is each sample."""
    nan = np.full_like(run.columns["i_xt"], np.nan)
    columns = {**run.columns, "chance_i_xt": nan}
    return replace(run, columns=columns, config=replace(run.config, x="identity"))


@pytest.mark.parametrize("level", LEVELS)
def test_where_chance_says_nothing_it_is_not_drawn_and_that_is_said(folder, level):
    runs, _ = of(folder, "a", Settings())
    settings = Settings(level=level)
    runs = [without_chance(runs[0])]
    made = panels(runs, settings)
    text = "\n".join(report_lines(runs, made, settings, [], Display(120, 39)))
    assert "chance level of I(X;T) n/a: every sample has a cell of its own" in text
    assert made[1].empty == (level != "estimate")
    assert ("    n/a    " in text.split("─ I(X;T)")[1].split("─ I(T;Y)")[0]) == (level != "estimate")
    assert all(math.isfinite(end) for panel in made for end in (panel.low, panel.high))
    first = re.search(r"^layer 0 +(\S+) +(\S+)", text, re.M)
    assert (first[1] == "n/a") == (level != "estimate")
    assert "n/a" not in re.search(r"^epoch 60 .*$", text, re.M)[0]
    # I(T;Y) has a chance level, which the key still names.
    assert ("···· chance level" in text) == (level == "estimate")
    assert [panel.faint for panel in made[1:3]] == [
        "",
        {"estimate": "chance", "excess": "ceiling", "share": ""}[level],
    ]


@needs_matplotlib
@pytest.mark.slow
@pytest.mark.parametrize("level", ["excess", "share"])
def test_a_picture_says_n_a_where_chance_says_nothing(folder, tmp_path, level):
    runs, _ = of(folder, "a", Settings())
    settings = Settings(level=level)
    runs = [without_chance(runs[0])]
    (tmp_path / "x.svg").write_bytes(draw_figure(runs, panels(runs, settings), settings, [], "svg"))
    words = words_of(tmp_path / "x.svg")
    assert words.count("n/a") == 2  # its panel and the plane
    assert any("chance level of I(X;T) n/a" in word for word in words)


def test_levels_and_units_that_are_none_are_refused_by_name(folder, capsys):
    for flag, right in (("--level", "estimate or excess or share"), ("--units", "nats or bits")):
        assert f"{flag} half: must be {right}" in refused(capsys, folder / "a.npz", flag, "half")
    for gone in ("--bits", "--excess"):
        assert gone in refused(capsys, folder / "a.npz", gone)


def test_units_are_by_default_those_of_the_first_recording(folder, capsys):
    runs, _ = of(folder, "ab", Settings())
    in_bits = replace(runs[0], config=replace(runs[0].config, units="bits"))
    assert Settings.of(in_bits, {}).units == "bits"
    assert Settings.of(in_bits, {"units": "nats"}).units == "nats"
    assert Settings.of(runs[0], {}).units == "nats"
    assert "information in bits" in run(capsys, folder / "a.npz", "--units", "bits")[1]
