"""The axis of epochs: linear, or logarithmic with room for epoch 0; and epochs as colours of the plane."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from ibtui.plot import palette
from ibtui.recording.files import save
from ibtui.report import figure, read_runs
from ibtui.report.display import Display
from ibtui.report.epochs import EpochAxis
from ibtui.report.panels import Settings, panels
from tests.report.making import CODE, CONFIG, drawn, needs_matplotlib, record, refused, run
from tests.report.test_figure import words_of


def test_an_epoch_lies_at_the_logarithm_of_one_more(folder):
    axis = EpochAxis(0, 999, "log")
    np.testing.assert_allclose(axis.at(np.array([0, 9, 99, 999])), [0, 1, 2, 3], rtol=1e-15)
    assert axis.ends == (0.0, 3.0)
    assert EpochAxis(0, 999).at(np.array([0, 9])).tolist() == [0, 9]


@pytest.mark.parametrize(
    ("last", "columns", "labels"),
    [
        (8000, 120, "0 1 2 5 10 20 50 100 200 500 1,000 2,000 5,000"),
        (8000, 40, "0 1 10 100 1,000"),
        (60, 60, "0 1 2 5 10 20 50"),
        (1, 30, "0 1"),
        (100_000_000, 40, "0 10 1,000 1e5 1e7"),
    ],
)
def test_ticks_are_0_and_powers_of_ten_and_more_where_there_is_room(last, columns, labels):
    ticks = EpochAxis(0, last, "log").ticks(columns)
    assert [label for _, label in ticks] == labels.split()
    low, high = EpochAxis(0, last, "log").ends
    edge = -math.inf
    for at, label in ticks:
        assert at == pytest.approx(math.log10(1 + float(label.replace(",", ""))))
        centre = (at - low) / (high - low) * columns
        assert centre - len(label) / 2 >= edge
        edge = centre + len(label) / 2


def test_an_axis_that_begins_late_has_ticks_too():
    ticks = EpochAxis(2100, 2900, "log").ticks(60)
    assert len(ticks) >= 2
    assert all(math.log10(2101) <= at <= math.log10(2901) for at, _ in ticks)


def test_the_axis_follows_the_schedule_of_the_first_recording(folder, capsys):
    (made,), _ = read_runs([str(folder / "a.npz")], None, {})
    assert Settings.of(made, {}).axis == "linear"
    logarithmic = replace(made, config=replace(made.config, every="log"))
    assert Settings.of(logarithmic, {}).axis == "log"
    assert Settings.of(logarithmic, {"axis": "linear"}).axis == "linear"
    assert "--axis x: must be linear or log" in refused(capsys, folder / "a.npz", "--axis", "x")


def test_a_logarithmic_axis_is_drawn_in_the_terminal(folder, capsys):
    _, out, _ = run(capsys, folder / "a.npz", "--axis", "log")
    assert re.search(r"^ +0 +1 +2 +5 +10 +20 +50$", out, re.M)


@needs_matplotlib
@pytest.mark.slow
def test_a_logarithmic_axis_is_drawn_in_a_picture(folder, tmp_path, capsys):
    flags = ("--axis", "log", "--at", 60)
    assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.svg", *flags)[0] == 0
    words = words_of(tmp_path / "x.svg")
    for label in ("20", "50"):
        assert words.count(label) == 2  # below the two columns of panels


def colours_of(line: str) -> list[str]:
    return re.findall("\x1b\\[38;2;(\\d+;\\d+;\\d+)m█", line)


def epoch_colours() -> list[str]:
    styles = palette.styles("truecolor")
    rgb = [styles[palette.EPOCH + step].color.get_truecolor() for step in range(palette.CYCLE)]
    return [f"{c.red};{c.green};{c.blue}" for c in rgb]


@pytest.mark.parametrize("axis", ["linear", "log"])
def test_the_plane_may_have_the_colours_of_epochs_with_a_scale(folder, axis):
    for width in (60, 120):
        settings = Settings(axis=axis, plane_colour="epoch")
        lines = drawn([folder / "a.npz"], Display(width, 39, "truecolor"), "60", settings)
        (scale,) = [line for line in lines if "█" in line]
        assert colours_of(scale) == epoch_colours()
        assert re.search(r"epoch 0 █+ 60" + (", log" if axis == "log" else ""), CODE.sub("", scale))
        assert max(len(CODE.sub("", line)) for line in lines) <= width
        plane = "\n".join(lines[lines.index(scale) - 20 : lines.index(scale)])
        assert {colour for colour in epoch_colours() if colour in plane}
    by_layer = drawn([folder / "a.npz"], Display(120, 39, "truecolor"), "60")
    assert not any(colour in line for line in by_layer for colour in epoch_colours())


def test_each_measurement_has_the_colour_of_its_place_on_the_axis():
    epochs = np.array([0, 1, 2, 10, 50, 100, 999])
    assert EpochAxis(0, 999).steps(epochs).tolist() == [0, 0, 0, 0, 0, 0, 7]
    expected = [min(7, int(math.log10(1 + epoch) / 3 * 8)) for epoch in epochs.tolist()]
    assert EpochAxis(0, 999, "log").steps(epochs).tolist() == expected


def test_without_colours_that_is_said(folder, capsys):
    _, out, _ = run(capsys, folder / "a.npz", "--plane-colour", "epoch")
    assert "--plane-colour epoch: there are no colours here" in " ".join(out.split())
    assert "█" not in out


@needs_matplotlib
def test_in_a_picture_each_step_has_the_colour_of_its_place_and_layers_have_numbers(folder):
    from matplotlib.colors import to_rgb

    made, _ = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], "60", {})
    for axis in ("linear", "log"):
        settings = Settings(axis=axis, plane_colour="epoch")
        picture = figure._figure(made, panels(made, settings), settings, [])
        (plane,) = [axes for axes in picture.axes if axes.get_title("left") == "information plane"]
        assert {text.get_text() for text in plane.texts} >= {"0", "1", "2", "3"}
        means = [drawn for drawn in plane.collections if len(drawn.get_segments()) == 12]
        assert len(means) == 4 * 3  # for each layer, two runs and their mean
        ramp = np.array(
            [to_rgb(f"#{''.join(f'{int(v):02x}' for v in c.split(';'))}") for c in epoch_colours()]
        )
        for at, (start, stop) in enumerate(zip(range(0, 60, 5), range(5, 61, 5), strict=True)):
            if axis == "log":
                part = (math.log10(1 + start) + math.log10(1 + stop)) / 2 / math.log10(61)
            else:
                part = (start + stop) / 2 / 60
            expected = [np.interp(part, np.linspace(0, 1, 8), ramp[:, channel]) for channel in range(3)]
            np.testing.assert_allclose(means[-1].get_colors()[at][:3], expected, atol=0.02)
        (scale,) = [axes for axes in picture.axes if axes.get_title("left") == "epoch"]
        assert scale.get_ylim() == EpochAxis(0, 60, axis).ends


def test_the_mean_over_runs_does_not_depend_on_the_axis(folder):
    made, _ = read_runs([str(folder / "a.npz"), str(folder / "b.npz")], None, {})
    linear, log = (panels(made, Settings(axis=axis)) for axis in ("linear", "log"))
    for one, other in zip(linear, log, strict=True):
        for a, b in zip(one.curves, other.curves, strict=True):
            assert a.values.tobytes() == b.values.tobytes()
            assert a.epochs.tolist() == b.epochs.tolist()


def test_a_recording_of_one_measurement_has_an_axis(folder, tmp_path, capsys):
    save(record(replace(CONFIG, epochs=1, every=1)), tmp_path / "x.npz")
    assert run(capsys, tmp_path / "x.npz", "--axis", "log", "--plane-colour", "epoch")[0] == 0
