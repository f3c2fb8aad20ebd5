"""Panes: a registry of what is drawn side by side. A pane is one file, and declares its place, key and help.

The full layout, and what a compact screen has of it::

    row 0   input, where there is room; scatter, one for each layer
    row 1   i_xt     i_ty         plane          from 32 rows on
    row 2   quantity performance  run            not: a table has their numbers

Another package's pane is a class with the decorator `ibtui.ui.panes.pane.pane`, and is shown when it is asked
for (`--panes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ibtui.errors import UsageError, printable
from ibtui.registry import Registry

if TYPE_CHECKING:
    from ibtui.ui.panes.pane import Pane

OWN = {
    "input": "ibtui.ui.panes.input:Input",
    "scatter": "ibtui.ui.panes.scatter:Scatter",
    "i_xt": "ibtui.ui.panes.i_xt:InputInformation",
    "i_ty": "ibtui.ui.panes.i_ty:LabelInformation",
    "plane": "ibtui.ui.panes.plane:Plane",
    "quantity": "ibtui.ui.panes.quantity:ChosenQuantity",
    "performance": "ibtui.ui.panes.performance:Performance",
    "net": "ibtui.ui.panes.net:Net",
    "run": "ibtui.ui.panes.run:Run",
}
"""The panes of every screen."""
PANES: Registry[type[Pane]] = Registry("pane", "ibtui.panes", OWN)

Panes = Mapping[str, "type[Pane]"]
"""Panes by name: row by row, each row from left to right; those without a place come last."""


def panes(extra: Iterable[str] = ()) -> Panes:
    """Load the panes of every screen, and those that `--panes` names; `UsageError` where one is no pane."""
    from ibtui.ui.panes.pane import Pane

    found = {name: PANES[name] for name in dict.fromkeys((*OWN, *extra))}
    for name, made in found.items():
        if not (isinstance(made, type) and issubclass(made, Pane) and name.isidentifier()):
            raise UsageError(f"--panes {printable(name)}: is no pane")
    return dict(sorted(found.items(), key=lambda item: _place(item[1])))


def _place(made: type[Pane]) -> tuple[bool, int, int]:
    declared = made.declared
    return declared.row is None, declared.row or 0, declared.order


def shown_quantities(found: Panes) -> frozenset[str]:
    """Return the names of the quantities that some pane always shows."""
    return frozenset(name for made in found.values() for name in made.declared.quantities)


def tab_order(found: Panes, *, compact: bool) -> Sequence[str]:
    """Return the panes that Tab goes through."""
    return [name for name, made in found.items() if made.declared.compact or not compact]
