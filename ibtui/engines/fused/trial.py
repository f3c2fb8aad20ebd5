"""Trying the fused engine's kernel on a GPU, in a process of its own, which vendors' libraries may end."""

from __future__ import annotations

import functools
import math
import os

import numpy as np

from ibtui.config import RunConfig
from ibtui.engines.dense import packed
from ibtui.engines.fused.gpu import FusedGpuEngine
from ibtui.engines.mxnet.trial import ended
from ibtui.engines.nvidia.messages import plain
from ibtui.engines.probing import ask, tell
from ibtui.errors import EngineError


@functools.cache
def failure(device: str) -> str:
    """Say why the fused engine cannot run on this GPU, which a process of its own tries; empty: it can."""
    answers, error = ask("from ibtui.engines.fused import trial; trial.answer(sys.argv[1])", device)
    return str(answers[-1]["failure"]) if answers else ended(error)


def answer(device: str) -> None:
    """Tell the process that called `failure`; this one then ends."""
    said = ""
    try:
        _train(device)
    except EngineError as error:
        said = str(error)
    except Exception as error:  # whatever MXNet, CUDA or the compiler say
        said = plain(str(error) or type(error).__name__)
    tell({"failure": said})
    os._exit(0)  # CUDA libraries that failed may fail again when the process winds up


def _train(device: str) -> None:
    """Train a net of the default shape for an epoch."""
    config = RunConfig(layers=(2, 2), every=1)
    x = np.linspace(0, 1, 40, dtype=np.float32).reshape(20, 2)
    parameters = [(np.full((2, 2), 0.5, np.float32), np.zeros(2, np.float32)) for _ in range(2)]
    engine = FusedGpuEngine(config, device, x, np.arange(20) % 2, packed(parameters, math.nan))
    engine.train(0, 1)
    if not 0 < engine.state()["moving_loss"] < 2:
        raise EngineError(f"the fused engine gives wrong numbers on {device}")
