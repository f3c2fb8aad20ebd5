"""The command line of every Python process that ibtui starts."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[1])
_FIRST = (
    "import sys; sys.path = [{root!r}] + [p for p in sys.path if p]; import ibtui; "
    "del sys.path[0]; sys.path += [p for p in {path!r} if p not in sys.path]; "
)


def python(statement: str, *arguments: str) -> list[str]:
    """Return a command that runs a statement in a Python of its own, with this ibtui.

    No file in the current folder is taken for a library: with -c and -m, Python itself looks there first, and
    -P, which forbids it, came with Python 3.11. What this process can import the other one can, too.

    Parameters
    ----------
    statement : str
        The code; `sys` is imported.
    *arguments : str
        `sys.argv` from 1 on.
    """
    path = [*filter(None, sys.path), _ROOT]
    return [sys.executable, "-c", _FIRST.format(root=_ROOT, path=path) + statement, *arguments]
