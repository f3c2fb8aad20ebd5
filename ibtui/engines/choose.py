"""The engine and the device that a configuration gets on this machine, and making that engine.

Nothing here imports MXNet or Numba: the module of an engine that trains is imported when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines import ENGINES
from ibtui.engines.mxnet import library, trial
from ibtui.engines.nvidia import driver
from ibtui.engines.protocol import Engine, Labels, State
from ibtui.errors import EngineError, UsageError, blaming


@dataclass(frozen=True)
class Choice:
    """An engine on a device; neither is `auto`."""

    engine: str
    """The engine's name in the registry."""
    ctx: str
    """cpu, gpu0, …"""
    why: str
    """A short phrase for the status line."""
    warning: str = ""
    """A fault that the user should mend, though a run goes on with it; empty if there is none."""

    @property
    def preparing(self) -> str:
        """A line for a user who waits for the engine to be made."""
        return f"preparing {self.engine} on {self.ctx}; compiled the first time only"


def choose(config: RunConfig, inputs: int) -> Choice:
    """Decide what `auto` is, and refuse what this machine cannot do; MXNet is not imported into this process.

    `--ctx auto` is a GPU only for Gluon: a small net with small batches trains faster on a CPU, by the fused
    engine. Where MXNet might run on a GPU, a process of its own tries it, which takes seconds.

    Parameters
    ----------
    config : RunConfig
    inputs : int
        Inputs of each sample.

    Raises
    ------
    UsageError
        If what was asked for cannot run here; one line that says what is missing and what would be right.
    """
    if config.ctx != "auto":
        return _on(config.ctx, config, inputs)
    build, no_gpu = library.installed(), ""
    if config.engine in ("auto", "gluon") and build and not build.obstacle and build.cuda is not False:
        if not (no_gluon := trial.no_gluon("gpu0")):
            return _on("gpu0", config, inputs)
        no_gpu = f"; no GPU: {no_gluon}"
    choice = _on("cpu", config, inputs)
    return replace(choice, why=choice.why + no_gpu)


def _on(device: str, config: RunConfig, inputs: int) -> Choice:
    """Choose an engine for this device."""
    name, no_gluon = config.engine, ""
    if name == "auto":
        no_gluon = trial.no_mxnet() if device == "cpu" else trial.no_gluon(device)
        name = "fused" if no_gluon else "gluon"
    if refusal := ENGINES[name].refusal(config, inputs, device):
        asked = f"--engine {name}" if device == "cpu" or config.engine == "gluon" else f"--ctx {device}"
        also = f"; Gluon: {no_gluon}" if no_gluon and no_gluon not in refusal else ""
        if config.engine == "gluon" and device != "cpu":
            runs = not ENGINES["fused"].refusal(config, inputs, device)
            also = "; --engine fused runs there" if runs else ""
        raise UsageError(f"{asked}: {refusal}{also}")
    warning = ""
    if device == "cpu" and no_gluon and (build := library.installed()) and not build.obstacle:
        warning = f"{no_gluon}; the fused engine trains instead"  # nobody can have meant this
    return Choice(name, device, _why(name, device, no_gluon), warning)


def _why(name: str, device: str, no_gluon: str) -> str:
    if device == "cpu":
        return no_gluon or (str(library.installed()) if name == "gluon" else "as asked")
    build = library.installed()
    if no_gluon and build is not None and build.cuda is not False:  # it may have been meant
        return no_gluon
    by = f"{build} " if name == "gluon" else ""
    return f"{by}on {driver.start_driver().card(device)}"


def create_engine(
    choice: Choice, config: RunConfig, x: NDArray[np.float32], y: Labels, state: State
) -> Engine:
    """Make the chosen engine; see `EngineKind.create`. What it raises names the engine."""
    with blaming(f"--engine {choice.engine}", EngineError):
        return ENGINES[choice.engine].create(config, choice.ctx, x, y, state)
