"""NVIDIA's own bindings, the one module that imports them: a kernel compiled for a card, kept, and launched.

NVRTC compiles; the driver has arrays, modules and launches. The machine code is kept beside the other
compiled code, so that only the first start on a card compiles: a start that finds it needs no NVRTC.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from cuda.bindings import driver as cuda
from cuda.bindings import nvrtc
from cuda.pathfinder import DynamicLibNotFoundError
from numpy.typing import NDArray

from ibtui.core.cache import Store
from ibtui.engines.nvidia import EXTRA
from ibtui.engines.nvidia.driver import LEAST_CAPABILITY, Card, Driver, dotted, start_driver, warmed
from ibtui.errors import EngineError


class CudaError(Exception):
    """A call of the driver or of NVRTC failed; the text has NVIDIA's own words and name for it."""


def nvrtc_version() -> tuple[int, int]:
    """Load NVRTC and return its version.

    Raises
    ------
    EngineError
        It is not installed.
    """
    try:
        major, minor = _checked(nvrtc.nvrtcVersion())
    except DynamicLibNotFoundError as error:
        raise EngineError(f"NVRTC, which compiles the kernel, is not installed: {EXTRA}") from error
    return major, minor


def architecture(capability: tuple[int, int], known: Sequence[int]) -> str:
    """Return the architecture to compile for, as NVRTC's option has it, such as sm_90 or compute_90.

    Machine code (sm) for a generation that the compiler knows; it runs on that generation's later cards, too.
    For a newer generation PTX (compute), which the driver translates.

    Parameters
    ----------
    capability : (int, int)
        The card's compute capability.
    known : sequence of int
        Architectures that NVRTC can compile for, such as 86 for 8.6.

    Raises
    ------
    EngineError
        The card is older than any of them.
    """
    least, most = (10 * major + minor for major, minor in (LEAST_CAPABILITY, capability))
    fitting = [arch for arch in known if least <= arch <= most]
    if not fitting:
        raise EngineError(
            f"this NVRTC compiles for capability {dotted(divmod(min(known), 10))} or newer, and the GPU has "
            f"{dotted(capability)}: {EXTRA}"
        )
    newest = max(fitting)
    return f"{'sm' if newest // 10 == capability[0] else 'compute'}_{newest}"


