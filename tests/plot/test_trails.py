"""A picture that grows with its history is the picture drawn at once, cell by cell."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest

from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.plot.curves import Role, Series, curve_plot
from ibtui.plot.dots import Box, Dots, Marker, line_runs
from ibtui.plot.plane import plane_plot
from ibtui.plot.trails import Sketch, Trails
from ibtui.run.mirror import Mirror
from ibtui.run.protocol import Rebin
from ibtui.ui.panes.i_xt import InputInformation
from ibtui.ui.panes.pane import Pane
from ibtui.ui.panes.performance import Performance
from ibtui.ui.panes.plane import Plane
from ibtui.ui.panes.quantity import ChosenQuantity
from ibtui.ui.scene import Scene
from ibtui.ui.view import View
from tests.marks import slow
from tests.ui.standin import CEILINGS, StandIn, measurement

pytestmark = pytest.mark.filterwarnings("error")

MARKERS: tuple[Marker, ...] = get_args(Marker)
NAN, INF, UNIT = np.nan, np.inf, (0.0, 1.0, 0.0, 1.0)


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
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_curves_that_grow(marker: Marker, scale: Any) -> None:
    """Their axis grows now and then, values have gaps, and the run before lies behind."""
    rng = np.random.default_rng(4)
    _, y = walks(3, points=700, paths=4)
    y[:, 3] = np.maximum.accumulate(np.nan_to_num(y[:, 3], nan=0.0, posinf=0.0))
    epochs, past = np.arange(700) * 3.0, np.arange(0, 900, 7.0)
    roles: list[Role] = ["chance", "estimate", "held_out", "estimate"]
    sketch, rows = Sketch(), 0
    while rows < len(y):
        rows = min(len(y), rows + int(rng.choice([1, 1, 2, 30])))
        series = [Series(y[:rows, i], 3 + i, str(i), role) for i, role in enumerate(roles)]
        series.append(Series(past / 900, 9, "", "reference", past))
        now: dict[str, Any] = {"x_high": max(epochs[rows - 1] // 500 * 500, 100), "scale": scale}
        if rows % 3 == 0:
            now["cursor"] = epochs[rows // 2]
        size = (57, 17) if rows % 50 else (30, 9)
        grown = curve_plot(epochs[:rows], series, *size, marker, sketch=sketch, **now)
        assert same(grown, curve_plot(epochs[:rows], series, *size, marker, **now)), rows


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("seed", [0, 1, *slow(2, 3, 4)])
def test_trails_are_the_lines_from_point_to_point(marker: Marker, strides: Any, seed: int) -> None:
    x, y = walks(seed)
    box, inks = (0.5, 1.5, 0.5, 1.5), np.arange(x.size).reshape(x.shape)
    dots, slow = Dots(20, 9, marker), Dots(20, 9, marker)
    trails = Trails(dots, box, strides, ageing=True)
    for part in np.split(np.arange(len(x)), [1, 2, 3, 50, 51, 200]):
        trails.extend([*x[part].T], [*y[part].T])
    trails.paint(dots, inks, list("+x*"))
    for path, glyph in enumerate("+x*"):
        draw_slowly(slow, x[:, path], y[:, path], inks[:, path], box, glyph, strides[path])
    assert same(dots.cells(), slow.cells())


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("parts", [[], [1, 2, 3, 50, 51, 200], range(1, 900)])
def test_curves_are_the_lines_from_point_to_point(marker: Marker, parts: Any) -> None:
    """Many values to a column are condensed and few are not, which makes no difference."""
    _, y = walks(5, points=900, paths=4)
    y[:5, 0], y[::7, 1], y[400:, 2] = np.nan, np.nan, np.nan
    x = np.sort(np.random.default_rng(6).uniform(0, 4, 900))
    box, inks, strides = (0.5, 3.5, 0.5, 1.5), [3, 4, 5, 6], (1, 3, 2, 2)
    dots, slow = Dots(20, 9, marker), Dots(20, 9, marker)
    trails = Trails(dots, box, strides, rising=True)
    for part in np.split(np.arange(len(x)), parts):
        trails.extend([x[part]], [*y[part].T])
    trails.paint(dots, inks, list("+x*o"))
    for path, glyph in enumerate("+x*o"):
        draw_slowly(slow, x, y[:, path], np.full(900, inks[path]), box, glyph, strides[path])
    assert same(dots.cells(), slow.cells())


def draw_slowly(dots: Dots, x: Any, y: Any, inks: Any, box: Any, glyph: str, stride: int) -> None:
    """Light a line for each point, dot by dot."""
    before = None
    for at in range(len(x)):
        if np.isnan(x[at]) or np.isnan(y[at]):
            before = None
            continue
        point = dots.columns(x[at], *box[:2]), dots.lines_of(y[at], *box[2:])
        _, cols, tops, bottoms = line_runs(*(before or point), *point)
        for col, top, bottom in zip(cols, tops, bottoms, strict=True):
            for row in range(top, bottom + 1):
                if before is None or (row + col) % stride == 0:
                    (spot,) = dots.spots(np.array([row]), np.array([col]))
                    dots.lit[spot] = True
                    dots.ink[spot // dots.per_region] = inks[at]
                    if dots.marker == "ascii":
                        dots.glyph[spot] = glyph
        before = point


@pytest.mark.parametrize(("sharing", "inks"), [((), [5] * 12), ([True, False, True], [3, 3, 5, 5] * 3)])
def test_paths_that_share_a_region_take_turns(sharing: Any, inks: list[int]) -> None:
    dots = Dots(12, 1, "braille")
    trails = Trails(dots, (0, 12, 0, 1), [1, 1, 1], sharing, rising=True)
    trails.extend([np.array([0.0, 12.0])], [np.full(2, 0.5)] * 3)
    trails.paint(dots, [3, 4, 5], "")
    assert dots.ink.tolist() == inks


def path(points: Any, inks: Any) -> Cells:
    """One path through four by four cells."""
    plane, dots = np.asarray(points, float).reshape(-1, 2), Dots(4, 4, "ascii")
    trails = Trails(dots, (0, 4, 0, 4), [1], ageing=True)
    trails.extend([plane[:, 0]], [plane[:, 1]])
    trails.paint(dots, np.reshape(inks, (-1, 1)), ["."])
    return dots.cells()


def test_a_path_connects_its_points() -> None:
    assert path([[0, 0], [3, 3], [3, 0]], 24).text() == ["   .", "  ..", " . .", ".  ."]


def test_the_last_point_that_stays_in_a_dot_gives_it_its_ink() -> None:
    assert path([[0, 0], [3, 0], [3, 0], [3, 0]], [40, 41, 42, 43]).ink[3].tolist() == [41, 41, 41, 43]


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
        drawn.extend(map(len, across[:1]))
        extend(self, across, up)

    monkeypatch.setattr(Trails, "extend", counting)
    client = StandIn(epochs=300)
    plane, curves = Plane("plane"), InputInformation("i_xt")
    mirror = Mirror(status=client.status, recording=client.recording)
    for epoch in (300, 350, 360):
        client.train_to(epoch)
        plane.draw(Scene(View(marker="braille"), mirror), 57, 17, [])
    assert drawn == [31, 31, 5, 5, 1, 1]  # chance levels and estimates
    drawn.clear()
    for epoch in (400, 410, 420):
        client.train_to(epoch)
        curves.draw(Scene(View(marker="braille"), mirror), 57, 17, [])
    assert drawn == [41, 1, 1]


@pytest.mark.parametrize("made", [Plane, InputInformation, ChosenQuantity, Performance])
def test_a_pane_begins_again_where_its_history_was_estimated_anew(made: type[Pane]) -> None:
    client = StandIn(epochs=300)
    pane, view = made("pane"), View(marker="braille")
    mirror = Mirror(status=client.status, recording=client.recording)

    def drawn(pane: Pane, view: View) -> Cells:
        body = pane.draw(Scene(view, mirror), 57, 17, []).body
        assert isinstance(body, Cells)
        return body

    assert same(drawn(pane, view), drawn(made("other"), view))
    client.train_to(400)
    assert same(drawn(pane, view), drawn(made("other"), view))
    client.send(Rebin(replace(client.recording.binning, t_bins=20)))
    assert same(drawn(pane, view), drawn(made("other"), view))
    for changed in (
        {"level": "excess"},
        {"unit": "bits"},
        {"plane_colour": "epoch"},
        {"layer": 2},
        {"scale": "linear"},
        {"quantity": "entropy"},
    ):
        view = replace(view, **changed)  # type: ignore[arg-type]
        assert same(drawn(pane, view), drawn(made("other"), view)), changed


@pytest.mark.parametrize("made", [Plane, InputInformation, ChosenQuantity])
def test_estimates_that_come_from_the_newest_back(made: type[Pane]) -> None:
    """After another binning the oldest ones are unknown the longest."""
    client = StandIn(epochs=300)
    recording, pane = client.recording, made("pane")
    scene = Scene(View(marker="braille"), Mirror(status=client.status, recording=recording))
    pane.draw(scene, 57, 17, [])
    epochs, binning = recording.column("epoch").tolist(), replace(recording.binning, t_bins=20)
    recording.rebin(binning, CEILINGS)
    for row in reversed(range(len(epochs))):
        recording.estimate(row, binning, measurement(client.config, epochs[row], binning).values)
        grown, at_once = (one.draw(scene, 57, 17, []).body for one in (pane, made("other")))
        assert isinstance(grown, Cells) and isinstance(at_once, Cells)
        assert same(grown, at_once)


@pytest.mark.parametrize("unknown", [1, 2, 30])
def test_a_curve_whose_first_values_are_unknown_begins_at_the_first_that_is_known(unknown: int) -> None:
    y = np.where(np.arange(60) < unknown, NAN, 0.5)
    begin = unknown * 15 // 60
    for _ in range(20):
        junk = np.full(60 - unknown, 7)  # what the memory held before must not matter
        del junk
        blank, row = " " * 15, " " * begin + "*" * (15 - begin)
        assert drawn([Line(np.arange(60), y)], (0, 60, 0, 1), 15, 3, "ascii").text() == [blank, row, blank]


# Curves


class Line(NamedTuple):
    x: Any
    y: Any
    ink: int = palette.TEXT
    stride: int = 1


def drawn(lines: Sequence[Line], box: Box, width: int, height: int, marker: Marker) -> Cells:
    """Draw curves over values that rise."""
    dots = Dots(width, height, marker)
    trails = Trails(dots, box, [line.stride for line in lines], rising=True)
    trails.extend(*([np.asarray(getattr(line, name), float) for line in lines] for name in "xy"))
    trails.paint(dots, [line.ink for line in lines], ["*"] * len(lines))
    return dots.cells()


def test_a_rising_line() -> None:
    rise = [Line(np.arange(8), np.arange(8))]
    assert drawn(rise, (0, 8, 0, 8), 4, 2, "braille").text() == ["  ⡠⠊", "⡠⠊  "]
    assert drawn(rise, (0, 8, 0, 8), 8, 4, "block").text() == [
        "      ▄▀",
        "    ▄▀  ",
        "  ▄▀    ",
        "▄▀      ",
    ]
    assert drawn(rise, (0, 8, 0, 8), 4, 4, "ascii").text() == ["   *", "  * ", " *  ", "*   "]


def test_few_points_are_connected() -> None:
    assert drawn([Line([0, 3], [0, 3])], (0, 4, 0, 4), 4, 4, "ascii").text() == [
        "   *",
        "  * ",
        " *  ",
        "*   ",
    ]


def test_a_step_is_connected() -> None:
    step = [Line([0, 1, 2, 3], [0, 0, 3, 3])]
    rows = np.array(drawn(step, (0, 4, 0, 4), 4, 4, "ascii").text())
    assert rows[0].endswith("**")
    assert rows[3].startswith("**")
    assert all("*" in row for row in rows)


@pytest.mark.parametrize("gap", [[NAN], [NAN, NAN]])
def test_nan_is_a_gap(gap: list[float]) -> None:
    values = [3.0, 3.0, *gap, 0.0, 0.0]
    text = drawn(
        [Line(np.arange(len(values)), values)], (0, len(values), 0, 4), len(values), 4, "ascii"
    ).text()
    blank = " " * len(gap)
    assert text == [f"**{blank}  ", " " * len(values), " " * len(values), f"  {blank}**"]


def test_a_gap_within_one_column_is_not_filled() -> None:
    column = drawn([Line([0, 1, 2], [0, NAN, 3])], (0, 100, 0, 4), 1, 4, "ascii").text()
    assert column == ["*", " ", " ", "*"]


def test_lines_are_not_joined_to_one_another() -> None:
    pair = [Line([0, 1], [0, 0]), Line([2, 3], [3, 3])]
    assert drawn(pair, (0, 4, 0, 4), 4, 4, "ascii").text() == ["  **", "    ", "    ", "**  "]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("sign", [1, -1])
def test_no_spike_is_lost(marker: Marker, sign: int) -> None:
    rng = np.random.default_rng(7)
    for _ in range(40):
        values = rng.uniform(-0.2, 0.2, 2000)
        at = int(rng.integers(2000))
        values[at] = sign
        cells = drawn([Line(np.arange(2000), values)], (0, 2000, -1, 1), 38, 11, marker)
        assert cells.text()[0 if sign > 0 else -1][at * 38 // 2000] != " "


@pytest.mark.parametrize("marker", MARKERS)
def test_every_value_is_covered(marker: Marker) -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(size=500)
    cells = drawn([Line(np.arange(500), values)], (0, 500, -4, 4), 30, 9, marker)
    rows = 8 - np.floor((values + 4) / 8 * 9).astype(int)
    assert (cells.chars[rows, np.arange(500) * 30 // 500] != " ").all()


def test_the_last_line_keeps_the_ink_and_the_earlier_ones_their_dots() -> None:
    one, other = Line([0, 1], [0, 0], ink=24), Line([0, 1], [3, 3], ink=25)
    for pair, ink in (([one, other], 25), ([other, one], 24)):
        cells = drawn(pair, (0, 2, 0, 4), 1, 1, "braille")
        assert (cells.text(), cells.ink.item()) == (["⣉"], ink)


def test_a_dotted_line_has_every_second_dot_across_and_down() -> None:
    flat, steep = Line(np.arange(8), np.zeros(8), stride=2), Line(np.arange(8), np.eye(8)[3], stride=2)
    assert drawn([flat], (0, 8, 0, 1), 4, 1, "braille").text() == ["⣀⢀⢀⢀"]  # the first point always shows
    assert drawn([steep], (0, 8, 0, 1), 4, 1, "braille").text() == ["⣀⠔⢄⢀"]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_point_without_a_line_shows_however_faint(stride: int) -> None:
    for col, row in itertools.product(range(4), range(4)):
        point = Line([col + 0.5], [row + 0.5], stride=stride)
        assert drawn([point], (0, 4, 0, 4), 2, 1, "braille").text() != ["  "]


def test_a_single_point_and_a_flat_line_are_visible() -> None:
    assert drawn([Line([5], [5])], (5, 5, 5, 5), 3, 3, "ascii").text() == ["   ", " * ", "   "]
    assert drawn([Line([0, 1, 2], [5, 5, 5])], (0, 3, 5, 5), 3, 1, "ascii").text() == ["***"]


def test_infinities_are_at_the_edges() -> None:
    text = drawn([Line([0, 1, 2], [INF, NAN, -INF])], (0, 3, 0, 1), 3, 3, "ascii").text()
    assert text == ["*  ", "   ", "  *"]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize(("width", "height"), [*itertools.product((0, 1, 2, 7), (0, 1, 3)), (400, 120)])
def test_lines_of_every_size(marker: Marker, width: int, height: int) -> None:
    line = Line(np.arange(50), np.random.default_rng(5).normal(size=50))
    for lines, seen in (([line, line], width * height > 0), ([Line([], [])], False), ([], False)):
        cells = drawn(lines, (0, 50, -2, 2), width, height, marker)
        assert cells.chars.shape == (height, width)
        assert ("".join(cells.text()).strip() != "") is seen


def test_a_line_needs_a_value_for_each_x() -> None:
    with pytest.raises(ValueError, match="3 values across and 2 up, not 2 of each"):
        drawn([Line([0, 1, 2], [0, 1])], UNIT, 3, 3, "ascii")


def test_many_values_to_a_column_are_drawn_as_if_each_were() -> None:
    """A long curve is condensed; a NaN, at its end where it shows nothing, has it drawn value by value."""
    rng = np.random.default_rng(3)
    x = np.arange(5000.0)
    for _ in range(5):
        y = np.cumsum(rng.normal(size=5000)) / 20
        box = (0.0, 4999.0, -2.0, 2.0)
        condensed = drawn([Line(x, y, 1)], box, 30, 8, "braille")
        longer, gap = np.append(x, 4999.0), np.append(y, np.nan)
        one_by_one = drawn([Line(longer, gap, 1)], box, 30, 8, "braille")
        assert condensed.text() == one_by_one.text()


def test_lines_have_no_holes() -> None:
    rng = np.random.default_rng(1)
    ends = rng.integers(0, 30, (4, 500))
    line, col, top, bottom = line_runs(*ends)
    for index in range(500):
        mine = line == index
        dots = {
            (r, c)
            for c, a, b in zip(col[mine], top[mine], bottom[mine], strict=True)
            for r in range(a, b + 1)
        }
        c0, r0, c1, r1 = ends[:, index]
        assert {(r0, c0), (r1, c1)} <= dots
        assert all(min(r0, r1) <= r <= max(r0, r1) and min(c0, c1) <= c <= max(c0, c1) for r, c in dots)
        reached, frontier = {(r0, c0)}, [(r0, c0)]
        while frontier:
            r, c = frontier.pop()
            beside = {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & dots - reached
            reached |= beside
            frontier += beside
        assert reached == dots
