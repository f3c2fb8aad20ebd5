"""What a run has measured, in memory and on disk."""

from ibtui.recording.history import LOADED, Change, Checkpoint, Experiment, Recording, Update

__all__ = ["LOADED", "Change", "Checkpoint", "Experiment", "Recording", "Update"]
