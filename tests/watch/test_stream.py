"""The stream's file: what was written is read, and what is torn, cut or wrong harms nobody."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from ibtui import stream
from ibtui.errors import RecordingError
from ibtui.stream import Reader, Writer, is_stream

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def written(path: Path, records: int = 3) -> Path:
    writer = Writer(path)
    for number in range(records):
        writer.append({"kind": "row", "number": number}, {"x": X + number, "y": np.arange(number)})
    writer.close()
    return writer.path


def test_what_is_written_is_read(tmp_path):
    reader = Reader(written(tmp_path / "a.ibtui"))
    records = list(reader.records())
    assert [record.header["number"] for record in records] == [0, 1, 2]
    for number, record in enumerate(records):
        assert (reader.array(record.arrays["x"]) == X + number).all()
        assert reader.array(record.arrays["y"]).tolist() == list(range(number))
    assert reader.read() is None and not reader.damaged


def test_a_record_is_there_once_it_is_whole(tmp_path):
    whole = written(tmp_path / "a.ibtui").read_bytes()
    path = tmp_path / "b.ibtui"
    path.write_bytes(whole[:16])
    reader, seen = Reader(path), []
    for size in range(16, len(whole) + 1):
        path.write_bytes(whole[:size])
        found = [record.header["number"] for record in reader.records()]
        seen += [(number, size) for number in found]
        assert not reader.damaged
    ends = [size for _, size in seen]
    assert [number for number, _ in seen] == [0, 1, 2] and ends[-1] == len(whole)
    assert len(set(ends)) == 3


@pytest.mark.parametrize("at", [30, 60, 200])
def test_what_follows_a_changed_byte_is_not_read(tmp_path, at):
    path = written(tmp_path / "a.ibtui", 5)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    reader = Reader(path)
    numbers = [record.header["number"] for record in reader.records()]
    assert reader.damaged and numbers == list(range(len(numbers))) and len(numbers) < 5


def test_nothing_is_overwritten(tmp_path):
    names = [written(tmp_path / "a.ibtui").name for _ in range(3)]
    assert names == ["a.ibtui", "a-2.ibtui", "a-3.ibtui"]


def test_a_failed_append_leaves_the_records_before_it(tmp_path, monkeypatch):
    writer = Writer(tmp_path / "a.ibtui")
    writer.append({"kind": "row", "number": 0}, {"x": X})
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda handle, parts: writev(handle, [parts[0][:10]]))

    def full(handle, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        writer.append({"kind": "row", "number": 1}, {"x": X})
    monkeypatch.undo()
    writer.append({"kind": "row", "number": 2}, {"x": X})
    reader = Reader(writer.path)
    assert [record.header["number"] for record in reader.records()] == [0, 2] and not reader.damaged


def test_a_removed_file_is_not_written_to(tmp_path):
    writer = Writer(tmp_path / "a.ibtui")
    writer.path.unlink()
    with pytest.raises(FileNotFoundError):
        writer.append({"kind": "row"})


def test_the_last_two_versions_are_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a.ibtui")
    monkeypatch.setattr(stream, "VERSION", 2)
    assert len(list(Reader(path).records())) == 3
    monkeypatch.setattr(stream, "VERSION", 3)
    with pytest.raises(RecordingError, match="a stream of version 1, which is older"):
        Reader(path)
    monkeypatch.setattr(stream, "VERSION", 1)
    path.write_bytes(path.read_bytes().replace(b"stream 1\n", b"stream 2\n"))
    with pytest.raises(RecordingError, match="a stream of version 2, which is newer"):
        Reader(path)


@pytest.mark.parametrize(
    ("length", "header"), [(1 << 60, 10), (100, 1 << 25), (10, 100), ((1 << 64) - 1, (1 << 32) - 1)]
)
def test_lengths_are_not_believed(tmp_path, length, header):
    path = tmp_path / "a.ibtui"
    path.write_bytes(b"ibtui stream 1\n" + struct.pack("<QII", length, header, 0) + bytes(1000))
    reader = Reader(path)
    assert reader.read() is None
    assert reader.damaged or length < 1 << 33


@pytest.mark.parametrize("content", [b"", b"ibtui stream", b"ibtui stream x\n", b"PK\3\4" + bytes(100)])
def test_other_files_are_refused_in_a_line(tmp_path, content):
    path = tmp_path / "a.ibtui"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=re.escape(f"{path}: not a stream of ibtui")):
        Reader(path)


def test_what_is_no_file_is_no_stream(tmp_path):
    assert not is_stream(tmp_path) and not is_stream(tmp_path / "none") and not is_stream("a\0b")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(RecordingError):
            Reader(path)
    os.mkfifo(tmp_path / "pipe")
    assert not is_stream(tmp_path / "pipe")  # and nobody waits for it
    with pytest.raises(RecordingError, match="not a regular file"):
        Reader(tmp_path / "pipe")
