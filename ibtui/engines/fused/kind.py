"""The engine fused, as the registry has it."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.dense import Dense, check_net
from ibtui.engines.fused import gpu
from ibtui.engines.nvidia import EXTRA
from ibtui.engines.nvidia.driver import LEAST_CAPABILITY, LEAST_CUDA, dotted, no_gpu, start_driver
from ibtui.engines.nvidia.guard import Guarded
from ibtui.engines.protocol import Engine, Labels, State
from ibtui.errors import EngineError


class Fused(Dense):
    """Dense layers, trained by code that is compiled for this machine."""

    name = "fused"
    summary = (
        "compiled for this machine: a CPU without MXNet, or an NVIDIA GPU of compute capability 5.0 or more"
    )

    def refusal(self, config: RunConfig, inputs: int, device: str) -> str:
        """Say why the kernel cannot run on this GPU, as far as the driver tells; any CPU will do."""
        if device == "cpu":
            return ""
        if refusal := no_gpu(device):
            return refusal
        try:
            gpu.plan((inputs, *config.layers), config.batch_size)
        except EngineError as error:
            return f"the fused engine: {error}; --ctx cpu needs no GPU"
        driver, least = start_driver(), dotted(LEAST_CAPABILITY)
        if (card := driver.card(device)).capability < LEAST_CAPABILITY:
            return f"{card} is too old: the fused engine needs compute capability {least}; --ctx cpu"
        if driver.cuda < LEAST_CUDA:
            return (
                f"the NVIDIA driver supports CUDA up to {dotted(driver.cuda)}, and the fused engine needs "
                f"driver 525 or newer (CUDA {dotted(LEAST_CUDA)}): update it, or --ctx cpu"
            )
        return "" if _has_bindings() else f"the fused engine needs NVIDIA's cuda-bindings: {EXTRA}"

    def create(
        self, config: RunConfig, device: str, x: NDArray[np.float32], y: Labels, state: State
    ) -> Engine:
        """Load the compiled code, or compile it."""
        check_net(config, x.shape[1], int(y.max()) + 1)
        if device == "cpu":
            from ibtui.engines.fused.cpu import FusedEngine  # this imports Numba, which takes a while

            return FusedEngine(config, x, y, state)

        def make() -> Engine:
            try:
                from ibtui.engines.fused.cuda import CudaLauncher
            except ImportError as error:
                raise EngineError(f"NVIDIA's cuda-bindings cannot be imported ({error}): {EXTRA}") from error
            launcher = CudaLauncher(device, gpu.source(), gpu.KERNEL, gpu.options(config))
            with ExitStack() as undo:
                undo.callback(launcher.close)
                engine = gpu.FusedGpuEngine(config, device, x, y, state, launcher)
                undo.pop_all()
            return engine

        return Guarded(self.name, device, make)


def _has_bindings() -> bool:
    try:
        return None not in map(importlib.util.find_spec, ("cuda.bindings", "cuda.pathfinder"))
    except ImportError:  # not even a package cuda
        return False


FUSED = Fused()
