"""The picture of a net: its answers on a grid, computed from what is kept, and only where it is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ibtui.plot import palette
from ibtui.plot.boundary import boundary_plot, weights_rows
from ibtui.run.drawing import DrawnRow
from ibtui.run.net_picture import of_net
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
    assert ascii.text() == ["x.,,", ",,.."]


def test_weights_are_numbers_where_they_fit_and_signed_marks_elsewhere() -> None:
    weight = np.array([[1.5, -0.25], [0.0, -3.0]])
    assert [text for text, _ in weights_rows(weight, 20, "braille")] == [" +1.50 −0.25", "  0.00 −3.00"]
    wide = np.tile([3.0, -3.0, 0.5, -0.5], (1, 4))
    assert [text for text, _ in weights_rows(wide, 10, "braille")] == ["█≡░-█≡░-█≡"]
