"""A recording on disk: whole or absent, the same again when read, and never trusted."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import io
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from ibtui.core.information import Binning
from ibtui.errors import RecordingError
from ibtui.recording import ESTIMATES, PER_LAYER, PERFORMANCE, files, paths, reading, writing
from ibtui.recording.files import check_writable, claim, clean_up, load, peek, save, save_new
from tests.recording.fuzz import (
    as_member,
    differences,
    example,
    measurement,
    put_together,
    split_header,
    take_apart,
    with_header,
)

RUN = Path("run.npz")


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


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


# What is written.


def test_every_array_is_there_as_the_schema_says():
    recording = example(6, 2)
    assert save(recording, RUN) == RUN.stat().st_size
    found = arrays(RUN)
    config, (rows, layers, samples) = recording.config, (6, 2, 8)
    shapes = {
        "schema": (), "config": (), "h_x": (), "h_y": (), "epoch": (rows,), "t_index": (2,),
        "x": (samples, 2), "y": (samples,), "x_test": (samples, 2), "y_test": (samples,),
        "weight0": (rows, 3, 2), "bias0": (rows, 3), "weight1": (rows, 2, 3), "bias1": (rows, 2),
        "t0": (2, samples, 3), "t1": (2, samples, 2),
        "checkpoint_epoch": (), "checkpoint_moving_loss": (),
        "checkpoint_weight0": (3, 2), "checkpoint_bias0": (3,),
        "checkpoint_weight1": (2, 3), "checkpoint_bias1": (2,),
    }  # fmt: skip
    shapes |= dict.fromkeys(PER_LAYER, (rows, layers)) | dict.fromkeys(PERFORMANCE, (rows,))
    assert {key: array.shape for key, array in found.items()} == shapes
    single = re.compile(r"(x|x_test|(checkpoint_)?(weight|bias)\d|t\d)")
    whole = {"schema", "epoch", "t_index", "y", "y_test", "outside", "checkpoint_epoch"}
    for key, array in found.items():
        wanted = np.float32 if single.fullmatch(key) else np.int64 if key in whole else np.float64
        assert key == "config" or array.dtype == wanted, key
    assert found["schema"] == 1
    assert str(found["config"]) == config.to_json()
    assert found["t_index"].tolist() == [4, 5]


@pytest.mark.parametrize(
    "recording",
    [
        example(), example(6, 2), example(4, 0), example(0), example(3, resumable=False),
        example(1, layers=(2,)),
        example(70, 3, layers=(1, 5, 4), samples=9, activation="relu", binning="adaptive"),
    ],
)  # fmt: skip
def test_what_is_read_is_what_was_written(recording):
    save(recording, RUN)
    again = load(RUN)
    assert again.config == recording.config
    assert len(again) == len(recording)
    for key in recording.names:
        ours, theirs = again.column(key), recording.column(key)
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())
    assert again.stored == recording.stored
    for row in range(len(recording)):
        ours, theirs = again.activations(row), recording.activations(row)
        assert (ours is None) == (theirs is None)
        for a, b in zip(ours or (), theirs or (), strict=True):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    for key in ("x", "y", "x_test", "y_test"):
        assert getattr(again.dataset, key).tobytes() == getattr(recording.dataset, key).tobytes()
    assert (again.h_x, again.h_y) == (recording.h_x, recording.h_y)
    assert (again.checkpoint is None) == (recording.checkpoint is None)
    if recording.checkpoint:
        assert again.checkpoint.epoch == recording.checkpoint.epoch
        assert again.checkpoint.moving_loss == recording.checkpoint.moving_loss
        for ours, theirs in zip(again.checkpoint.parameters, recording.checkpoint.parameters, strict=True):
            assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]
    assert not differences(RUN, again)
    summary = peek(RUN)
    assert (summary.config, summary.rows) == (recording.config, len(recording))
    assert summary.checkpoint_epoch == (recording.checkpoint.epoch if recording.checkpoint else None)


def test_the_same_recording_gives_the_same_bytes_whatever_its_arrays_look_like_in_memory():
    recording = example()
    save(recording, "a.npz")
    c = recording.checkpoint
    transposed = [(np.asfortranarray(w), np.repeat(b, 2)[::2]) for w, b in c.parameters]
    recording.checkpoint = type(c)(c.epoch, transposed, c.moving_loss)
    save(recording, "b.npz")
    save(load("a.npz"), "c.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes() == Path("c.npz").read_bytes()
    with zipfile.ZipFile("a.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_change_of_binning_while_a_file_is_written_does_not_reach_it(monkeypatch):
    recording, original = example(3), writing.temporary_file

    def rebin_first(path):
        recording.rebin(Binning("closed", 2, 2), 0.0)
        return original(path)

    monkeypatch.setattr(writing, "temporary_file", rebin_first)
    save(recording, "a.npz")
    save(example(3), "b.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_a_loaded_recording_goes_on():
    save(example(3), RUN)
    recording = load(RUN)
    recording.append(measurement(recording.config, 30, 8))
    whole = example(4)
    whole.checkpoint = recording.checkpoint
    save(recording, "a.npz")
    save(whole, "b.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_a_snapshot_holds_the_first_rows_and_its_own_checkpoint():
    recording, own = example(5), example(1).checkpoint
    save(recording, RUN, rows=3, checkpoint=own)
    again = load(RUN)
    assert again.column("epoch").tolist() == [0, 10, 20]
    assert again.stored == [0, 1, 2]
    assert again.checkpoint.epoch == own.epoch == 0
    save(recording, RUN, rows=99, overwrite=True)
    assert len(load(RUN)) == 5


def test_activations_beyond_the_budget_are_not_kept_in_memory(monkeypatch):
    read, counts = reading._Reader.last, []

    def last(self, key, count):
        counts.append(count)
        return read(self, key, count)

    monkeypatch.setattr(reading._Reader, "last", last)
    save(example(6), RUN)
    a_row = 4 * 8 * (3 + 2)
    recording = load(RUN, history_bytes=2 * a_row + 1)
    assert recording.stored == [4, 5]
    assert counts == [2, 2]
    assert load(RUN, history_bytes=0).stored == []
    for t in recording.activations(4):
        assert t.base is None  # no part of an array of all rows, which would stay whole
    recording.append(measurement(recording.config, 60, 8))
    assert recording.stored == [5, 6]


def test_measurements_without_a_number_are_as_good_as_any():
    recording = example(3)
    for key in (*PER_LAYER, *PERFORMANCE):
        if key in PERFORMANCE:
            recording.column(key)[1] = np.nan
        elif key != "outside":
            recording.column(key)[1] = np.nan, np.inf
    recording.column("weight0")[2] = -np.inf
    recording.h_x = float("nan")
    save(recording, RUN)
    again = load(RUN)
    assert np.isnan(again.column("i_xt")[1, 0])
    assert np.isinf(again.column("i_xt")[1, 1])
    assert not differences(RUN, again)
    assert again.pending().size == 0


def test_rows_saved_before_their_estimates_were_made_wait_for_them_again():
    recording = example(3)
    recording.rebin(Binning("closed", 4, 10), 1.0)
    recording.estimate(1, recording.binning, measurement(recording.config, 1, 8))
    save(recording, RUN)
    assert load(RUN).pending().tolist() == [0, 2]


def test_compressed_by_numpy_it_reads_the_same():
    save(example(), RUN)
    np.savez_compressed("small.npz", **arrays(RUN))
    assert not differences(Path("small.npz"), load("small.npz"))


# How it is written.


def temporaries(folder: str = ".") -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith((files.TEMPORARY, files.LOCK))]


def test_nothing_is_overwritten_unless_asked_for():
    save(example(1), RUN)
    before = RUN.read_bytes()
    with pytest.raises(FileExistsError) as error:
        save(example(2), RUN)
    assert error.value.strerror == "File exists"
    assert RUN.read_bytes() == before
    save(example(2), RUN, overwrite=True)
    assert len(load(RUN)) == 2
    assert not temporaries()


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(monkeypatch):
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (sync(handle), RUN.write_text("precious")))
    with pytest.raises(FileExistsError):
        save(example(), RUN)
    assert RUN.read_text() == "precious"
    assert not temporaries()


def test_a_file_system_without_links_will_do(monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    save(example(1), RUN)
    assert len(load(RUN)) == 1
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (sync(handle), Path("b.npz").write_text("precious")))
    with pytest.raises(FileExistsError):
        save(example(), "b.npz")
    assert Path("b.npz").read_text() == "precious"
    assert not temporaries()


def test_of_two_that_want_one_name_on_a_file_system_without_links_one_gets_it(monkeypatch):
    both, refused = threading.Barrier(2), []

    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    def lexists(path, real=os.path.lexists):
        there = real(path)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(20)
        return there

    def put(name: str) -> None:
        try:
            paths.put_in_place(Path(name), RUN, overwrite=False)
        except FileExistsError:
            refused.append(name)

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os.path, "lexists", lexists)
    writers = []
    for name in ("a", "b"):
        Path(name).write_text(name)
        writers.append(threading.Thread(target=put, args=(name,)))
        writers[-1].start()
    for writer in writers:
        writer.join()
    assert len(refused) == 1 and sorted(os.listdir()) == sorted([refused[0], RUN.name])
    assert Path(refused[0]).read_text() == refused[0] != RUN.read_text()


def test_a_system_without_such_a_rename_will_do_too(monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    save(example(1), RUN)
    Path("late").write_text("late")
    with pytest.raises(FileExistsError):
        paths.put_in_place(Path("late"), RUN, overwrite=False)
    assert len(load(RUN)) == 1


def test_a_name_that_was_given_is_given_though_the_answer_was_lost(monkeypatch):
    link = os.link

    def again(*places):  # as a client of NFS does
        link(*places)
        link(*places)

    monkeypatch.setattr(os, "link", again)
    save(example(1), RUN)
    assert len(load(RUN)) == 1 and not temporaries()


@pytest.mark.parametrize("call", ["fsync", "fdopen", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
def test_a_failing_disk_leaves_the_old_file_whole_and_nothing_else(monkeypatch, call, code):
    save(example(1), RUN)
    before = RUN.read_bytes()

    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(OSError, match=os.strerror(code)):
            save(example(3), RUN, overwrite=True)
    assert RUN.read_bytes() == before
    assert not temporaries()
    save(example(3), RUN, overwrite=True)
    assert len(load(RUN)) == 3


@pytest.mark.parametrize("limit", [0, 1, 1000, 5000, 10_000])
def test_a_full_disk_leaves_the_old_file_whole_and_nothing_else(limit):
    save(example(1), RUN)
    before = RUN.read_bytes()
    code = f"""
