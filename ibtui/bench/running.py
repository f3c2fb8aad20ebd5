"""Runs groups of measurements one after another, and prints what they found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ibtui.bench.effort import Effort, machine, progress
from ibtui.bench.rows import Report
from ibtui.bench.table import show
from ibtui.errors import explain

_ROUNDS, _QUICK_ROUNDS, _QUICK_SHARE = 12, 2, 0.1


@dataclass(frozen=True)
class Group:
    """Rows that are measured together."""

    title: str
    """The title of their table."""
    measure: Callable[[Report, Effort], None]
    """Adds the rows to a report."""


def run(groups: Mapping[str, Group], as_json: bool, quick: bool, ctx: str = "cpu") -> int:
    """Measure groups, by their names, and print them; returns the exit status, 1 where one broke off."""
    say, end = progress()
    try:
        effort = Effort(*((_QUICK_ROUNDS, _QUICK_SHARE) if quick else (_ROUNDS, 1.0)), say)
        report = measured(groups, effort, ctx)
    finally:
        end()
    if as_json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        show(report, {name: group.title for name, group in groups.items()}, sys.stdout)
    return 1 if report.failed else 0


def measured(groups: Mapping[str, Group], effort: Effort, ctx: str = "cpu") -> Report:
    """Measure groups, by their names."""
    report = Report(machine(ctx), effort.quick)
    for name, group in groups.items():
        try:
            group.measure(report, effort)
        except Exception as error:  # what the other groups found out is worth having
            report.failed[name] = explain(error)
    return report
