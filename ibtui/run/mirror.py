"""The mirror: all that a screen knows of a worker, from what has come over the connection."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from ibtui.recording import Checkpoint, Recording
from ibtui.recording.machine import is_machine
from ibtui.run.protocol import Frame, Inputs, Key, Notice, Representation, Status

LOG_LINES = 1000


@dataclass(frozen=True)
class Lost:
    """The worker has gone, and why: its exit status or signal, and the end of its log."""

    reason: str
    log: tuple[str, ...] = ()
    saved: tuple[str, ...] | None = None
    """The files that a worker wrote which was told to end, and did so in order; None: it died."""
    stopped: bool = False
    """True where `ibtui stop` has ended it; `reason` says from where."""


@dataclass
class Mirror:
    """All that the screen knows of its worker: everything but the activations, small enough to hold whole."""

    status: Status | None = None
    """None until the first frame."""
    recording: Recording | None = None
    """The history: scalars and weights of every measurement."""
    reference: Recording | None = None
    """The history of the run before the last restart, where this screen has seen it."""
    reference_run: int = -1
    preview: Recording | None = None
    """The first measurement at most, shown until there is a recording."""
    inputs: Inputs | None = None
    representation: Representation | None = None
    net: int = 0
    """Points to an axis of the picture of the net that the screen has room for; 0: it is not shown."""
    died: Lost | None = None
    """The end of the worker whose history this is, where it has ended."""
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    run: int = -1
    log_end: int = 0
    notices: int = 0
    heard: float = field(default_factory=time.monotonic)

    def check(self, frame: Frame) -> None:
        """Raise `ValueError` if a frame is none that can be applied, whoever sent it."""
        recording = self.recording
        for told in (frame.new_run, frame.preview):
            columns = told.experiment.columns if told is not None else {}
            if any(np.dtype(spec.dtype).hasobject for spec in columns.values()):
                raise ValueError("not the columns of a recording")
        if frame.preview is not None and frame.preview.update is not None:
            Recording(frame.preview.experiment).check(frame.preview.update)
        if frame.new_run is not None:
            if not is_machine(frame.new_run.machine):
                raise ValueError("not a machine")
            recording = Recording(frame.new_run.experiment)
        if frame.reference is not None and self.reference is not None and frame.new_run is None:
            self.reference.check(frame.reference)
        if frame.update is not None and recording is None:
            raise ValueError("an update of no recording")
        if frame.update is not None and recording is not None:
            recording.check(frame.update)

    def apply(self, frame: Frame) -> tuple[Notice, ...]:
        """Bring the mirror up to date; what the user is to be told is returned."""
        if frame.new_run is not None:
            new = frame.new_run
            if new.before == self.run:
                self.reference, self.reference_run = self.recording, self.run
            elif new.before != self.reference_run:
                self.reference, self.reference_run = None, -1
            self.run = new.run
            self.inputs = new.inputs
            self.recording = Recording(new.experiment, dict(new.ceilings), machine=new.machine)
            self.preview = None
        elif frame.preview is not None and self.recording is None:
            self.preview = Recording(frame.preview.experiment, dict(frame.preview.ceilings))
            if frame.preview.update is not None:
                self.preview.apply(frame.preview.update)
            self.inputs = frame.preview.inputs
        if self.recording is not None:
            if frame.update is not None:
                self.recording.apply(frame.update)
            if frame.checkpoint is not None:
                self.recording.checkpoint = frame.checkpoint
        if frame.reference is not None and self.reference is not None:
            self.reference.apply(frame.reference)
        if frame.representation is not None:
            self.representation = frame.representation
        self.status = frame.status
        self.log.extend(frame.log)
        self.log_end = frame.log_end
        self.notices = frame.notice_end
        self.heard = time.monotonic()
        return frame.notices

    @property
    def reference_tick(self) -> int:
        """The tick of the run before, as its worker counts; 0 if there is none."""
        return self.reference.tick if self.reference is not None and len(self.reference) else 0

    @property
    def drawn(self) -> Key | None:
        """The key of the representation; None where it lacks a picture of the net that is to be shown."""
        shown = self.representation
        return None if shown is None or (self.net and self._lacks_net(shown)) else shown.key

    def _lacks_net(self, shown: Representation) -> bool:
        picture = shown.net
        return picture is None or (picture.classes is not None and len(picture.classes) != self.net)

    @property
    def checkpoint(self) -> Checkpoint | None:
        return self.recording.checkpoint if self.recording is not None else None
