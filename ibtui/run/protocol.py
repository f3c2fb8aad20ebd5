"""What crosses between the screen and its worker: frozen dataclasses, and nothing else.

The screen sends one request at a time and gets one answer: a command is answered by `Done`, a `Pull` by a
`Frame`. The screen pulls the next frame when it has drawn the last, so nothing queues on either side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ibtui.core.information import Binning
from ibtui.recording import Checkpoint, Experiment, Update

Array = np.ndarray[Any, Any]

GREETING = b"ibtui 2"
"""A worker's first bytes. A screen refuses one of another version (`ibtui attach` after an upgrade)."""

STATES = ("starting", "running", "pausing", "paused", "finished", "failed", "dead")
"""A run's states. It is dead where its worker has gone; so says the screen, and the worker that holds what is
left of it."""


# Commands: screen to worker.


@dataclass(frozen=True)
class Pause:
    """Stop after the epoch that is being trained. In a replay: stop playing."""


@dataclass(frozen=True)
class Resume:
    """Go on. In a replay: play."""


@dataclass(frozen=True)
class Step:
    """Train this many epochs, then pause. In a replay: go this many measurements on, or back."""

    epochs: int = 1


@dataclass(frozen=True)
class Rebin:
    """Estimate the whole history with this binning; the newest asked for wins."""

    binning: Binning


@dataclass(frozen=True)
class Save:
    """Write a snapshot: to this file, to a new one in this folder or, with None, in the snapshot folder.

    The outcome arrives as a `Notice` and, where the asker has given a ticket, in `Status.settled`.
    """

    path: str | None = None
    ticket: int = field(default=0, compare=False)
    """The asker's own number, by which it knows its answer among others'; 0: it does not wait for one."""


@dataclass(frozen=True)
class Restart:
    """From scratch, with this seed (None: the same, and so the same weights exactly)."""

    seed: int | None = None


@dataclass(frozen=True)
class SetPace:
    """Epochs per second at most; 0: as fast as the engine can. In a replay: measurements per second."""

    epochs_per_second: float


@dataclass(frozen=True)
class Detach:
    """Outlive the screen: the end of the connection no longer ends the run."""


@dataclass(frozen=True)
class Stop:
    """End the worker; `save` writes a snapshot first where there is something unsaved."""

    save: bool = False


Command = Pause | Resume | Step | Rebin | Save | Restart | SetPace | Detach | Stop


@dataclass(frozen=True)
class Pull:
    """Ask for what is new.

    `run` and `tick` say up to where the asker's mirror of the history is; `row` is the measurement it looks
    at (None: the present), `look` the key of the look that it has drawn; `checkpoint` is the epoch of the
    checkpoint that it has, `log` and `notice` say how much of the worker's output and of its notices.
    """

    run: int = -1
    tick: int = 0
    row: int | None = None
    look: tuple[int, ...] = ()
    checkpoint: int = -1
    log: int = 0
    notice: int = 0


@dataclass(frozen=True)
class Peek:
    """Ask for the status alone, without being a screen: the answer is a `Status`."""


# Answers: worker to screen.


@dataclass(frozen=True)
class Done:
    """A command was taken."""


@dataclass(frozen=True)
class Status:
    """Where the worker stands."""

    run: int
    """Counts the restarts: history belongs to one run."""
    state: str
    epoch: int
    """Epochs trained; in a replay, the epoch of the measurement that is shown."""
    epochs: int
    """Epochs to train in all."""
    epochs_per_second: float
    """Measured over the last seconds; 0 while nothing trains."""
    pace: float
    engine: str
    device: str
    why: str
    """Why this engine, where that is not what was asked for; else empty."""
    binning: Binning
    """The one asked for last."""
    pending: int
    """Measurements whose estimates are still to be made with it."""
    unsaved: bool
    """History that no file holds yet."""
    saved: tuple[str, ...] = ()
    """Snapshots written, oldest first; of very many, the newest."""
    saves: int = 0
    """How often a file was written."""
    settled: tuple[tuple[int, str], ...] = ()
    """Of the last files asked for with a ticket: that, and why it could not be written; empty: it was."""
    skipped: int = 0
    """Measurements that came and went without being drawn as the present one."""
    source: str = "training"
    """"training", "replay", or "remains": the history of a run whose worker has died."""
    message: str = ""
    """What a worker that is starting does, or why one failed."""
    detached: bool = False
    gpu: str = ""
    """Memory and utilisation, where there is a GPU."""


@dataclass(frozen=True)
class Representation:
    """One epoch's representation, ready to draw, and its numbers."""

    key: tuple[int, ...]
    """Identifies the look; equal keys, equal looks."""
    epoch: int
    row: int | None
    """The measurement of the recording; None: weights between two scheduled measurements."""
    points: tuple[Array, ...]
    """Per layer, the samples' coordinates in the plane: float32 of shape (shown, 2)."""
    labels: Array
    """Classes of the samples shown, shape (shown,)."""
    samples: int
    """How many samples there are; more than are shown where there are very many."""
    ranges: tuple[tuple[float, float, float, float], ...]
    """Per layer, the axes: low and high of the first coordinate, low and high of the second."""
    values: dict[str, Array] = field(default_factory=dict)
    """Each quantity of the recording by its name: shape (layers,), or ()."""
    sensitivity: Array | None = None
    """I(T;Y) and its chance level in nats at 10, 30 and 100 bins, shape (2, layers, 3)."""


@dataclass(frozen=True)
class Notice:
    """Something to tell the user once."""

    text: str
    severity: str = "information"
    """"information", "warning" or "error"."""


@dataclass(frozen=True)
class Welcome:
    """A run, as a screen needs to know it: sent in the first frame, and after each restart."""

    run: int
    experiment: Experiment
    ceilings: dict[str, float]


@dataclass(frozen=True)
class Frame:
    """What is new since the frame before."""

    status: Status
    welcome: Welcome | None = None
    update: Update | None = None
    look: Representation | None = None
    """None: the look is the one already drawn."""
    checkpoint: Checkpoint | None = None
    log: tuple[str, ...] = ()
    """New lines of the worker's own output and of its engine's."""
    log_end: int = 0
    """What the next `Pull.log` is to say: how much of the output has been sent."""
    notices: tuple[Notice, ...] = ()
    notice_end: int = 0
    """What the next `Pull.notice` is to say."""
