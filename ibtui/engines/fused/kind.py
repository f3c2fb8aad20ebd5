"""The engine fused, as the registry has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.dense import Dense, check_net
from ibtui.engines.fused import gpu, trial
from ibtui.engines.mxnet import trial as mxnet
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
        """Say why the kernel cannot run on this GPU; any CPU will do."""
        if device == "cpu":
            return ""
        if refusal := mxnet.no_gpu(device, "the fused engine"):
            return refusal
        try:
            gpu.plan((inputs, *config.layers), config.batch_size)
            failure = trial.failure(device)
        except EngineError as error:
            failure = str(error)
        if not failure:
            return ""
        no_gluon = mxnet.no_operators(device)
        both = f"{no_gluon}; and the fused engine: " if no_gluon else "the fused engine: "
        return f"{both}{failure}; --ctx cpu needs no GPU"

    def create(
        self, config: RunConfig, device: str, x: NDArray[np.float32], y: Labels, state: State
    ) -> Engine:
        """Load the compiled code, or compile it."""
        check_net(config, x.shape[1], int(y.max()) + 1)
        if device == "cpu":
            from ibtui.engines.fused.cpu import FusedEngine  # this imports Numba, which takes a while

            return FusedEngine(config, x, y, state)
        return Guarded(self.name, device, lambda: gpu.FusedGpuEngine(config, device, x, y, state))


FUSED = Fused()
