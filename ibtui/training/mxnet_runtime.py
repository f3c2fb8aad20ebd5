"""The one module that imports MXNet, and knows what MXNet 1.9.1 needs from a Python of today.

`installed` and `has_driver` look without importing anything. `probe` asks a process of its own, because MXNet
ends the process that asks where the CUDA libraries do not suit the machine. `load` imports MXNet here.

Measured and left alone: MXNet's engine. NaiveEngine, which would have to be set in the environment before the
import and logs a line, is no faster than the default where a chunk of an epoch is one graph (see `gluon`).
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy

from ibtui.errors import EngineError

PROBE_TIMEOUT_S = 120.0  # the first use of a GPU loads some hundred megabytes of its code
_VARIANTS = ("", "-cu112", "-cu110", "-cu102", "-cu101", "-cu100", "-cu92", "-native")


@dataclass(frozen=True)
class Build:
    """The MXNet that this Python would import."""

    distribution: str
    """Name it was installed under, such as mxnet-cu112; plain mxnet where no package says."""
    version: str
    """Empty where no package says."""
    cuda: bool | None
    """Whether it was built for CUDA; None: only running it would tell."""
    obstacle: str
    """What is known to keep it from being imported here, and what would be right; empty: nothing."""

    def __str__(self) -> str:
        """Name and version, as pip has them."""
        return f"{self.distribution} {self.version}".rstrip()


def installed() -> Build | None:
    """The MXNet that could be imported, by what its package says of itself; None where there is none."""
    if "mxnet" not in sys.modules and importlib.util.find_spec("mxnet") is None:
        return None
    name, version, cuda = "mxnet", "", None
    for suffix in _VARIANTS:
        try:
            version = metadata.version(f"mxnet{suffix}")
        except metadata.PackageNotFoundError:
            continue
        name, cuda = f"mxnet{suffix}", "-cu" in suffix
        # Both wheels provide one folder: where both are installed, what lies in it is anybody's guess.
        if cuda:
            break
    return Build(name, version, cuda, _obstacle(name, cuda))


def _obstacle(name: str, cuda: bool | None) -> str:
    if int(numpy.__version__.partition(".")[0]) >= 2:
        return f"{name} needs NumPy 1 and here is NumPy {numpy.__version__}: pip install 'numpy<2'"
    if importlib.util.find_spec("distutils") is None and importlib.util.find_spec("setuptools") is None:
        return f"{name} needs distutils, which this Python has no more: pip install setuptools"
    if cuda and not has_driver():
        return f"{name} is a CUDA build and this machine has no NVIDIA driver (libcuda.so.1)"
    return ""


@functools.cache
def has_driver() -> bool:
    """Whether an NVIDIA driver's library can be loaded; the driver itself is not started."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


@functools.cache
def load() -> Any:
    """The module `mxnet`.

    Raises
    ------
    EngineError
        If it cannot be imported; the message says why, and what would be right.
    """
    build = installed()
    if build is None:
        raise EngineError("MXNet is not installed: pip install 'ibtui[cpu]', or ibtui[cu112] for a CUDA GPU")
    try:
        with _as_mxnet_expects():
            return importlib.import_module("mxnet")
    except Exception as error:
        raise EngineError(_why_not(build, error)) from error


def _why_not(build: Build, error: Exception) -> str:
    if isinstance(error, OSError) and "libcuda.so" in str(error):
        return (
            f"{build} is a CUDA build and finds no NVIDIA driver (libcuda.so.1): "
            "install the driver, or the CPU build: pip install 'ibtui[cpu]'"
        )
    reason = build.obstacle or " ".join(f"{type(error).__name__}: {error}".split())
    return f"{build} cannot be imported: {reason}; --engine fused needs no MXNet"


@contextmanager
def _as_mxnet_expects() -> Iterator[None]:
    """The surroundings in which MXNet's import works, and is silent; put back afterwards.

    - `numpy.bool`, a name that NumPy 1.24 to 1.26 lack. Only MXNet's imitation of NumPy (`mx.np`, unused
      here) looks it up again later.
    - distutils, which Python has no more from 3.12 on: setuptools brings one when it is imported.
    - Deprecations that MXNet runs into: nothing that a user of ibtui could act on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if sys.version_info >= (3, 12):
            importlib.import_module("setuptools")
        missing = "bool" not in vars(numpy)
        if missing:
            numpy.bool = bool  # type: ignore[attr-defined]
        try:
            yield
        finally:
            if missing:
                del numpy.bool  # type: ignore[attr-defined]


def context(device: str) -> Any:
    """MXNet's context for "cpu", "gpu0", "gpu1", …"""
    mx = load()
    return mx.cpu() if device == "cpu" else mx.gpu(int(device.removeprefix("gpu")))


def version() -> str:
    """Version and build of the imported MXNet, such as "1.9.1 (CPU)"."""
    return f"{load().__version__} ({'CUDA' if has_cuda() else 'CPU'})"


def has_cuda() -> bool:
    """Whether the imported MXNet was built for CUDA."""
    return bool(load().runtime.Features().is_enabled("CUDA"))


def gpu_count() -> int:
    """GPUs that the imported MXNet sees, whether it can compute on them or not."""
    if not has_cuda():
        return 0
    try:
        return int(load().context.num_gpus())
    except load().MXNetError:  # a driver that refuses to start
        return 0


def devices() -> list[str]:
    """What the imported MXNet sees: "cpu", then "gpu0", …"""
    return ["cpu", *(f"gpu{index}" for index in range(gpu_count()))]


@dataclass(frozen=True)
class Probe:
    """What a process of its own found out about MXNet on this machine's GPUs."""

    cuda: bool
    gpus: int
    failures: dict[str, str]
    """Device to the reason why MXNet cannot compute on it, for those tried."""
    error: str
    """Why nothing could be found out; empty: it could."""


@functools.cache
def probe(device: str) -> Probe:
    """Import MXNet in a process of its own, count its GPUs and compute a little on `device`."""
    answer = "import sys; from ibtui.training import mxnet_runtime as m; m._answer(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", answer, device],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Probe(False, 0, {}, f"MXNet gave no answer within {PROBE_TIMEOUT_S:.0f} s")
    last = done.stdout.splitlines()[-1:]
    try:
        return Probe(**json.loads(last[0]))
    except (IndexError, ValueError, TypeError):
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        return Probe(False, 0, {}, f"MXNet ended the process that tried it: {lines[-1].strip()[:200]}")


def _answer(device: str) -> None:
    """What the process that `probe` starts does."""
    try:
        found = Probe(has_cuda(), gpu_count(), {}, "")
    except EngineError as error:
        found = Probe(False, 0, {}, str(error))
    if device in (f"gpu{index}" for index in range(found.gpus)):
        try:
            ones = load().nd.ones((2, 2), ctx=context(device))
            load().nd.dot(ones, ones).asnumpy()
        except Exception as error:  # whatever CUDA or cuBLAS say
            text = str(error)
            found.failures[device] = (
                "MXNet has no code for this GPU's generation"
                if "no kernel image" in text
                else (text.strip().splitlines() or [type(error).__name__])[-1].strip()[:200]
            )
    # MXNet's own messages may have gone to stdout before: the answer is the last line.
    print("\n" + json.dumps(vars(found)), flush=True)
    os._exit(0)  # CUDA libraries that failed may fail again when the process winds up
