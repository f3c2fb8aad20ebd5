"""The shared libraries that MXNet for CUDA 11.2 links, and loading them ahead of it."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ibtui.engines.nvidia import MXNET_EXTRA


@dataclass(frozen=True)
class Library:
    """A shared library that MXNet for CUDA 11.2 links."""

    soname: str
    wheel: str
    """The distribution on PyPI that brings it."""
    folder: str
    """The folder in which that wheel has it: nvidia/FOLDER/lib."""


LIBRARIES = (
    Library("libcudart.so.11.0", "nvidia-cuda-runtime-cu11", "cuda_runtime"),
    Library("libnvrtc.so.11.2", "nvidia-cuda-nvrtc-cu11", "cuda_nvrtc"),
    Library("libnvToolsExt.so.1", "nvidia-nvtx-cu11", "nvtx"),
    Library("libcublasLt.so.11", "nvidia-cublas-cu11", "cublas"),
    Library("libcublas.so.11", "nvidia-cublas-cu11", "cublas"),
    Library("libcufft.so.10", "nvidia-cufft-cu11", "cufft"),
    Library("libcurand.so.10", "nvidia-curand-cu11", "curand"),
    Library("libcusolver.so.11", "nvidia-cusolver-cu11", "cusolver"),
    Library("libcudnn.so.8", "nvidia-cudnn-cu11", "cudnn"),
    Library("libnccl.so.2", "nvidia-nccl-cu11", "nccl"),
)
"""Each after those that it links itself. They find what they open later (cuDNN's parts, NVRTC's builtins)."""


@dataclass(frozen=True)
class Loaded:
    """The outcome of loading one library."""

    soname: str
    wheel: str
    path: str
    """The file it was loaded from; empty: it was not."""
    error: str


def preload(libraries: Iterable[Library] = LIBRARIES) -> list[Loaded]:
    """Load the libraries, each from its wheel or else as the system's loader finds it.

    Their symbols become global, so that a library that links them is content with these.
    """
    found = []
    for library in libraries:
        path = wheel_path(library)
        try:
            ctypes.CDLL(path or library.soname, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            found.append(Loaded(library.soname, library.wheel, "", str(error)))
        else:
            found.append(Loaded(library.soname, library.wheel, path or _mapped(library.soname), ""))
    return found


def wheel_path(library: Library) -> str:
    """Return the library's file in its wheel; empty where the wheel is not installed."""
    try:
        spec = importlib.util.find_spec("nvidia")
    except (ImportError, ValueError):
        spec = None
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root, library.folder, "lib", library.soname)
        if path.is_file():
            return str(path)
    return ""


def _mapped(soname: str) -> str:
    """Return the file that a loaded library came from, where this system tells (Linux); else its name."""
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return soname
    # A library's file often has a longer name than it is linked by: libcudnn.so.8 is libcudnn.so.8.1.1.
    paths = (line.split(maxsplit=5)[5] for line in lines if line.count("/"))
    return next((path for path in paths if Path(path).name.startswith(soname)), soname)


def missing(found: Iterable[Loaded]) -> str:
    """Name the libraries that could not be loaded, and what brings them, on one line; empty: all could."""
    absent = [loaded for loaded in found if not loaded.path]
    names = ", ".join(f"{loaded.soname} ({loaded.wheel})" for loaded in absent)
    return f"lacks {names}: {MXNET_EXTRA}" if names else ""
