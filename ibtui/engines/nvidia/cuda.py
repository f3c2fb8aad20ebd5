"""What an NVIDIA GPU needs from this machine: CUDA's libraries, the driver, and CUDA's errors in plain words.

By ctypes alone. `preload` and `driver` run vendor code: where that could end the process, ask for them in a
process of its own (`ibtui.engines.probing.ask`).
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ibtui.errors import EngineError

EXTRA = "pip install '.[cu112]' in ibtui's folder"

MACHINE_CODE = ((5, 0), (8, 9))
"""Compute capabilities that MXNet 1.9.1 for CUDA has machine code for: sm_50, 60, 70, 80 and 86, no PTX."""
RUN_TIME_CODE = (5, 0)
"""The least capability that kernels compiled at run time are made for."""


@dataclass(frozen=True)
class Library:
    """A shared library that MXNet for CUDA 11.2 links."""

    soname: str
    wheel: str
    """The distribution on PyPI that brings it."""
    folder: str
    """Where that puts it: nvidia/FOLDER/lib."""


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
"""Each after those that it links itself. What they open later (cuDNN's parts, NVRTC's builtins) they find."""


@dataclass(frozen=True)
class Loaded:
    """What became of a library."""

    soname: str
    wheel: str
    path: str
    """Where it was loaded from; empty: it was not."""
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
            found.append(Loaded(library.soname, library.wheel, path or mapped(library.soname), ""))
    return found


def wheel_path(library: Library) -> str:
    """The library's file in its wheel; empty where the wheel is not installed."""
    try:
        spec = importlib.util.find_spec("nvidia")
    except (ImportError, ValueError):
        spec = None
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root, library.folder, "lib", library.soname)
        if path.is_file():
            return str(path)
    return ""


def mapped(soname: str) -> str:
    """The file that a loaded library came from, where this system tells (Linux); else its name."""
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return soname
    # A library's file often has a longer name than it is linked by: libcudnn.so.8 is libcudnn.so.8.1.1.
    paths = (line.split(maxsplit=5)[5] for line in lines if line.count("/"))
    return next((path for path in paths if Path(path).name.startswith(soname)), soname)


def missing(found: Iterable[Loaded]) -> str:
    """The libraries that could not be loaded, and what brings them, on one line; empty: all are there."""
    absent = [loaded for loaded in found if not loaded.path]
    names = ", ".join(f"{loaded.soname} ({loaded.wheel})" for loaded in absent)
    return f"lacks {names}: {EXTRA}" if names else ""


# --- the driver ------------------------------------------------------------------------------------

_MAJOR, _MINOR = 75, 76  # of CUdevice_attribute


@dataclass(frozen=True)
class Card:
    """A GPU, as the driver describes it."""

    name: str
    capability: tuple[int, int]
    """Compute capability, such as (8, 6)."""
    memory: int
    """Bytes."""
    pci: str
    """PCI bus address, by which NVML knows it."""

    def __str__(self) -> str:
        return f"{self.name} ({dotted(self.capability)})"


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver of this machine, and its GPUs in CUDA's order: gpu0, gpu1, …"""

    cuda: tuple[int, int]
    """The newest CUDA that it supports."""
    cards: tuple[Card, ...]


