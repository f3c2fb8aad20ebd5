"""Python processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def run_first(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have every Python that is started from here on run this code before anything else."""
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "site")
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]))


SLOW_DISK = """
import os, sys, time
fsync = os.fsync
def slowly(handle):
    if "textual" not in sys.modules:  # not the screen's process
        time.sleep({seconds})  # there is no event to wait for: the disk is slow
    fsync(handle)
os.fsync = slowly
"""
"""Code by which files take so many seconds to be flushed, those of the screen apart."""
