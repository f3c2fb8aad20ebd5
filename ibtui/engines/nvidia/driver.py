"""The NVIDIA driver of this machine and the GPUs that it knows."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass

from ibtui.engines.nvidia.messages import plain
from ibtui.errors import EngineError, printable

LEAST_CAPABILITY = (5, 0)
"""The least compute capability that engines train on: MXNet has machine code from there on, and NVRTC 12."""
LEAST_CUDA = (12, 0)
"""The newest CUDA of the oldest driver that takes code which NVRTC 12 compiled: of driver 525."""

_SONAME = "libcuda.so.1"
_NO_DEVICE, _INVALID_DEVICE = 100, 101  # of CUresult
_MAJOR, _MINOR = 75, 76  # of CUdevice_attribute
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_starting = threading.Lock()


class _CallError(EngineError):
    """A call of the driver failed, with this CUresult."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


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

    def card(self, device: str) -> Card:
        """Return the GPU that is called gpu0, gpu1, …

        Raises
        ------
        EngineError
            There is no such GPU.
        """
        index = int(device.removeprefix("gpu"))
        if index < len(self.cards):
            return self.cards[index]
        there = ", ".join(f"gpu{index}" for index in range(len(self.cards)))
        visible = os.environ.get(_VISIBLE)
        only = f" ({_VISIBLE}={printable(visible[:60])} hides others)" if visible else ""
        raise EngineError(f"no such GPU; there is {there or 'none'}{only}")


@functools.cache
def has_driver() -> bool:
    """Return True where an NVIDIA driver's library can be loaded; the driver itself is not started."""
    try:
        ctypes.CDLL(_SONAME)
    except OSError:
        return False
    return True


def start_driver() -> Driver:
    """Start the driver and ask it for its GPUs, once in a process, whatever the outcome.

    Raises
    ------
    EngineError
        There is none, or it refuses.
    """
    with _starting:
        outcome = _started()
    if isinstance(outcome, EngineError):
        raise EngineError(str(outcome))
    return outcome


def load_lazily() -> None:
    """Have a kernel's code go to the GPU when it is first used; the driver reads this as it starts."""
    os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")


@functools.cache
def _started() -> Driver | EngineError:
    try:
        return _start()
    except EngineError as error:
        return error


def _start() -> Driver:
    load_lazily()
    try:
        library = ctypes.CDLL(_SONAME)
    except OSError as error:
        raise EngineError(f"no NVIDIA driver on this machine ({_SONAME})") from error
    number = ctypes.c_int()
    try:
        _call(library, "cuInit", 0)
    except _CallError as error:
        visible = os.environ.get(_VISIBLE)
        if visible is None or error.status not in (_NO_DEVICE, _INVALID_DEVICE):
            raise
        raise EngineError(
            f"{_VISIBLE}={printable(visible[:60])} hides every GPU: unset it, or name one of nvidia-smi -L"
        ) from error
    _call(library, "cuDriverGetVersion", ctypes.byref(number))
    version = number.value // 1000, number.value % 1000 // 10
    _call(library, "cuDeviceGetCount", ctypes.byref(number))
    return Driver(version, tuple(_card(library, index) for index in range(number.value)))


def no_gpu(device: str) -> str:
    """Say why this machine has no such GPU (gpu0, gpu1, …), and what would be right; empty: it has."""
    if not has_driver():
        install = "" if sys.platform == "darwin" else "install it, or "
        return f"no NVIDIA driver on this machine ({_SONAME}): {install}--ctx cpu"
    try:
        start_driver().card(device)
    except EngineError as error:
        return f"{error}; --ctx cpu needs no GPU"
    return ""


class _Warming(threading.Thread):
    """Starts the driver and makes a card's context."""

    def __init__(self, device: str) -> None:
        super().__init__(name="warming", daemon=True)
        self._device = device
        self._card: ctypes.c_int | None = None

    def run(self) -> None:
        with suppress(Exception):  # it fails again where the card is used, and is told there
            start_driver().card(self._device)
            library, card, context = ctypes.CDLL(_SONAME), ctypes.c_int(), ctypes.c_void_p()
            _call(library, "cuDeviceGet", ctypes.byref(card), int(self._device.removeprefix("gpu")))
            _call(library, "cuDevicePrimaryCtxRetain", ctypes.byref(context), card)
            self._card = card

    def give_back(self) -> None:
        """Give the context back, once it is made."""
        self.join()
        if self._card is not None:
            with suppress(Exception):
                _call(ctypes.CDLL(_SONAME), "cuDevicePrimaryCtxRelease_v2", self._card)


_warming: dict[str, _Warming] = {}


def warm(device: str, engine: str) -> None:
    """Start the driver and make a card's context, in a thread, for an engine that is to train there.

    That takes 0.3 s, in which Python can import. Nothing is done for a CPU, nor where MXNet may train:
    another process tries it first, and a card can be one process's alone.
    """
    fused = engine == "fused" or (engine == "auto" and importlib.util.find_spec("mxnet") is None)
    if fused and device.startswith("gpu") and device not in _warming:
        _warming[device] = _Warming(device)
        _warming[device].start()


def warmed(device: str) -> None:
    """Give up what `warm` holds of a card: whoever trains there has its own hold on it now."""
    if device in _warming:
        _warming.pop(device).give_back()


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
        said = plain(f"{name}: {(text.value or b'').decode(errors='replace')} ({status})")
        raise _CallError(said, status)


def dotted(version: tuple[int, int]) -> str:
    """Write a version or a compute capability as NVIDIA does, such as 8.6."""
    return f"{version[0]}.{version[1]}"
