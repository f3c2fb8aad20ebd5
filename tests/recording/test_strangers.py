"""Files that anyone may have made: refused in one line, for little memory."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from ibtui.errors import RecordingError
from ibtui.recording.files import load, peek, save
from tests.recording.fuzz import (
    arrays,
    as_member,
    example,
    put_together,
    split_header,
    take_apart,
    with_header,
)
from tests.recording.tampered import RUN, python, quantities_with, rewrite
from tests.system import failing, system


def refused(path, why: str) -> str:
    """Both readers refuse the file in one clean line that says why; returns it."""
    lines = []
    for read in (load, peek):
        with pytest.raises(RecordingError) as error:
            read(path)
        lines.append(str(error.value))
    assert lines[0].isprintable()
    assert len(lines[0]) < 500
    assert re.search(why, lines[0]), lines[0]
    return lines[0]


def header(old: str, new: str):
    """A function that puts other words into a member's header."""

    def edit(member: bytes) -> bytes:
        text, data = split_header(member)
        assert old in text
        return with_header(text.replace(old, new), data)

    return edit


def test_a_rewritten_recording_loads():
    assert len(load(rewrite({}))) == 3
    assert len(load(rewrite({}, compression=zipfile.ZIP_DEFLATED))) == 3
    assert (
        len(load(rewrite({"../../evil": np.zeros(3), "/abs": b"x", "\x1b[2J": b"", "pickled": b"\x80\x04."})))
        == 3
    )
    assert sorted(os.listdir()) == ["hostile.npz"]


