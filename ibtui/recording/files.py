"""Recordings in files: plain `.npz` of one schema, written whole or not at all and read with suspicion."""

from ibtui.recording.paths import LOCK, TEMPORARY, check_writable, claim, clean_up, written_whole
from ibtui.recording.reading import Summary, load, peek
from ibtui.recording.schema import SCHEMA
from ibtui.recording.writing import save, save_at, save_new

__all__ = [
    "LOCK", "SCHEMA", "TEMPORARY", "Summary", "check_writable", "claim", "clean_up", "load", "peek", "save",
    "save_at", "save_new", "written_whole",
]  # fmt: skip
