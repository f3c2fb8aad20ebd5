"""What is left to say when the screen has gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ibtui.errors import printable
from ibtui.recording import Recording
from ibtui.ui.view import replaying

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror


@dataclass(frozen=True)
class Outcome:
    """What is left to say when the screen has gone."""

    epoch: int = 0
    epochs: int = 0
    train_accuracy: float = float("nan")
    test_accuracy: float = float("nan")
    measured: int = 0
    """The epoch of these."""
    saved: tuple[str, ...] = ()
    """Files written, oldest first."""
    state: str = "starting"
    """One of `protocol.STATES`."""
    reason: str = ""
    """Why the run failed or its worker died."""
    exit_status: int = 0
    """0 after q, 130 after Ctrl-C, 1 where the run had failed, its worker died, or the screen broke; 2 where
    a recording could not be read."""

    unsaved: Recording | None = field(default=None, repr=False)
    """What the screen holds of a history that, so far as it knows, no file does."""

    @property
    def summary(self) -> str:
        """One line: how far the run came, how good it is, where it is kept, and what went wrong."""
        said = [f"epoch {self.epoch:,} of {self.epochs:,}"]
        if not math.isnan(self.train_accuracy):
            at = "" if self.measured == self.epoch else f" at epoch {self.measured:,}"
            said.append(f"accuracy {self.train_accuracy:.3f}, held out {self.test_accuracy:.3f}{at}")
        said.append(f"saved {', '.join(map(printable, self.saved))}" if self.saved else "nothing saved")
        if self.reason:
            said.append(f"{self.state}: {printable(self.reason)}")
        return "; ".join(said)


def newest(mirror: Mirror) -> tuple[int, Mapping[str, Any]]:
    """What was measured last, as far as is known, and at which epoch; of a replay, what is shown."""
    look, recording = mirror.look, mirror.recording
    reached = int(recording.column("epoch")[-1]) if recording is not None and len(recording) else -1
    if look is not None and look.key[0] == mirror.run and (look.epoch >= reached or replaying(mirror)):
        return look.epoch, look.values
    if recording is None or reached < 0:
        return 0, {}
    return reached, recording.values(len(recording) - 1)
