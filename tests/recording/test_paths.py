"""The place of a file: checked before the run, one run's at a time, and nothing left behind in it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import subprocess
import threading
import zlib
from pathlib import Path

import pytest

from ibtui.errors import RecordingError
from ibtui.recording import files
from ibtui.recording.files import check_writable, claim, clean_up, load, save
from tests.recording.fuzz import (
    example,
)
from tests.recording.tampered import RUN, child, temporaries
from tests.system import failing, system


def test_a_place_is_checked_before_the_run():
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
        ("x" * 256, True, "cannot be written: File name too long"),
        ("\x1b[2J\n/run.npz", True, "there is no folder"),
    ]:
        with pytest.raises(RecordingError) as error:
            check_writable(path, force=force)
        line = str(error.value)
        assert line.isprintable()
        assert re.search(why, line), line
    assert RUN.read_text() == "precious"

    denied = r"^new\.npz: cannot be written: Permission denied$"
    with system(open=failing(errno.EACCES)), pytest.raises(RecordingError, match=denied):
        check_writable("new.npz")
    assert sorted(os.listdir()) == ["folder", "loop", "pipe", "run.npz"]


@pytest.mark.parametrize("name", ["x" * 63, "x" * 64, "x" * 218, "x" * 251 + ".npz", "é" * 127])
def test_a_name_of_every_length_that_the_system_takes_will_do(name):
    with claim(name, force=False):
        assert os.listdir() == temporaries()  # the lock alone
        save(example(1), name)
        with pytest.raises(RecordingError, match="is recording to it"), claim(name):
            pytest.fail("two claims")
    assert len(load(name)) == 1
    with child(WRITING_FOR_EVER, name):
        (left,) = temporaries()
    with child(WRITING_FOR_EVER, name[:-1] + "y"):
        assert len(temporaries()) == 2
    assert [path.name for path in clean_up(name)] == [left]
    assert len(temporaries()) == 1


WRITING_FOR_EVER = """
import os, signal, sys
from tests.recording.fuzz import example
from ibtui.recording.files import save
def stall(handle):
    print("writing", flush=True)
    signal.pause()
os.fsync = stall
save(example(9), (sys.argv[1:] or ["run.npz"])[0], overwrite=True)
"""


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


def test_only_temporaries_of_this_file_are_removed():
    dead = subprocess.Popen(["true"])
    dead.wait()
    here, there = machine(socket.gethostname()), machine("another machine")
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


def machine(name: str) -> str:
    """The name of a machine in those of temporary files, and in locks."""
    return f"{zlib.crc32(name.encode()):08x}"


CLAIMING = """
import signal
from ibtui.recording.files import claim
with claim("run.npz"):
    print("claimed", flush=True)
    signal.pause()
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


def test_a_claim_checks_the_place():
    with pytest.raises(RecordingError, match="there is no folder"), claim("missing/run.npz"):
        pytest.fail("no folder")
    save(example(1), RUN)
    with pytest.raises(RecordingError, match="exists already"), claim(RUN, force=False):
        pytest.fail("exists")
    with claim(RUN):
        pass
    RUN.unlink()

    def appears(path, *flags, opened=os.open):  # between the first look and the lock
        if os.fspath(path).endswith(files.LOCK):
            RUN.touch()
        return opened(path, *flags)

    with (
        system(open=appears),
        pytest.raises(RecordingError, match="exists already"),
        claim(RUN, force=False),
    ):
        pytest.fail("exists")
    assert os.listdir() == ["run.npz"]


def test_where_there_are_no_locks_the_process_number_decides():
    with child(CLAIMING) as process, system(fcntl, flock=failing(errno.ENOLCK)):
        with pytest.raises(RecordingError, match=f"process {process.pid}"), claim(RUN):
            pytest.fail("two claims")
        process.kill()
        process.wait()
        with claim(RUN):
            pass
        assert temporaries() == []
        # What a container that was killed has left: the next one has the same name, and process 1 again.
        holder = f"{machine(socket.gethostname())} {os.getpid()}\n"
        Path(f".{RUN.name}{files.LOCK}").write_text(holder)
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


def test_a_lock_that_was_removed_before_it_was_taken_counts_for_nothing():
    removed = []

    def flock(handle, operation, original=fcntl.flock):
        if not removed:  # its holder ends between our opening the file and our locking it
            os.unlink(".run.npz.ibtui-lock")
            removed.append(handle)
        original(handle, operation)

    with system(fcntl, flock=flock), claim(RUN):
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
