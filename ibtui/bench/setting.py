"""How thorough a run of the bench is, what it runs on, and where its progress goes."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("numpy", "numba", "textual", "mxnet", "torch", "jax", "scikit-learn")


@dataclass(frozen=True)
class Setting:
    """Given to everything that measures."""

    rounds: int
    """How often everything is repeated, in turns."""
    share: float
    """Of the time that a thorough run spends on one timed stretch."""
    say: Callable[[str], None]
    """Shows progress."""

    @property
    def starts(self) -> int:
        """How often a whole process is started, or run, for one figure."""
        return 1 if self.quick else self.rounds // 2

    @property
    def warm(self) -> int:
        """How often it is done before, to compile what is to be compiled and read files in."""
        return 0 if self.quick else 1

    @property
    def quick(self) -> bool:
        """Whether figures are only meant to be there, not to be good."""
        return self.share < 1


def machine() -> dict[str, Any]:
    """What to name beside every figure."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """The model, as /proc says it, or as the platform does where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def progress() -> tuple[Callable[[str], None], Callable[[], None]]:
    """Two functions on the standard error, one to say what goes on and one to end: a line that changes on a
    terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        return lambda text: print(text, file=sys.stderr, flush=True), lambda: None
    from rich.console import Console

    status = Console(stderr=True).status("starting")
    status.start()
    return status.update, status.stop
