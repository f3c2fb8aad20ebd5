"""The user's pager, for a report that is higher than the terminal."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_NOT_RUN = (126, 127)
"""A shell's exit statuses where a command cannot be run."""


def print_paged(lines: Sequence[str], height: int, environment: Mapping[str, str]) -> None:
    """Print lines, through $PAGER or less where the output is a terminal of fewer lines.

    A pager that is left early, or by Ctrl-C, is no error; one that cannot be run is done without.
    """
    pager = _pager(environment) if sys.stdout.isatty() and len(lines) > height else ""
    text = "\n".join(lines)
    if not pager or not _paged(pager, text, environment):
        print(text)


def _pager(environment: Mapping[str, str]) -> str:
    """Return the command line of the pager; empty where there is none."""
    if environment.get("TERM") == "dumb":
        return ""
    default = "less" if shutil.which("less", path=environment.get("PATH")) else ""
    chosen = environment.get("PAGER", default).strip()
    return "" if chosen == "cat" else chosen


def _paged(pager: str, text: str, environment: Mapping[str, str]) -> bool:
    """Have a pager show text; returns False where it cannot be run."""
    sys.stdout.flush()
    # F: no paging where it fits after all; X: what was shown stays; R: colours.
    options = f"{environment.get('LESS', '-FX')} -R"
    # Ctrl-C is for the pager to take: unlike a signal that is ignored, it does not inherit a handler.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(
            pager,
            shell=True,  # it is a command line, with arguments
            stdin=subprocess.PIPE,
            stdout=sys.stdout.fileno(),
            env={**environment, "LESS": options},
        )
        process.communicate(f"{text}\n".encode(sys.stdout.encoding, "backslashreplace"))
    finally:
        signal.signal(signal.SIGINT, before)
    return process.returncode not in _NOT_RUN
