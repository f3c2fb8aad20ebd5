"""Lines of the log: broken into rows, and the last one that says anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells

from ibtui.errors import printable


def wrapped(line: str, width: int) -> Iterator[str]:
    """Break a line into rows of at most `width` cells, its control characters made visible.

    It is broken between words or behind the slash of a path, and within a word only where that is longer than
    a row.
    """
    rest, width = printable(line), max(2, width)
    while cell_len(rest) > width:
        row = chop_cells(rest, width)[0]
        if rest[len(row)] != " ":
            at = max(row.rfind(" "), row.rfind("/")) + 1
            row = row[:at] if row[:at].strip() else row
        yield row.rstrip()
        rest = rest[len(row) :].lstrip(" ")
    yield rest


def last_line(lines: Iterable[str]) -> str:
    """Return the last line that says anything."""
    return next((printable(line) for line in reversed(list(lines)) if line.strip()), "")
