"""The protocol of a source, which a worker's measurements come from: training, or playback of a recording."""

from __future__ import annotations

from typing import Protocol

from ibtui.run.protocol import Command


class Source(Protocol):
    """Runs in the worker's main thread: measures, or moves through what was measured, and obeys commands.

    How sources differ is declared: `trains` and `plays` reach the screens in each `Status`, and nobody asks
    which source it is.
    """

    trains: bool
    """Epochs are trained here: the run grows, up to `Status.epochs`, and can be restarted."""
    plays: bool
    """A position moves through the measurements: it is the present, and the pace is measurements a second."""
    accepts: frozenset[type[Command]]
    """The commands that it carries out, besides `Stop`; it ignores others."""

    def prepare(self) -> None:
        """Import and compile what is needed, and begin the first run."""

    def serve(self) -> bool:
        """Go on, and obey, until told to stop; return whether to save first."""

    def close(self) -> None:
        """Release what it holds."""
