"""Shared by the tests of files: places, processes, and recordings that were tampered with."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from numpy.lib import format as npy

from ibtui.recording import files
from ibtui.recording.files import save
from tests.recording.fuzz import (
    as_member,
    example,
    put_together,
    take_apart,
)

RUN = Path("run.npz")
"""The file that most of them write; each has a working folder of its own."""


def temporaries(folder: str = ".") -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith((files.TEMPORARY, files.LOCK))]


def python(code: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, **options
    )


@contextlib.contextmanager
def child(code: str, *arguments: str):
    """A process that has printed its first line; killed in the end."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def rewrite(edits: dict, *, rows: int = 3, compression: int = zipfile.ZIP_STORED) -> Path:
    """A recording with other members: an array, bytes, None to leave one out, or a function of the bytes."""
    path = Path("hostile.npz")
    save(example(rows), path, overwrite=True)
    members = dict(take_apart(path.read_bytes()))
    for key, value in edits.items():
        name = f"{key}.npy"
        if value is None:
            del members[name]
        elif callable(value):
            members[name] = value(members[name])
        else:
            members[name] = value if isinstance(value, bytes) else as_member(value)
    path.write_bytes(put_together(list(members.items()), compression))
    return path


def quantities_with(member: bytes, **changed) -> bytes:
    """The declarations of a file, and one of a quantity that is not in it."""
    far = {"name": "far", "label": "far", "per_layer": False} | changed
    return as_member(json.dumps([*json.loads(str(npy.read_array(io.BytesIO(member)))), far]))
