"""The picture of a net: its answers on a grid, computed from what is kept, and only where it is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import ArrayLike

import ibtui
from ibtui.plot import palette
from ibtui.plot.boundary import boundary_plot, weights_rows
from ibtui.plot.dots import Marker
from ibtui.plot.regions import roomiest
from ibtui.run.drawing import DrawnRow
from ibtui.run.net_picture import of_net
from ibtui.run.protocol import NetPicture
from tests.run.driver import SMALL, finished
from tests.run.test_worker import Driver


def test_the_answer_at_a_point_is_the_nets() -> None:
    recording = finished()
    kept = recording.kept(len(recording) - 1)
    picture = of_net(recording, kept, (0.0, 1.0, 0.0, 1.0), 8)
    assert picture.classes is not None and picture.sure is not None
    for row, col in ((0, 0), (0, 7), (5, 2), (7, 7)):
        t = np.array([(col + 0.5) / 8, 1 - (row + 0.5) / 8], np.float32)
        for layer in range(4):
            t = np.tanh(kept[f"weight{layer}"] @ t + kept[f"bias{layer}"])
        shares = np.exp(t) / np.exp(t).sum()
        assert picture.classes[row, col] == t.argmax()
        assert picture.sure[row, col] == pytest.approx(255 * (2 * shares.max() - 1), abs=1)
    for layer, weight in enumerate(picture.weights):
        np.testing.assert_array_equal(weight, kept[f"weight{layer}"])


def test_of_other_inputs_than_two_there_are_the_weights_alone() -> None:
    recording = finished(replace(SMALL, data="icosahedron12", epochs=1, grid=2, x="auto"))
    picture = of_net(recording, recording.kept(0), (0.0, 1.0, 0.0, 1.0), 8)
    assert picture.classes is None and [w.shape for w in picture.weights] == [(2, 12), (2, 2), (2, 2), (2, 2)]


def test_of_a_watched_loop_and_of_an_absent_engine_there_is_none_and_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x = np.linspace(-1, 1, 8).reshape(4, 2)
    with ibtui.watch(lambda x: {"t": np.tanh(x)}, x, [0, 1, 0, 1], path=str(tmp_path / "loop.ibtui")) as run:
        run.step(0)
    capfd.readouterr()
    absent = finished()
    absent.experiment = replace(absent.experiment, config=replace(absent.config, engine="elsewhere"))
    for recording in (ibtui.load(tmp_path / "loop.ibtui"), absent):
        shown = DrawnRow(recording, 0).draw(0, None, 0, 16)
        assert shown is not None and shown.net == NetPicture() and shown.points
    assert capfd.readouterr().err == ""


def test_it_is_drawn_where_it_is_asked_for_and_at_every_measurement() -> None:
    recording = finished()
    drawing = DrawnRow(recording, 0)
    plain = drawing.draw(3, None, 0)
    assert plain is not None and plain.net is None
    nets = [drawing.draw(row, None, 0, 16) for row in (3, 4)]
    assert next(net.key for net in nets if net is not None) == plain.key
    assert not np.array_equal(nets[0].net.weights[0], nets[1].net.weights[0])  # type: ignore[union-attr]


def test_a_worker_sends_it_to_a_screen_that_shows_it() -> None:
    with Driver.train(SMALL) as driver:
        driver.until_state("finished").pull()
        assert driver.mirror.representation.net is None
        driver.mirror.net = 32
        driver.until(lambda d: d.mirror.representation.net is not None)
        assert driver.mirror.representation.net.classes.shape == (32, 32)
        assert driver.mirror.drawn == driver.mirror.representation.key
        driver.mirror.net = 64
        driver.until(lambda d: len(d.mirror.representation.net.classes) == 64)


def test_regions_have_two_colours_to_a_cell_and_samples_lie_over_them() -> None:
    classes = np.array([[0, 1], [1, 0]])
    sure = np.array([[255, 255], [0, 0]])
    plot = boundary_plot(classes, sure, [[0.1, 0.9]], [1], (0, 1, 0, 1), 4, 3, "braille")
    assert plot.text() == ["•▀▀▀", "▀▀▀▀", "▀▀▀▀"]
    strong, weak = palette.of_region(np.array([0, 1]), np.array([2, 0])).tolist()
    assert (plot.ink[0, 0], plot.paper[0, 0]) == (palette.of_class(1), strong)
    assert (plot.ink[1, 0], plot.paper[1, 0]) == (strong, weak)
    ascii = boundary_plot(classes, sure, [[0.1, 0.9]], [1], (0, 1, 0, 1), 4, 2, "ascii")
    assert ascii.text() == ["X.,,", ",,.."]


def texts(weight: ArrayLike, width: int, marker: Marker = "braille") -> list[str]:
    return ["".join(text for text, _ in row) for row in weights_rows(weight, width, marker)]


def test_weights_are_numbers_where_they_fit_and_signed_marks_elsewhere() -> None:
    weight = np.array([[1.5, -0.25], [0.0, -3.0]])
    assert texts(weight, 20) == [" +1.50 −0.25", "  0.00 −3.00"]
    assert texts(weight, 20, "ascii") == [" +1.50 -0.25", "  0.00 -3.00"]
    wide = np.tile([3.0, -3.0, 0.5, -0.5], (1, 4))
    assert texts(wide, 16) == ["█≡░-█≡░-█≡░-█≡░-"]
    assert texts(wide, 10) == ["█≡░-█≡ +10"]


@pytest.mark.parametrize("marker", ["braille", "ascii"])
@pytest.mark.parametrize("inputs", [3, 12, 30, 101, 784])
def test_inputs_that_have_no_room_are_counted_at_every_width(inputs: int, marker: Marker) -> None:
    weight = np.random.default_rng(0).normal(size=(2, inputs))
    for width in range(1, 130):
        first, second = texts(weight, width, marker)
        assert len(second) <= len(first) <= width
        if "." in first:  # numbers: all of them
            assert len(first.split()) == inputs
            continue
        marks, _, said = first.partition(" +" if " " in first else ">")
        assert len(marks) == len(second.rstrip(">"))
        if said:
            assert len(marks) + int(said.removesuffix(" inputs")) == inputs
        else:
            assert len(marks) == inputs or (first.endswith(">") and width < 7)


def test_a_region_is_tagged_where_it_has_most_room() -> None:
    classes = np.zeros((9, 24), np.intp)
    classes[:, 12:] = 1
    classes[2:7, 14:22] = 2
    tags = ["⠿ zero", "⠿ one", "v two"]
    plot = boundary_plot(classes, np.full((9, 24), 255), [], [], (0, 1, 0, 1), 24, 9, "braille", tags=tags)
    rows = plot.text()
    assert rows[4].index(" ⠿ zero ") in (2, 3) and rows[4][14:22].strip("▀") == " v two "
    assert [row[12:].strip("▀") for row in rows if "one" in row] == [" ⠿ one "]
    assert sum(row.count("⠿") + row.count("v") for row in rows) == 3
    row, col = np.argwhere(plot.chars == "v")[0]
    assert plot.ink[row, col] == palette.of_class(2) and plot.paper[row, col] == palette.NONE


def test_every_region_has_a_tag() -> None:
    rng = np.random.default_rng(1)
    classes = np.kron(rng.integers(0, 10, (4, 5)), np.ones((6, 12), np.intp)).astype(np.intp)
    found = roomiest(classes)
    tagged = {(row // 6, col // 12) for row, col, _, _ in found}
    blocks = classes[::6, ::12]
    lonely = [
        (row, col)
        for row in range(4)
        for col in range(5)
        if not any(
            blocks[r, c] == blocks[row, col]
            for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1))
            if 0 <= r < 4 and 0 <= c < 5
        )
    ]
    assert len(lonely) > 10 and set(lonely) <= tagged
    for row, col, left, right in found:
        assert len(set(classes[row, col - left : col + right + 1].tolist())) == 1
    # A spiral is one region, however often it turns.
    spiral = np.array([list(line) for line in ("#####", "    #", "### #", "#   #", "#####")]) == "#"
    assert len(roomiest(spiral.astype(np.intp))) == 2
    assert roomiest(np.zeros((0, 4), np.intp)) == []


def test_where_regions_have_no_tones_shades_tell_what_is_sure_and_samples_are_seen_on_their_own() -> None:
    classes, sure = np.zeros((3, 3), np.intp), np.tile([[0, 100, 255]], (3, 1))
    plot = boundary_plot(classes, sure, [[0.5, 0.5]], [0], (0, 1, 0, 1), 3, 3, "braille", toned=False)
    assert plot.text() == ["░▒▓", "░•▓", "░▒▓"]
    assert not plot.paper.any() and set(plot.ink.ravel().tolist()) == {palette.of_class(0)}


@pytest.mark.parametrize("system", get_args(palette.ColourSystem))
@pytest.mark.parametrize("label", range(palette.CLASSES))
def test_a_sample_is_seen_on_the_region_of_its_own_class(label: int, system: palette.ColourSystem) -> None:
    styles = palette.styles(system)
    marker: Marker = "ascii" if system == "none" else "braille"
    plot = boundary_plot(
        np.full((3, 3), label), np.full((3, 3), 255), [[0.5, 0.5]], [label], (0, 1, 0, 1), 3, 3, marker,
        toned=palette.toned(styles),
    )  # fmt: skip
    assert plot.chars[1, 1] != plot.chars[0, 0]
    behind = styles[plot.paper[1, 1]].color if plot.paper[1, 1] else None
    assert system == "none" or styles[plot.ink[1, 1]].color != behind
