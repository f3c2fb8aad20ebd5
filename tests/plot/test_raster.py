"""Dots, scatters, densities, sparklines and ticks, as text."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from textual.strip import Strip

from ibtui.plot import palette
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Marker, scaled
from ibtui.plot.labels import spread_apart
from ibtui.plot.palette import MIXED, of_class
from ibtui.plot.raster import class_glyph, density, scatter, sparkline
from ibtui.plot.ticks import decimals, ends, number, percent, ticks
from ibtui.ui.segments import Rows, strips

pytestmark = pytest.mark.filterwarnings("error")

UNIT = (0.0, 1.0, 0.0, 1.0)
SQUARE = (-1.0, 1.0, -1.0, 1.0)
MARKERS: tuple[Marker, ...] = get_args(Marker)
SIZES = [*itertools.product((0, 1, 2, 7), (0, 1, 3)), (28, 12), (400, 120)]
NAN, INF = np.nan, np.inf


# Dots


@pytest.mark.parametrize(
    ("row", "col", "char"),
    [(0, 0, "⠁"), (1, 0, "⠂"), (2, 0, "⠄"), (3, 0, "⡀"), (0, 1, "⠈"), (1, 1, "⠐"), (2, 1, "⠠"), (3, 1, "⢀")],
)
def test_a_dot_of_braille_is_where_its_point_is(row: int, col: int, char: str) -> None:
    point = [[(col + 0.5) / 2, 1 - (row + 0.5) / 4]]
    assert scatter(point, [0], UNIT, 1, 1, "braille").text() == [char]


@pytest.mark.parametrize(
    ("value", "part"),
    [(-INF, 0), (-0.1, 0), (0, 0), (0.249, 0), (0.25, 1), (0.99, 3), (1, 3), (9, 3), (INF, 3)],
)
def test_an_interval_has_equal_parts_and_its_ends_take_what_is_outside(value: float, part: int) -> None:
    assert scaled(value, 0, 1, 4) == [part]


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 0), (NAN, 1), (0, INF), (-INF, INF)])
def test_without_a_scale_everything_is_in_the_middle(low: float, high: float) -> None:
    assert scaled([-1, 0.5, 7], low, high, 5).tolist() == [2, 2, 2]


def test_the_widest_range_of_floats_has_a_scale() -> None:
    assert scaled([-1.7e308, 0, 1.7e308], -1.7e308, 1.7e308, 10).tolist() == [0, 5, 9]


# Scatter and density


CORNERS = [[-0.9, 0.9], [0.9, 0.9], [-0.9, -0.9], [0.9, -0.9]]


@pytest.mark.parametrize(
    ("marker", "text"),
    [("braille", ["⠁ ⠈", "   ", "⡀ ⢀"]), ("block", ["▀ ▀", "   ", "▄ ▄"]), ("ascii", ["o x", "   ", "x o"])],
)
def test_xor_in_three_markers(marker: Marker, text: list[str]) -> None:
    cells = scatter(CORNERS, [0, 1, 1, 0], SQUARE, 3, 3, marker)
    assert cells.text() == text
    red, blue = of_class(0), of_class(1)
    assert cells.ink.tolist() == [[red, 0, blue], [0, 0, 0], [blue, 0, red]]
    assert not cells.paper.any()


def test_a_cell_of_braille_with_two_classes_is_mixed() -> None:
    cells = scatter([[0.1, 0.9], [0.1, 0.1], [0.9, 0.9]], [0, 1, 0], UNIT, 1, 1, "braille")
    assert cells.text() == ["⡉"]
    assert cells.ink.tolist() == [[MIXED]]


def test_a_half_block_shows_two_classes_one_above_the_other() -> None:
    cells = scatter([[0.5, 0.9], [0.5, 0.1]], [0, 1], UNIT, 1, 1, "block")
    assert cells.text() == ["▀"]
    assert (cells.ink.item(), cells.paper.item()) == (of_class(0), of_class(1))


def test_a_half_block_of_one_class_is_full_and_needs_no_paper() -> None:
    cells = scatter([[0.5, 0.9], [0.5, 0.1]], [1, 1], UNIT, 1, 1, "block")
    assert (cells.text(), cells.ink.item(), cells.paper.item()) == (["█"], of_class(1), 0)


def test_a_half_with_both_classes_is_mixed() -> None:
    cells = scatter([[0.5, 0.9], [0.5, 0.9], [0.5, 0.1]], [0, 1, 1], UNIT, 1, 1, "block")
    assert (cells.ink.item(), cells.paper.item()) == (MIXED, of_class(1))


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_in_ascii_a_mixed_cell_is_a_star(order: list[int]) -> None:
    assert scatter([[0.5, 0.5]] * 2, order, UNIT, 1, 1, "ascii").text() == ["*"]


@pytest.mark.parametrize(("count", "char"), [(1, "x"), (3, "x"), (4, "X")])
def test_in_ascii_a_crowd_is_larger(count: int, char: str) -> None:
    assert scatter([[0.5, 0.5]] * count, [1] * count, UNIT, 1, 1, "ascii").text() == [char]


def test_eight_classes_have_inks_and_characters_of_their_own() -> None:
    x = (np.arange(8) + 0.5) / 8
    cells = scatter(np.stack([x, x], 1), np.arange(8), UNIT, 8, 1, "ascii")
    assert cells.text() == ["oxvsdpnz"]
    assert cells.ink[0].tolist() == [of_class(label) for label in range(8)]


@pytest.mark.parametrize("marker", MARKERS)
def test_ten_classes_are_told_apart_by_more_than_their_inks(marker: Marker) -> None:
    x = (np.arange(10) + 0.5) / 10
    for draw in (scatter, density):
        cells = draw(np.stack([x, x], 1), np.arange(10), UNIT, 10, 1, marker)
        assert cells.text()[0][2:].lower() == "vsdpnzcu"
        assert not set(cells.text()[0][:2]) & set("vsdpnzcu")
        assert cells.ink[0].tolist() == [of_class(label) for label in range(10)]
    legend = [class_glyph(label, marker) for label in range(10)]
    assert "".join(legend[2:]) == "vsdpnzcu" and len(set(legend[1:])) == 9


@pytest.mark.parametrize("marker", ["braille", "block"])
@pytest.mark.parametrize("other", [0, 3])
def test_a_cell_that_a_third_class_shares_is_mixed(marker: Marker, other: int) -> None:
    cells = scatter([[0.5, 0.9], [0.5, 0.1]], [2, other], UNIT, 1, 1, marker)
    assert not cells.text()[0].isalpha()
    assert cells.ink.item() == MIXED and cells.paper.item() in (0, MIXED)


def test_a_crowd_of_the_third_class_is_larger() -> None:
    assert scatter([[0.5, 0.5]] * 4, [2] * 4, UNIT, 1, 1, "braille").text() == ["V"]


@pytest.mark.parametrize("draw", [scatter, density])
def test_points_outside_land_on_the_edge_and_nan_is_left_out(draw) -> None:  # type: ignore[no-untyped-def]
    points = [[-9, 0.5], [INF, 0.5], [0.5, -INF], [NAN, 0.9], [0.1, NAN]]
    text = draw(points, [0] * 5, UNIT, 3, 3, "ascii").text()
    assert [[char != " " for char in row] for row in text] == [
        [False] * 3,
        [True, False, True],
        [False, True, False],
    ]


def test_density_shades_by_count_and_colours_by_majority() -> None:
    cell = {0: 0.1, 1: 0.3, 2: 0.6, 3: 0.9}
    classes = {0: [0] * 16, 1: [1], 2: [0, 1], 3: [1] * 6 + [0] * 3}
    points = [[cell[at], 0.5] for at, labels in classes.items() for _ in labels]
    labels = [label for labels in classes.values() for label in labels]
    cells = density(points, labels, UNIT, 4, 1, "braille")
    assert cells.text() == ["█░▒▓"]
    assert cells.ink[0].tolist() == [of_class(0), of_class(1), MIXED, of_class(1)]
    assert density(points, labels, UNIT, 4, 1, "ascii").text() == ["@,*X"]


# Sparklines


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        (range(8), 8, "▁▂▃▄▅▆▇█"),
        ([0, 7], 4, "▁█  "),
        ([0, NAN, 7], 3, "▁ █"),
        ([-INF, 3, INF, 99], 4, "▁▄██"),
        (range(8), 4, "▁▄▆█"),
        (range(7, -1, -1), 4, "█▆▄▁"),
        ([0] * 9 + [7, 0, 0], 4, "▁▁▁█"),
        ([0] * 9 + [0, 7, 0], 4, "▁▁▁█"),
        ([7] * 5 + [0] + [7] * 6, 4, "█▁██"),
        ([0, 7], 1, "█"),
        ([NAN] * 6, 2, "  "),
        ([NAN] * 3 + [7] * 3, 2, " █"),
        ([], 2, "  "),
    ],
)
def test_sparkline(values: list[float], width: int, text: str) -> None:
    assert sparkline(values, width, 0, 7.99, "braille").text() == [text]


def test_sparkline_in_ascii_tells_low_from_missing() -> None:
    assert sparkline([0, NAN, *range(1, 8)], 9, 0, 7.99, "ascii").text() == [". :-=+*#@"]


def test_sparkline_of_a_flat_series_is_in_the_middle() -> None:
    assert sparkline([2, 2], 2, 2, 2, "block").text() == ["▄▄"]


@pytest.mark.parametrize("sign", [1, -1])
def test_sparkline_keeps_spikes(sign: int) -> None:
    for at in range(200):
        values = np.zeros(200)
        values[at] = sign
        assert ("█" if sign > 0 else "▁") == sparkline(values, 10, -1, 1, "braille").text()[0][at // 20]


# Ticks and numbers


@pytest.mark.parametrize(
    ("low", "high", "count", "labels"),
    [
        (-1, 1, 3, ["-1", "0", "1"]),
        (0, 1, 6, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 1, 3, ["0.0", "0.5", "1.0"]),
        (0, 2000, 5, ["0", "500", "1,000", "1,500", "2,000"]),
        (0, 250_000, 3, ["0", "100k", "200k"]),
        (0, 3e-7, 4, ["0", "1e-7", "2e-7", "3e-7"]),
        (1e8, 1e8 + 2, 3, ["1e8", "1.00000001e8", "1.00000002e8"]),
        (0.6931, 0, 2, ["0.0", "0.5"]),
        (5, 5, 3, ["5.00"]),
        (0, 0, 3, ["0.00"]),
        (0, INF, 3, []),
        (NAN, 1, 3, []),
        (0, 1, 0, []),
    ],
)
def test_ticks(low: float, high: float, count: int, labels: list[str]) -> None:
    assert [label for _, label in ticks(low, high, count)] == labels


def test_ticks_are_in_range_rising_and_no_more_than_wanted() -> None:
    rng = np.random.default_rng(3)
    for _ in range(2000):
        low = rng.choice([0.0, rng.normal()]) * 10.0 ** rng.integers(-300, 300)
        high = low + abs(rng.normal()) * 10.0 ** rng.integers(-300, 300)
        count = int(rng.integers(1, 12))
        values = [value for value, _ in ticks(low, high, count)]
        assert 1 <= len(values) <= count
        assert values == sorted(set(values))
        slack = (high - low) * 1e-6
        assert low - slack <= values[0] <= values[-1] <= high + slack
        assert len({label for _, label in ticks(low, high, count)}) == len(values)


@pytest.mark.parametrize(("low", "high"), [(-1.7e308, 1.7e308), (1e308, 1.7e308), (0, 5e-324), (0, 1e-300)])
def test_ticks_at_the_limits_of_floats(low: float, high: float) -> None:
    assert all(low <= value <= high for value, _ in ticks(low, high, 4))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"), (-0.0, "0.00"), (0.97, "0.97"), (2.306, "2.31"), (9.996, "10.0"), (12.34, "12.3"),
        (99.96, "100"), (1234.5, "1234"), (12345, "1.2e4"), (0.0042, "0.004"), (0.00042, "4.2e-4"),
        (-0.5, "-0.50"), (NAN, "n/a"), (INF, "inf"), (-INF, "-inf"), (1.7e308, "1.7e308"),
    ],
)  # fmt: skip
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("samples", [200, 500, 3276, 10_000, 60_000])
def test_one_wrong_answer_is_seen_among_all(samples: int) -> None:
    """An accuracy reads as 1 where all answers are right, and nowhere else, and is rounded, not cut."""
    assert number(1.0) == "1.00" and decimals(1.0, 3) == "1.000" and percent(1.0) == "100%"
    share = (samples - 1) / samples
    for text in (number(share), decimals(share, 3)):
        assert float(text) < 1 and len(text) <= 7
        assert abs(float(text) - share) <= 0.5 * 10.0 ** -(len(text) - 2) + 1e-15
    assert percent(share) == ">99%"


def test_what_is_1_but_for_the_rounding_of_sums_is_1() -> None:
    assert number(1 - 1e-12) == "1.00" and number(1 + 1e-12) == "1.00"
    assert number(1 - 1e-6) == "0.99999"
    assert percent(0.994) == "99%"


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (-1.0, 1.0, ["-1", "0", "1"]),
        (0.0, 12.5, ["0", "6.25", "12.5"]),
        (-3.54e6, 3.54e6, ["-3.5e6", "0", "3.5e6"]),
        (-2.1e13, 2.1e13, ["-2.1e13", "0", "2.1e13"]),
        (-1.23e-4, 4e-4, ["-1.2e-4", "1.4e-4", "4e-4"]),
    ],
)
def test_the_ends_of_an_axis_are_short_and_alike(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in ends(low, high)] == texts


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([5.0, 1.0], [5.0, 1.0]),
        ([5.0, 5.0, 5.0], [5.0, 6.0, 7.0]),
        ([9.0, 9.0], [8.0, 9.0]),
        ([float("nan"), 3.0], [None, 3.0]),
        ([12.0, -3.0], [9.0, 0.0]),
    ],
)
def test_labels_are_spread_apart(wanted: list[float], expected: list[float | None]) -> None:
    assert spread_apart(wanted, 1.0, 0.0, 9.0) == expected


# Any size


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_size_has_its_shape(marker: Marker, width: int, height: int) -> None:
    rng = np.random.default_rng(5)
    points, labels = rng.normal(size=(50, 2)) * 1e300, rng.integers(0, 3, 50)
    box = (-1e300, 1e300, -1e300, 1e300)
    for cells in (
        scatter(points, labels, box, width, height, marker),
        scatter(points[:0], labels[:0], box, width, height, marker),
        density(points, labels, box, width, height, marker),
        density(points[:0], labels[:0], box, width, height, marker),
    ):
        assert cells.chars.shape == cells.ink.shape == cells.paper.shape == (height, width)
        assert [part.dtype.str[1:] for part in (cells.ink, cells.paper, cells.chars)] == ["i2", "i2", "U1"]
        assert marker != "ascii" or "".join(cells.text()).isascii()
    assert sparkline(points[:, 0], width, -1, 1, marker).chars.shape == (min(width, 1), width)


# Canvas and strips


def test_canvas_cuts_off_what_is_outside() -> None:
    canvas = Canvas(4, 2)
    canvas.put("abcdef", 0, -2)
    canvas.put("xyz", 1, 3)
    canvas.put("no", 2, 0)
    canvas.put("no", 0, 9)
    assert canvas.cells().text() == ["cdef", "   x"]
    canvas.paste(scatter([[0.5, 0.5]], [0], UNIT, 3, 3, "ascii"), 0, 2)
    assert canvas.cells().text() == ["cd  ", "   o"]


def test_pictures_without_room_have_no_segments() -> None:
    for width, height in ((0, 0), (0, 2), (5, 0)):
        assert [len(strip) for strip in strips(Canvas(width, height).cells(), [])] == [0] * height


def test_strips_hold_the_text_in_as_few_segments_as_styles() -> None:
    canvas = Canvas(8, 2)
    canvas.put("aa", 0, 0, palette.WARN)
    canvas.put("bb", 0, 3, palette.WARN)
    styles = palette.styles("truecolor")
    made = strips(canvas.cells(), styles)
    assert [strip.text for strip in made] == ["aa bb   ", " " * 8]
    assert [strip.cell_length for strip in made] == [8, 8]
    assert [(s.text, s.style) for s in made[0]] == [("aa bb   ", styles[palette.WARN])]
    assert len(list(made[1])) == 1


def test_a_blank_between_underlined_cells_is_not_underlined() -> None:
    canvas = Canvas(4, 1)
    canvas.put("a", 0, 0, palette.MIXED)
    canvas.put("b", 0, 2, palette.MIXED)
    styles = palette.styles("none")
    assert styles[palette.MIXED].underline
    (row,) = strips(canvas.cells(), styles)
    assert [s.text for s in row if s.style is not None and s.style.underline] == ["a", "b"]


def test_rows_that_stay_are_the_same_strips_and_others_are_drawn_anew() -> None:
    rng = np.random.default_rng(5)
    for marker in ("braille", "block", "ascii"):
        rows, styles = Rows(), palette.styles("truecolor")
        before: list[Strip] = []
        canvas = Canvas(12, 6)
        for step in range(20):
            canvas = copy_of(canvas)
            for _ in range(step % 3):
                points = rng.random((4, 2))
                picture = scatter(points, [0, 1, 0, 1], UNIT, 3, 1, marker)  # type: ignore[arg-type]
                canvas.paste(picture, int(rng.integers(6)), int(rng.integers(9)))
            made = rows.strips(canvas.cells(), styles)
            assert made == strips(canvas.cells(), styles)
            same = [old is new for old, new in zip(before, made, strict=False)]
            assert same == [old == new for old, new in zip(before, made, strict=False)]
            before = made
        narrow = rows.strips(Canvas(5, 6).cells(), styles)
        assert [strip.cell_length for strip in narrow] == [5] * 6
        grey = palette.styles("none")
        assert rows.strips(canvas.cells(), grey) == strips(canvas.cells(), grey)


def copy_of(canvas: Canvas) -> Canvas:
    made = Canvas(canvas.width, canvas.height)
    made.paste(canvas.cells(), 0, 0)
    return made


def test_strips_show_two_inks_in_a_half_block_and_a_full_one_without_colours() -> None:
    cells = scatter([[0.5, 0.9], [0.5, 0.1]], [0, 1], UNIT, 1, 1, "block")
    styles = palette.styles("truecolor")
    (segment,) = strips(cells, styles)[0]
    assert segment.style is not None
    assert segment.style.color == styles[of_class(0)].color
    assert segment.style.bgcolor == styles[of_class(1)].color
    assert strips(cells, palette.styles("none"))[0].text == "█"


def test_an_ink_on_a_blank_does_not_end_a_segment() -> None:
    canvas = Canvas(3, 1)
    canvas.put(" ", 0, 1, palette.WARN)
    assert len(list(strips(canvas.cells(), palette.styles("16"))[0])) == 1


def test_strips_of_any_cells_have_their_text() -> None:
    rng = np.random.default_rng(2)
    for width, height in ((0, 0), (0, 3), (1, 1), (40, 17)):
        shape = (height, width)
        chars = rng.choice(list(" ⣿x"), shape).astype("<U1")
        cells = Cells(chars, rng.integers(0, 40, shape).astype(np.int16), np.zeros(shape, np.int16))
        made = strips(cells, palette.styles("256"))
        assert [strip.text for strip in made] == cells.text()
