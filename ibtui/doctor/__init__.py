"""`ibtui doctor`: what this machine can run, and what to do about what it cannot.

Whatever could end a process (vendors' libraries, a broken build) is asked of a process of its own. The doctor
works with anything missing, and prints ASCII, no wider than 80 columns.
"""

from __future__ import annotations

import os
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ibtui import __version__, tty
from ibtui.config import RunConfig
from ibtui.core.cache import cache_folder, count_cached, repair_cache
from ibtui.doctor import findings
from ibtui.doctor.finding import NOTE, OK, PROBLEM, Finding, render
from ibtui.doctor.questions import QUESTIONS, ask_about
from ibtui.doctor.traps import environment


def doctor(ctx: str) -> int:
    """Print what was found; return 0 when a run with this --ctx can train, else 1.

    Raises
    ------
    UsageError
        `ctx` is no device.
    """
    RunConfig(ctx=ctx)
    found, runs = examine(ctx)
    lines = [f"ibtui {__version__} on {platform.system()} {platform.machine()}", "", *render(found)]
    print("\n".join(lines).encode("ascii", "backslashreplace").decode())
    return 0 if runs else 1


def examine(ctx: str) -> tuple[list[Finding], bool]:
    """Return everything there is to say, and True if a run with this --ctx can train."""
    device = "gpu0" if ctx == "auto" else ctx
    damaged = repair_cache()  # before anything runs that would compile anew
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda about: ask_about(about, device, ctx), QUESTIONS)
        told = dict(zip(QUESTIONS, answers, strict=True))
    cuda_build = bool(told["mxnet"].get("cuda"))
    found = [
        findings.python(),
        findings.package("NumPy", told["numpy"]),
        findings.package("Numba", told["numba"]),
        findings.mxnet(told["mxnet"]),
        *findings.engines(told["engines"]),
        *findings.libraries(told["libraries"], cuda_build),
        findings.bindings(told["bindings"], ctx.startswith("gpu")),
        findings.driver(told["driver"], cuda_build or ctx.startswith("gpu")),
        *findings.cards(told["driver"], told["engines"], told["bindings"], device),
        findings.terminal(os.environ, findings.terminal_size()),
        *environment({**tty.forgotten, **os.environ}),
        compiled_code(damaged),
        findings.runs(told["runs"]),
        findings.run(ctx, told["run"]),
    ]
    return found, "engine" in told["run"]


def compiled_code(damaged: int) -> Finding:
    """Describe the folder that compiled code is kept in, from which so many damaged files were removed."""
    label, folder, files = "compiled cache", cache_folder(), count_cached()
    if not _writeable(folder):
        fix = "export NUMBA_CACHE_DIR=~/a-folder-of-yours; without one, every start compiles for seconds"
        return Finding(label, PROBLEM, f"{folder} cannot be written to, or is full", fix)
    text = f"{folder} ({files} files)" if files else f"{folder} (empty: the first run compiles)"
    if damaged:
        return Finding(label, NOTE, f"{text}; {damaged} damaged or unfinished ones were removed")
    return Finding(label, OK, text)


def _writeable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return file.write(bytes(1 << 16)) == 1 << 16
    except OSError:
        return False
