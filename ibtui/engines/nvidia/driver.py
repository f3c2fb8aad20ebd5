"""The NVIDIA driver of this machine and the GPUs that it knows."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

from ibtui.engines.nvidia.messages import plain
from ibtui.errors import EngineError

_SONAME = "libcuda.so.1"
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


@functools.cache
def has_driver() -> bool:
    """Return True where an NVIDIA driver's library can be loaded; the driver itself is not started."""
    try:
        ctypes.CDLL(_SONAME)
    except OSError:
        return False
    return True


def start_driver() -> Driver:
    """Start the driver and ask it for its GPUs.

    Raises
    ------
    EngineError
        There is none, or it refuses.
    """
    try:
        library = ctypes.CDLL(_SONAME)
    except OSError as error:
        raise EngineError(f"no NVIDIA driver on this machine ({_SONAME})") from error
    number = ctypes.c_int()
    _call(library, "cuInit", 0)
    _call(library, "cuDriverGetVersion", ctypes.byref(number))
    version = number.value // 1000, number.value % 1000 // 10
    _call(library, "cuDeviceGetCount", ctypes.byref(number))
    return Driver(version, tuple(_card(library, index) for index in range(number.value)))


def _card(library: ctypes.CDLL, index: int) -> Card:
    device, number, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name, pci = ctypes.create_string_buffer(256), ctypes.create_string_buffer(32)
    _call(library, "cuDeviceGet", ctypes.byref(device), index)
    _call(library, "cuDeviceGetName", name, 256, device)
    _call(library, "cuDeviceGetPCIBusId", pci, 32, device)
    _call(library, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)

    def attribute(which: int) -> int:
        _call(library, "cuDeviceGetAttribute", ctypes.byref(number), which, device)
        return number.value

    return Card(
        name.value.decode(errors="replace"),
        (attribute(_MAJOR), attribute(_MINOR)),
        memory.value,
        pci.value.decode(errors="replace"),
    )


def _call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    """Call a function of the driver; `EngineError` where it fails."""
    if status := getattr(library, name)(*arguments):
        text = ctypes.c_char_p()
        if not hasattr(library, "cuGetErrorString") or library.cuGetErrorString(status, ctypes.byref(text)):
            text.value = b"unknown"
        raise EngineError(plain(f"{name}: {(text.value or b'').decode(errors='replace')} ({status})"))


def dotted(version: tuple[int, int]) -> str:
    """Write a version or a compute capability as NVIDIA does, such as 8.6."""
    return f"{version[0]}.{version[1]}"
