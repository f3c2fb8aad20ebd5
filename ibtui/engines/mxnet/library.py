"""The one module that imports MXNet, and knows what MXNet 1.9.1 needs from a Python of today.

`installed` looks without importing anything. `import_mxnet` imports MXNet here, the CUDA libraries first.
MXNet ends the process that asks for a GPU where the CUDA libraries do not suit the machine: so `trial` has
another process ask.

Measured and left alone: MXNet's engine. NaiveEngine, which would have to be set in the environment before the
import and logs a line, is no faster than the default where a chunk of an epoch is one graph (see `gluon`).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy

from ibtui.engines.mxnet import EXTRA
from ibtui.engines.nvidia import driver, libraries
from ibtui.errors import EngineError, printable

_VARIANTS = ("", "-cu112", "-cu110", "-cu102", "-cu101", "-cu100", "-cu92", "-native")


@dataclass(frozen=True)
class Build:
    """The MXNet that this Python would import."""

    distribution: str
    """The name it was installed under, such as mxnet-cu112; plain mxnet where no package says."""
    version: str
    """Empty where no package says."""
    cuda: bool | None
    """True where it was built for CUDA; None: only running it would tell."""
    obstacle: str
    """The known reason why it cannot be imported here, and what would be right; empty: there is none."""

    def __str__(self) -> str:
        """Name and version, as pip has them."""
        return f"{self.distribution} {self.version}".rstrip()


def installed() -> Build | None:
    """Find the MXNet that could be imported, by what its package says of itself; None where there is none."""
    if "mxnet" not in sys.modules and (_origin() is None or impostor()):
        return None
    name, version, cuda = "mxnet", "", None
    for suffix in _VARIANTS:
        try:
            version = metadata.version(f"mxnet{suffix}")
        except metadata.PackageNotFoundError:
            continue
        name, cuda = f"mxnet{suffix}", "-cu" in suffix
        # Both wheels provide one folder: where both are installed, it may hold either.
        if cuda:
            break
    return Build(name, version, cuda, _obstacle(name, cuda))


def _origin() -> str | None:
    """Return the file or folder that `import mxnet` would take; None where there is none."""
    try:
        spec = importlib.util.find_spec("mxnet")
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    return spec.origin or next(iter(spec.submodule_search_locations or ()), "mxnet")


def impostor() -> str:
    """Return the file or folder that is named mxnet and is not MXNet; empty where there is none.

    Such as a folder of the user's own, or what an uninstall left: Python takes any folder for a package.
    """
    origin = _origin()
    return "" if origin is None or Path(origin).with_name("libinfo.py").exists() else origin


def not_installed() -> str:
    """Say that MXNet is not installed, for a sentence that goes on."""
    there = impostor()
    return "MXNet is not installed" + (f" ({printable(there)} is something else)" if there else "")


def _obstacle(name: str, cuda: bool | None) -> str:
    if int(numpy.__version__.partition(".")[0]) >= 2:
        return f"{name} needs NumPy 1 and here is NumPy {numpy.__version__}: pip install 'numpy<2'"
    if importlib.util.find_spec("distutils") is None and importlib.util.find_spec("setuptools") is None:
        return f"{name} needs distutils, which this Python has no more: pip install setuptools"
    if cuda and not driver.has_driver():
        return f"{name} is a CUDA build and this machine has no NVIDIA driver (libcuda.so.1)"
    return ""


@functools.cache
def import_mxnet() -> Any:
    """Import and return the module `mxnet`.

    Raises
    ------
    EngineError
        If it cannot be imported; the message says why, and what would be right.
    """
    build = installed()
    if build is None:
        raise EngineError(f"{not_installed()}: {EXTRA}")
    try:
        if build.cuda is not False:
            _load_cuda(build)
        with _as_mxnet_expects():
            return importlib.import_module("mxnet")
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(_why_not(build, error)) from error


def _load_cuda(build: Build) -> None:
    """Load what a CUDA build links, from the wheels that the extra `cu112` brings or from the system."""
    driver.load_lazily()
    os.environ.setdefault("MXNET_CUDNN_LIB_CHECKING", "0")  # it was built with cuDNN 8.1, and warns of 8.9
    # Where no package says which build it is, a CPU build needs none of it: its import tells.
    if driver.has_driver() and (missing := libraries.missing(libraries.preload())) and build.cuda:
        raise EngineError(f"{build} {missing}; --engine fused --ctx cpu needs no MXNet")


def _why_not(build: Build, error: Exception) -> str:
    if isinstance(error, OSError) and "libcuda.so" in str(error):
        return (
            f"{build} is a CUDA build and finds no NVIDIA driver (libcuda.so.1): "
            f"install the driver, or the CPU build: {EXTRA}"
        )
    reason = build.obstacle or " ".join(f"{type(error).__name__}: {error}".split())
    return f"{build} cannot be imported: {reason}; --engine fused needs no MXNet"


@contextmanager
def _as_mxnet_expects() -> Iterator[None]:
    """Give MXNet's import the surroundings in which it works, and is silent; put back what was there.

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
    """Return MXNet's context for "cpu", "gpu0", "gpu1", …"""
    mx = import_mxnet()
    return mx.cpu() if device == "cpu" else mx.gpu(int(device.removeprefix("gpu")))


def version() -> str:
    """Return version and build of the imported MXNet, such as "1.9.1 (CPU)"."""
    return f"{import_mxnet().__version__} ({'CUDA' if has_cuda() else 'CPU'})"


def has_cuda() -> bool:
    """Return True where the imported MXNet was built for CUDA."""
    return bool(import_mxnet().runtime.Features().is_enabled("CUDA"))


def gpu_count() -> int:
    """Count the GPUs that the imported MXNet sees, able to compute on them or not."""
    if not has_cuda():
        return 0
    try:
        return int(import_mxnet().context.num_gpus())
    except import_mxnet().MXNetError:  # a driver that refuses to start
        return 0