def compile_source(source: str, capability: tuple[int, int], options: Sequence[str] = ()) -> bytes:
    """Compile CUDA source for a card, which need not be there; return machine code, or PTX (`architecture`).

    Raises
    ------
    EngineError
        NVRTC is not installed, or does not know such a card.
    CudaError
        The source does not compile; the text has the compiler's first words on it.
    """
    nvrtc_version()
    arch = architecture(capability, _checked(nvrtc.nvrtcGetSupportedArchs()))
    program = _checked(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    given = [option.encode() for option in (f"--gpu-architecture={arch}", "--std=c++17", *options)]
    try:
        try:
            _checked(nvrtc.nvrtcCompileProgram(program, len(given), given))
        except CudaError as error:
            log = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, log))
            said = log.decode(errors="replace").strip("\0 \n").partition("\n")[0]
            raise CudaError(f"{error}: {said}") from None
        cubin = arch.startswith("sm")
        size, get = (
            (nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
            if cubin
            else (nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
        )
        code = bytearray(_checked(size(program)))
        _checked(get(program, code))
        return bytes(code)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


@dataclass(frozen=True)
class DeviceArray:
    """An array in a card's memory."""

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class CudaLauncher:
    """A `Launcher` on an NVIDIA GPU.

    Parameters
    ----------
    device : str
        gpu0, gpu1, …
    source : str
        CUDA source.
    kernel : str
        The function in it, with C linkage, that `launch` runs.
    options : sequence of str
        Given to NVRTC besides the card's architecture.

    Raises
    ------
    EngineError
        There is no such card, or no compiler for it.
    CudaError
        The driver or the compiler refuses.
    """

    def __init__(self, device: str, source: str, kernel: str, options: Sequence[str] = ()) -> None:
        machine, index = start_driver(), int(device.removeprefix("gpu"))
        card = machine.card(device)
        _checked(cuda.cuInit(0))
        self._device = _checked(cuda.cuDeviceGet(index))
        self._context = _checked(cuda.cuDevicePrimaryCtxRetain(self._device))
        self._arrays: list[DeviceArray] = []
        self._module: Any = None
        with ExitStack() as undo:
            undo.callback(self.close)
            warmed(device)
            self._use()
            self._kernel = self._loaded(machine, card, source, kernel, options)
            undo.pop_all()

    def _loaded(self, machine: Driver, card: Card, source: str, kernel: str, options: Sequence[str]) -> Any:
        """Load the kernel: what is kept of it, or else compiled anew, and kept once it has loaded."""
        store, key = Store(kernel, source), (tuple(options), str(card), machine.cuda)
        if (code := store.load(key)) is not None:
            with suppress(CudaError):
                return self._function(code, kernel)
        if (version := nvrtc_version())[0] > machine.cuda[0]:
            raise EngineError(
                f"the NVIDIA driver supports CUDA up to {dotted(machine.cuda)}, and NVRTC is of "
                f"{dotted(version)}: update the driver, or {EXTRA}"
            )
        code = compile_source(source, card.capability, options)
        function = self._function(code, kernel)
        store.save(key, code)
        return function

    def _function(self, code: bytes, kernel: str) -> Any:
        self._module = _checked(cuda.cuModuleLoadData(code))
        return _checked(cuda.cuModuleGetFunction(self._module, kernel.encode()))

    def array(self, values: NDArray[Any]) -> DeviceArray:
        """Make an array on the device, of the same dtype."""
        self._use()
        array = DeviceArray(int(_checked(cuda.cuMemAlloc(values.nbytes))), values.shape, values.dtype)
        self._arrays.append(array)
        self.write(array, values)
        return array

    def write(self, array: DeviceArray, values: NDArray[Any]) -> None:
        """Replace a whole array's values."""
        assert (values.shape, values.dtype) == (array.shape, array.dtype)
        self._use()
        values = np.ascontiguousarray(values)
        _checked(cuda.cuMemcpyHtoD(array.pointer, values.ctypes.data, values.nbytes))

    def read(self, array: DeviceArray) -> NDArray[Any]:
        """Return a copy, once what was launched before is done."""
        self._use()
        values = np.empty(array.shape, array.dtype)
        _checked(cuda.cuMemcpyDtoH(values.ctypes.data, array.pointer, values.nbytes))
        return values

    def launch(self, arguments: Sequence[Any], threads: int, shared_bytes: int, blocks: int = 1) -> None:
        """Run the kernel; returns at once."""
        self._use()
        values, types = zip(*map(_argument, arguments), strict=True)
        grid, block, default_stream = (blocks, 1, 1), (threads, 1, 1), 0
        _checked(
            cuda.cuLaunchKernel(self._kernel, *grid, *block, shared_bytes, default_stream, (values, types), 0)
        )

    def close(self) -> None:
        """Free all that is on the card."""
        with ExitStack() as last:
            last.callback(lambda: _checked(cuda.cuDevicePrimaryCtxRelease(self._device)))
            self._use()
            while self._arrays:
                _checked(cuda.cuMemFree(self._arrays.pop().pointer))
            if self._module is not None:
                _checked(cuda.cuModuleUnload(self._module))

    def _use(self) -> None:
        """Make the card's context that of this thread."""
        _checked(cuda.cuCtxSetCurrent(self._context))


def _argument(value: Any) -> tuple[int | float, Any]:
    """Return a kernel's argument with its type in C: a pointer, an int or a float."""
    if isinstance(value, DeviceArray):
        return value.pointer, ctypes.c_void_p
    return value, ctypes.c_float if isinstance(value, float) else ctypes.c_int


def _checked(answer: tuple[Any, ...]) -> Any:
    """Return what a call answers besides its status: nothing, a value, or a tuple of them."""
    status, *values = answer
    if int(status):
        raise CudaError(_words(status))
    return values[0] if len(values) == 1 else tuple(values)


def _words(status: Any) -> str:
    """Return NVIDIA's words and name for a status, such as "out of memory (CUDA_ERROR_OUT_OF_MEMORY)"."""
    ask = cuda.cuGetErrorString if isinstance(status, cuda.CUresult) else nvrtc.nvrtcGetErrorString
    _, said = ask(status)
    name, words = getattr(status, "name", str(int(status))), (said or b"").decode(errors="replace")
    return f"{words} ({name})" if words not in ("", name) else name
