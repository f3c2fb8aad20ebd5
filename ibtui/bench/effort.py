"""Thoroughness of a run of the bench, the machine that it runs on, and its progress."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ibtui.engines.nvidia.driver import start_driver

_PACKAGES = ("numpy", "numba", "textual", "mxnet", "torch", "jax", "scikit-learn", "cuda-bindings")


@dataclass(frozen=True)
class Effort:
    """The thoroughness of a run of the bench."""

    rounds: int
    """The number of times that everything is repeated, in turns."""
    share: float
    """The share of a thorough run's time that one timed stretch takes."""
    say: Callable[[str], None]
    """Shows progress."""

    @property
    def starts(self) -> int:
        """The number of times that a whole process is started for one figure."""
        return 1 if self.quick else self.rounds // 2

    @property
    def warm(self) -> int:
        """The number of starts before those, which compile and read files in."""
        return 0 if self.quick else 1

    @property
    def quick(self) -> bool:
        """True where figures need only be there, not be good."""
        return self.share < 1


def machine(ctx: str = "cpu") -> dict[str, Any]:
    """Describe the machine, to be named beside every figure; `ctx` is the device that trains."""
    return {
        "cpu": _cpu(),
        "gpu": "" if ctx == "cpu" else str(start_driver().card(ctx)),
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
    """Return the model, as /proc names it, or as the platform does where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def progress() -> tuple[Callable[[str], None], Callable[[], None]]:
    """Return two functions that write progress to the standard error: one says a text, one ends it.

    On a terminal the text is one line that changes, otherwise plain lines.
    """
    if not sys.stderr.isatty():
        return lambda text: print(text, file=sys.stderr, flush=True), lambda: None
    from rich.console import Console

    status = Console(stderr=True).status("starting")
    status.start()
    return status.update, status.stop
