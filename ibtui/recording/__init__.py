"""Recordings: all that a run has measured, in memory; `ibtui.recording.files` writes and reads them."""

from ibtui.recording.history import LOADED, Checkpoint, Experiment, OnDisk, Recording, Update, resolved
from ibtui.recording.schema import Change, Declarations

__all__ = [
    "LOADED",
    "Change",
    "Checkpoint",
    "Declarations",
    "Experiment",
    "OnDisk",
    "Recording",
    "Update",
    "resolved",
]
