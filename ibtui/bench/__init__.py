"""`ibtui bench`: the speed of training and of measuring, on the machine that it runs on.

Figures are medians over rounds in which whatever is compared takes turns, with their quartiles; ratios are
taken round by round. Packages to compare with are used where they are installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibtui.bench.running import Group

GROUPS = ("training", "measurement", "scaling")
"""The groups of rows on the CPU, in this order."""
_DEFAULT = "the default experiment, 500 points, batch 10, four tanh layers of two"


def bench(*, as_json: bool = False, quick: bool = False, only: tuple[str, ...] = (), ctx: str = "cpu") -> int:
    """Measure and print.

    Parameters
    ----------
    as_json : bool
        One JSON object on the standard output, in place of the table.
    quick : bool
        Everything once or twice: to see that it works, not to quote.
    only : tuple of str
        Of `GROUPS`; empty: all.
    ctx : str
        cpu; or gpu0, gpu1, … for the figures of that GPU alone.

    Returns
    -------
    int
        Exit status: 1 where a group could not be measured.

    Raises
    ------
    UsageError
        There is no such GPU, or the fused engine cannot run on it.
    """
    from ibtui.bench.running import run

    there = groups() if ctx == "cpu" else gpu_groups(ctx)
    return run({name: there[name] for name in there if name in (only or there)}, as_json, quick, ctx)


def groups() -> dict[str, Group]:
    """Return the groups by their names; this imports what they measure."""
    from ibtui.bench import estimates, training
    from ibtui.bench.running import Group

    return {
        "training": Group(f"training: {_DEFAULT}", training.measure),
        "measurement": Group("measurement", estimates.measure),
        "scaling": Group("scaling", estimates.scaling),
    }


def gpu_groups(ctx: str) -> dict[str, Group]:
    """Return the groups of a GPU, where the fused engine runs on it; else raise `UsageError`."""
    from functools import partial

    from ibtui.bench import gpu
    from ibtui.bench.running import Group
    from ibtui.config import RunConfig
    from ibtui.engines import ENGINES
    from ibtui.errors import UsageError

    if refusal := ENGINES["fused"].refusal(RunConfig(ctx=ctx), 2, ctx):
        raise UsageError(f"--ctx {ctx}: {refusal}")
    return {"gpu": Group(f"{ctx}: {_DEFAULT}", partial(gpu.measure, device=ctx))}
