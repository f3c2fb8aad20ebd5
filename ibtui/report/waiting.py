"""The progress of a report that takes long."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def counted(steps: Sequence[int], what: str) -> Iterable[int]:
    """Yield the steps; meanwhile a bar stands on the standard error, where that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    return track(
        steps, escape(what), console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )
