"""The protocol of engines: a net in training, and what the kind of an engine declares without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.core.layer import Layer

Array = np.ndarray[Any, Any]
State = Mapping[str, Array]
"""Named arrays; the names are identifiers, and part of the recording's file."""
Labels = NDArray[np.integer[Any]]
"""Class of each sample, from 0 on, shape (N,)."""


@dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of an array that an engine declares."""

    shape: tuple[int, ...]
    dtype: str = "float32"


class Engine(Protocol):
    """A net in training: the same arithmetic whatever it runs on, but for rounding."""

    name: str
    """The name of its kind: gluon or fused, among ibtui's own."""
    device: str
    """cpu, gpu0, …"""

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`; an epoch's number decides the order of its batches alone."""

    def state(self) -> dict[str, Array]:
        """Return copies of all that a resume needs, under the names of `EngineKind.checkpoint`."""

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state at once; nothing is compiled again.

        A `seed` replaces the configuration's, for the order of batches from here on.
        """

    def close(self) -> None:
        """Give back what the engine holds beyond its arrays."""


class EngineKind(Protocol):
    """An engine by name. All but `create` and `refusal` need neither its framework nor its device.

    One whose layers have weights may have `weights(kept)` besides, which returns each layer's weight matrix.
    """

    name: str
    summary: str
    """A description in a line."""

    def layers(self, config: RunConfig) -> tuple[Layer, ...]:
        """Return the layers whose activations are measured."""

    def kept(self, config: RunConfig, inputs: int) -> dict[str, ArraySpec]:
        """Declare the part of the state that is kept of each measurement; `activations` follow from it."""

    def checkpoint(self, config: RunConfig, inputs: int) -> dict[str, ArraySpec]:
        """Declare the whole state."""

    def initial(self, config: RunConfig, inputs: int) -> dict[str, Array]:
        """Return the state before the first epoch, which the configuration's seed decides."""

    def scalars(self, state: State) -> dict[str, float | Array]:
        """Return what training reports of itself in a state, by the names of the quantities.

        A number, or for a quantity per layer an array of shape (layers,).
        """

    def activations(self, config: RunConfig, kept: State, x: Array) -> Sequence[NDArray[np.float32]]:
        """Compute each layer's activations (N, width) of inputs (N, D), anywhere and to the same bits."""

    def refusal(self, config: RunConfig, inputs: int, device: str) -> str:
        """Say in a sentence why it cannot train this on that device, and what would be right; empty: it can.

        `device` is cpu, gpu0, …

        What could end the process is tried in a process of its own.
        """

    def create(
        self, config: RunConfig, device: str, x: NDArray[np.float32], y: Labels, state: State
    ) -> Engine:
        """Make an engine, ready to train; code is loaded, or compiled, in here.

        Parameters
        ----------
        config : RunConfig
        device : str
            cpu, gpu0, …
        x : ndarray of shape (N, inputs), float32
            The training samples.
        y : ndarray of shape (N,), int
            Class of each, from 0 on.
        state : mapping of str to ndarray
            To start from, as `checkpoint` declares it; copied.

        Raises
        ------
        EngineError
            It cannot be made after all.
        """
