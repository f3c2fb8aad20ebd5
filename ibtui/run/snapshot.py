"""A recording as it is to be written while its run goes on, and where it goes if its own folder fails."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ibtui.recording import Checkpoint, Recording, files


@dataclass(frozen=True)
class Snapshot:
    """The part of a recording that a file is to hold."""

    recording: Recording
    rows: int
    checkpoint: Checkpoint | None
    run: int = 0
    """Counts the restarts."""
    reached: int = 0
    """The epoch that training had reached: up to it, nothing needs another file."""

    @classmethod
    def of(cls, recording: Recording, checkpoint: Checkpoint | None = None) -> Snapshot:
        """Return all that a recording holds now."""
        # The checkpoint first. What goes on from one that is older than the last rows makes them again to
        # the bit; one that is newer than the last rows would leave a hole.
        checkpoint = checkpoint or recording.checkpoint
        rows = len(recording)
        snapshot = cls(recording, rows, checkpoint)
        return cls(recording, rows, checkpoint, reached=snapshot.epoch)

    @property
    def epoch(self) -> int:
        """The epoch from which the file can be resumed; without a checkpoint, the last one measured."""
        if self.checkpoint is not None:
            return self.checkpoint.epoch
        return self.measured

    @property
    def measured(self) -> int:
        """The epoch of its last measurement."""
        return int(self.recording.column("epoch")[self.rows - 1])

    def saved_as(self, path: object) -> str:
        """Return the line that says where it was written, and what is measured where that is less."""
        return saved_line(path, self.epoch, self.measured)

    def save(self, path: Path, *, overwrite: bool) -> Path:
        files.save(self.recording, path, rows=self.rows, checkpoint=self.checkpoint, overwrite=overwrite)
        return path

    def save_new(self, folder: Path, stem: str = "") -> Path:
        """Write a new file in a folder, by default named after the time and the epoch."""
        return files.save_new(
            self.recording, folder, stem or self._stem, rows=self.rows, checkpoint=self.checkpoint
        )

    def save_at(self, place: str) -> Path:
        """Write a new file: the one that is named or, if that is a folder, one in it."""
        return files.save_at(self.recording, place, self._stem, rows=self.rows, checkpoint=self.checkpoint)

    @property
    def _stem(self) -> str:
        return f"ibtui-{time.strftime('%Y%m%d-%H%M%S')}-epoch{self.epoch}"


def saved_line(paths: object, epoch: int, measured: int) -> str:
    """Say where a run was saved, and up to where it is measured where that is less than it has reached."""
    return f"saved {paths}" + (f", measured up to epoch {measured:,}" if measured < epoch else "")


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt to write a file."""

    path: Path | None
    """The file; None if none could be written."""
    error: Exception | None
    """The error that kept it from where it was meant to be, if one did."""
    news: bool = True
    """False: it came out as the attempt before it did, so the user knows."""


def save_last(snapshot: Snapshot, write: Callable[[], Path]) -> Outcome:
    """Write the end of a run: where it belongs or, failing that, in a folder that most users have."""
    try:
        return Outcome(write(), None)
    except Exception as error:
        for folder in fallback_folders():
            try:
                return Outcome(snapshot.save_new(folder), error)
            except (OSError, MemoryError):
                continue
        return Outcome(None, error)


def fallback_folders() -> Iterator[Path]:
    """Folders that most users have, the better one first."""
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        yield Path(home)
    yield Path(tempfile.gettempdir())


def clean_folder(folder: Path, prefix: str = "ibtui-") -> None:
    """Remove the files of such names that killed runs were writing in a folder."""
    try:
        found = list(folder.glob(f".{prefix}*{files.TEMPORARY}"))
    except OSError:
        return
    for name in {path.name[1 : -len(files.TEMPORARY)].rpartition(".")[0] for path in found}:
        files.clean_up(folder / name)
