"""The end of a run as a small file: its worker writes it as its last act, and every front end reads it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

import msgspec

from ibtui.errors import UsageError
from ibtui.recording.files import written_whole
from ibtui.run import places

_MOST_BYTES = 8 << 20
"""A longer file is none that a worker wrote."""
_ALWAYS = ("saved", "unsaved", "error", "exit_status")
"""The fields that the files of all versions have."""


@dataclass(frozen=True)
class Ended:
    """The end of a run."""

    epoch: int
    """Epochs trained when it ended."""
    saved: tuple[str, ...] = ()
    """The files that hold the run or a part of it, oldest first."""
    unsaved: str = ""
    """The reason for which history is in no file; empty if nothing is unsaved."""
    error: str = ""
    """The error with which the run failed; empty if it ended in order."""
    exit_status: int = 0
    stopped_by: str = ""
    """The process that had it ended, not being its own screen; empty if none did."""


def write(name: str, ended: Ended) -> None:
    """Write the end of the run of this name, whole or not at all; `OSError` where that cannot be done."""
    with written_whole(places.end_path(name), overwrite=True) as file:
        file.write(json.dumps(asdict(ended)).encode())


def read(name: str) -> Ended | None:
    """Read how the run of this name ended; None if it has not, or if its worker could not say so."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(places.end_path(name), flags), "rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            return None
        # By Python's json, for msgspec's reads no surrogates, which paths may hold.
        return msgspec.convert(dict.fromkeys(_ALWAYS) | json.loads(text), Ended)
    except (OSError, ValueError, TypeError, RecursionError, UsageError, msgspec.ValidationError):
        return None