import resource, os
from tests.recording.fuzz import example
from ibtui.recording.files import save
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    save(example(60), "run.npz", overwrite=True)
except OSError as error:
    print(error.strerror)
"""
    assert python(code).stdout == "File too large\n"
    assert RUN.read_bytes() == before
    assert not temporaries()


def python(code: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, **options
    )


def test_a_folder_that_vanishes_is_an_ordinary_failure(monkeypatch):
    with pytest.raises(FileNotFoundError):
        save(example(), "away/run.npz")
    os.mkdir("away")
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (sync(handle), shutil.rmtree("away")))
    for overwrite in (True, False):
        os.makedirs("away", exist_ok=True)
        with pytest.raises(FileNotFoundError):
            save(example(), "away/run.npz", overwrite=overwrite)
    assert not os.path.exists("away")


def test_an_interrupted_save_leaves_nothing(monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(example(), RUN)
    assert os.listdir() == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_file_has_the_mode_that_the_umask_gives(umask, mode):
    before = os.umask(umask)
    try:
        save(example(1), RUN)
        save(example(1), RUN, overwrite=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(RUN.stat().st_mode) == mode


def test_a_link_is_followed_and_stays_a_link():
    os.mkdir("disk")
    os.symlink("disk/target.npz", RUN)
    save(example(1), RUN)
    save(example(2), RUN, overwrite=True)
    assert RUN.is_symlink()
    assert len(load("disk/target.npz")) == 2
    assert not temporaries()
    assert not temporaries("disk")


def test_what_is_no_file_is_never_replaced():
    os.mkfifo("pipe")
    os.mkdir("folder")
    for path in ("pipe", "folder", "/dev/null"):
        with pytest.raises(FileExistsError):
            save(example(1), path, overwrite=True)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_snapshots_are_numbered_where_the_name_is_taken():
    names = [save_new(example(1), ".", "snap").name for _ in range(3)]
    assert names == ["snap.npz", "snap-2.npz", "snap-3.npz"]
    assert save_new(example(4), ".", "other", rows=2) == Path("other.npz")
    assert len(load("other.npz")) == 2
    with pytest.raises(FileNotFoundError):
        save_new(example(1), "missing", "snap")


def test_a_name_that_is_taken_costs_no_writing(monkeypatch):
    for _ in range(3):
        save_new(example(1), ".", "snap")
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    save_new(example(1), ".", "snap")
    assert len(synced) == 1


def test_saving_while_another_thread_appends_and_rebins_gives_a_beginning_of_the_run():
    recording = example(1, resumable=False, epochs=10**6)
    stop = threading.Event()

    def append() -> None:
        epoch = 10
        while not stop.is_set() and epoch < 6_000:
            recording.append(measurement(recording.config, epoch, 8, Binning()))
            if epoch % 70 == 0:
                recording.rebin(Binning("notebook", 4, 100), 1.0)
            epoch += 10

    thread = threading.Thread(target=append)
    thread.start()
    try:
        for number in range(12):
            save(recording, f"{number}.npz")
    finally:
        stop.set()
        thread.join()
    lengths = []
    for number in range(12):
        part = load(f"{number}.npz")
        lengths.append(len(part))
        for key in part.names:
            if key not in ESTIMATES:
                assert part.column(key).tobytes() == recording.column(key)[: len(part)].tobytes()
        assert part.stored == list(range(len(part)))
        i_xt = part.column("i_xt")
        for row in range(len(part)):
            whole = measurement(part.config, 10 * row, 8).i_xt
            assert np.isnan(i_xt[row]).all() or (i_xt[row] == whole).all()
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]


# The paths.


def test_a_place_is_checked_before_the_run(monkeypatch):
    check_writable(RUN)
    check_writable(RUN, force=False)
    RUN.write_text("precious")
    check_writable(RUN)
    os.mkdir("folder")
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    for path, force, why in [
        (RUN, False, "exists already; choose another name, or --force"),
        ("folder", True, "a folder; name a file in it, such as folder/run.npz"),
        ("folder/", True, "a folder; name a file in it, such as folder/run.npz"),
        ("", True, "a folder; "),
        ("missing/run.npz", True, "there is no folder .*missing"),
        ("run.npz/run.npz", True, "there is no folder .*run.npz"),
        ("pipe", True, "not a regular file"),
        ("/dev/null", True, "not a regular file"),
        ("loop", True, ""),
        ("a\0b.npz", True, "cannot be written: "),
        ("x" * 255, True, "cannot be written: File name too long"),
        ("\x1b[2J\n/run.npz", True, "there is no folder"),
    ]:
        with pytest.raises(RecordingError) as error:
            check_writable(path, force=force)
        line = str(error.value)
        assert line.isprintable()
        assert re.search(why, line), line
    assert RUN.read_text() == "precious"

    def fail(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", fail)
        with pytest.raises(RecordingError, match=r"^new\.npz: cannot be written: Permission denied$"):
            check_writable("new.npz")
    assert sorted(os.listdir()) == ["folder", "loop", "pipe", "run.npz"]


WRITING_FOR_EVER = """
import os, sys, time
from tests.recording.fuzz import example
from ibtui.recording.files import save
def stall(handle):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = stall
save(example(9), "run.npz", overwrite=True)
"""


@contextlib.contextmanager
def child(code: str):
    """A process that has printed its first line; killed in the end."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_a_killed_run_left_is_removed_by_the_next_one_and_what_a_living_one_writes_is_not():
    save(example(1), RUN)
    with child(WRITING_FOR_EVER) as process:
        (temporary,) = temporaries()
        assert f"-{process.pid}-" in temporary
        assert clean_up(RUN) == []
        check_writable(RUN)
        assert temporaries() == [temporary]
    assert temporaries() == [temporary]
    assert len(load(RUN)) == 1
    check_writable("other.npz")
    assert temporaries() == [temporary]
    check_writable(RUN)
    assert temporaries() == []
    assert os.listdir() == ["run.npz"]


