"""The command line of every Python process that ibtui starts."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_FIRST = """\
import sys
sys.path = [p for p in sys.path if p]
sys.path += [p for p in {path!r} if p not in sys.path]
from importlib import util
spec = util.spec_from_file_location("ibtui", {package!r})
sys.modules["ibtui"] = util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["ibtui"])
"""
"""Nothing but `sys`, which is built in, is imported before the current folder is off the path."""


def python(statement: str, *arguments: str) -> list[str]:
    """Return a command that runs a statement in a Python of its own, with this ibtui.

    No file in the current folder is taken for a library: with -c and -m, Python itself looks there first, and
    -P, which forbids it, came with Python 3.11. What this process can import the other one can, too. `sys` is
    imported, and has the arguments in `sys.argv`.
    """
    path = [*filter(None, sys.path), str(_PACKAGE.parent)]
    first = _FIRST.format(path=path, package=str(_PACKAGE / "__init__.py"))
    return [sys.executable, "-c", first + statement, *arguments]
