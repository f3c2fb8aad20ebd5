"""The messages between a screen and its worker, and their types.

The screen sends one request at a time and gets one answer: a command is answered by `Done`, `Pull` and `Peek`
by a `Frame`. The screen pulls the next frame when it has drawn the last, so nothing queues on either side.

Within one number of the protocol a message may gain fields, with defaults: unknown ones are ignored. Anything
else is another number, and the worker's greeting says it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from ibtui import __version__
from ibtui.core.information import Binning
from ibtui.quantities import Array
from ibtui.recording import Checkpoint, Experiment, Update

Key = tuple[int, int, int]
"""Identifies a representation; equal keys, equal representations."""

PROTOCOL = 3
GREETING_BYTES = 64
GREETING = f"ibtui {PROTOCOL} {__version__}".encode()[:GREETING_BYTES]
"""A worker's first bytes, of the same form in all versions; version 0.1 said `ibtui 2`."""

STATES = ("starting", "running", "pausing", "paused", "finished", "failed", "dead", "stopped")
"""A run's states. It is dead where its worker has gone; so says the screen, and the worker that holds what is
left of it. Where `ibtui stop` has ended that worker, the screen says that it was stopped."""

Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Epochs = Annotated[int, msgspec.Meta(ge=-(10**9), le=10**9)]


# Requests: screen to worker.


class Message(msgspec.Struct, frozen=True, tag=True):
    """A message: a map, with its class's name as `type`."""


class Pause(Message, frozen=True):
    """Stop after the epoch that is being trained. In a replay: stop playing."""


class Resume(Message, frozen=True):
    """Go on. In a replay: play."""


class Step(Message, frozen=True):
    """Train this many epochs, then pause. In a replay: go this many measurements on, or back."""

    epochs: Epochs = 1


class Rebin(Message, frozen=True):
    """Estimate the whole history with this binning; the newest one sent wins."""

    binning: Binning


class Save(Message, frozen=True):
    """Write a snapshot: to this file, to a new one in this folder or, with None, in the snapshot folder.

    The outcome arrives as a `Notice` and, where there is a ticket, in `Status.save_results`.
    """

    path: str | None = None
    ticket: int = 0
    """The sender's own number, by which it finds its result among others'; 0: it does not wait for one."""


class Restart(Message, frozen=True):
    """Begin again, with this seed (None: the same, and so the same weights exactly)."""

    seed: Seed | None = None


class SetPace(Message, frozen=True):
    """Epochs per second at most; 0: as fast as the engine can. In a replay: measurements per second."""

    epochs_per_second: float


class Detach(Message, frozen=True):
    """Outlive the screen: the end of the connection no longer ends the run."""


class Leave(Message, frozen=True):
    """Have a watched loop that waits for this screen go on without it, or stay paused: the screen leaves."""

    stays: bool


class Stop(Message, frozen=True):
    """End the worker; `save` writes a snapshot first where there is something unsaved."""

    save: bool = False
    by: str = ""
    """The process that ends it, where that is not the screen it belongs to."""


Command = Pause | Resume | Step | Rebin | Save | Restart | SetPace | Detach | Leave | Stop


class Pull(Message, frozen=True):
    """Ask for what is new.

    `run` and `tick` say up to where the screen's mirror of the history is; `row` is the measurement it looks
    at (None: the present), `drawn` the key of the representation that it has drawn; `checkpoint` is the epoch
    of the checkpoint that it has, `log` and `notice` say how much of the worker's output and of its notices.
    `net` asks for the picture of the net, with so many points to an axis; 0: it is not shown. `reference` is
    as `tick`, of the mirror of the run before; 0: there is none.
    """

    run: int = -1
    tick: int = 0
    row: int | None = None
    drawn: Key | None = None
    checkpoint: int = -1
    log: int = 0
    notice: int = 0
    net: int = 0
    reference: int = 0


class Peek(Message, frozen=True):
    """Ask for the status alone, without counting as a screen: the answer is a `Frame` of nothing else."""


Request = Command | Pull | Peek


# Answers: worker to screen.


class Done(Message, frozen=True):
    """A command was accepted."""


