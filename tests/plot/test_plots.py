"""Whole plots: axes, labels that keep apart, the information plane, and what is left out without room."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pytest

from ibtui.plot import palette
from ibtui.plot.canvas import Cells
from ibtui.plot.curves import Series, curve_plot
from ibtui.plot.dots import Marker
from ibtui.plot.glyphs import AGES, layer_mark, marked, path_glyph
from ibtui.plot.performance import performance_plot
from ibtui.plot.plane import plane_plot
from ibtui.plot.scatter import scatter_plot
from ibtui.plot.ticks import ticks, value_text
from tests.marks import slow

pytestmark = pytest.mark.filterwarnings("error")

SQUARE = (-1.0, 1.0, -1.0, 1.0)
MARKERS: tuple[Marker, ...] = get_args(Marker)
SIZES = [
    *itertools.product((0, 1, 2, 12, 19, 23, 38), (0, 1, 2, 3, 5, 8, 11)),
    (60, 18),
    (110, 30),
    (400, 120),
]
NAN, INF = np.nan, np.inf
EPOCHS = np.arange(0, 110, 10)


def flat(value: float) -> list[float]:
    return [value] * len(EPOCHS)


def layers(*values: float) -> list[Series]:
    return [Series(flat(value), palette.of_layer(layer), str(layer)) for layer, value in enumerate(values)]


def right_end(cells: Cells, width: int = 7) -> list[str]:
    """The text beside the curves; the row of epochs is no part of it."""
    below = 0 if cells.height < 5 else 1
    return [row[-width:].strip() for row in cells.text()[: cells.height - below]]


# Scatter


def test_a_small_scatter_is_nothing_but_points() -> None:
    assert scatter_plot([[-1, 1]], [0], SQUARE, 3, 2, "ascii").text() == ["o  ", "   "]


def test_a_scatter_has_ticks_at_the_ends_and_at_zero() -> None:
    corners = [[-1, -1], [-1, 1], [1, 1], [1, -1]]
    assert scatter_plot(corners, [0, 1, 0, 1], SQUARE, 21, 10, "ascii").text() == [
        " 1x        :        o",
        "           :         ",
        "           :         ",
        "           :         ",
        " 0---------:---------",
        "           :         ",
        "           :         ",
        "           :         ",
        "-1o        :        x",
        " -1        0        1",
    ]


def test_ticks_of_a_scatter_stay_apart_however_long_they_are() -> None:
    labels = {label for count in range(1, 20) for _, label in ticks(-33_000, 33_000, count)}
    for width in range(20, 60):
        row = scatter_plot([], [], (-33_000, 33_000, -1, 1), width, 9, "ascii").text()[-1]
        assert set(row.split()) <= labels


def test_density_is_a_scatter_of_shades() -> None:
    points, labels = [[-0.5, 0.5]] * 3 + [[0.5, -0.5]], [0, 0, 1, 1]
    assert scatter_plot(points, labels, SQUARE, 2, 2, "braille", density=True).text() == ["█ ", " ▓"]


# Curves


def test_a_curve_plot_as_text() -> None:
    rise = Series(EPOCHS / 100, palette.of_layer(0), "0")
    assert curve_plot(EPOCHS, [rise], 25, 6, "ascii", x_high=100).text() == [
        "1.0+           000 0 1.00",
        "   |        000          ",
        "0.5+     000             ",
        "   |  000                ",
        "0.0+00                   ",
        "    0           100      ",
    ]


def test_labels_carry_number_value_and_ink_at_the_height_of_the_curve() -> None:
    cells = curve_plot(EPOCHS, layers(0.05, 0.95), 38, 11, "braille", y_low=0, y_high=1)
    assert right_end(cells) == ["1 0.95", *[""] * 8, "0 0.05"]
    assert cells.ink[0, -1] == palette.of_layer(1)
    assert cells.ink[9, -1] == palette.of_layer(0)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_labels_of_equal_values_stand_in_neighbouring_rows(value: float) -> None:
    ends = right_end(
        curve_plot(EPOCHS, layers(value, value, value, value), 38, 11, "braille", y_low=0, y_high=1)
    )
    rows = [ends.index(f"{layer} {value:.2f}") for layer in range(4)]
    assert rows == list(range(rows[0], rows[0] + 4))


def test_no_label_is_lost_or_out_of_order_where_there_are_rows_for_all() -> None:
    rng = np.random.default_rng(4)
    for _ in range(100):
        values = 0.02 + 0.9 * rng.uniform(size=8) ** 4
        ends = right_end(curve_plot(EPOCHS, layers(*values), 50, 10, "braille", y_low=0, y_high=1))
        shown = [int(end[0]) for end in ends if end]
        assert sorted(shown) == list(range(8))
        assert shown == list(np.argsort(-values, kind="stable"))


def test_ceilings_and_estimates_behind_others_give_way_where_rows_are_few() -> None:
    series = [Series(flat(1), palette.CEILING, "H", "ceiling"), *layers(0.9, 0.8, 0.7, 0.6)]
    ends = right_end(curve_plot(EPOCHS, series, 38, 3, "braille", x_labels=False))
    assert ends == ["1 0.80", "2 0.70", "3 0.60"]
    assert right_end(curve_plot(EPOCHS, series, 38, 11, "braille"))[0] == "H 1.00"


def test_a_reference_and_an_unnamed_chance_level_have_no_label() -> None:
    others = [
        Series(flat(0.2), palette.REFERENCE, "9", "reference"),
        Series(flat(0.4), palette.of_chance(0), "", "chance"),
    ]
    assert [
        end for end in right_end(curve_plot(EPOCHS, [*layers(0.8), *others], 38, 11, "ascii")) if end
    ] == ["0 0.80"]


def test_estimates_are_drawn_over_chance_levels_whatever_their_order() -> None:
    chance = Series(flat(0.5), palette.of_chance(0), "", "chance")
    cells = curve_plot(EPOCHS, [*layers(0.5), chance], 38, 11, "braille", y_low=0, y_high=1)
    drawn = np.array([["\u2801" <= char <= "\u28ff" for char in row] for row in cells.text()])
    assert set(cells.ink[drawn]) == {palette.of_layer(0)}


def test_at_the_cursor_stands_a_line_and_the_labels_show_its_values() -> None:
    rise = Series(EPOCHS / 100, palette.of_layer(0), "0")
    cells = curve_plot(EPOCHS, [rise], 38, 11, "braille", y_low=0, y_high=1, x_high=100, cursor=35)
    assert "0 0.30" in right_end(cells)
    (col,) = set(np.flatnonzero((cells.ink == palette.CURSOR).any(axis=0)))
    assert set(cells.chars[cells.ink == palette.CURSOR]) == {"│"}
    left, right = 4, 38 - 7
    assert col == left + int(35 / 100 * (right - left))


def test_a_cursor_on_a_measurement_shows_that_measurement() -> None:
    cells = curve_plot(
        EPOCHS, [Series(EPOCHS / 100, 24, "0")], 38, 11, "braille", y_low=0, y_high=1, cursor=40
    )
    assert "0 0.40" in right_end(cells)


@pytest.mark.parametrize("high", [9.0, 2000.0, 65_000.0, 250_000.0, 3e9])
def test_epochs_below_the_axis_stay_apart(high: float) -> None:
    for width in range(20, 60):
        row = curve_plot([0, 1], layers(), width, 11, "ascii", y_low=0, y_high=1, x_high=high).text()[-1]
        values = [float(word.replace(",", "").replace("k", "e3")) for word in row.split()]
        steps = np.diff(values)
        assert np.allclose(steps, steps[:1])
        assert max(values) <= high


def test_a_run_that_has_just_begun_takes_its_share_of_the_axis() -> None:
    cells = curve_plot([0, 10], [Series([0.5, 0.5], palette.of_layer(0), "0")], 38, 11, "block", x_high=1000)
    assert (cells.ink == palette.of_layer(0))[:, 4:31].any(axis=0).nonzero()[0].tolist() == [0]
    assert cells.text()[-1].split() == ["0", "500", "1,000"]


def test_the_newest_value_may_be_missing() -> None:
    ends = right_end(curve_plot([0, 1], [Series([0.5, NAN], 24, "0")], 38, 11, "braille"))
    assert "0 n/a" in ends


def test_a_reference_has_epochs_of_its_own() -> None:
    past = Series([0, 1], palette.REFERENCE, "", "reference", epochs=[0, 100])
    cells = curve_plot([0, 10], [*[Series([0.5, 0.5], 24, "0")], past], 38, 11, "ascii", x_high=100)
    assert (cells.ink == palette.REFERENCE).any()


def test_a_negative_range_has_a_zero_line() -> None:
    cells = curve_plot(EPOCHS, layers(-1, 1), 38, 11, "ascii")
    assert sum(row[5:30] == "-" * 25 for row in cells.text()) == 1


def test_a_large_plot_names_its_unit_and_its_axis() -> None:
    text = curve_plot(EPOCHS, layers(0.1, 0.9), 110, 30, "braille", unit="nats").text()
    assert text[0].strip() == "nats"
    assert text[-2].endswith("epoch")
    assert text[-2].strip().startswith("└")


# Performance


def test_accuracy_stands_above_loss_and_both_axes_line_up() -> None:
    cells = performance_plot(
        EPOCHS, flat(0.97), flat(0.95), flat(0.2), flat(0.4), 38, 11, "braille", x_high=100
    )
    text = cells.text()
    ends = ["train 0.97", "held out 0.95", "held out 0.40", "train 0.20"]
    assert all(any(row.rstrip().endswith(end) for row in text) for end in ends)
    assert {row.index("│") for row in text if "│" in row} == {3}
    assert [row.startswith("loss ───") for row in text].index(True) == 5  # a rule between the axes


def test_the_accuracy_and_loss_of_another_run_are_dim_in_their_own_halves() -> None:
    other = (np.arange(0, 60, 10), np.full(6, 0.5), np.full(6, 0.3))
    cells = performance_plot(
        EPOCHS, flat(1), flat(1), flat(0), flat(0), 60, 21, "braille", x_high=100, reference=other
    )
    rows, cols = np.nonzero(cells.ink == palette.REFERENCE)
    middle = cells.height // 2
    assert (rows < middle).any() and (rows > middle).any()
    assert cols.max() < cells.width * 0.6  # it has come half as far


def test_where_rows_are_few_loss_stands_beside_accuracy() -> None:
    text = performance_plot(EPOCHS, flat(1), flat(1), flat(0.2), flat(0.4), 80, 6, "braille").text()
    assert (text[0].index("accuracy"), text[0].index("loss")) == (0, 40)
    assert any("train 1.00" in row[:39] for row in text)
    assert any("train 0.20" in row[40:] for row in text)


# Information plane


PATH_X = np.linspace([0.2, 0.2], [2.0, 1.0], 20)
PATH_Y = np.linspace([0.1, 0.1], [0.6, 0.3], 20)


def where(cells: Cells, char: str) -> list[tuple[int, int]]:
    return [tuple(at) for at in np.argwhere(cells.chars == char).tolist()]


def test_the_newest_point_carries_the_layers_number() -> None:
    cells = plane_plot(PATH_X, PATH_Y, 19, 12, "ascii", h_x=2.0, h_y=0.6)
    (zero,) = where(cells, "0")
    (one,) = where(cells, "1")
    assert zero[0] < one[0]
    assert zero[1] > one[1]
    assert cells.ink[zero] == palette.of_layer(0)


def test_numbers_of_layers_at_one_place_stand_beside_each_other() -> None:
    same = np.ones((3, 12))
    cells = plane_plot(same, same, 60, 24, "block", h_x=2, h_y=2)
    inner = "".join(cells.text()[1:-3])
    assert all(inner.count(str(layer)) >= 1 for layer in range(12))


def test_bounds_are_faint_lines_where_h_x_and_h_y_are() -> None:
    cells = plane_plot(PATH_X, PATH_Y, 110, 30, "braille", h_x=2.5, h_y=0.65)
    text = cells.text()
    assert "H(X) 2.50" in text[0]
    assert any("H(Y) 0.65" in row for row in text)
    assert text[0].startswith("I(T;Y) nats")
    assert text[-1].endswith("I(X;T) nats")
    (bound,) = set(np.flatnonzero((cells.chars == "┊").any(axis=0)))
    assert abs(bound - (4 + 2.5 / 2.625 * 106)) <= 1


def test_epochs_may_colour_the_trajectories() -> None:
    inks = plane_plot(PATH_X, PATH_Y, 60, 20, "braille", h_x=2, h_y=0.6, colour_by="epoch").ink
    assert set(range(palette.EPOCH, palette.EPOCH + 8)) <= set(inks.ravel().tolist())


def by_epoch(width: int, height: int, marker: Marker, rows: int = 20) -> Cells:
    return plane_plot(
        PATH_X[:rows], PATH_Y[:rows], width, height, marker, h_x=2, h_y=0.6, colour_by="epoch",
        epochs=np.arange(rows) * 100,
    )  # fmt: skip


def test_a_large_plane_says_at_which_epoch_each_colour_begins() -> None:
    cells = by_epoch(80, 20, "braille")
    row = cells.text()[-1]
    assert row.split("   ")[1].strip() == "epoch █0 █300 █500 █800 █1,000 █1,300 █1,500 █1,800 to 1,900"
    assert row.endswith("I(X;T) nats")
    swatches = cells.ink[-1, cells.chars[-1] == "█"]
    assert swatches.tolist() == list(range(palette.EPOCH, palette.EPOCH + 8))
    assert "epoch a=0 b=300 c=500" in by_epoch(80, 20, "ascii").text()[-1]


def test_a_small_plane_says_which_colours_are_the_first_and_the_last_epoch() -> None:
    cells = by_epoch(38, 10, "braille")
    (row,) = (row for row, text in enumerate(cells.text()) if "epoch 0 ████████ 1,900" in text)
    assert cells.ink[row, cells.chars[row] == "█"].tolist() == list(range(palette.EPOCH, palette.EPOCH + 8))
    assert any("epoch █0 █100 █200" in text for text in by_epoch(38, 10, "braille", 3).text())


def test_in_ascii_the_epochs_are_letters_along_the_path() -> None:
    cells = by_epoch(38, 10, "ascii")
    drawn = {char for row in cells.text() if "epoch" not in row for char in row if char in AGES}
    assert {"a", "d", "g"} <= drawn
    one = where(cells, "a")[-1], where(cells, "g")[0]
    assert cells.ink[one[0]] == palette.EPOCH and cells.ink[one[1]] == palette.EPOCH + 6


def test_at_the_cursor_stand_the_numbers_and_circles_at_the_ends() -> None:
    now = plane_plot(PATH_X, PATH_Y, 19, 12, "braille", h_x=2.0, h_y=0.6)
    past = plane_plot(PATH_X, PATH_Y, 19, 12, "braille", h_x=2.0, h_y=0.6, at=(PATH_X[10], PATH_Y[10]))
    assert sorted(where(past, "○")) == sorted(where(now, "0") + where(now, "1"))
    assert where(past, "0")[0][0] > where(now, "0")[0][0]


def test_chance_trajectories_are_drawn_beneath() -> None:
    cells = plane_plot(PATH_X, PATH_Y, 60, 20, "braille", h_x=2, h_y=0.6, chance=(PATH_X / 2, PATH_Y / 3))
    assert {palette.of_chance(0), palette.of_chance(1)} <= set(cells.ink.ravel().tolist())
    hidden = plane_plot(PATH_X, PATH_Y, 60, 20, "braille", h_x=2, h_y=0.6, chance=(PATH_X, PATH_Y))
    assert not {palette.of_chance(0), palette.of_chance(1)} & set(hidden.ink.ravel().tolist())


# Anything at any size


def everything(width: int, height: int, marker: Marker, values: Any) -> list[Cells]:
    series = [
        Series(values, palette.of_layer(0), "0"),
        Series(values, palette.HELD_OUT, "h", "held_out"),
        Series(values, palette.of_chance(0), "", "chance"),
        Series(values, palette.CEILING, "H(Y)", "ceiling"),
        Series(values, palette.REFERENCE, "", "reference"),
        Series([], palette.of_layer(1), "1", epochs=[]),
    ]
    epochs = np.arange(len(values)) * 10
    points = np.stack([values, values], axis=1)
    finite = np.nan_to_num(values, posinf=1e308, neginf=-1e308)
    low, high = float(min(finite, default=0)), float(max(finite, default=0))
    box = (low, high, low, high)
    h = float(values[-1]) if len(values) else NAN
    at = (points[-1], points[-1]) if len(values) else None
    return [
        scatter_plot(points, np.arange(len(values)), box, width, height, marker),
        scatter_plot(points, np.arange(len(values)), box, width, height, marker, density=True),
        curve_plot(epochs, series, width, height, marker, cursor=15, unit="nats", x_high=2000),
        curve_plot(epochs, series, width, height, marker, y_low=0),
        curve_plot(epochs, [], width, height, marker, y_low=1, y_high=1),
        performance_plot(epochs, values, values, values, values, width, height, marker),
        plane_plot(points, points, width, height, marker, h_x=h, h_y=h, chance=(points, points), at=at),
        plane_plot(points, points[::-1], width, height, marker, h_x=1, h_y=1, colour_by="epoch"),
    ]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize(
    "values",
    [[], [0.5], [0, NAN, 1, 2], [-INF, INF], [-1.7e308, 1.7e308], [1e16, 1e16 + 2],
     list(np.sin(np.arange(300))),
     *slow([0.5, 0.5], [NAN, NAN], [0, INF, 1], [0, 5e-324], [1234567.0, 1234568.0])],
)  # fmt: skip
def test_any_values_at_any_size_make_cells_of_that_size(marker: Marker, values: list[float]) -> None:
    for width, height in SIZES:
        if width * height > 3000 and len(values) not in (4, 300):
            continue
        for cells in everything(width, height, marker, np.array(values, float)):
            assert cells.chars.shape == cells.ink.shape == cells.paper.shape == (height, width)
            assert marker != "ascii" or "".join(cells.text()).isascii()
            assert (cells.ink[cells.chars != " "] != palette.NONE).all()


def test_counts_are_written_in_full_and_other_values_in_three_figures():
    assert [value_text(v) for v in (np.int64(0), np.int64(12_345), 3)] == ["0", "12,345", "3"]
    assert [value_text(v) for v in (np.float64(0), np.float64(12_345), np.nan)] == ["0.00", "1.2e4", "n/a"]


def test_curves_that_coincide_take_turns_and_a_full_legend_says_how_many_are_left_out() -> None:
    same = [Series(flat(0.5), palette.of_layer(k), str(k)) for k in range(2)]
    cells = curve_plot(EPOCHS, same, 40, 6, "braille")
    assert {palette.of_layer(0), palette.of_layer(1)} <= set(cells.ink[cells.chars == "⠒"].tolist()) | set(
        cells.ink[cells.chars == "⠤"].tolist()
    ) | set(cells.ink[cells.chars == "⣀"].tolist()) | set(cells.ink[cells.chars == "⠉"].tolist())
    many = [Series(flat(k / 12), palette.of_layer(k), str(k)) for k in range(12)]
    text = curve_plot(EPOCHS, many, 40, 7, "braille").text()
    assert any(row.rstrip().endswith("+7 more") for row in text)
    assert sum(any(row.rstrip().endswith(f"{k} {k / 12:.2f}") for row in text) for k in range(12)) == 5


def test_labels_without_room_for_all_are_those_of_curves_that_are_apart() -> None:
    values = [2.0, 1.5, 1.0, 0.01, 0.02, 0.0, NAN, 0.03]
    many = [Series(flat(value), palette.of_layer(k), f"{k}") for k, value in enumerate(values)]
    text = curve_plot(EPOCHS, many, 40, 5, "braille", x_labels=False).text()
    named = [row[33:].strip() for row in text if row[33:].strip()]
    assert [label.split()[0] for label in named] == ["0", "1", "2", "7", "+4"]


@pytest.mark.parametrize("marker", ["braille", "block"])
def test_layers_whose_inks_may_be_confused_have_marks(marker: Marker) -> None:
    apart = [(palette.of_layer(layer), layer_mark(layer, marker)) for layer in range(36)]
    assert len(set(apart)) == 36
    assert [layer_mark(layer, marker) for layer in range(4)] == [""] * 4
    assert all(len({ink for ink, mark in apart if mark == one}) == 4 for one in {mark for _, mark in apart})


def test_no_two_curves_of_many_layers_have_the_same_character_in_ascii() -> None:
    drawn = [layer_mark(layer, "ascii") or str(layer) for layer in range(62)]
    assert len(set(drawn)) == 62 and set(map(len, drawn)) == {1}
    assert len({path_glyph(layer) for layer in range(16)}) == 16


def many_layers(count: int, marker: Marker) -> list[Series]:
    return [
        Series(flat(k / count), palette.of_layer(k), marked(k, marker), mark=layer_mark(k, marker))
        for k in range(count)
    ]


def test_a_curve_carries_the_mark_that_its_label_names() -> None:
    cells = curve_plot(EPOCHS, many_layers(12, "braille"), 60, 16, "braille")
    (row,) = (row for row, text in enumerate(cells.text()) if text.rstrip().endswith("▲8 0.67"))
    marks = np.flatnonzero(cells.chars[row, :50] == "▲")
    assert len(marks) >= 2 and set(cells.ink[row, marks]) == {palette.of_layer(8)}
    assert not any("▲" in text[:50] for text in cells.text()[row + 2 :])  # where layers 0 to 7 are
    text = curve_plot(EPOCHS, many_layers(12, "ascii"), 60, 16, "ascii").text()
    (row,) = (row for row in text if row.rstrip().endswith("a=10 0.83"))
    assert row[4:50].strip() == "a" * len(row[4:50].strip()) != ""


def test_in_ascii_the_numbers_in_the_plane_stand_alone() -> None:
    spread = np.tile(np.linspace(0.1, 1.9, 12), (3, 1))
    cells = plane_plot(spread, spread, 100, 30, "ascii", h_x=2, h_y=2)
    assert not any("=10" in row for row in cells.text())
    assert any("10" in row[8:] for row in cells.text())


def test_a_path_carries_the_mark_that_stands_before_its_number() -> None:
    x = np.linspace(np.full(6, 0.2), np.linspace(0.5, 2, 6), 40)
    y = np.linspace(np.full(6, 0.1), np.full(6, 0.6), 40)
    cells = plane_plot(x, y, 60, 24, "braille", h_x=2, h_y=0.65)
    assert any("◆5" in row for row in cells.text())
    inks = set(cells.ink[cells.chars == "◆"].tolist())
    assert inks == {palette.of_layer(4), palette.of_layer(5)}
    assert 3 <= (cells.chars == "◆").sum() <= 14  # a few to each, and one before each number
