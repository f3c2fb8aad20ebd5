"""The one module that imports MXNet, and knows what MXNet 1.9.1 needs from a Python of today.

`installed` and `has_driver` look without importing anything. `probe` and `probe_fused` ask a process of its
own, because MXNet ends the process that asks where the CUDA libraries do not suit the machine. `load` imports
MXNet here, the CUDA libraries first.

Measured and left alone: MXNet's engine. NaiveEngine, which would have to be set in the environment before the
import and logs a line, is no faster than the default where a chunk of an epoch is one graph (see `gluon`).
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

import numpy

from ibtui.engines.nvidia import cuda
from ibtui.engines.probing import ask, tell
from ibtui.errors import EngineError

_ENVIRONMENT = {
    "CUDA_MODULE_LOADING": "LAZY",  # a kernel's code goes to the GPU when it is first used
    "MXNET_CUDNN_LIB_CHECKING": "0",  # no word about cuDNN 8.9 where it was built with 8.1
}
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
        raise EngineError(
            "MXNet is not installed: pip install '.[cpu]' in ibtui's folder, or '.[cu112]' for a CUDA GPU"
        )
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
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Where no package says which build it is, a CPU build needs none of it: its import tells.
    if has_driver() and (missing := cuda.missing(cuda.preload())) and build.cuda:
        raise EngineError(f"{build} {missing}; --engine fused --ctx cpu needs no MXNet")


def _why_not(build: Build, error: Exception) -> str:
    if isinstance(error, OSError) and "libcuda.so" in str(error):
        return (
            f"{build} is a CUDA build and finds no NVIDIA driver (libcuda.so.1): "
            "install the driver, or the CPU build: pip install '.[cpu]' in ibtui's folder"
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
    cards: dict[str, str] = field(default_factory=dict)
    """Device to name and compute capability, such as "NVIDIA A100 (8.0)", as far as the driver says."""


@functools.cache
def probe(device: str) -> Probe:
    """Import MXNet in a process of its own, count its GPUs and compute a little on `device`."""
    answers, error = ask("from ibtui.engines.mxnet import library as m; m._answer(sys.argv[1])", device)
    try:
        found = Probe(**answers[-1])
    except (IndexError, TypeError):
        return Probe(False, 0, {}, _ended(error))
    if error and found.failures.get(device) == "":  # it ended while it computed
        found.failures[device] = _ended(error)
    return found


@functools.cache
def probe_fused(device: str) -> str:
    """Why the fused engine cannot run on this GPU, which a process of its own tries; empty: it can."""
    answers, error = ask("from ibtui.engines.mxnet import library as m; m._answer_fused(sys.argv[1])", device)
    return str(answers[-1]["failure"]) if answers else _ended(error)


def _ended(error: str) -> str:
    return f"MXNet ended the process that tried it: {cuda.plain(error)}"


def _answer(device: str) -> None:
    """What the process that `probe` starts does."""
    cards: tuple[cuda.Card, ...] = ()
    try:
        found = Probe(has_cuda(), gpu_count(), {}, "")
        if found.cuda:
            cards = cuda.driver().cards
    except EngineError as error:
        found = Probe(False, 0, {}, str(error))
    found.cards.update({f"gpu{index}": str(card) for index, card in enumerate(cards)})
    if device in (f"gpu{index}" for index in range(found.gpus)):
        found.failures[device] = ""  # so that what is said now shows that it was tried
        tell(asdict(found))
        failure = _gluon_failure(device, cards)
        del found.failures[device]
        if failure:
            found.failures[device] = failure
    tell(asdict(found))
    os._exit(0)  # CUDA libraries that failed may fail again when the process winds up


def _gluon_failure(device: str, cards: tuple[cuda.Card, ...]) -> str:
    """Why MXNet's own operators cannot run on a GPU; empty: they can."""
    index = int(device.removeprefix("gpu"))
    if index < len(cards) and not cuda.has_machine_code(cards[index].capability):
        first, last = map(cuda.dotted, cuda.MACHINE_CODE)
        return f"MXNet has machine code for compute capability {first} to {last}, and this is {cards[index]}"
    try:
        ones = load().nd.ones((2, 2), ctx=context(device))
        load().nd.dot(ones, ones).asnumpy()
    except Exception as error:  # whatever CUDA or cuBLAS say
        return cuda.plain(str(error) or type(error).__name__)
    return ""


def _answer_fused(device: str) -> None:
    """What the process that `probe_fused` starts does."""
    from ibtui.engines.fused import gpu

    try:
        gpu.try_out(device)
    except EngineError as error:
        tell({"failure": str(error)})
    except Exception as error:  # whatever MXNet, CUDA or the compiler say
        tell({"failure": cuda.plain(str(error) or type(error).__name__)})
    else:
        tell({"failure": ""})
    os._exit(0)