@dataclass(frozen=True)
class Status:
    """The worker's state. Names and meanings are the same in all versions; each has a default."""

    run: int = -1
    """Counts the restarts: history belongs to one run."""
    state: str = "starting"
    epoch: int = 0
    """Epochs trained; in a replay, the epoch of the measurement that is shown."""
    epochs: int = 0
    epochs_per_second: float = 0.0
    """Measured over the last seconds; 0 while nothing trains."""
    pace: float = 0.0
    """Epochs per second at most, measurements per second in a replay; 0: no limit."""
    story: bool = False
    """The pace is slow in the first epochs and grows by itself, until another is asked for."""
    engine: str = ""
    device: str = ""
    why: str = ""
    """The reason for this engine, where it is not the one asked for; else empty."""
    binning: Binning = Binning()  # noqa: RUF009 — it is frozen
    """The one asked for last."""
    pending: int = 0
    """Measurements whose estimates are still to be made with it."""
    unsaved: bool = False
    """History that no file holds yet."""
    saved: tuple[str, ...] = ()
    """Snapshots written, oldest first; of very many, the newest."""
    saves: int = 0
    """The number of times that a file was written."""
    save_results: tuple[tuple[int, str], ...] = ()
    """The last saves with a ticket: the ticket, and why nothing was written; empty: it was."""
    skipped: int = 0
    """Measurements that came and went without being drawn as the present one."""
    trains: bool = False
    """Epochs are trained: the run grows, and can be restarted. False too for the history of a dead run."""
    plays: bool = False
    """A position moves through the measurements of a file, which is what is shown as the present."""
    message: str = ""
    """The step at which a starting worker is, or the reason why one failed."""
    detached: bool = False
    file: str = ""
    """The recording that is replayed."""
    gpu: str = ""
    """Memory and utilisation, where there is a GPU."""
    loop: str = ""
    """The name of the watched loop that the run is, of a program of the user's own; empty: it is none."""
    screens: int = 0
    seconds: float = 0.0
    """The time since the worker began, by a clock that nobody sets."""


@dataclass(frozen=True)
class NetPicture:
    """A net's answers all over the plane of its inputs, and its weights."""

    classes: Array | None = None
    """The class of the largest output, uint8 of shape (n, n), the first row on top; None: no two inputs."""
    sure: Array | None = None
    """Confidence: that output's softmax, from 0 for equal outputs to 255 for 1; uint8 of the same shape."""
    weights: tuple[Array, ...] = ()
    """Each layer's, float32 of shape (out, in); empty where the engine has none."""


@dataclass(frozen=True)
class Representation:
    """One epoch's representation, ready to draw, and its numbers."""

    key: Key
    """Identifies it; equal keys, equal representations."""
    epoch: int
    row: int | None
    """The measurement of the recording; None: a state between two scheduled measurements."""
    points: tuple[Array, ...]
    """Per layer, the samples' coordinates in the plane: float32 of shape (shown, 2)."""
    labels: Array
    """Classes of the samples shown, shape (shown,)."""
    samples: int
    """The number of samples; more than are shown where there are very many."""
    ranges: tuple[tuple[float, float, float, float], ...]
    """Per layer, the axes: low and high of the first coordinate, low and high of the second."""
    values: dict[str, Array] = field(default_factory=dict)
    """Each quantity of the recording by its name: shape (layers,), or ()."""
    sensitivity: Array | None = None
    """I(T;Y) and its chance level in nats at 10, 30 and 100 bins, shape (2, layers, 3)."""
    zeros: Array | None = None
    """The share of activations that are exactly 0, shape (layers,)."""
    net: NetPicture | None = None
    """None where the screen has not asked for it."""


@dataclass(frozen=True)
class Notice:
    """Something to tell the user once."""

    text: str
    severity: str = "information"
    """"information", "warning" or "error"."""


@dataclass(frozen=True)
class Inputs:
    """The measured inputs, ready to draw."""

    points: Array
    """The samples' coordinates in the plane: float32 of shape (shown, 2)."""
    labels: Array
    """Their classes, shape (shown,)."""
    axes: tuple[float, float, float, float]
    """Low and high of the first coordinate, low and high of the second."""


@dataclass(frozen=True)
class NewRun:
    """A run, as a screen needs to know it: sent in the first frame, and after each restart."""

    run: int
    experiment: Experiment
    ceilings: dict[str, float]
    machine: dict[str, str] = field(default_factory=dict)
    """The machine that computes it; empty: it is not known."""
    inputs: Inputs | None = None
    continues: bool = False
    """True where it is the run of before, with more quantities, and no other one."""
    before: int = -1
    """The run that can be compared with it, the one before the last restart; -1: there is none.

    A screen that holds another one, since several restarts came between two of its frames, lets go of it.
    """


@dataclass(frozen=True)
class Preview:
    """A run before its engine is there: its first measurement, which nothing keeps.

    There is no update where no number could be computed yet; the frame's representation shows epoch 0.
    """

    experiment: Experiment
    ceilings: dict[str, float]
    inputs: Inputs
    update: Update | None = None


class Frame(Message, frozen=True):
    """The news since the frame before."""

    status: Status
    new_run: NewRun | None = None
    update: Update | None = None
    representation: Representation | None = None
    """None: it is the one already drawn."""
    checkpoint: Checkpoint | None = None
    reference: Update | None = None
    """News of the run before, which takes the binning of the present one."""
    preview: Preview | None = None
    """None: there is none, or the screen has it."""
    log: tuple[str, ...] = ()
    """New lines of the worker's own output and of its engine's."""
    log_end: int = 0
    """The value for the next `Pull.log`: how much of the output has been sent."""
    notices: tuple[Notice, ...] = ()
    notice_end: int = 0
    """The value for the next `Pull.notice`."""


Answer = Done | Frame
