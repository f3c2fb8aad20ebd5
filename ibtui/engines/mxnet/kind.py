"""The engine gluon, as the registry has it."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.dense import Dense, check_net
from ibtui.engines.mxnet import EXTRA, library, trial
from ibtui.engines.nvidia import MXNET_EXTRA
from ibtui.engines.nvidia.guard import Guarded
from ibtui.engines.protocol import Engine, Labels, State


class Gluon(Dense):
    """Dense layers, trained by graphs of MXNet's operators."""

    name = "gluon"
    summary = "MXNet's Gluon, on a CPU or on an NVIDIA GPU of compute capability 5.0 to 8.9"

    def refusal(self, config: RunConfig, inputs: int, device: str) -> str:
        """Say why MXNet cannot compute on this device."""
        if device == "cpu":
            if library.installed() is None:
                return f"{library.not_installed()}: {_advice()}; --engine fused needs no MXNet"
            obstacle = trial.no_mxnet()
            return f"{obstacle}; --engine fused needs no MXNet" if obstacle else ""
        return trial.no_gluon(device)

    def create(
        self, config: RunConfig, device: str, x: NDArray[np.float32], y: Labels, state: State
    ) -> Engine:
        """Import MXNet and build the graphs."""
        check_net(config, x.shape[1], int(y.max()) + 1)
        from ibtui.engines.mxnet.gluon import GluonEngine  # this imports MXNet, which takes seconds

        if device == "cpu":
            return GluonEngine(config, device, x, y, state)
        return Guarded(self.name, device, lambda: GluonEngine(config, device, x, y, state))

    def train_a_little(self) -> None:
        """Train two layers for an epoch on the CPU, and end the process: a trial, in a process of its own.

        All that MXNet reads of the environment, it has read then.
        """
        config = RunConfig(layers=(2, 2), every=1)
        x = np.linspace(0, 1, 40, dtype=np.float32).reshape(20, 2)
        engine = self.create(config, "cpu", x, np.arange(20) % 2, self.initial(config, 2))
        engine.train(0, 1)
        engine.state()
        os._exit(0)  # as it winds up, MXNet may wait for threads that are not there


def _advice() -> str:
    return f"{EXTRA}, or for a GPU {MXNET_EXTRA}" if MXNET_EXTRA != EXTRA else EXTRA


GLUON = Gluon()
