"""A finding of the doctor's, and lines of them."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from ibtui.errors import printable

WIDTH = 80
_MARGIN = 19

OK, NOTE, PROBLEM = "ok", "-", "!"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's, and its fix."""

    label: str
    """Empty: the line belongs to the one before."""
    state: str
    """`OK`, `NOTE` (nothing to be mended) or `PROBLEM`."""
    text: str
    fix: str = ""


def render(findings: Iterable[Finding], width: int | None = None) -> list[str]:
    """Return lines no wider than the terminal, or than `WIDTH`."""
    wide = max(40, min(width or shutil.get_terminal_size().columns, WIDTH)) - _MARGIN
    lines = []
    for finding in findings:
        text = textwrap.wrap(printable(finding.text), wide, break_on_hyphens=False) or [""]
        if finding.fix:
            text += textwrap.wrap(printable(f"fix: {finding.fix}"), wide, break_on_hyphens=False)
        label = f"{finding.label:15} {finding.state:2} "
        lines += [(" " * _MARGIN if i else label) + line for i, line in enumerate(text)]
    return lines
