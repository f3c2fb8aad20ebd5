"""The bench's rows as tables for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ibtui.bench.rows import Report, cells

_WIDTH = 150
_WIDE = 120
"""From here on there is a column for targets; below, they are said under the table."""


def show(report: Report, titles: Mapping[str, str], file: TextIO) -> None:
    """Print a report; `titles` has the title of each group, in the order of the tables."""
    width = None if file.isatty() or os.environ.get("COLUMNS") else _WIDTH
    console = Console(file=file, width=width, highlight=False)
    wide = console.width >= _WIDE
    m = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in m["packages"].items())
    console.print(Text(f"{m['cpu']}, {m['cores']} cores (load {m['load']} at the start), {m['system']}"))
    if m["gpu"]:
        console.print(Text(m["gpu"]))
    console.print(Text(f"Python {m['python']}, {versions}"))
    console.print(
        Text("medians (percentiles where said), first and third quartiles; ratios are taken round by round")
    )
    if report.quick:
        console.print(Text("--quick: these figures are rough, and whole runs are short"))
    for group, title in titles.items():
        rows = [row for row in report.rows if row.group == group]
        if rows:
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
            table.add_column("")
            table.add_column("median", justify="right", no_wrap=True)
            table.add_column("quartiles", justify="right", no_wrap=True)
            table.add_column("ratio", justify="right", no_wrap=True)
            if wide:
                table.add_column("target")
            for row in rows:
                table.add_row(*map(Text, (row.name, *cells(row)[: 4 if wide else 3])))
            console.print(table)
            targets = [f"{row.name}: {cells(row)[3]}\n" for row in rows if row.targets]
            if targets and not wide:
                console.print(Text("".join(targets)))
    for name, why in report.absent.items():
        console.print(Text(f"left out: {name}: {why}"))
    for group, why in report.failed.items():
        console.print(Text(f"broke off: {group}: {why}"))
