"""The file that says how a run ended."""

from __future__ import annotations

import os

import pytest

from ibtui.run import ended, places
from ibtui.run.ended import Ended
from tests.system import full_disk

END = Ended(23, ("/a/one.npz", "/a/\udcff\x1b.npz"), "/b: No space left on device", "MemoryError", 1)


def test_what_is_written_is_read_and_nothing_else_is_left():
    ended.write("run-1", END)
    assert ended.read("run-1") == END
    assert [path.name for path in places.folder().iterdir()] == ["run-1.end"]
    places.clear("run-1")
    assert ended.read("run-1") is None and not list(places.folder().iterdir())


def test_an_end_that_cannot_be_written_leaves_nothing():
    with full_disk(10), pytest.raises(OSError, match="too large"):
        ended.write("run-1", END)
    assert not list(places.folder().iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", "[" * 100_000, '{"epoch": 1}', "\x00", " " * (9 << 20),
     '{"epoch": 1, "saved": [2], "unsaved": "", "error": "", "exit_status": 0}',
     '{"epoch": "1", "saved": [], "unsaved": "", "error": "", "exit_status": 0}'],
    ids=lambda text: text[:20] or "empty",
)  # fmt: skip
def test_what_no_worker_wrote_is_no_end(text):
    places.end_path("run-1").write_text(text)
    assert ended.read("run-1") is None


def test_only_a_file_is_read(tmp_path):
    ended.write("run-1", END)
    os.link(places.end_path("run-1"), tmp_path / "x")
    places.end_path("run-1").unlink()
    places.end_path("run-1").symlink_to(tmp_path / "x")
    assert ended.read("run-1") is None
    places.end_path("run-1").unlink()
    os.mkfifo(places.end_path("run-1"))
    assert ended.read("run-1") is None
    assert ended.read("../run-1") is None
