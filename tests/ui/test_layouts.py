"""The layout of panes, as a function of the size and of what the user has chosen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ibtui.ui.layouts import LEAST_WIDTH, ids, placed, plan
from ibtui.ui.panes import panes
from ibtui.ui.view import CHOICES, View

SIZES = [(40, 12), (60, 20), (80, 24), (97, 33), (100, 30), (120, 40), (160, 50), (200, 60), (317, 90)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arrangement", CHOICES["arrangement"])
@pytest.mark.parametrize("layers", [1, 4, 12])
def test_no_cell_is_bare_and_none_is_taken_twice(
    size: tuple[int, int], arrangement: str, layers: int
) -> None:
    view = View(arrangement=arrangement, layer=layers - 1)  # type: ignore[arg-type]
    width, height = size[0], size[1] - 2
    boxes = placed(plan(panes(), view, layers, *size, 9), (0, 0, width, height))
    assert sum(w * h for _, _, w, h in boxes.values()) == width * height
    for (x, y, w, h), (left, top, across, down) in itertools.combinations(boxes.values(), 2):
        assert x + w <= left or left + across <= x or y + h <= top or top + down <= y
    scatters = [box for name, box in boxes.items() if name.startswith("scatter")]
    assert all(w >= LEAST_WIDTH for _, _, w, _ in scatters)
    assert not scatters or f"scatter{layers - 1}" in boxes  # the page with the chosen layer


@pytest.mark.parametrize(
    ("size", "there", "missing"),
    [
        ((200, 60), {"input", "scatter0", "i_xt", "plane", "quantity", "net", "run"}, {"table"}),
        ((160, 50), {"input", "scatter3", "plane", "net", "run"}, {"table"}),
        ((120, 40), {"input", "scatter3", "plane", "quantity", "run"}, {"net", "table"}),
        ((80, 24), {"plane", "scatter0", "scatter1", "table"}, {"scatter2", "input"}),
        ((79, 24), {"plane"}, {"scatter0", "table"}),
        ((40, 12), {"plane"}, {"table"}),
        ((39, 12), set(), {"plane", "table"}),
    ],
)  # fmt: skip
def test_a_larger_screen_shows_more(size: tuple[int, int], there: set[str], missing: set[str]) -> None:
    shown = set(ids(plan(panes(), View(), 4, *size, 9)))
    assert shown >= there and not shown & missing


def test_the_plane_is_larger_on_a_huge_screen_and_where_it_comes_first() -> None:
    def share(view: View, size: tuple[int, int]) -> float:
        boxes = placed(plan(panes(), view, 4, *size, 9), (0, 0, *size))
        return boxes["plane"][2] * boxes["plane"][3] / (size[0] * size[1])

    assert share(View(), (200, 60)) > 2 * share(View(), (160, 50))
    assert share(View(arrangement="plane"), (120, 40)) > 3 * share(View(), (120, 40))


def test_what_is_hidden_makes_room_and_an_empty_screen_has_the_table() -> None:
    view, size = View(hidden=frozenset({"scatter1", "i_ty"})), (120, 40)
    boxes = placed(plan(panes(), view, 4, *size, 9), (0, 0, *size))
    assert not boxes.keys() & view.hidden
    assert sum(w * h for _, _, w, h in boxes.values()) == size[0] * size[1]
    assert plan(panes(), replace(view, hidden=frozenset(panes())), 0, *size, 9) == "table"
