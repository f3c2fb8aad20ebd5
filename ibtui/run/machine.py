"""This machine, as far as the last bits of a run's numbers depend on it."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np

from ibtui.engines.choose import Choice
from ibtui.engines.mxnet import library
from ibtui.engines.nvidia.driver import start_driver
from ibtui.errors import printable

_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "asimd", "sve")
"""Instructions by which NumPy, its linear algebra and MXNet choose how they compute."""


def this_machine(choice: Choice) -> dict[str, str]:
    """Describe this machine for a run of an engine on a device.

    The processor decides what code NumPy's linear algebra runs and what Numba compiles, and so the order of
    sums and the use of fused multiply-add; the number of threads decides how MXNet divides a sum.
    """
    from ibtui.core import compiling  # this imports Numba, which takes a while

    model, features = _processor()
    machine = {
        "processor": model,
        "instructions": features,
        "compiled for": compiling.target(),
        "NumPy": np.__version__,
        "Numba": compiling.compiler(),
        "threads": printable(os.environ.get("OMP_NUM_THREADS", "")[:40]) or str(_processors()),
    }
    if choice.engine == "gluon":
        machine["MXNet"] = str(library.installed())
    if choice.ctx != "cpu":
        machine["GPU"] = str(start_driver().card(choice.ctx))
    return machine


def _processor() -> tuple[str, str]:
    """Return the processor's name, and those of its instructions that matter."""
    lines: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            lines.setdefault(name.strip(), value.strip())
    flags = lines.get("flags", lines.get("Features", "")).split()
    name = lines.get("model name") or _name_on_macos() or platform.processor() or platform.machine()
    return name, " ".join(feature for feature in _FEATURES if feature in flags)


def _name_on_macos() -> str:
    if platform.system() != "Darwin":
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()
    return ""


def _processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