def driver() -> Driver:
    """Start the driver and ask it.

    Raises
    ------
    EngineError
        There is none, or it refuses.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EngineError("no NVIDIA driver on this machine (libcuda.so.1)") from error

    def call(name: str, *arguments: object) -> None:
        status = getattr(cuda, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            if not hasattr(cuda, "cuGetErrorString") or cuda.cuGetErrorString(status, ctypes.byref(text)):
                text.value = b"unknown"
            raise EngineError(plain(f"{name}: {(text.value or b'').decode(errors='replace')} ({status})"))

    number = ctypes.c_int()
    call("cuInit", 0)
    call("cuDriverGetVersion", ctypes.byref(number))
    version = number.value // 1000, number.value % 1000 // 10
    call("cuDeviceGetCount", ctypes.byref(number))
    cards = []
    for index in range(number.value):
        device, value = ctypes.c_int(), ctypes.c_int()
        name, pci = ctypes.create_string_buffer(256), ctypes.create_string_buffer(32)
        memory = ctypes.c_size_t()
        call("cuDeviceGet", ctypes.byref(device), index)
        call("cuDeviceGetName", name, 256, device)
        call("cuDeviceGetPCIBusId", pci, 32, device)
        call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        capability = []
        for attribute in (_MAJOR, _MINOR):
            call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
            capability.append(value.value)
        cards.append(
            Card(
                name.value.decode(errors="replace"),
                (capability[0], capability[1]),
                memory.value,
                pci.value.decode(errors="replace"),
            )
        )
    return Driver(version, tuple(cards))


def dotted(version: tuple[int, int]) -> str:
    """Such as 8.6."""
    return f"{version[0]}.{version[1]}"


def has_machine_code(capability: tuple[int, int]) -> bool:
    """Whether MXNet 1.9.1's own operators, and so Gluon, can run on such a GPU."""
    return MACHINE_CODE[0] <= capability <= MACHINE_CODE[1]


def architecture(capability: tuple[int, int], known: Iterable[int] | None = None) -> str:
    """NVRTC's option for a GPU: the newest architecture that both have; the driver translates the rest.

    Parameters
    ----------
    capability : (int, int)
        The GPU's compute capability.
    known : iterable of int, optional
        Architectures that NVRTC can compile for, such as 86 for 8.6; asked of NVRTC unless given.

    Raises
    ------
    EngineError
        The GPU is older than any of them.
    """
    least, most = 10 * RUN_TIME_CODE[0] + RUN_TIME_CODE[1], 10 * capability[0] + capability[1]
    fitting = [arch for arch in (nvrtc_architectures() if known is None else known) if least <= arch <= most]
    if not fitting:
        raise EngineError(
            f"a GPU of compute capability {dotted(capability)} is too old: "
            f"{dotted(RUN_TIME_CODE)} is the least that kernels are compiled for"
        )
    return f"--gpu-architecture=compute_{max(fitting)}"


def nvrtc_architectures() -> list[int]:
    """Architectures that the NVRTC which MXNet links can compile for."""
    library = next(library for library in LIBRARIES if library.folder == "cuda_nvrtc")
    try:
        nvrtc = ctypes.CDLL(wheel_path(library) or library.soname)
        count = ctypes.c_int()
        if nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0:
            known = (ctypes.c_int * count.value)()
            if nvrtc.nvrtcGetSupportedArchs(known) == 0:
                return list(known)
    except (OSError, AttributeError):
        pass
    return [50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86]  # CUDA 11.2's, the oldest that it can be


@contextmanager
def kept_locale() -> Iterator[None]:
    """Keep the thread's locale while NVRTC compiles in it: NVRTC 11.8 leaves the thread in "C".

    Python would from then on read and write files as ASCII there.
    """
    try:
        uselocale = ctypes.CDLL(None).uselocale
    except AttributeError:  # a C library without it has nothing to lose
        yield
        return
    uselocale.restype, uselocale.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    before = uselocale(None)
    try:
        yield
    finally:
        uselocale(before)


# --- errors ----------------------------------------------------------------------------------------