def test_only_temporaries_of_this_file_are_removed(monkeypatch):
    dead = subprocess.Popen(["true"])
    dead.wait()
    here = f"{zlib.crc32(socket.gethostname().encode()):08x}"
    there = f"{zlib.crc32(b'another machine'):08x}"
    own = f".run.npz.{here}-{dead.pid}-0123abcd.ibtui-tmp"
    others = [
        f".run.npz.{there}-{dead.pid}-0123abcd.ibtui-tmp",
        f".run.npz.{here}-{os.getpid()}-0123abcd.ibtui-tmp",
        f".run_npz.{here}-{dead.pid}-0123abcd.ibtui-tmp",
        f".run.npz.{here}-{dead.pid}-0123abcd.ibtui-tmp.npz",
        f".run.npz.{here}-x-0123abcd.ibtui-tmp",
        f"run.npz.{here}-{dead.pid}-0123abcd.ibtui-tmp",
    ]
    for name in (own, *others):
        Path(name).write_text("")
    assert [path.name for path in clean_up(RUN)] == [own]
    assert sorted(os.listdir()) == sorted(others)
    for name in others:
        os.utime(name, (0, 0))
    assert sorted(path.name for path in clean_up(RUN)) == sorted(others[:2])
    assert clean_up("missing/run.npz") == []


