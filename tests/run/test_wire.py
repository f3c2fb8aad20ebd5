"""Messages between screen and worker: arrays, greetings, and thousands that are none."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from ibtui import __version__
from ibtui.core.information import Binning
from ibtui.errors import IbtuiError, UsageError
from ibtui.recording import Recording
from ibtui.run import ended, places, runs, wire
from ibtui.run.client import WorkerClient
from ibtui.run.ended import Ended
from ibtui.run.mirror import Mirror
from ibtui.run.protocol import (
    GREETING,
    Detach,
    Done,
    Frame,
    Leave,
    Pause,
    Peek,
    Pull,
    Rebin,
    Representation,
    Restart,
    Resume,
    Save,
    SetPace,
    Status,
    Step,
    Stop,
)
from ibtui.run.wire import Connection, WireError
from tests.faults.boxes import resumes_exactly, wait_for
from tests.run.driver import SMALL, Driver

LONG = replace(SMALL, epochs=1_000_000)
MUTANTS = 5000
REQUESTS = [
    Pause(), Resume(), Step(3), Rebin(Binning("closed", 3, 7)), Save("run.npz", 7), Restart(5), SetPace(9.5),
    Detach(), Leave(stays=True), Stop(True), Peek(), Pull(), Pull(0, 17, 3, (0, 3, 9), 40, 200, 2),
]  # fmt: skip


def representation_of(labels: np.ndarray) -> Representation:
    return Representation((0, 1, 2), 7, 1, (), labels, 3, ())


# Messages.


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_a_request_arrives_as_it_was_sent(request_):
    assert wire.decode_request(wire.encode(request_)) == request_


@pytest.mark.parametrize(
    "array",
    [
        np.array(1.5), np.empty((0, 3), np.float32), np.arange(24).reshape(2, 3, 4)[:, ::2], np.array([True]),
        np.arange(5, dtype=">i4"), np.array([np.nan, -0.0, np.inf]), np.asfortranarray(np.ones((3, 2))),
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}",
)  # fmt: skip
@pytest.mark.parametrize("piece", [1 << 30, 7])
def test_an_array_arrives_as_it_was_sent_and_cannot_be_written_to(array, piece, monkeypatch):
    monkeypatch.setattr(wire, "_PIECE_BYTES", piece)
    sent = Frame(Status(), representation=representation_of(array))
    came = wire.decode_answer(wire.encode(sent)).representation.labels
    assert (came.dtype, came.shape) == (array.dtype.newbyteorder("="), array.shape)
    assert came.tobytes() == np.ascontiguousarray(array, array.dtype.newbyteorder("=")).tobytes()
    with pytest.raises(ValueError, match="read-only"):
        came[...] = 0


@pytest.mark.parametrize(
    "array",
    [
        ["<f8", [2], [b"\0" * 15]], ["<f8", [2], [b"\0" * 8, b"\0" * 9]], ["<f8", [-2], [b"\0" * 16]],
        ["<f8", [2**40, 2**40], [b""]], ["<f8", [1] * 9, [b"\0" * 8]], ["|O", [1], [b"\0" * 8]],
        [">f8", [1], [b"\0" * 8]], ["<f8", 1, [b"\0" * 8]], ["<f8", [1]], "array", None, {"dtype": "<f8"},
    ],
    ids=str,
)  # fmt: skip
def test_an_array_whose_sizes_do_not_agree_is_refused(array):
    frame = msgspec.to_builtins(
        Frame(Status(), representation=representation_of(np.zeros(1))), enc_hook=lambda _: array
    )
    with pytest.raises(WireError):
        wire.decode_answer(msgspec.msgpack.encode(frame))


def test_the_status_of_a_later_version_can_be_read_and_so_can_an_earlier_ones():
    frame = msgspec.to_builtins(Frame(Status(state="running", epoch=7)))
    frame["status"] |= {"mood": ["good"], "binning": frame["status"]["binning"] | {"shape": "round"}}
    frame["weather"] = {"rain": True}
    del frame["status"]["pace"]
    came = wire.decode_answer(msgspec.msgpack.encode(frame)).status
    assert (came.state, came.epoch, came.pace) == ("running", 7, 0.0)


def test_objects_are_never_sent():
    with pytest.raises(NotImplementedError):
        wire.encode(Frame(Status(), representation=representation_of(np.array([object()]))))


# Frames of bytes.


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Connection]]:
    far, near = socket.socketpair()
    yield far, Connection(near)
    far.close()
    near.close()


@pytest.mark.parametrize("size", [0, 1, 1 << 14, 1 << 20])
def test_a_frame_is_the_length_and_the_bytes_as_multiprocessing_has_it(pair, size):
    from multiprocessing.connection import Connection as Theirs

    far, near = pair
    theirs, data = Theirs(os.dup(far.fileno())), os.urandom(size)
    with theirs:
        sender = threading.Thread(target=theirs.send_bytes, args=(data,))
        sender.start()
        assert near.receive_bytes(size) == data
        sender.join()
        sender = threading.Thread(target=near.send_bytes, args=(data,))
        sender.start()
        assert theirs.recv_bytes() == data
        sender.join()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (struct.pack("!i", 65), "64 are the most"), (struct.pack("!i", 2**31 - 1), "64 are the most"),
        (struct.pack("!i", -2), "64 are the most"), (struct.pack("!iQ", -1, 2**64 - 1), "64 are the most"),
        (struct.pack("!iQ", -1, 65), "64 are the most"), (struct.pack("!i", 5) + b"four", "breaks off"),
        (b"\0\0", "breaks off"), (struct.pack("!i", -1) + b"\0", "breaks off"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_frame_that_is_too_long_or_breaks_off_is_refused_before_memory_is_taken(pair, sent, said):
    far, near = pair
    far.sendall(sent)
    far.shutdown(socket.SHUT_WR)
    with pytest.raises(WireError, match=said):
        near.receive_bytes(64)


def test_the_end_of_a_connection_is_no_broken_frame(pair):
    far, near = pair
    far.close()
    with pytest.raises(EOFError):
        near.receive_bytes(64)


# Mutations.


def mutated(chance: random.Random, data: bytes) -> bytes:
    """A message as a broken or a hostile sender may send it."""
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0:
                data[at : at + 1] = bytes([data[at] ^ (1 << chance.randrange(8))]) if at < len(data) else b""
            case 1:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                del data[at:]
            case 3:
                data[at:at] = chance.randbytes(chance.choice([1, 4, 40]))
            case 4:  # a giant length: of a string, of bytes, of a list, of a map
                data[at : at + 5] = (
                    bytes([chance.choice([0xDB, 0xC6, 0xDD, 0xDF, 0xC9])]) + b"\xff\xff\xff\xf0"
                )
            case 5:  # deeper and deeper
                data[at:at] = bytes([chance.choice([0x91, 0x81])]) * chance.choice([10, 3000])
            case 6:
                del data[at : at + chance.randrange(1, 9)]
    return bytes(data)


def wrong(chance: random.Random) -> bytes:
    """A message of the right form and of a wrong kind."""
    array = ["<f8", [chance.choice([1, 2, -1, 2**60])], [b"\0" * 8]]
    name = chance.choice(
        [type(request).__name__ for request in REQUESTS] + ["Frame", "Done", "Status", "", 7]
    )
    value = chance.choice(
        [array, None, True, -1, 2**63, 1.5, "text", b"bytes", [], {}, [[]] * 3, {"a": array}]
    )
    key = chance.choice(
        ["binning", "epochs", "path", "ticket", "seed", "save", "row", "drawn", "log", "status"]
    )
    return msgspec.msgpack.encode({"type": name, key: value})


def framed(chance: random.Random, data: bytes) -> bytes:
    """The message as a frame, whose length may be wrong."""
    match chance.randrange(12):
        case 0:
            return struct.pack("!i", chance.choice([-1, -2, 2**31 - 1, len(data) + 1, 2**20 + 1])) + data
        case 1:
            return struct.pack("!iQ", -1, chance.choice([0, len(data), 2**63, 2**64 - 1])) + data
    return struct.pack("!i", len(data)) + data


def understood(data: bytes) -> object:
    try:
        return wire.decode_request(data)
    except WireError:
        return None


def answers_to(name: str, sent: bytes) -> bytes:
    """All that a worker sends to whoever sends this and nothing more."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(places.socket_path(name)))
        connection = Connection(peer)
        assert connection.receive_bytes(64) == GREETING
        came = b""
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            while more := peer.recv(1 << 16):
                came += more
        except (BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            pass
        return came


def test_a_worker_refuses_or_answers_whatever_it_is_sent_and_the_run_goes_on(tmp_path):
    chance = random.Random(10)
    with Driver.train(LONG, epochs_per_second=40.0, snapshot_dir=str(tmp_path)) as driver:
        epoch = driver.until(lambda d: d.status.epoch > 5).status.epoch
        encoded = [wire.encode(request) for request in REQUESTS]
        encoded.append(wire.encode(driver.pull()))  # an answer is no request
        refused = answered = 0
        while refused + answered < MUTANTS:
            data = wrong(chance) if chance.random() < 0.1 else mutated(chance, chance.choice(encoded))
            if isinstance(understood(data), Stop | Restart | Save | SetPace | Rebin | Detach):
                continue  # they would be carried out
            came = answers_to(driver.client.name, framed(chance, data))
            answered += bool(came)
            refused += not came
            if came:
                assert isinstance(wire.decode_answer(came[4:]), Done | Frame)
        assert refused > MUTANTS / 2
        driver.send(Resume())
        epoch = driver.until(lambda d: d.status.state == "running").status.epoch
        driver.until(lambda d: d.status.epoch > epoch)
        assert driver.status.run == 0 and not driver.notices
        assert len(driver.log) > 100  # the newest, the first of them cut
        known = ("a connection was closed: ", "step to epoch ", "paused at ", "goes on from ")
        assert [line for line in driver.log[1:] if not line.startswith(known)] == []
        driver.send(Save())
        driver.until(lambda d: d.status.saved)
    (path,) = tmp_path.glob("*.npz")
    assert resumes_exactly(path, 5)


def test_a_screen_refuses_what_no_worker_sends_and_takes_the_rest():
    chance = random.Random(11)
    frames, mirror = [], Mirror()
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")
        for state in (Mirror(), driver.mirror):
            driver.mirror = state
            frames.append(driver.pull())
            driver.send(Rebin(Binning("closed", 3, 9)))
        whole = driver.until(lambda d: not d.status.pending).recording
    mirror.check(frames[0])
    mirror.apply(frames[0])
    encoded, taken = [wire.encode(frame) for frame in frames if frame.update], 0
    for _ in range(MUTANTS // 3):
        try:
            frame = wire.decode_answer(mutated(chance, chance.choice(encoded)))
            if isinstance(frame, Frame):
                mirror.check(frame)
        except (WireError, ValueError, TypeError, MemoryError):
            continue
        taken += 1
        if isinstance(frame, Frame):
            copy = Mirror(recording=mirror.recording and copied(mirror.recording))
            copy.apply(frame)
    assert 0 < taken < MUTANTS / 6
    assert len(whole) == len(mirror.recording)


def copied(recording: Recording) -> Recording:
    copy = Recording(recording.experiment)
    copy.apply(recording.update_since(0))
    return copy


# Versions.

_WORKER = """
import os, signal, socket, sys
path, greeting, end = sys.argv[1], os.fsencode(sys.argv[2]), sys.argv[3]
listener = socket.socket(socket.AF_UNIX)

def leave(*_):
    if end:
        os.rename(end, path.replace(".sock", ".end"))
    os.unlink(path)
    os._exit(0)

signal.signal(signal.SIGTERM, leave)
listener.bind(path + ".new")
listener.listen()
os.rename(path + ".new", path)
while True:
    peer, _ = listener.accept()
    peer.sendall(len(greeting).to_bytes(4, "big") + greeting)
"""


@pytest.fixture
def of_version(tmp_path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """A worker of another version: it greets, and ends in order at SIGTERM."""
    started = []

    def start(name: str, greeting: bytes, end: Ended | None = None) -> subprocess.Popen[bytes]:
        left = ""
        if end is not None:
            ended.write("written", end)
            left = str(places.end_path("written"))
        line = [sys.executable, "-c", _WORKER, places.socket_path(name), greeting, left]
        started.append(subprocess.Popen(line))
        wait_for(lambda: places.socket_path(name).exists())
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


OLDER = "was started by ibtui 0.1, which is older than this, "
NEWER = "was started by ibtui 9.1.0, which is newer than this, "


@pytest.mark.parametrize(("greeting", "said"), [(b"ibtui 2", OLDER), (b"ibtui 44 9.1.0", NEWER)])
def test_a_worker_of_another_version_is_listed_and_not_attached_to(of_version, capsys, greeting, said):
    of_version("run-1-x", greeting)
    assert runs.list_runs() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"run-1-x  {said}{__version__}  ")
    with pytest.raises(UsageError, match=f"run-1-x {said}.*: attach with that one, or ibtui stop run-1-x"):
        runs.find_detached("run-1-x")
    screen = Driver(WorkerClient(name="run-1-x"))
    assert screen.pull() is None
    assert said in screen.lost.reason


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (None, "stopped run-1-x; its version does not say what it saved\n"),
        (Ended(60, ("/a.npz",)), "stopped run-1-x at epoch 60; saved /a.npz\n"),
        (Ended(60, (), "/there: full"), None),
    ],
    ids=str,
)
def test_a_worker_of_another_version_is_stopped_by_a_signal_and_its_end_is_told(
    of_version, capsys, end, said
):
    process = of_version("run-1-x", b"ibtui 2" if end is None else b"ibtui 4 0.3.0", end)
    if said is None:
        with pytest.raises(IbtuiError, match="stopped run-1-x at epoch 60; not saved: /there: full"):
            runs.stop_run("run-1-x")
    else:
        assert runs.stop_run("run-1-x") == 0
        assert capsys.readouterr().out == said
    assert process.wait(10) == 0


def test_a_worker_of_another_version_that_dies_of_the_signal_was_not_stopped(of_version):
    process = of_version("run-1-x", b"ibtui 2")
    process.send_signal(signal.SIGSTOP)
    threading.Timer(0.2, process.kill).start()
    with pytest.raises(IbtuiError):
        runs.stop_run("run-1-x")


@pytest.mark.parametrize(
    "greeting", [b"", b"ibtui", b"ibtui two", b"SSH-2.0-OpenSSH", b"ibtui 2 \x1b[2J", b"x" * 65]
)
def test_what_greets_as_no_worker_does_is_no_run_to_attach_to(of_version, greeting):
    of_version("run-1-x", greeting)
    with pytest.raises(WireError):
        wire.connect("run-1-x")
    (run,) = runs.running()
    assert run.status is None and "does not answer as a run does" in run.trouble


def test_the_greeting_is_short_and_says_protocol_and_version():
    assert re.fullmatch(rb"ibtui \d+ [0-9.]+", GREETING) and len(GREETING) <= 64