_PLAIN = (
    (
        ("out of memory", "ALLOC_FAILED", "CUDA_ERROR_OUT_OF_MEMORY"),
        "the GPU is out of memory: nvidia-smi shows what holds it",
    ),
    (
        (
            "busy or unavailable",
            "CUDA_ERROR_DEVICE_UNAVAILABLE",
            "already in use by a different thread",
        ),
        "another process holds the GPU in exclusive mode, or it is not available: nvidia-smi shows which",
    ),
    (
        ("no kernel image is available", "CUDA_ERROR_NO_BINARY_FOR_GPU"),
        "MXNet has no machine code for this GPU's generation: --engine fused runs on it",
    ),
    (
        ("unsupported toolchain", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"),
        "the NVIDIA driver is older than the CUDA that compiled the kernel (11.8: driver 520): update it",
    ),
    (
        ("driver version is insufficient", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "cuda driver combination"),
        "the NVIDIA driver is too old for CUDA 11, or its parts are of different versions: update it, reboot",
    ),
    (
        ("launch timed out", "CUDA_ERROR_LAUNCH_TIMEOUT"),
        "the GPU's watchdog ended a kernel that ran too long: a GPU that drives a display has one",
    ),
    (
        ("ECC error", "NVLink error", "CUDA_ERROR_ECC_UNCORRECTABLE", "CUDA_ERROR_NVLINK_UNCORRECTABLE"),
        "the GPU's hardware reported an error that it could not correct: nvidia-smi -q and dmesg say more",
    ),
    (
        ("GPU is lost", "no CUDA-capable device", "CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_DEVICE_NOT_LICENSED"),
        "no GPU answers: it was taken away, or it has failed (dmesg | grep Xid)",
    ),
    (
        ("invalid device ordinal", "CUDA_ERROR_INVALID_DEVICE"),
        "there is no such GPU",
    ),
    (
        ("system not yet initialized", "CUDA_ERROR_SYSTEM_NOT_READY"),
        "the GPU is not ready: on machines with NVSwitch, the Fabric Manager must run",
    ),
    (
        (
            "illegal memory access",
            "unspecified launch failure",
            "misaligned address",
            "illegal instruction",
            "invalid program counter",
            "address space",
            "hardware stack error",
            "device-side assert",
            "CUDA_ERROR_ILLEGAL_ADDRESS",
            "CUDA_ERROR_LAUNCH_FAILED",
            "CUDA_ERROR_MISALIGNED_ADDRESS",
            "CUDA_ERROR_ILLEGAL_INSTRUCTION",
            "CUDA_ERROR_INVALID_PC",
            "CUDA_ERROR_INVALID_ADDRESS_SPACE",
            "CUDA_ERROR_HARDWARE_STACK_ERROR",
            "CUDA_ERROR_ASSERT",
        ),
        "a kernel failed on the GPU, or the GPU did (dmesg | grep Xid)",
    ),
    (
        ("too many resources requested", "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"),
        "the kernel asks for more than a block of this GPU has",
    ),
    (
        ("PTX JIT compilation failed", "CUDA_ERROR_INVALID_PTX", "kernel image is invalid", "NVRTC_ERROR"),
        "the kernel could not be compiled for this GPU",
    ),
    (
        ("initialization error", "CUDA_ERROR_NOT_INITIALIZED", "_STATUS_NOT_INITIALIZED"),
        "CUDA could not be started on this GPU",
    ),
    (
        ("unknown error", "CUDA_ERROR_UNKNOWN"),
        "the NVIDIA driver reports an unknown error: often it needs reloading, or the machine a reboot",
    ),
)
_REASON_LENGTH = 160


def plain(text: str) -> str:
    """What MXNet or CUDA say when something fails, as one sentence, with their own words in brackets."""
    folded = text.casefold()
    reason = _reason(text)
    for signs, sentence in _PLAIN:
        if any(sign.casefold() in folded for sign in signs):
            return f"{sentence} [{reason}]"
    return reason


def _reason(text: str) -> str:
    """The line that says what failed, without the file, the line and the stack that MXNet puts around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["unknown error"]
    lines = [
        line for line in lines if not line.startswith(("[bt]", "Stack trace", "Traceback", "File "))
    ] or lines
    line = next(
        (line for line in lines if "Error:" in line or "Check failed" in line or "CUDA" in line), lines[0]
    )
    line = line.partition("Check failed: ")[2] or line
    line = line.rpartition("Error: ")[2] or line
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"