CLAIMING = """
import sys, time
from ibtui.recording.files import claim
with claim("run.npz"):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_two_runs_cannot_record_to_one_path():
    with child(CLAIMING) as process:
        wanted = rf"^run\.npz: another run \(process {process.pid}\) is recording to it; choose another name$"
        with pytest.raises(RecordingError, match=wanted), claim(RUN):
            pytest.fail("two claims")
        os.symlink("run.npz", "link.npz")
        with pytest.raises(RecordingError, match="is recording to it"), claim("link.npz"):
            pytest.fail("two claims, one by another name")
        with claim("other.npz"):
            pass
    assert temporaries() == [".run.npz.ibtui-lock"]
    with claim(RUN):  # a killed run holds up nobody
        assert temporaries() == [".run.npz.ibtui-lock"]
        with pytest.raises(RecordingError, match=rf"process {os.getpid()}"), claim(RUN):
            pytest.fail("two claims")
    assert temporaries() == []
    with pytest.raises(ZeroDivisionError), claim(RUN):
        raise ZeroDivisionError
    assert os.listdir() == ["link.npz"]


def test_a_claim_checks_the_place(monkeypatch):
    with pytest.raises(RecordingError, match="there is no folder"), claim("missing/run.npz"):
        pytest.fail("no folder")
    save(example(1), RUN)
    with pytest.raises(RecordingError, match="exists already"), claim(RUN, force=False):
        pytest.fail("exists")
    with claim(RUN):
        pass
    # It may appear between the first look and the lock.
    monkeypatch.setattr(paths, "check_writable", lambda *_, **__: None)
    with pytest.raises(RecordingError, match="exists already"), claim(RUN, force=False):
        pytest.fail("exists")
    assert os.listdir() == ["run.npz"]


def test_where_there_are_no_locks_the_process_number_decides(monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    with child(CLAIMING) as process:
        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(RecordingError, match=f"process {process.pid}"), claim(RUN):
            pytest.fail("two claims")
    with claim(RUN):
        pass
    assert temporaries() == []
    # What a container that was killed has left: the next one has the same name, and process 1 again.
    Path(f".{RUN.name}{files.LOCK}").write_text(f"{paths._HOST} {os.getpid()}\n")
    with claim(RUN):
        pass
    assert temporaries() == []


def test_of_many_that_claim_at_once_one_has_it_at_any_time():
    holders, most, turns = 0, 0, 0
    guard = threading.Lock()

    def compete() -> None:
        nonlocal holders, most, turns
        for _ in range(60):
            with contextlib.suppress(RecordingError), claim(RUN):
                with guard:
                    holders += 1
                    turns += 1
                    most = max(most, holders)
                with guard:
                    holders -= 1

    threads = [threading.Thread(target=compete) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert turns >= 6
    assert os.listdir() == []


def test_a_lock_that_was_removed_before_it_was_taken_counts_for_nothing(monkeypatch):
    original, removed = fcntl.flock, []

    def flock(handle, operation):
        if not removed:  # its holder ends between our opening the file and our locking it
            os.unlink(".run.npz.ibtui-lock")
            removed.append(handle)
        original(handle, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with claim(RUN):
        assert removed
        assert temporaries() == [".run.npz.ibtui-lock"]
        with pytest.raises(RecordingError, match="is recording to it"), claim(RUN):
            pytest.fail("two claims")


def test_a_trap_in_the_place_of_the_lock_is_not_stepped_into():
    Path("victim").write_text("precious")
    os.symlink("victim", ".run.npz.ibtui-lock")
    with pytest.raises(RecordingError, match="cannot be written"), claim(RUN):
        pytest.fail("the lock is a link")
    assert Path("victim").read_text() == "precious"


# Files that anyone may have made.


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
    ({"schema": np.array(2)}, "written with schema 2; this version of ibtui reads schema 1"),
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
    ({"config": np.array("x" * 70_000)}, "its config is too long"),
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
    ({"x": header("(8, 2)", "(-8, -2)")}, "x is no plain array"),
    ({"x": header("(8, 2)", "(1000000000000, 2)")}, "x has not the size that it declares"),
    ({"x": header("(8, 2)", "(9223372036854775807, 9223372036854775807)")}, "x is no plain array"),
    ({"x": header("(8, 2)", "(999999999999999999, 999999999999999999)")}, "x has not the size that it"),
    ({"x": header("(8, 2)", "(8, 2" + ", 1" * 60 + ")")}, "x is no plain array|x has the shape"),
    ({"x": header("(8, 2)", "(8L, 2L)")}, "x is no plain array"),
    ({"x": header("(8, 2)", "(__import__('os').mkdir('owned'), 2)")}, "x is no plain array"),
    ({"x": header("False", "True")}, "x is in Fortran order"),
    ({"x": header("'<f4'", "'\x1b[2J'")}, r"x is of type \\x1b\[2J"),
    ({"x": header("'<f4'", "[('a', '<f4')]")}, "x is no plain array"),
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
    refused(path, "written with schema 7; this version of ibtui reads schema 1")


def test_a_member_that_is_there_twice_is_refused():
    save(example(), RUN)
    members = take_apart(RUN.read_bytes())
    Path("twice.npz").write_bytes(put_together([*members, members[3]]))
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
def test_what_is_no_file_is_refused_and_never_waited_for(monkeypatch):
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

    def fail(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    save(example(), RUN)
    with monkeypatch.context() as broken:
        broken.setattr(os, "open", fail)
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


def test_a_sum_of_sizes_past_the_memory_is_refused(monkeypatch):
    save(example(), RUN)
    monkeypatch.setattr(reading, "_memory", lambda: 4000)
    refused(RUN, "past what this machine's memory holds")
    monkeypatch.setattr(reading, "_memory", lambda: 10**6)
    load(RUN)


def test_compressed_arrays_may_come_to_so_much_and_no_more(monkeypatch):
    monkeypatch.setattr(reading, "_UNPACKED_BYTES", 4000)
    assert len(load(rewrite({}))) == 3
    refused(rewrite({}, compression=zipfile.ZIP_DEFLATED), "of compressed arrays")


def test_the_memory_that_is_free_is_known():
    assert 1 << 20 < reading._memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))"
    read = "from ibtui.recording import reading; print(reading._memory())"
    assert int(python(f"{limit}; {read}").stdout) <= 1 << 32


def test_a_net_too_large_to_be_measured_on_its_samples_is_refused():
    config = (
        str(arrays(rewrite({}))["config"])
        .replace("[3, 2]", "[4096, 2]")
        .replace('"samples": 16', '"samples": 4')
    )
    many = 61_000
    x, y = np.zeros((many, 2), "<f4"), np.zeros(many, "<i8")
    path = rewrite({"config": np.array(config), "x": x, "y": y, "x_test": x, "y_test": y}, rows=0)
    refused(path, "more samples than a net of its size can be measured with")


MEASURED = """
import resource, sys
from ibtui.errors import RecordingError
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
