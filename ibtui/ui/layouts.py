"""The layout of panes: from the size of the screen and the user's choices to a region for each that is shown.

Panes that are hidden make room for their neighbours. The arrangements, on a full screen::

    overview                      plane                       curves
    input scatter scatter …       plane          i_xt         i_xt      i_ty
    i_xt  i_ty  plane                            i_ty         quantity  performance
    quantity performance run      scatter …      performance  net       run

From `HUGE` on the overview has a large plane on the left, and from `ROOMY_FOR_NET` on the net. A compact
screen has the plane, two scatters and a table of numbers; a small one the plane or the table alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ibtui.ui.panes import Panes
from ibtui.ui.view import HUGE, ROOMY, View, layout_for, page

LEAST_WIDTH = 18
"""The least that a pane of one layer makes sense in; layers that do not fit are on further pages."""
TABLE = "table"
_ROWS = {0: 12.0, 1: 13.0, 2: 12.0}
"""The share of the height that each row of the overview has."""

Box = tuple[int, int, int, int]
"""Left, top, width, height."""


@dataclass(frozen=True)
class Part:
    """A part of a split."""

    node: Node
    share: float = 1.0
    """Its share of the cells that parts of a fixed size leave."""
    fixed: int | None = None
    """Its size in cells, where that is fixed."""


@dataclass(frozen=True)
class Split:
    """Parts beside each other, or one above the other."""

    across: bool
    parts: tuple[Part, ...]


Node = str | Split
"""A widget by its id, or a split."""


def beside(*nodes: Node | Part) -> Split:
    """Lay these beside each other."""
    return Split(True, tuple(node if isinstance(node, Part) else Part(node) for node in nodes))


def above(*nodes: Node | Part) -> Split:
    """Lay these one above the other, the first one on top."""
    return Split(False, tuple(node if isinstance(node, Part) else Part(node) for node in nodes))


def plan(panes: Panes, view: View, layers: int, width: int, height: int, table_rows: int) -> Node | None:
    """Return what is on a screen of this size; None where nothing of it would make sense."""
    if view.enlarged:
        return _id_of(panes, view)
    kind = layout_for(width, height)
    if kind == "tiny":
        return None
    if kind == "small":
        return _without(TABLE if view.arrangement == "curves" else "plane", view.hidden) or TABLE
    make = _full if kind == "full" else _compact
    return _without(make(panes, view, layers, width, height, table_rows), view.hidden) or TABLE


def _id_of(panes: Panes, view: View) -> str:
    made = panes.get(view.pane)
    return f"{view.pane}{view.layer}" if made is not None and made.declared.per_layer else view.pane


def _full(panes: Panes, view: View, layers: int, width: int, height: int, table_rows: int) -> Node:
    if view.arrangement == "plane":
        side = above("i_xt", "i_ty", "performance")
        return beside(
            Part(above(Part("plane", 2.0), _scatters(layers, view, int(width * 2 / 3))), 2.0), Part(side, 1.0)
        )
    if view.arrangement == "curves":
        return above(beside("i_xt", "i_ty"), beside("quantity", "performance"), beside("net", "run"))
    rows = {row: _row(panes, row, view, layers, width, height) for row in _ROWS}
    if width < HUGE[0] or height < HUGE[1]:
        return above(*(Part(rows[row], share) for row, share in _ROWS.items()))
    rest = [name for row in (1, 2) for name in _names(panes, row, width, height) if name != "plane"]
    half = -(-len(rest) // 2)
    lower = beside(Part("plane", 2.0), Part(above(beside(*rest[:half]), beside(*rest[half:])), 3.0))
    return above(Part(rows[0], _ROWS[0]), Part(lower, _ROWS[1] + _ROWS[2]))


def _compact(panes: Panes, view: View, layers: int, width: int, height: int, table_rows: int) -> Node:
    table = Part(TABLE, fixed=table_rows)
    if view.arrangement == "plane":
        return above("plane", table)
    if view.arrangement == "curves":
        return above(beside("i_xt", "i_ty"), table)
    top = beside(Part("plane", 1.0), Part(_scatters(layers, view, width // 2), 1.0))
    if height < ROOMY:
        return above(top, table)
    return above(top, beside("i_xt", "i_ty", "performance"), table)


def _names(panes: Panes, row: int, width: int, height: int) -> list[str]:
    """Return the panes that declare a row and that a screen of this size has, those per layer not."""
    return [
        name
        for name, made in panes.items()
        if made.declared.row == row and not made.declared.per_layer
        if width >= made.declared.least[0] and height >= made.declared.least[1]
    ]


def _row(panes: Panes, row: int, view: View, layers: int, width: int, height: int) -> Split:
    nodes: list[Node | Part] = []
    for name, made in panes.items():
        if made.declared.row != row:
            continue
        if not made.declared.per_layer:
            if name in _names(panes, row, width, height):
                nodes.append(name)
            continue
        fitting = max(1, width // LEAST_WIDTH - len(nodes))
        shown = page(layers, view.layer, fitting)
        nodes += [f"{name}{layer}" for layer in shown] if layers else []
    return beside(*nodes)


def _scatters(layers: int, view: View, width: int) -> Split:
    shown = page(layers, view.layer, max(1, width // LEAST_WIDTH)) if layers else range(0)
    return beside(*(f"scatter{layer}" for layer in shown))


def _without(node: Node, hidden: Iterable[str]) -> Node | None:
    """Return what is left of a node without these widgets; None where that is nothing."""
    if isinstance(node, str):
        return None if node in hidden else node
    parts = [
        Part(left, part.share, part.fixed) for part in node.parts if (left := _without(part.node, hidden))
    ]
    return Split(node.across, tuple(parts)) if parts else None


def ids(node: Node | None) -> list[str]:
    """Return the widgets of a node, in their order."""
    if node is None or isinstance(node, str):
        return [] if node is None else [node]
    return [name for part in node.parts for name in ids(part.node)]


def placed(node: Node | None, box: Box) -> dict[str, Box]:
    """Return the region of each widget of a node in a box: nothing bare, and no two on each other."""
    if node is None:
        return {}
    if isinstance(node, str):
        return {node: box}
    left, top, width, height = box
    found: dict[str, Box] = {}
    ends = _ends(node.parts, width if node.across else height)
    for part, (start, stop) in zip(node.parts, pairwise(ends), strict=True):
        inner = (
            (left + start, top, stop - start, height)
            if node.across
            else (left, top + start, width, stop - start)
        )
        found |= placed(part.node, inner)
    return found


def _ends(parts: Sequence[Part], size: int) -> list[int]:
    fixed = sum(part.fixed or 0 for part in parts)
    shares = sum(part.share for part in parts if part.fixed is None)
    free = max(size - fixed, 0)
    sizes = [part.fixed if part.fixed is not None else free * part.share / shares for part in parts]
    ends = [0, *(round(end) for end in accumulate(sizes))]
    return [min(end, size) for end in ends[:-1]] + [size]
