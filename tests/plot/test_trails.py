"""A picture that grows with its history is the picture drawn at once, cell by cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from ibtui.plot.canvas import Cells
from ibtui.plot.dots import Dots, Marker, line_runs
from ibtui.plot.plane import Sketch, plane_plot
from ibtui.plot.trails import Trails
from ibtui.run.mirror import Mirror
from ibtui.run.protocol import Rebin
from ibtui.ui.panes.plane import Plane
from ibtui.ui.scene import Scene
from ibtui.ui.view import View
from tests.marks import slow
from tests.ui.standin import StandIn

MARKERS: tuple[Marker, ...] = get_args(Marker)


def walks(seed: int, points: int = 300, paths: int = 3) -> tuple[Any, Any]:
    """Paths that rest, come back, break off and leave the picture."""
    rng = np.random.default_rng(seed)
    x, y = (np.cumsum(rng.normal(0, 0.02, (points, paths)), axis=0) + 1 for _ in range(2))
    rests = rng.random(points) < 0.4
    x[rests], y[rests] = 1.0, 1.0
    x[rng.random(x.shape) < 0.03], y[rng.random(y.shape) < 0.02] = np.nan, np.inf
    x[-points // 4, 1] = 4.0  # a spike, for which the scale changes
    return x, y


def same(one: Cells, other: Cells) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("chars", "ink", "paper"))


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("colour_by", ["layer", "epoch"])
def test_a_plane_that_grows(marker: Marker, colour_by: Any) -> None:
    rng = np.random.default_rng(9)
    x, y = walks(0)
    sketch, rows = Sketch(), 0
    while rows < len(x):
        rows = min(len(x), rows + int(rng.choice([1, 1, 2, 30])))
        now: dict[str, Any] = {"h_x": 2.0, "h_y": 2.0, "colour_by": colour_by}
        now["chance"] = x[:rows] / 2, y[:rows] / 2
        if rows % 3 == 0:  # what is looked at may stand outside of everything that was measured
            now["at"] = 1.5 * x[rows - 1], 0.5 - y[rows - 1]
        size = (57, 17) if rows % 50 else (30, 9)
        grown = plane_plot(x[:rows], y[:rows], *size, marker, sketch=sketch, **now)
        assert same(grown, plane_plot(x[:rows], y[:rows], *size, marker, **now)), rows


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("seed", [0, 1, *slow(2, 3, 4)])
def test_trails_are_the_lines_from_point_to_point(marker: Marker, strides: Any, seed: int) -> None:
    x, y = walks(seed)
    box, inks = (0.5, 1.5, 0.5, 1.5), np.arange(x.size).reshape(x.shape)
    dots, slow = Dots(20, 9, marker), Dots(20, 9, marker)
    trails = Trails(dots, box, strides)
    for part in np.split(np.arange(len(x)), [1, 2, 3, 50, 51, 200]):
        trails.extend(x[part], y[part])
    trails.paint(dots, inks, list("+x*"))
    for path, glyph in enumerate("+x*"):
        draw_slowly(slow, x[:, path], y[:, path], inks[:, path], box, glyph, strides[path])
    assert same(dots.cells(), slow.cells())


def draw_slowly(dots: Dots, x: Any, y: Any, inks: Any, box: Any, glyph: str, stride: int) -> None:
    """A line for each point."""
    before = None
    for at in range(len(x)):
        if np.isnan(x[at]) or np.isnan(y[at]):
            before = None
            continue
        point = dots.columns(x[at], *box[:2]), dots.lines_of(y[at], *box[2:])
        _, col, top, bottom = line_runs(*(before or point), *point)
        lit = (col + top) % stride == 0
        ink, char = np.full(lit.sum(), inks[at], np.int16), np.full(lit.sum(), glyph)
        run, spots = dots.spots_of(col[lit], top[lit], bottom[lit])
        dots.light(spots, ink[run], char[run])
        before = point


def path(points: Any, inks: Any) -> Cells:
    """One path through four by four cells."""
    plane, dots = np.asarray(points, float).reshape(-1, 2), Dots(4, 4, "ascii")
    trails = Trails(dots, (0, 4, 0, 4), [1])
    trails.extend(plane[:, :1], plane[:, 1:])
    trails.paint(dots, np.reshape(inks, (-1, 1)), ["."])
    return dots.cells()


def test_a_path_connects_its_points() -> None:
    assert path([[0, 0], [3, 3], [3, 0]], 24).text() == ["   .", "  ..", " . .", ".  ."]


def test_a_path_may_turn_back_breaks_at_nan_and_takes_an_ink_per_point() -> None:
    cells = path([[3.0, 3.0], [1.0, 3.0], [np.nan, 0.0], [0.0, 0.0]], [40, 41, 42, 43])
    assert cells.text() == [" ...", "    ", "    ", ".   "]
    assert cells.ink[0].tolist() == [0, 41, 41, 41]
    assert cells.ink[3, 0] == 43


@pytest.mark.parametrize("points", [np.empty((0, 2)), np.array([[np.nan, 1]])])
def test_a_path_of_nothing_is_blank(points: Any) -> None:
    assert path(points, 24).text() == ["    "] * 4


def test_what_is_drawn_on_costs_what_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    extend = Trails.extend

    def counting(self: Trails, across: Any, up: Any) -> None:
        drawn.append(len(across))
        extend(self, across, up)

    monkeypatch.setattr(Trails, "extend", counting)
    client = StandIn(epochs=300)
    pane, mirror = Plane("plane"), Mirror(status=client.status, recording=client.recording)
    for epoch in (300, 350, 360):
        client.train_to(epoch)
        pane.draw(Scene(View(marker="braille"), mirror), 57, 17, [])
    assert drawn == [31, 31, 5, 5, 1, 1]  # chance levels and estimates


def test_the_pane_begins_again_where_its_history_was_estimated_anew() -> None:
    client = StandIn(epochs=300)
    pane, view = Plane("plane"), View(marker="braille")
    mirror = Mirror(status=client.status, recording=client.recording)

    def drawn(pane: Plane, view: View) -> Cells:
        body = pane.draw(Scene(view, mirror), 57, 17, []).body
        assert isinstance(body, Cells)
        return body

    assert same(drawn(pane, view), drawn(Plane("plane"), view))
    client.train_to(400)
    assert same(drawn(pane, view), drawn(Plane("plane"), view))
    client.send(Rebin(replace(client.recording.binning, t_bins=20)))
    assert same(drawn(pane, view), drawn(Plane("plane"), view))
    for changed in ({"level": "excess"}, {"unit": "bits"}, {"plane_colour": "epoch"}):
        view = replace(view, **changed)  # type: ignore[arg-type]
        assert same(drawn(pane, view), drawn(Plane("plane"), view))
