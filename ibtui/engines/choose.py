"""What an engine is, which one a configuration gets on this machine, and how it is made.

Nothing here imports MXNet or Numba: an engine's module is imported when an engine is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.engines.mxnet import library
from ibtui.engines.nvidia import cuda
from ibtui.errors import EngineError, IbtuiError, UsageError

Parameters = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Weights (out, in) and biases (out,) of each layer, float32."""

Labels = NDArray[np.integer[Any]]
"""Class of each sample, from 0 to the last layer's width - 1."""

CPU_EXTRA = "pip install '.[cpu]' in ibtui's folder"
CUDA_EXTRA = cuda.EXTRA

INPUTS = 2
"""Width of the inputs, in every experiment that a configuration can describe."""


class Engine(Protocol):
    """Something that trains: the same arithmetic whatever it runs on, but for rounding."""

    name: str
    """gluon or fused."""
    device: str
    """cpu, gpu0, …"""
    moving_loss: float
    """0.9 old + 0.1 new per batch, in float64; the first batch's loss sets it; NaN before that."""

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`; an epoch's number decides the order of its batches alone."""

    def parameters(self) -> Parameters:
        """Weights and biases of each layer: float32 copies."""

    def load(self, parameters: Parameters, moving_loss: float, seed: int | None = None) -> None:
        """Go on from these, at once: nothing is compiled again.

        A `seed` replaces the configuration's, for the order of batches from here on.
        """

    def close(self) -> None:
        """Give back what the engine holds beyond its arrays."""


@dataclass(frozen=True)
class Choice:
    """An engine on a device, both settled."""

    engine: str
    """gluon or fused."""
    ctx: str
    """cpu, gpu0, …"""
    why: str
    """A short phrase for the status line."""


def choose(config: RunConfig) -> Choice:
    """Settle `auto`, and refuse what this machine cannot do, without importing MXNet into this process.

    Asking for a GPU of a CUDA build takes seconds: a process of its own tries it.

    Raises
    ------
    UsageError
        If what was asked for cannot run here; one line that says what is missing and what would be right.
    """
    build = library.installed()
    if config.ctx == "auto":
        return _automatic(config, build)
    if config.ctx == "cpu":
        return _on_cpu(config, build, "")
    return _on_gpu(config, build)


def _automatic(config: RunConfig, build: library.Build | None) -> Choice:
    if config.engine == "fused" or build is None or build.obstacle or build.cuda is False:
        return _on_cpu(config, build, "")
    try:
        return _on_gpu(replace(config, ctx="gpu0"), build)
    except UsageError as refusal:
        return _on_cpu(config, build, str(refusal).removeprefix("--ctx gpu0: "))


def _on_cpu(config: RunConfig, build: library.Build | None, no_gpu: str) -> Choice:
    because = f"; no GPU: {no_gpu}" if no_gpu else ""
    if config.engine == "fused":
        return Choice("fused", "cpu", "as asked" + because)
    if build is None:
        if config.engine == "gluon":
            raise UsageError(f"--engine gluon: MXNet is not installed: {CPU_EXTRA} (CUDA: {CUDA_EXTRA})")
        return Choice("fused", "cpu", "MXNet is not installed")
    if build.obstacle:
        if config.engine == "gluon":
            raise UsageError(f"--engine gluon: {build.obstacle}; --engine fused needs no MXNet")
        return Choice("fused", "cpu", build.obstacle)
    return Choice("gluon", "cpu", str(build) + because)


def _on_gpu(config: RunConfig, build: library.Build | None) -> Choice:
    """Gluon where MXNet has code for this GPU, the fused engine otherwise, or what was asked for."""
    asked = f"--ctx {config.ctx}: "
    if refused := _gpu_refusal(config, build):
        raise UsageError(f"{asked}{refused}")
    found = library.probe(config.ctx)
    card = found.cards.get(config.ctx, config.ctx)
    no_gluon = found.failures.get(config.ctx, "")
    if config.engine == "gluon" and no_gluon:
        raise UsageError(f"{asked}--engine gluon: {no_gluon}; --engine fused may run there, or --ctx cpu")
    if config.engine != "fused" and not no_gluon:
        return Choice("gluon", config.ctx, f"{build} on {card}")
    if no_fused := _fused_refusal(config):
        both = f"{no_gluon}; and the fused engine: " if no_gluon else "the fused engine: "
        raise UsageError(f"{asked}{both}{no_fused}; --ctx cpu needs no GPU")
    return Choice("fused", config.ctx, no_gluon or f"as asked, on {card}")


def _fused_refusal(config: RunConfig) -> str:
    """Why the fused engine cannot train this net on this GPU; empty: it can."""
    from ibtui.engines.fused import gpu

    try:
        gpu.plan((INPUTS, *config.layers), config.batch_size)
    except EngineError as error:
        return str(error)
    return library.probe_fused(config.ctx)


def _gpu_refusal(config: RunConfig, build: library.Build | None) -> str:
    """Why this MXNet does not even reach this GPU, and what would be right; empty: it does."""
    if not library.has_driver():
        return "no NVIDIA driver on this machine (libcuda.so.1): install it, or --ctx cpu with --engine fused"
    needs = "the fused engine" if config.engine == "fused" else "a GPU"
    if build is None:
        return f"{needs} needs MXNet with CUDA here, and MXNet is not installed: {CUDA_EXTRA}"
    if build.cuda is False:
        return (
            f"{needs} needs MXNet with CUDA here, and {build} is the CPU build: "
            f"pip uninstall mxnet, then {CUDA_EXTRA}, or --ctx cpu"
        )
    if build.obstacle:
        return build.obstacle
    found = library.probe(config.ctx)
    if found.error:
        return f"{found.error}; --ctx cpu needs no GPU"
    if not found.cuda:
        return f"{build} is a CPU build: {CUDA_EXTRA}, or --ctx cpu"
    if int(config.ctx.removeprefix("gpu")) >= found.gpus:
        there = ", ".join(f"gpu{index}" for index in range(found.gpus))
        return f"no such GPU; there is {there}" if there else "MXNet sees no GPU on this machine: --ctx cpu"
    return ""


def create_engine(
    choice: Choice,
    config: RunConfig,
    x: NDArray[np.float32],
    y: Labels,
    parameters: Parameters,
    moving_loss: float = math.nan,
) -> Engine:
    """The chosen engine, ready to train.

    Compiled code is loaded, or compiled, in here: seconds, the first time on a machine.

    Parameters
    ----------
    choice : Choice
        From `choose`.
    config : RunConfig
        Layers, activation, learning rate, batch size and seed are used.
    x : ndarray of shape (N, D), float32
    y : ndarray of shape (N,), int
        Class of each sample, from 0 to the last layer's width - 1.
    parameters : list of (W, b)
        To start from; copied.
    moving_loss : float
        To start from; NaN: none yet.

    Raises
    ------
    EngineError
        If the engine cannot be made after all.
    """
    if choice.ctx != "cpu":
        return OnCard(choice, config, x, y, parameters, moving_loss)
    if choice.engine == "fused":
        from ibtui.engines.fused.cpu import FusedEngine

        return FusedEngine(config, x, y, parameters, moving_loss)
    from ibtui.engines.mxnet.gluon import GluonEngine

    return GluonEngine(config, choice.ctx, x, y, parameters, moving_loss)


class OnCard:
    """An engine on a GPU whose failures are `EngineError`, in plain words.

    Parameters as for `create_engine`.
    """

    def __init__(self, choice: Choice, *arguments: Any) -> None:
        self.name, self.device = choice.engine, choice.ctx
        with self._in_plain_words():
            self._engine = self._make(*arguments)

    def _make(self, config: RunConfig, *arguments: Any) -> Engine:
        if self.name == "fused":
            from ibtui.engines.fused.gpu import FusedGpuEngine

            return FusedGpuEngine(config, self.device, *arguments)
        from ibtui.engines.mxnet.gluon import GluonEngine

        return GluonEngine(config, self.device, *arguments)

    @property
    def moving_loss(self) -> float:
        """See `Engine`."""
        return self._engine.moving_loss

    @moving_loss.setter
    def moving_loss(self, value: float) -> None:
        self._engine.moving_loss = value

    def train(self, start: int, stop: int) -> None:
        """See `Engine`."""
        with self._in_plain_words():
            self._engine.train(start, stop)

    def parameters(self) -> Parameters:
        """See `Engine`."""
        with self._in_plain_words():
            return self._engine.parameters()

    def load(self, parameters: Parameters, moving_loss: float, seed: int | None = None) -> None:
        """See `Engine`."""
        with self._in_plain_words():
            self._engine.load(parameters, moving_loss, seed)

    def close(self) -> None:
        """See `Engine`; on a GPU that has failed there is nothing left to give back."""
        with suppress(Exception):
            self._engine.close()

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except IbtuiError:
            raise
        except Exception as error:
            text = cuda.plain(str(error) or type(error).__name__)
            raise EngineError(f"{self.device}: {text}; --ctx cpu needs no GPU") from error
