"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from ibtui.core.information import Binning
from ibtui.quantities.meter import quantities
from ibtui.recording import paths
from ibtui.recording.files import load, save, save_new
from tests.recording.fuzz import (
    example,
    measurement,
)
from tests.recording.tampered import RUN, python, temporaries
from tests.system import NO_LINKS, failing, system, then


def at_last(do):
    """Somebody else does this when a file is written whole and has not its name yet."""
    return system(fsync=then(os.fsync, do))


REBINNED = [q.name for q in quantities() if q.rebinned]


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


@pytest.mark.parametrize("call", ["fsync", "fdopen", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
def test_a_failing_disk_leaves_the_old_file_whole_and_nothing_else(call, code):
    save(example(1), RUN)
    before = RUN.read_bytes()
    with system(**{call: failing(code)}), pytest.raises(OSError, match=os.strerror(code)):
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


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten():
    with at_last(lambda: RUN.write_text("precious")), pytest.raises(FileExistsError):
        save(example(), RUN)
    assert RUN.read_text() == "precious"
    assert not temporaries()


def test_a_file_system_without_links_will_do():
    with system(**NO_LINKS):
        save(example(1), RUN)
        assert len(load(RUN)) == 1
        with at_last(lambda: Path("b.npz").write_text("precious")), pytest.raises(FileExistsError):
            save(example(), "b.npz")
    assert Path("b.npz").read_text() == "precious"
    assert not temporaries()


def test_of_two_that_want_one_name_on_a_file_system_without_links_one_gets_it():
    both, refused = threading.Barrier(2), []

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

    writers = [threading.Thread(target=put, args=(name,)) for name in ("a", "b")]
    with system(**NO_LINKS), system(os.path, lexists=lexists):
        for name, writer in zip(("a", "b"), writers, strict=True):
            Path(name).write_text(name)
            writer.start()
        for writer in writers:
            writer.join()
    assert len(refused) == 1 and sorted(os.listdir()) == sorted([refused[0], RUN.name])
    assert Path(refused[0]).read_text() == refused[0] != RUN.read_text()


def test_a_system_without_such_a_rename_will_do_too():
    with system(**NO_LINKS), system(ctypes, CDLL=lambda *_, **__: object()):
        save(example(1), RUN)
        Path("late").write_text("late")
        with pytest.raises(FileExistsError):
            paths.put_in_place(Path("late"), RUN, overwrite=False)
    assert len(load(RUN)) == 1


def test_a_name_that_was_given_is_given_though_the_answer_was_lost():
    def again(*places, link=os.link):  # as a client of NFS does
        link(*places)
        link(*places)

    with system(link=again):
        save(example(1), RUN)
    assert len(load(RUN)) == 1 and not temporaries()


def test_a_folder_that_vanishes_is_an_ordinary_failure():
    with pytest.raises(FileNotFoundError):
        save(example(), "away/run.npz")
    for overwrite in (True, False):
        os.mkdir("away")
        with at_last(lambda: shutil.rmtree("away")), pytest.raises(FileNotFoundError):
            save(example(), "away/run.npz", overwrite=overwrite)
    assert not os.path.exists("away")


def test_an_interrupted_save_leaves_nothing():
    with at_last(lambda: signal.raise_signal(signal.SIGINT)), pytest.raises(KeyboardInterrupt):
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


def test_a_name_that_is_taken_costs_no_writing():
    for _ in range(3):
        save_new(example(1), ".", "snap")
    synced = []
    with at_last(lambda: synced.append(1)):
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
                recording.rebin(Binning("notebook", 4, 100), recording.ceilings)
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
            if key not in REBINNED:
                assert part.column(key).tobytes() == recording.column(key)[: len(part)].tobytes()
        assert part.stored == list(range(len(part)))
        i_xt = part.column("i_xt")
        for row in range(len(part)):
            whole = measurement(part.config, 10 * row, 8).values["i_xt"]
            assert np.isnan(i_xt[row]).all() or (i_xt[row] == whole).all()
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]
