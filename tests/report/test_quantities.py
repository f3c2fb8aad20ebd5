"""Any quantity of a recording may be in a report, by its declaration alone."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import numpy as np
import pytest

from ibtui.errors import UsageError
from ibtui.quantities import Quantity
from ibtui.report import figure, read_runs, recorded
from ibtui.report.display import Display
from ibtui.report.figure import draw_figure
from ibtui.report.panels import Settings, panels
from ibtui.report.table import as_csv
from ibtui.report.text import report_lines
from tests.report.making import (
    PER_LAYER,
    needs_matplotlib,
    refused,
    run,
    table,
)


def test_the_columns_of_a_table_are_a_quantity_and_then_its_chance_level(folder, tmp_path, capsys):
    assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.csv")[0] == 0
    columns = (tmp_path / "x.csv").read_text().splitlines()[0].split(",")
    assert columns[:9] == [
        "file", "epoch", "layer", "i_xt", "chance_i_xt", "i_ty", "chance_i_ty", "dimension",
        "participation_ratio",
    ]  # fmt: skip
    assert columns[-15:] == [
        "train_accuracy", "test_accuracy", "train_loss", "test_loss", "moving_loss", "h_x", "h_y", "seed",
        "estimator", "kde_noise", "binning", "t_bins", "t_width", "x", "x_bins",
    ]  # fmt: skip
    assert {*columns[9:-15]} == {*PER_LAYER} - {*columns[:9]}


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
    assert [out.count(f"─ {title}") for title in ("loss", "participation ratio", "I(X;T)")] == [1, 1, 1]
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
    runs, settings = [with_foreign(made[0])], Settings(quantities=("rank",), units="bits")
    panel = panels(runs, settings)[-1]
    expected = (2 + made[0].columns["i_xt"][:, 3]) / np.log(2)
    np.testing.assert_allclose(panel.curves[3].values, expected, rtol=1e-12)
    np.testing.assert_allclose(panel.curves[3].faint, expected / 2, rtol=1e-12)
    assert (panel.title, panel.unit, panel.ceilings) == ("rank of T", "bits", (("M", 6 / np.log(2)),))
    assert 0 < panel.low < panel.curves[0].faint.min()  # it declares no lowest value
    text = "\n".join(report_lines(runs, panels(runs, settings), settings, [], Display(140)))
    assert re.search("^epoch 60 .* rank of T +chance", text, re.M)
    assert f"│ M {6 / np.log(2):.2f}" in text
    assert "─ rank of T, bits ─" in text
    excess = panels(runs, replace(settings, level="excess"))[-1]
    np.testing.assert_allclose(excess.curves[3].values, expected / 2, rtol=1e-12)


def test_runs_share_what_all_of_them_have_measured(folder):
    made, _ = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], None, {})
    runs = [with_foreign(made[0]), made[1]]
    with pytest.raises(UsageError, match=r"--quantity rank: .*b\.npz has not measured it; there is i_xt"):
        panels(runs, Settings(quantities=("rank",)))
    columns = table(as_csv(runs))
    assert columns["rank"][0] == str(2 + made[0].columns["i_xt"][0, 0])
    assert columns["rank"][-1] == ""
    assert recorded.check_comparable(runs)[0] == f"rank: no mean, for {made[1].name} has not measured it"


@pytest.mark.slow
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


def test_a_quantity_without_any_value_has_no_column(folder):
    made, _ = read_runs([str(folder / "a.npz")], "60", {})
    for value, shown in ((np.nan, False), (1.0, True)):
        columns = {**made[0].columns, "saturation": np.full_like(made[0].columns["saturation"], value)}
        runs = [replace(made[0], columns=columns)]
        text = "\n".join(report_lines(runs, panels(runs, Settings()), Settings(), [], Display(200)))
        assert bool(re.search("^epoch 60 .* saturation ", text, re.M)) == shown


@needs_matplotlib
def test_of_a_crowd_no_class_is_drawn_over_all_others(folder):
    made, _ = read_runs([str(folder / "a.npz")], "60", {})
    for samples, turns in ((1000, 1), (1001, 10)):
        shown = made[0].representations[0]
        many = replace(
            shown, points=tuple(np.resize(p, (samples, 2)) for p in shown.points),
            labels=np.arange(samples) % 2,
        )  # fmt: skip
        runs = [replace(made[0], representations=(many,))]
        picture = figure._figure(runs, panels(runs, Settings()), Settings(), [])
        (scatter,) = [axes for axes in picture.axes if axes.get_title("left") == "layer 0"]
        counts = [len(drawn.get_offsets()) for drawn in scatter.collections]
        assert len(counts) == 2 * turns
        assert sum(counts) == samples
