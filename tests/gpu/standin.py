"""A stand-in for the driver's half of NVIDIA's bindings, on which the emulated kernel runs.

Arrays are memory of this process at their pointers. The calls have the names, arguments and answers that
`cuda.bindings.driver` has; a card shows that those are right.
"""

from __future__ import annotations

import ctypes
import enum

import numpy as np


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_DEVICE_UNAVAILABLE = 46
    CUDA_ERROR_ECC_UNCORRECTABLE = 214
    CUDA_ERROR_LAUNCH_TIMEOUT = 702


WORDS = {
    0: b"no error",
    1: b"invalid argument",
    2: b"out of memory",
    46: b"CUDA-capable device(s) is/are busy or unavailable",
    214: b"uncorrectable ECC error encountered",
    702: b"the launch timed out and was terminated",
}
FINE = (CUresult.CUDA_SUCCESS,)


class Bindings:
    """A driver that runs `library` in the place of whatever code is loaded; `fails` maps calls to results."""

    CUresult = CUresult

    def __init__(self, library, fails=None):
        self.library, self.fails = library, fails or {}
        self.memory = {}
        self.calls, self.codes = [], []
        self.contexts = 0

    def __getattribute__(self, name):
        call = object.__getattribute__(self, name)
        if not name.startswith("cu") or name == "cuGetErrorString":
            return call

        def called(*arguments):
            self.calls.append(name)
            return (self.fails[name],) if name in self.fails else call(*arguments)

        return called

    def cuGetErrorString(self, status):
        return CUresult.CUDA_SUCCESS, WORDS[int(status)]

    def cuInit(self, flags):
        return FINE

    def cuDeviceGet(self, index):
        return (*FINE, index)

    def cuDevicePrimaryCtxRetain(self, device):
        self.contexts += 1
        return (*FINE, "context")

    def cuDevicePrimaryCtxRelease(self, device):
        self.contexts -= 1
        return FINE

    def cuCtxSetCurrent(self, context):
        assert context == "context"
        return FINE

    def cuModuleLoadData(self, code):
        self.codes.append(bytes(code))
        return (*FINE, "module")

    def cuModuleUnload(self, module):
        return FINE

    def cuModuleGetFunction(self, module, name):
        return (*FINE, name.decode())

    def cuMemAlloc(self, size):
        array = np.full(size, 0xFF, np.uint8)
        self.memory[array.ctypes.data] = array
        return (*FINE, array.ctypes.data)

    def cuMemFree(self, pointer):
        del self.memory[pointer]
        return FINE

    def cuMemcpyHtoD(self, pointer, source, size):
        assert size <= self.memory[pointer].size
        ctypes.memmove(pointer, source, size)
        return FINE

    def cuMemcpyDtoH(self, target, pointer, size):
        assert size <= self.memory[pointer].size
        ctypes.memmove(target, pointer, size)
        return FINE

    def cuLaunchKernel(self, kernel, gx, gy, gz, bx, by, bz, shared, stream, arguments, extra):
        assert (gy, gz, by, bz, stream, extra) == (1, 1, 1, 1, 0, 0)
        values, types = arguments
        passed = [kind(value) for kind, value in zip(types, values, strict=True)]
        assert self.library.run(gx, bx, shared, 0, *passed) == 0
        return FINE
