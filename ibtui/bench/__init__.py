"""`ibtui bench`: the speed of everything, on the machine that it runs on.

Figures are medians over rounds in which whatever is compared takes turns, with their quartiles; ratios are
taken round by round. Packages to compare with are used where they are installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibtui.bench.rows import Report
    from ibtui.bench.setting import Setting

GROUPS = ("training", "measurement", "scaling", "watching", "screen", "runs")
"""What is measured, in this order."""
_ROUNDS, _QUICK_ROUNDS, _QUICK_SHARE = 12, 2, 0.1


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
    from ibtui.bench.setting import Setting, progress

    say, end = progress()
    setting = Setting(_QUICK_ROUNDS if quick else _ROUNDS, _QUICK_SHARE if quick else 1.0, say)
    try:
        report = measured(only or GROUPS, setting)
    finally:
        end()
    if as_json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        from ibtui.bench.table import show

        show(report, sys.stdout)
    return 1 if report.failed else 0


def measured(groups: Sequence[str], setting: Setting) -> Report:
    """The rows of these groups, in the order of `GROUPS`."""
    from ibtui.bench import estimates, screen, training, watching, whole
    from ibtui.bench.rows import Report
    from ibtui.bench.setting import machine

    measures = {
        "training": training.measure,
        "measurement": estimates.measure,
        "scaling": estimates.scaling,
        "watching": watching.measure,
        "screen": screen.measure,
        "runs": whole.measure,
    }
    report = Report(machine(), setting.quick)
    for group in GROUPS:
        if group in groups:
            try:
                measures[group](report, setting)
            except Exception as error:  # what the other groups found out is worth having
                report.failed[group] = f"{type(error).__name__}: {error}"
    return report
