"""`ibtui bench`: the speed of training and of measuring, on the machine that it runs on.

Figures are medians over rounds in which whatever is compared takes turns, with their quartiles; ratios are
taken round by round. Packages to compare with are used where they are installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibtui.bench.running import Group

GROUPS = ("training", "measurement", "scaling")
"""The groups of rows, in this order."""


def bench(*, as_json: bool = False, quick: bool = False, only: tuple[str, ...] = ()) -> int:
    """Measure and print.

    Parameters
    ----------
    as_json : bool
        One JSON object on the standard output, in place of the table.
    quick : bool
        Everything once or twice: to see that it works, not to quote.
    only : tuple of str
        Of `GROUPS`; empty: all.

    Returns
    -------
    int
        Exit status: 1 where a group could not be measured.
    """
    from ibtui.bench.running import run

    there = groups()
    return run({name: there[name] for name in GROUPS if name in (only or GROUPS)}, as_json, quick)


def groups() -> dict[str, Group]:
    """Return the groups by their names; this imports what they measure."""
    from ibtui.bench import estimates, training
    from ibtui.bench.running import Group

    default = "the default experiment, 500 points, batch 10, four tanh layers of two"
    return {
        "training": Group(f"training: {default}", training.measure),
        "measurement": Group("measurement", estimates.measure),
        "scaling": Group("scaling", estimates.scaling),
    }
