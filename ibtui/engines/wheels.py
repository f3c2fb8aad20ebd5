"""The builds of MXNet that there are, and so what to advise where it is missing."""

from __future__ import annotations

import platform
import sys

NEWEST_PYTHON = (3, 12)
"""The newest Python that a build of MXNet 1.9.1 works with: it needs NumPy 1."""


def advice(
    extra: str,
    python: tuple[int, ...] = sys.version_info[:2],
    system: str = sys.platform,
    machine: str = platform.machine(),
) -> str:
    """Say what brings MXNet here, as a command that is part of a sentence.

    Parameters
    ----------
    extra : str
        cpu or cu112: the extra of ibtui's package that would bring it.
    python, system, machine
        This machine's, by default.
    """
    if python > NEWEST_PYTHON:
        return f"run ibtui with Python 3.10 to 3.12, as MXNet has no build for {python[0]}.{python[1]}"
    if extra == "cu112" and (system, machine) != ("linux", "x86_64"):
        return "run it on Linux on x86-64, as MXNet for CUDA has no other build"
    if system == "darwin" and machine != "x86_64":
        return "run it elsewhere, as MXNet has no build for this processor under macOS"
    return f"pip install '.[{extra}]' in ibtui's folder"
