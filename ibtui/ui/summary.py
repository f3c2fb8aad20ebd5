"""The line that a screen leaves behind when it has gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ibtui.errors import printable
from ibtui.plot.ticks import decimals
from ibtui.recording import Recording
from ibtui.run.protocol import Status
from ibtui.run.snapshot import saved_line
from ibtui.ui.link import Link
from ibtui.ui.scene import Scene


@dataclass(frozen=True)
class Farewell:
    """The end of a run, as the screen tells it."""

    epoch: int = 0
    epochs: int = 0
    train_accuracy: float = float("nan")
    test_accuracy: float = float("nan")
    measured: int = 0
    """The epoch of these."""
    recorded: int = 0
    """The epoch of the last measurement of the recording."""
    saved: tuple[str, ...] = ()
    """Files written, oldest first."""
    state: str = "starting"
    """One of `protocol.STATES`."""
    reason: str = ""
    """The reason for which the run failed or its worker has gone."""
    exit_status: int = 0
    """0 after q, 130 after Ctrl-C, 1 where the run had failed, its worker died, or the screen broke; 2 where
    a recording could not be read."""

    loop: str = ""
    """The name of the watched loop that was shown; empty: it was none."""
    unsaved: Recording | None = field(default=None, repr=False)
    """The history that the screen holds where, so far as it knows, no file does."""

    @property
    def summary(self) -> str:
        """One line: how far the run came, how good it is, where it is kept, and what went wrong."""
        said = [f"epoch {self.epoch:,}" + (f" of {self.epochs:,}" if self.epochs else "")]
        if self.loop:
            said[0] = f"{self.loop}: {said[0]}"
        if not math.isnan(self.train_accuracy):
            at = "" if self.measured == self.epoch else f" at epoch {self.measured:,}"
            held_out = (
                "" if math.isnan(self.test_accuracy) else f", held out {decimals(self.test_accuracy, 3)}"
            )
            said.append(f"accuracy {decimals(self.train_accuracy, 3)}{held_out}{at}")
        if self.saved or not self.loop:
            files = ", ".join(map(printable, self.saved))
            whole = self.unsaved is None and not self.loop  # a loop has gone on since
            reached = self.epoch if whole else self.recorded
            said.append(saved_line(files, reached, self.recorded) if files else "nothing saved")
        if self.loop and self.state in ("running", "pausing", "paused"):
            said.append(
                f"the loop goes on: ibtui attach {self.loop}"
                if self.state == "running"
                else f"ibtui attach {self.loop} comes back to it"
            )
        if self.reason:
            told = self.reason if self.state == "stopped" else f"{self.state}: {self.reason}"
            said.append(printable(told))
        return "; ".join(said)


def last_measured(scene: Scene) -> tuple[int, Mapping[str, Any]]:
    """Return the epoch of the last measurement that is known, and its values; of a replay, the one shown."""
    mirror, shown, recording = scene.mirror, scene.representation, scene.recording
    reached = _reached(recording)
    if shown is not None and shown.key[0] == mirror.run and (shown.epoch >= reached or scene.plays):
        return shown.epoch, shown.values
    if recording is None or reached < 0:
        return 0, {}
    return reached, {name: recording.column(name)[-1] for name in recording.quantities}


def _reached(recording: Recording | None) -> int:
    """Return the epoch of the last measurement; -1 where there is none."""
    return int(recording.column("epoch")[-1]) if recording is not None and len(recording) else -1


def outcome(scene: Scene, link: Link, exit_status: int) -> Farewell:
    """Return what is left to say of a scene; an `exit_status` but 0 goes before the run's own."""
    status, state = scene.status or Status(), scene.run_state
    epoch, values = last_measured(scene)
    failure = status.message if state == "failed" or (scene.loop and state == "dead") else ""
    failed = 2 if state == "failed" and scene.plays else int(state in ("failed", "dead"))
    if scene.loop:
        failed = int(state == "failed" or link.state.lost)
    return Farewell(
        epoch=status.epoch,
        epochs=status.epochs,
        train_accuracy=float(values.get("train_accuracy", "nan")),
        test_accuracy=float(values.get("test_accuracy", "nan")),
        measured=epoch,
        recorded=_reached(scene.recording),
        saved=link.files,
        state=state,
        reason=scene.mirror.died.reason if scene.mirror.died is not None else failure,
        exit_status=exit_status or failed,
        loop=scene.loop,
        unsaved=scene.recording if link.unsaved else None,
    )
