"""Resume a recorded run exactly: the settings that it may have, and the history that is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ibtui import settings
from ibtui.config import RunConfig
from ibtui.errors import UsageError, printable
from ibtui.recording import Recording
from ibtui.recording.files import load, peek
from ibtui.run.measuring import estimate_pending, fitted, meter_of

_CHANGEABLE = ("epochs", "units")
"""Settings that change no number of a measurement."""
_CHOSEN = ("ctx", "engine", "binning", "x")
"""Settings whose auto stands for what was chosen when the run began."""
_NO_CHECKPOINT = "{}: holds no checkpoint to go on from"
_TOO_FEW = "--epochs {epochs}: {shown} has {done} already; give a total of {done} or more"


def resumed_config(path: str, asked: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of a recorded run that is to go on.

    `asked` are the fields of `RunConfig` that the user has set: `epochs` is the total to reach; the others
    must be what the recording says, or "auto". `UsageError` names what contradicts the recording, or says
    why that cannot be gone on with.
    """
    found = peek(path)
    config, shown = found.config, printable(path)
    if found.checkpoint_epoch is None:
        raise UsageError(_NO_CHECKPOINT.format(shown))
    wanted = RunConfig(**{f.name: getattr(config, f.name) for f in fields(config)} | dict(asked))
    for field in fields(config):
        name, ours, theirs = field.name, getattr(wanted, field.name), getattr(config, field.name)
        if name not in _CHANGEABLE and ours != theirs and not (name in _CHOSEN and ours == "auto"):
            asked_for, recorded = (printable(settings.shown(v)) or "none" for v in (ours, theirs))
            raise UsageError(
                f"{settings.flag(name)} {asked_for}: {shown} was recorded with {recorded}; leave it out"
            )
    if wanted.epochs < (done := found.checkpoint_epoch):
        raise UsageError(_TOO_FEW.format(epochs=wanted.epochs, shown=shown, done=done))
    return replace(config, epochs=wanted.epochs, units=wanted.units)


def resume(path: str, epochs: int, history_bytes: int) -> Recording:
    """Load the recording to append to, so that in the end it is what one run of so many epochs gives.

    What cannot be gone on with is refused as by `resumed_config`, which says the same before.
    """
    recording = load(path, history_bytes=history_bytes)
    checkpoint, shown = recording.checkpoint, printable(path)
    if checkpoint is None:
        raise UsageError(_NO_CHECKPOINT.format(shown))
    if epochs < checkpoint.epoch:
        raise UsageError(_TOO_FEW.format(epochs=epochs, shown=shown, done=checkpoint.epoch))
    recording.config = replace(recording.config, epochs=epochs)
    # The measurement at the end of a shorter run is not on the longer one's schedule.
    while len(recording) and not recording.config.scheduled(recording.newest_epoch):
        recording.drop_last()
    meter = meter_of(recording)
    meter.binning = fitting = fitted(recording, recording.binning, meter)
    if recording.has_old_estimates:  # its estimates are not all made as those that follow
        recording.rebin(fitting, meter.ceilings)
    # One saved in the middle of a change of binning lacks estimates.
    recording.widen(fitting)
    estimate_pending(recording, meter)
    return recording
