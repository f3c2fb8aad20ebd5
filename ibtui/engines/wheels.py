"""The extras that bring what an engine needs, and so what to advise where it is missing."""

from __future__ import annotations

import platform
import sys

NEWEST_PYTHON = (3, 12)
"""The newest Python that a build of MXNet 1.9.1 works with: it needs NumPy 1."""
_NEWEST_CUDA_PYTHON = (3, 14)
"""The newest Python that cuda-bindings 12.9 has a build for."""
_DOWNLOADS = {"gpu": " (100 MB)", "cu112": " (2.3 GB)"}


def advice(
    extra: str,
    python: tuple[int, ...] = sys.version_info[:2],
    system: str = sys.platform,
    machine: str = platform.machine(),
) -> str:
    """Say what brings an extra's packages here, as a command that is part of a sentence.

    Parameters
    ----------
    extra : str
        cpu or cu112 (MXNet), or gpu (NVIDIA's bindings and compiler): an extra of ibtui's package.
    python, system, machine
        This machine's, by default.
    """
    if extra == "gpu":
        if (system, machine) not in (("linux", "x86_64"), ("linux", "aarch64")):
            return "run it on Linux on x86-64 or Arm, as NVIDIA's bindings have no other build"
        if python > _NEWEST_CUDA_PYTHON:
            newest = _dotted(_NEWEST_CUDA_PYTHON)
            return f"run ibtui with Python 3.10 to {newest}, which NVIDIA's bindings have builds for"
    else:
        if python > NEWEST_PYTHON:
            return f"run ibtui with Python 3.10 to 3.12, as MXNet has no build for {_dotted(python)}"
        if extra == "cu112" and (system, machine) != ("linux", "x86_64"):
            return "run it on Linux on x86-64, as MXNet for CUDA has no other build"
        if system == "darwin" and machine != "x86_64":
            return "run it elsewhere, as MXNet has no build for this processor under macOS"
    return f"pip install '.[{extra}]' in ibtui's folder{_DOWNLOADS.get(extra, '')}"


def _dotted(python: tuple[int, ...]) -> str:
    return ".".join(map(str, python[:2]))
