"""Where a recording is kept when the place that was meant for it fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ibtui.recording import Recording, files


def reason(error: BaseException) -> str:
    """What has gone wrong, in the system's words where it has any."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def save_elsewhere(recording: Recording, stem: str, **options: Any) -> Path | None:
    """Write a recording to the user's home folder or, failing that, to the one for temporary files.

    Returns
    -------
    Path or None
        The new file; None where it could be written nowhere.
    """
    for folder in folders():
        try:
            return files.save_new(recording, folder, stem, **options)
        except (OSError, MemoryError):
            continue
    return None


def folders() -> Iterator[Path]:
    """Folders that most users have, the better one first."""
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        yield Path(home)
    yield Path(tempfile.gettempdir())


def clean_folder(folder: Path, prefix: str = "ibtui-") -> None:
    """Remove what killed runs have left in a folder of files of such names that they were writing."""
    try:
        found = list(folder.glob(f".{prefix}*{files.TEMPORARY}"))
    except OSError:
        return
    for name in {path.name[1 : -len(files.TEMPORARY)].rpartition(".")[0] for path in found}:
        files.clean_up(folder / name)