def test_a_truncated_file_is_refused_wherever_it_was_cut():
    save(example(), RUN)
    whole = RUN.read_bytes()
    for part in range(16):
        Path("cut.npz").write_bytes(whole[: len(whole) * part // 16])
        refused("cut.npz", r"^cut\.npz: not a recording of ibtui")
    Path("cut.npz").write_bytes(whole[:-1])
    refused("cut.npz", r"^cut\.npz: not a recording of ibtui")


def test_flipped_bits_are_found_by_their_checksum():
    save(example(), RUN)
    whole = RUN.read_bytes()
    at = whole.index(example().column("weight0").tobytes())
    Path("flipped.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(RecordingError, match="damaged"):
        load("flipped.npz")
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = rewrite({}, compression=compression)
        content = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            checksums = [info.CRC for info in archive.infolist()]
        for checksum in checksums:
            # In both places where it is written down; the data stay as they are.
            packed = struct.pack("<I", checksum)
            path.write_bytes(content.replace(packed, struct.pack("<I", checksum ^ 1)))
            with pytest.raises(RecordingError, match="damaged"):
                load(path)


EDITS = [
    ({"schema": np.array(3)}, "written with schema 3; this version of ibtui reads schema 1 and 2$"),
    ({"schema": np.array(-1, np.int8)}, "written with schema -1"),
    ({"schema": np.array(2**64 - 1, np.uint64)}, "written with schema 18446744073709551615"),
    ({"schema": np.array(1.0)}, "schema is of type <f8"),
    ({"schema": None}, "not a recording of ibtui: schema is missing"),
    ({"schema": np.array([1])}, r"schema has the shape \(1,\), not \(\)"),
    ({"config": np.array("{}")}, "configuration: activation is missing"),
    ({"config": np.array("")}, "config has not|configuration: not JSON|config is of type"),
    ({"config": np.array("[1]")}, "configuration: not a JSON object"),
    ({"config": np.array("\x1b[2J")}, "configuration: not JSON"),
    ({"config": np.array('{"\\u001b[2J": 1}')}, r"unknown key \\x1b\[2J"),
    ({"config": np.array("x" * 1_050_000)}, "its config is too long"),
    ({"config": np.array(b"{}")}, r"config is of type \|S2"),
    ({"config": np.array({"a": 1}, object)}, "config holds pickled objects, which are never read"),
    ({"config": header("'<U", "'>U")}, "config is of type >U"),
    ({"config": lambda m: m[:-4] + b"\xff\xff\xff\xff"}, "damaged"),
    ({"x": np.zeros((8, 2), object)}, "x holds pickled objects, which are never read"),
    ({"x": np.zeros((8, 2))}, "x is of type <f8, not <f4"),
    ({"x": np.zeros((8, 2), ">f4")}, "x is of type >f4, not <f4"),
    ({"x": np.zeros(8, "<f4")}, r"x has the shape \(8,\), not \(any, any\)"),
    ({"x": np.zeros((0, 2), "<f4"), "y": np.zeros(0, "<i8")}, "no samples"),
    ({"x": np.zeros((8, 0), "<f4"), "x_test": np.zeros((8, 0), "<f4")}, "no samples"),
    ({"x": np.zeros((8, 3), "<f4")}, r"x_test has the shape \(8, 2\), not \(any, 3\)"),
    ({"x": np.full((8, 2), np.nan, "<f4")}, "inputs that are no numbers"),
    ({"x_test": np.full((8, 2), np.inf, "<f4")}, "inputs that are no numbers"),
    ({"y": np.zeros(7, "<i8")}, r"y has the shape \(7,\), not \(8\)"),
    ({"y": np.full(8, 2)}, "labels outside 0 … 1"),
    ({"y_test": np.full(8, -1)}, "labels outside 0 … 1"),
    ({"epoch": np.array([0, 20, 10])}, "epochs that do not ascend"),
    ({"epoch": np.array([0, 10, 10])}, "epochs that do not ascend"),
    ({"epoch": np.array([-10, 0, 10])}, "lie outside the run"),
    ({"epoch": np.array([0, 10, 1001])}, "lie outside the run"),
    ({"epoch": np.array([2**63 - 1, -(2**63), 0])}, "epochs that do not ascend"),
    ({"epoch": np.arange(2)}, "more activations than measurements"),
    ({"epoch": np.arange(4)}, r"has the shape \(3, 2\), not \(4, 2\)"),
    ({"t_index": np.array([0, 1, 3])}, "t_index names measurements that are not there"),
    ({"t_index": np.array([-1, 0, 1])}, "t_index names measurements that are not there"),
    ({"t_index": np.array([0, 0, 1])}, "t_index names measurements that are not there"),
    ({"t_index": np.array([0, 1])}, r"t0 has the shape \(3, 8, 3\), not \(2, 8, 3\)"),
    ({"i_xt": np.zeros((3, 3))}, r"i_xt has the shape \(3, 3\), not \(3, 2\)"),
    ({"i_xt": np.zeros((3, 2), "<f4")}, "i_xt is of type <f4, not <f8"),
    ({"outside": np.zeros((3, 2))}, "outside is of type <f8, not <i8"),
    ({"weight1": np.zeros((3, 3, 2), "<f4")}, r"weight1 has the shape \(3, 3, 2\), not \(3, 2, 3\)"),
    ({"weight1": None}, "not a recording of ibtui: weight1 is missing"),
    ({"weight0": np.asfortranarray(np.zeros((3, 3, 2), "<f4"))}, "weight0 is in Fortran order"),
    ({"t1": None}, "t1 is missing"),
    ({"checkpoint_epoch": np.array(1001)}, "its checkpoint lies outside the run"),
    ({"checkpoint_epoch": np.array(-1)}, "its checkpoint lies outside the run"),
    ({"checkpoint_bias1": None}, "checkpoint_bias1 is missing"),
    ({"quantities": None}, "not a recording of ibtui: quantities is missing"),
    ({"quantities": np.array("{}")}, "its quantities: not the JSON that it should be"),
    ({"quantities": np.array("[1]")}, "its quantities: not the JSON that it should be"),
    ({"quantities": np.array("[")}, "its quantities: not JSON"),
    ({"quantities": np.array("[]")}, "i_xt is missing from its quantities"),
    ({"quantities": lambda m: quantities_with(m, name="t0")}, "t0: a name that is taken"),
    ({"quantities": lambda m: quantities_with(m, name="h_x")}, "h_x: a name that is taken"),
    ({"quantities": lambda m: quantities_with(m, name="i_xt")}, "i_xt: a name that is taken"),
    ({"quantities": lambda m: quantities_with(m, name="../evil")}, r"\.\./evil: no name"),
    ({"quantities": lambda m: quantities_with(m, name="\x1b[2J")}, r"\\x1b\[2J: no name"),
    ({"quantities": lambda m: quantities_with(m, name="absent")}, "absent is missing"),
    ({"quantities": lambda m: quantities_with(m, dtype="object")}, "far: its unit or dtype is none"),
    ({"quantities": lambda m: quantities_with(m, unit="miles")}, "far: its unit or dtype is none"),
    ({"quantities": lambda m: quantities_with(m, low=float("nan"))}, "far: its low is none: nan"),
    ({"quantities": lambda m: quantities_with(m, label=7)}, "far: its label is none: 7"),
    ({"quantities": lambda m: quantities_with(m, label="x" * 2000)}, "far: its label is none: x+$"),
    ({"quantities": lambda m: quantities_with(m, ceiling="n_x")}, "far: its ceiling is none: n_x"),
    ({"quantities": lambda m: quantities_with(m, chance="near")}, "far: its chance is no quantity: near"),
    ({"quantities": lambda m: quantities_with(m, chance="chance_i_xt")}, "far: its chance is no quantity"),
    ({"quantities": lambda m: quantities_with(m, name=None)}, "None: no name"),
    ({"quantities": np.array(json.dumps([{"name": "q", "label": ""}] * 2000))}, "more than 1,024"),
    ({"layers": np.array("[]")}, "no layer is declared"),
    ({"layers": np.array('[{"name": "0", "width": 3, "activation": "tanh"}]')}, "not those of the engine"),
    ({"layers": np.array('[{"name": "0", "width": -3, "activation": "tanh"}]')}, "layer 0: its name, width"),
    ({"layers": np.array('[{"name": "0", "width": 3, "activation": "x"}]')}, "layer 0: its name, width"),
    ({"kept": np.array("{}")}, "not those of the engine fused"),
    ({"kept": np.array('{"a": [[2, -1], "float32"]}')}, "a: its shape or dtype is none"),
    ({"kept": np.array('{"a": [[2], "object"]}')}, "a: its shape or dtype is none"),
    ({"kept": np.array('{"a": [[1000000000, 1000000000], "int8"]}')}, "a: its shape or dtype is none"),
    ({"kept": np.array('{"a": 1}')}, "its kept: not the JSON that it should be"),
    ({"checkpoint": np.array('{"epoch": [[], "int64"]}')}, "epoch: a name that is taken"),
    ({"changes": np.array("[[0, 1, 2]]")}, "its changes: no change of a setting"),
    ({"changes": np.array('[[1001, "t_bins", 7]]')}, "its changes: no change of a setting"),
    ({"changes": np.array('[[0, "t_bins", [7]]]')}, "its changes: no change of a setting"),
    ({"changes": np.array('["t_bins"]')}, "its changes: no change of a setting"),
    ({"machine": np.array("[]")}, "its machine: not the JSON that it should be"),
    ({"machine": np.array("{")}, "its machine: not JSON"),
    ({"machine": np.array('{"threads": 2}')}, "its machine: not the JSON that it should be"),
    ({"machine": np.array(json.dumps({"processor": "x" * 301}))}, "its machine: not the JSON"),
    ({"machine": np.array(json.dumps(dict.fromkeys(map(str, range(33)), "")))}, "its machine: not the JSON"),
    ({"machine": np.array(2)}, "machine is of type"),
    ({"x_range": np.array([1.0, 1.0])}, "its x_range is no range"),
    ({"x_range": np.array([0.0, np.inf])}, "its x_range is no range"),
    ({"x_range": np.array([0.0])}, r"x_range has the shape \(1,\), not \(2\)"),
    ({"trains": np.ones(7, bool)}, r"trains has the shape \(7,\), not \(8\)"),
    ({"trains": np.ones(8, "i1")}, r"trains is of type \|i1, not \|b1"),
    ({"trains": np.zeros(8, bool)}, "it has no training samples"),
    ({"trains": as_member(np.full(8, 2, "u1")).replace(b"|u1", b"|b1")}, "neither true nor false"),
    ({"x_rest": np.zeros((4, 2), "<f4")}, "not a recording of ibtui: y_rest is missing"),
    ({"y_rest": np.zeros(4, "<i8")}, "not a recording of ibtui: x_rest is missing"),
    ({"x_rest": np.zeros((4, 3), "<f4"), "y_rest": np.zeros(4, "<i8")}, r"x_rest has the shape \(4, 3\)"),
    ({"x_rest": np.zeros((4, 2), "<f4"), "y_rest": np.zeros(5, "<i8")}, r"y_rest has the shape \(5,\), not"),
    ({"x_rest": np.zeros((4, 2), "<f4"), "y_rest": np.full(4, 2)}, "labels outside 0 … 1"),
    ({"x_rest": np.full((4, 2), np.nan, "<f4"), "y_rest": np.zeros(4, "<i8")}, "inputs that are no numbers"),
    ({"x_rest": np.zeros((4, 2)), "y_rest": np.zeros(4, "<i8")}, "x_rest is of type <f8, not <f4"),
    ({"names": np.array(["a", "b"])}, r"names has the shape \(2,\), not \(\)"),
    ({"names": np.array('["a"]')}, "1 names for 2 classes"),
    ({"names": np.array('["a", "b", "c"]')}, "its names: not those of at most 2 classes"),
    ({"names": np.array('["a", 1]')}, "its names: not those of at most 2 classes"),
    ({"names": np.array(json.dumps(["a", "b" * 1001]))}, "its names: not those of at most 2 classes"),
    ({"names": np.array('{"a": "b"}')}, "its names: not the JSON that it should be"),
    ({"names": np.array("[")}, "its names: not JSON"),
    ({"x": header("(8, 2)", "(-8, -2)")}, "x is no plain array"),
    ({"x": header("(8, 2)", "(1000000000000, 2)")}, "x has not the size that it declares"),
    ({"x": header("(8, 2)", "(9223372036854775807, 9223372036854775807)")}, "x has not the size that it"),
    ({"x": header("(8, 2)", "(999999999999999999, 999999999999999999)")}, "x has not the size that it"),
    ({"x": header("(8, 2)", "(8, 2" + ", 1" * 60 + ")")}, "x is no plain array|x has the shape"),
    ({"x": header("(8, 2)", "(8L, 2L)")}, "x is no plain array"),
    ({"x": header("(8, 2)", "(08, 2)")}, "x is no plain array"),
    ({"x": header("(8, 2)", "(__import__('os').mkdir('owned'), 2)")}, "x is no plain array"),
    ({"x": header("False", "True")}, "x is in Fortran order"),
    ({"x": header("'<f4'", "'\x1b[2J'")}, "x is no plain array"),
    ({"x": header("'<f4'", "[('a', '<f4')]")}, r"x is of type \|V4"),
    ({"x": lambda m: with_header("-" * 9000 + "1", b"")}, "x is no plain array"),
    ({"x": lambda m: with_header("'\\\x1b'", b"")}, "x is no plain array"),
    ({"x": lambda m: m[:6] + b"\x02\x00" + m[8:]}, "x is no array"),
    ({"x": lambda m: m[:6] + b"\x09\x00" + m[8:]}, "x is no array"),
    ({"x": b""}, "x is no array"),
    ({"x": lambda m: m + b"\0"}, "x has not the size that it declares"),
    ({"x": lambda m: m[:-1]}, "x has not the size that it declares"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "why"), EDITS, ids=[f"{'-'.join(e)}-{n}" for n, (e, _) in enumerate(EDITS)]
)
def test_a_file_that_contradicts_itself_is_refused_by_name(edits, why):
    path = rewrite(edits)
    try:
        load(path)
    except RecordingError as error:
        line = str(error)
    else:
        pytest.fail("loaded")
    assert line.startswith("hostile.npz: ")
    assert line.isprintable()
    assert re.search(why, line), line
    assert os.listdir() == ["hostile.npz"]


def test_another_schema_is_named_before_anything_else_is_wrong():
    path = rewrite({"schema": np.array(7), "config": None, "x": b""})
    refused(path, "written with schema 7; this version of ibtui reads schema 1 and 2")


def test_a_member_that_is_there_twice_is_refused():
    save(example(), RUN)
    members = take_apart(RUN.read_bytes())
    twice = next(member for member in members if member[0] == "y.npy")
    Path("twice.npz").write_bytes(put_together([*members, twice]))
    refused("twice.npz", "y.npy is there twice")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(compression):
    refused(rewrite({}, compression=compression), "packed in an unknown way")


def test_what_others_write_is_refused():
    np.savez("foreign.npz", a=np.zeros(3))
    refused("foreign.npz", "not a recording of ibtui: schema is missing")
    np.save("foreign.npy", np.zeros(3))
    refused("foreign.npy", "not a recording of ibtui")
    np.savez("pickled.npz", a=np.array([{}], object))
    refused("pickled.npz", "not a recording of ibtui")
    Path("text.npz").write_text("epoch,loss\n")
    refused("text.npz", "not a recording of ibtui")
    Path("empty.npz").write_bytes(b"")
    refused("empty.npz", "not a recording of ibtui")
    with zipfile.ZipFile("empty_archive.npz", "w"):
        pass
    refused("empty_archive.npz", "not a recording of ibtui")


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_and_never_waited_for():
    os.mkfifo("pipe")
    os.mkdir("folder")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path, why in [
            ("pipe", "not a regular file"), ("folder", "Is a directory"), ("/dev/zero", "not a regular file"),
            ("/dev/null", "not a regular file"), ("socket", "No such device"), ("", "No such file"),
            ("missing.npz", "No such file"), ("missing\x1b[2J\n.npz", "No such file"),
            ("x" * 5000, "File name too long"), ("a\0b", "not a file name"),
        ]:  # fmt: skip
            with pytest.raises(RecordingError) as error:
                load(path)
            line = str(error.value)
            assert line.isprintable()
            assert re.search(why, line), line

    save(example(), RUN)
    with system(open=failing(errno.EACCES)):
        refused(RUN, r"^run\.npz: Permission denied$")


def patched_sizes(path: Path, key: str, packed: int, unpacked: int) -> None:
    """Another size for a member in the archive's directory, whatever is there."""
    content = bytearray(path.read_bytes())
    name = f"{key}.npy".encode()
    at = content.index(b"PK\x01\x02")
    while content[at + 46 : at + 46 + len(name)] != name:
        at = content.index(b"PK\x01\x02", at + 4)
    content[at + 20 : at + 28] = struct.pack("<II", packed, unpacked)
    path.write_bytes(content)


def test_sizes_that_no_file_of_this_length_can_have_are_refused():
    for packed, unpacked, why in [
        (2**32 - 2, 2**32 - 2, "larger than the file"),
        (100, 2**32 - 2, "larger than the file"),
        (2**32 - 1, 2**32 - 1, "not a recording|damaged"),
    ]:
        path = rewrite({})
        patched_sizes(path, "x", packed, unpacked)
        refused(path, why)


def with_a_gap(path: Path, size: int) -> None:
    """Move an archive's directory so many bytes back; what is between is a hole, which takes no disk."""
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    with path.open("r+b") as file:
        file.seek(directory + size)
        file.write(content[directory:])


@pytest.mark.parametrize(("memory", "outcome"), [(1, "more than 1024 MB, past what this machine's"), (8, "")])
def test_a_sum_of_sizes_past_the_memory_is_refused(memory, outcome):
    path = rewrite({})
    patched_sizes(path, "x", 5 << 28, 5 << 28)
    with_a_gap(path, 5 << 28)
    read = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({memory} << 30, {memory} << 30))\n"
        "from ibtui.errors import RecordingError; from ibtui.recording.files import load\n"
        f"try: load({str(path)!r})\nexcept RecordingError as error: print(error)"
    )
    said = python(read).stdout
    assert outcome in said and ("memory" in said) == bool(outcome)


def test_compressed_arrays_may_come_to_so_much_and_no_more():
    noise = np.random.default_rng(1).integers(0, 256, 2 << 20, np.uint8)
    for size, outcome in (
        ((1 << 30) + 1, "more than 1024 MB of compressed arrays"),
        (1 << 29, "damaged: x"),
    ):
        path = rewrite({"noise": noise}, compression=zipfile.ZIP_DEFLATED)
        patched_sizes(path, "x", 1 << 20, size)
        refused(path, outcome)


def test_a_net_too_large_to_be_measured_on_its_samples_is_refused():
    config = (
        str(arrays(rewrite({}))["config"])
        .replace("[3, 2]", "[4096, 2]")
        .replace('"samples": 16', '"samples": 4')
    )
    many = 61_000
    x, y = np.zeros((many, 2), "<f4"), np.zeros(many, "<i8")
    path = rewrite(
        {"schema": np.array(1), "config": np.array(config), "x": x, "y": y, "x_test": x, "y_test": y}, rows=0
    )
    refused(path, "more samples than a net of its size can be measured with")


MEASURED = """
import resource, sys
from ibtui.errors import EngineError, RecordingError, UsageError
from ibtui.quantities import Quantity
from ibtui.recording.files import load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load(path)
    except RecordingError as error:
        print(error, file=sys.stderr)
    else:
        sys.exit(f"{path} was loaded")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def bomb(path: Path, key: str, member: bytes, zeros: int, declared: int | None = None) -> None:
    """A recording with so many bytes of zeros, deflated, after a member's header."""
    save(example(3), path)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(member)
    block = bytes(1 << 20)
    checksum = zlib.crc32(member)
    for _ in range(zeros >> 20):
        packed += compressor.compress(block)
        checksum = zlib.crc32(block, checksum)
    packed += compressor.flush()
    packed += bytes(max(0, (declared or 0) // 1050 - len(packed)))
    size = len(member) + (zeros >> 20 << 20)
    members = [(name, data) for name, data in take_apart(path.read_bytes()) if name != f"{key}.npy"]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
        # zipfile would pack it itself: store what is packed, and say afterwards that it is.
        archive.writestr(f"{key}.npy", packed)
        info = archive.getinfo(f"{key}.npy")
        info.compress_type, info.CRC, info.file_size = zipfile.ZIP_DEFLATED, checksum, declared or size
        at = info.header_offset
    content = bytearray(file.getvalue())
    content[at + 8 : at + 10] = struct.pack("<H", zipfile.ZIP_DEFLATED)
    path.write_bytes(content)


@pytest.mark.slow
def test_refusing_a_bomb_takes_little_memory():
    names = []

    def add(key: str, text: str, zeros: int, declared: int | None = None) -> None:
        names.append(f"bomb{len(names)}.npz")
        bomb(Path(names[-1]), key, with_header(text, b""), zeros, declared)

    array = "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}"
    zeros = 64 << 20
    add("x", array.format("<f4", f"{zeros // 8}, 2"), zeros)  # nothing else has so many samples
    add("x", array.format("<f4", f"{10 << 27}, 2"), zeros, declared=10 << 30)
    add("config", array.format(f"<U{zeros // 4}", ""), zeros)
    add("epoch", array.format("<i8", f"{zeros // 8},"), zeros)  # no other column is so long
    add("x", "(" * 9000, zeros)
    # A header of 4 GB, in the version of the format that has room for it.
    names.append("header.npz")
    bomb(Path(names[-1]), "x", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", zeros)
    # A directory of as many members as will go in.
    names.append("directory.npz")
    save(example(1), names[-1])
    content = Path(names[-1]).read_bytes()
    start = content.index(b"PK\x01\x02")
    entry = content[start : content.index(b"PK\x01\x02", start + 4)]
    long = entry[:28] + struct.pack("<H", 40) + entry[30:46]
    many = b"".join(long + b"%040d" % n for n in range(65_000))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65_000, 65_000, len(many), start, 0)
    Path(names[-1]).write_bytes(content[:start] + many + tail)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *names], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == len(names)
    assert "directory.npz: not a recording of ibtui: its directory is too long" in done.stderr
    assert int(done.stdout) < 20 << 10, done.stderr  # kB
