"""NVRTC, NVIDIA's compiler for kernels at run time: the architecture to compile for, and its side effect."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ibtui.engines.nvidia.driver import dotted
from ibtui.engines.nvidia.libraries import NVRTC, wheel_path
from ibtui.errors import EngineError

LEAST_CAPABILITY = (5, 0)
"""The least compute capability that kernels are compiled for at run time."""


def architecture(capability: tuple[int, int], known: Iterable[int] | None = None) -> str:
    """Return NVRTC's option for a GPU: the newest architecture that both have.

    The driver translates what that leaves to do.

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
    least, most = (10 * major + minor for major, minor in (LEAST_CAPABILITY, capability))
    fitting = [arch for arch in (_known() if known is None else known) if least <= arch <= most]
    if not fitting:
        raise EngineError(
            f"a GPU of compute capability {dotted(capability)} is too old: "
            f"{dotted(LEAST_CAPABILITY)} is the least that kernels are compiled for"
        )
    return f"--gpu-architecture=compute_{max(fitting)}"


def _known() -> list[int]:
    """Return the architectures that the NVRTC which MXNet links can compile for."""
    try:
        nvrtc = ctypes.CDLL(wheel_path(NVRTC) or NVRTC.soname)
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
