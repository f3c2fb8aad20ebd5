"""The kernel's source, compiled as C++ and run on the CPU, behind the engine's interface to a GPU."""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ibtui.engines.fused import gpu

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
OUTCOMES = ["fine", "some threads passed a barrier and others did not", "wrote beyond its shared memory"]
POINTERS = {"float": np.float32, "int": np.int32, "double": np.float64}
NUMBERS = {"float": ctypes.c_float, "int": ctypes.c_int}


@functools.cache
def signature():
    """Type, and whether a pointer, of each of the kernel's arguments, as its source declares them."""
    declared = re.search(rf"\b{gpu.KERNEL}\(([^)]*)\)", gpu.source())[1]
    pattern = re.compile(r"(?:const )?(\w+) (\*?)\w+")
    matches = [pattern.fullmatch(part.strip()) for part in " ".join(declared.split()).split(",")]
    return [(match[1], bool(match[2])) for match in matches]


def compiled(folder, source=None, options=()):
    """The emulation as a library; `source` in the place of the kernel's own."""
    kernel = Path(folder, "kernel.cu")
    kernel.write_text(gpu.source() if source is None else source)
    library = Path(folder, "emulated.so")
    flags = ["-std=c++17", "-O2", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-shared", "-fPIC", *options]
    command = [COMPILER, *flags, f'-DFUSED_CU="{kernel}"', "-o", str(library), str(HERE / "emulated.cpp")]
    subprocess.run(command, check=True, timeout=120)
    return ctypes.CDLL(str(library))


@functools.cache
def library(options=()):
    with tempfile.TemporaryDirectory() as folder:
        return compiled(folder, options=options)


class Emulation:
    """A `gpu.Launcher`.

    It holds the engine to what a card demands: dtypes exactly as declared, no array twice in one launch (so
    that one that is read is not written), nothing but whole arrays written.
    """

    def __init__(self, order=0, lib=None, blocks=1, options=()):
        self.order, self.lib, self.blocks = order, lib or library(options), blocks
        self.launches = []
        self.delay = None
        self.closed = False

    def array(self, values):
        return values.copy()

    def write(self, array, values):
        assert array.shape == values.shape and array.dtype == values.dtype
        array[...] = values

    def read(self, array):
        return array.copy()

    def launch(self, arguments, threads, shared_bytes):
        assert 0 < shared_bytes <= 48 * 1024 and 32 <= threads <= 512 and threads % 32 == 0
        passed, arrays = [], []
        for (kind, pointer), argument in zip(signature(), arguments, strict=True):
            if pointer:
                assert argument.dtype == POINTERS[kind]
                passed.append(ctypes.c_void_p(argument.ctypes.data))
                arrays.append(argument.ctypes.data)
            else:
                assert isinstance(argument, (int, float))
                passed.append(NUMBERS[kind](argument))
        assert len(set(arrays)) == len(arrays), "an array passed twice"
        outcome = self.lib.run(self.blocks, threads, shared_bytes, self.order, *passed)
        assert outcome == 0, OUTCOMES[outcome]
        self.launches.append(arguments)
        if self.delay is not None:
            self.delay(arguments)

    def close(self):
        self.closed = True
