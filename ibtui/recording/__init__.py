"""What a run has measured, in memory and on disk."""

from ibtui.recording.history import (
    ESTIMATES,
    GEOMETRY,
    LOADED,
    PER_LAYER,
    PERFORMANCE,
    Array,
    Changes,
    Checkpoint,
    Dataset,
    Measurement,
    Parameters,
    Recording,
    column_types,
)

__all__ = [
    "ESTIMATES",
    "GEOMETRY",
    "LOADED",
    "PERFORMANCE",
    "PER_LAYER",
    "Array",
    "Changes",
    "Checkpoint",
    "Dataset",
    "Measurement",
    "Parameters",
    "Recording",
    "column_types",
]
