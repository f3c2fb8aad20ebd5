"""Connections that break, runs that outlive their screen, `ls`, `attach` and `stop`; nothing is left."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ibtui.cli import main
from ibtui.config import WatchOptions
from ibtui.console import Interrupted, Signals
from ibtui.errors import IbtuiError, UsageError
from ibtui.run import ended, places, runs, wire
from ibtui.run.client import Patience, WorkerClient
from ibtui.run.ended import Ended
from ibtui.run.job import new_job
from ibtui.run.log import LogFile
from ibtui.run.protocol import Detach, Restart, Save, Status, Step, Stop
from ibtui.run.state import RunState
from ibtui.run.wire import Connection
from tests.faults.boxes import ibtui, temporaries, wait_for
from tests.marks import slow, slow_sets
from tests.pythons import SLOW_DISK, run_first
from tests.run.driver import LONG, LONG_S, PACED, SMALL, Driver, Line, serving
from tests.system import system


def has_ended(driver: Driver) -> bool:
    """Wait for a worker that was told to end by somebody else."""
    return driver.worker.wait(LONG_S) == 0


@contextlib.contextmanager
def stopped(process: subprocess.Popen) -> Iterator[None]:
    """A child that stands still for as long as the block lasts."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


# Detached runs.


@pytest.mark.parametrize("attached", [False, True])
def test_a_detached_run_is_not_given_up_when_a_connection_breaks(tmp_path, attached):
    line, patience = Line(), Patience(broken=0.0)
    given = {} if attached else {"patience": patience, "connect": line}
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED, **given)
    epoch = driver.until(lambda d: d.status.epoch > 3).status.epoch
    screen = driver
    if attached:
        screen = Driver(WorkerClient(name=driver.client.name, patience=patience, connect=line))
    screen.until(lambda d: d.status is not None and d.status.epoch > epoch)
    rows = len(screen.recording)
    line.hang_up()
    screen.until(lambda d: len(d.recording) > rows)
    assert screen.lost is None and screen.client.goes_on
    patience.broken = 60.0
    line.hang_up()
    assert screen.pull() is None
    assert screen.lost.reason.endswith(f"the run goes on: ibtui attach {driver.client.name}")
    assert driver.worker.poll() is None
    driver.worker.kill()
    driver.worker.wait()
    if attached:  # the other screen, which has not asked since
        assert driver.pull() is None
        assert "SIGKILL" in driver.lost.reason
    driver.client.close()
    driver.client.wait()


def breaking_over(command, taken=True):
    """Connects; that breaks at this command, once: before the worker has got it, or before it has said so."""
    broken = []

    def connect(name: str) -> Connection:
        connection = wire.connect(name)
        ask = connection.ask

        def ask_or_break(request, seconds=None):
            if request != command or broken:
                return ask(request, seconds)
            broken.append(request)
            if taken:
                ask(request)
            connection.close()
            raise OSError("broken")

        connection.ask = ask_or_break
        return connection

    return {"connect": connect, "patience": Patience(broken=0.0)}


@pytest.mark.parametrize(
    ("command", "done", "doubt"),
    [
        (Step(2), (2, 0, 1), "the step was made"),
        *slow_sets((Restart(), (0, 1, 1), "the run was restarted")),
        (Save(), (0, 0, 2), "a snapshot was written"),
        (Detach(), (0, 0, 1), None),
    ],
    ids=str,
)
def test_a_command_whose_answer_did_not_come_is_not_carried_out_twice(tmp_path, command, done, doubt):
    given = breaking_over(command)
    with Driver.train(LONG, detach=True, paused=True, snapshot_dir=str(tmp_path), **given) as driver:
        driver.until_state("paused")
        driver.send(command)
        driver.until(lambda d: (d.status.epoch, d.status.run) == done[:2] and d.status.state == "paused")
        driver.send(Save(str(tmp_path), 9))
        driver.until(lambda d: dict(d.status.save_results).get(9) == "")
        assert (driver.status.epoch, driver.status.run, driver.status.saves) == done
        told = [notice.text for notice in driver.notices if "broke" in notice.text]
        assert told == ([f"the connection broke: whether {doubt} is not known"] if doubt else [])


@pytest.mark.parametrize("taken", [True, False])
def test_who_waits_for_a_file_is_answered_also_where_the_connection_broke(tmp_path, taken):
    given = breaking_over(Save(None, 7), taken)
    with Driver.train(LONG, detach=True, paused=True, snapshot_dir=str(tmp_path), **given) as driver:
        driver.until_state("paused")
        driver.send(Save(None, 7))
        driver.until(lambda d: 7 in dict(d.status.save_results))
        doubt = "the connection broke: whether a snapshot was written is not known"
        assert dict(driver.status.save_results)[7] in ((doubt, "") if taken else (doubt,))
        driver.until(lambda d: d.status.saves == taken)


def test_the_runtime_folder_may_be_removed_under_a_detached_run(tmp_path):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until_trained()
    driver.client.close()
    began = places.socket_path(driver.client.name).stat().st_mtime
    for path in places.folder().iterdir():  # as systemd does after the last logout
        path.unlink()
    places.folder().rmdir()
    wait_for(lambda: runs.running())
    (run,) = runs.running()
    assert abs(places.socket_path(run.name).stat().st_mtime - began) < 5
    assert places.log_path(run.name).exists()
    again = Driver(WorkerClient(name=run.name))
    again.until(lambda d: d.status.epoch > driver.status.epoch)
    again.client.close()
    assert runs.stop_run(run.name) == 0
    assert has_ended(driver)
    assert sorted(path.suffix for path in places.folder().iterdir()) == [".end", ".log"]


def test_a_stop_whose_answer_nobody_awaits_is_carried_out(tmp_path):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until_trained()
    driver.client.close()
    connection = wire.connect(driver.client.name)
    with stopped(driver.worker):
        connection.send(Stop(save=False))
        connection.close()
    assert driver.worker.wait(LONG_S) == 0


# ls, attach, stop.


def stale_socket(name: str) -> Path:
    path = places.folder() / f"{name}.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    return path


def test_garbage_in_the_runtime_folder_disturbs_nothing(capsys):
    folder = places.folder()
    stale = stale_socket("run-1-dead")
    stale.with_suffix(".log").write_text("its last words")
    (folder / "a file.sock").write_bytes(b"\0" * 100)
    (folder / "file.sock").write_bytes(b"\0" * 100)
    (folder / "folder.sock").mkdir()
    (folder / "loop.sock").symlink_to("loop.sock")
    (folder / "nowhere.sock").symlink_to("nothing")
    stale_socket("..odd name\x1b[31m")
    (folder / "old.log").write_text("")
    os.utime(folder / "old.log", (0, 0))
    (folder / "new.log").write_text("")
    assert runs.running() == []
    assert runs.list_runs() == 0
    assert capsys.readouterr().out == "no runs\n"
    with pytest.raises(UsageError, match="no such run; there is none"):
        runs.stop_run("run-1-dead")
    assert not stale.exists() and not stale.with_suffix(".log").exists()
    assert not (folder / "old.log").exists() and (folder / "new.log").exists()
    assert (folder / "file.sock").exists() and (folder / "folder.sock").exists()
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")
        assert [run.name for run in runs.running()] == [driver.client.name]


@pytest.mark.parametrize("look", [runs.find_detached, runs.stop_run])
def test_a_file_that_is_named_for_a_run_is_shown_by_another_command(tmp_path, monkeypatch, look):
    path = tmp_path / "a run.ibtui"
    path.write_bytes(b"")
    with pytest.raises(UsageError, match=f"a file, and no run's name; ibtui replay '{path}' shows it"):
        look(str(path))
    loop = SimpleNamespace(name="mlp", stream=path)
    monkeypatch.setattr(runs.control, "live", lambda: [loop])
    with pytest.raises(UsageError, match="no run's name; ibtui attach mlp shows the loop that writes it"):
        look(str(path))


def test_a_worker_that_starts_is_never_taken_for_a_dead_one():
    """Whatever `ls` finds under the name of a socket listens already."""
    seen = []
    listen = socket.socket.listen

    def late(self: socket.socket, *queue: int) -> None:
        seen.append(runs.running())
        listen(self, *queue)

    with system(socket.socket, listen=late):
        listener = wire.listen("run-1-new")
    assert seen == [[]] and places.socket_path("run-1-new").exists()
    wire.reach("run-1-new").close()
    listener.close()


@pytest.mark.slow
def test_a_worker_that_does_not_answer_is_listed_and_cannot_be_stopped(monkeypatch, capsys):
    driver = Driver.train(LONG, detach=True)
    driver.until_trained()
    with monkeypatch.context() as impatient, stopped(driver.worker):
        impatient.setattr(wire, "GREETING_S", 0.03)
        impatient.setattr(wire, "CONNECT_S", 0.03)
        for _ in range(70):  # also where it has no room for more that knock
            (run,) = runs.running()
            assert run.status is None
        runs.list_runs()
        assert "does not answer" in capsys.readouterr().out
        with pytest.raises(UsageError, match=f"no detached run .* {driver.client.name} .*does not answer"):
            runs.stop_run(None)
        with pytest.raises(IbtuiError, match="does not answer"):
            runs.stop_run(driver.client.name)
    driver.client.close()
    assert runs.stop_run(None) == 0
    assert has_ended(driver)


@pytest.mark.slow
def test_two_stops_at_once_both_succeed(tmp_path):
    for _ in range(3):
        driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
        driver.until(lambda d: d.status.epoch > 3)
        driver.client.close()
        line = [sys.executable, "-m", "ibtui", "stop", driver.client.name]
        stops = [
            subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        told = [(*stop.communicate(timeout=60), stop.returncode) for stop in stops]
        for out, err, status in told:
            late = ("no such run" in err or "has ended at epoch" in err) and status == 2
            assert (status == 0 and "stopped" in out and not err) or late, told
        assert any(status == 0 for *_, status in told)
        assert has_ended(driver)
    assert len(list(tmp_path.glob("*.npz"))) == 3


@contextlib.contextmanager
def gone_once_found(name: str, leave: Callable[[], object] = lambda: None) -> Iterator[None]:
    """A run that has ended, and left this, before anybody who has found it can stop it."""

    class Leaving(RunState):
        def where(self) -> Status:
            if not self.ended.is_set():
                self.ended.set()
                server.close()
                leave()
            return super().where()

    with serving(name, Leaving(WatchOptions(detach=True), LogFile(-1))) as server:
        yield


def test_a_run_that_somebody_else_has_just_stopped_is_stopped(capsys):
    saved = Ended(60, ("/a/b.npz",))
    with gone_once_found("run-1-gone", lambda: ended.write("run-1-gone", saved)):
        assert runs.stop_run("run-1-gone") == 0
    assert capsys.readouterr().out == "stopped run-1-gone at epoch 60; saved /a/b.npz\n"
    places.clear("run-1-gone")
    with (
        gone_once_found("run-1-gone"),  # and its own screen has cleared it away
        pytest.raises(UsageError, match="run-1-gone: no such run any more"),
    ):
        runs.stop_run("run-1-gone")
    with (
        gone_once_found("run-1-dead", lambda: stale_socket("run-1-dead")),
        pytest.raises(IbtuiError, match="run-1-dead: died"),
    ):
        runs.stop_run("run-1-dead")


def test_a_run_that_has_ended_is_listed_and_named_to_whoever_asks_for_it(capsys):
    ended.write("run-1-a", Ended(60, ("/a.npz", "/b\x1b.npz")))
    ended.write("run-1-b", Ended(7, (), "/there: No space left on device"))
    ended.write("run-1-c", Ended(8, ("/c.npz",), "", "EngineError: boom", 1))
    places.end_path("run-1-d").write_text("no such thing")
    assert runs.list_runs() == 0
    assert [line[: line.rindex("  ")] for line in sorted(capsys.readouterr().out.splitlines())] == [
        "run-1-a  ended  epoch 60; saved /b\\x1b.npz",
        "run-1-b  ended  epoch 7; not saved: /there: No space left on device",
        "run-1-c  failed  epoch 8; it had failed: EngineError: boom; saved /c.npz",
    ]
    for find in (runs.find, runs.find_detached):
        with pytest.raises(UsageError, match="run-1-b: has ended at epoch 7; not saved: /there: No space"):
            find("run-1-b")
    with pytest.raises(UsageError, match="run-1-d: no such run"):
        runs.find("run-1-d")


@pytest.mark.slow
@pytest.mark.parametrize("set_back_s", [0, 10, 10_800, 1e9])
def test_no_age_is_negative_where_the_clock_was_set_back(tmp_path, capsys, set_back_s):
    ended.write("run-1-past", Ended(60, ("/a.npz",)))
    with Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED) as driver:
        epoch = driver.until_trained().status.epoch
        driver.until(lambda d: d.status.epoch > epoch + 330)  # more than a second
        for path in (places.socket_path(driver.client.name), places.end_path("run-1-past")):
            written = path.stat().st_mtime + set_back_s  # as the clock was when they were written
            os.utime(path, (written, written))
        (run,) = runs.running()
        assert 1 < run.age_s < 60
        runs.list_runs()
    live, past = capsys.readouterr().out.splitlines()
    assert re.search(r"  \d+ s  detached, 1 screen$", live)
    assert re.search(r"  age unknown: the clock was set back$" if set_back_s else r"  \d+ s ago$", past)


@pytest.mark.slow
@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("screens", [0, 1, 2])
def test_the_screens_of_a_run_are_counted_and_listed(tmp_path, capsys, detached, screens):
    with Driver.train(LONG, detach=detached, snapshot_dir=str(tmp_path), **PACED) as driver:
        driver.until_trained()
        others = [Driver(WorkerClient(name=driver.client.name)) for _ in range(screens - 1)]
        for other in others:
            other.until(lambda d: d.status.screens == screens)
        if not screens and detached:
            driver.client.close()
            wait_for(lambda: runs.running()[0].status.screens == 0)
        runs.list_runs()
        said = {0: "", 1: ", 1 screen", 2: ", 2 screens"}[max(screens, not detached)]
        said = "" if said == ", 1 screen" and not detached else said  # the one that it belongs to
        assert capsys.readouterr().out.endswith(f"  {'detached' if detached else 'attached'}{said}\n")
        for other in others:
            other.client.close()
        if detached:
            runs.stop_run(driver.client.name, yes=True)


@pytest.mark.parametrize("kinds", ["", "a", "aa", "d", "da", "dd"])
def test_without_a_name_only_a_detached_run_is_chosen(kinds):
    """Attached (a) and detached (d) runs."""
    names = [f"{kind}-{i}" for i, kind in enumerate(kinds)]
    with contextlib.ExitStack() as there:
        for name in names:
            state = RunState(WatchOptions(detach=name[0] == "d"), LogFile(-1))
            there.enter_context(serving(name, state))
        if kinds.count("d") == 1:
            assert runs.find(None) == "d-0"
        else:
            said = "which one.* d-0, d-1" if kinds == "dd" else "no detached run is there to choose"
            with pytest.raises(UsageError, match=said) as refused:
                runs.find(None)
            assert all(name in str(refused.value) for name in names)


def test_a_run_that_dies_over_its_last_save_is_not_stopped_whoever_clears_it_away(tmp_path, monkeypatch):
    run_first(monkeypatch, SLOW_DISK.format(seconds=60))
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until(lambda d: d.status.epoch > 3)
    driver.client.close()
    stopping = ibtui("stop")
    wait_for(lambda: temporaries(tmp_path))
    with stopped(stopping):
        driver.worker.kill()
        driver.worker.wait()
        assert runs.running() == []  # `ibtui ls` in another terminal
    _, said = stopping.communicate(timeout=60)
    assert stopping.returncode == 1 and "died while it was told to stop" in said
    assert list(tmp_path.glob("*.npz")) == [] and list(places.folder().iterdir()) == []


def test_a_screen_that_is_about_to_be_gone_does_not_keep_a_run_from_being_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_LEAVING_S", LONG_S)
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until(lambda d: d.status.epoch > 3)
    leaving = threading.Timer(0.1, driver.client.close)
    leaving.start()
    assert runs.stop_run(driver.client.name) == 0
    leaving.join()
    assert has_ended(driver)


@pytest.mark.parametrize("full", [False, True])
def test_stop_goes_by_what_was_written_after_it_looked(tmp_path, monkeypatch, capsys, full):
    folder = tmp_path / "runs"
    folder.mkdir()
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(folder), paused=True)
    driver.send(Save())
    driver.until(lambda d: d.status.saves and d.status.state == "paused")
    (before,) = folder.glob("*.npz")

    class Hesitant(io.StringIO):
        """A user who is asked whether to end the run, while that goes on."""

        def isatty(self) -> bool:
            return True

        def readline(self, *_: int) -> str:
            driver.send(Step())
            driver.until(lambda d: d.status.epoch == 1 and d.status.unsaved)
            if full:
                before.unlink()
                folder.rmdir()
                folder.write_text("no folder any more")
            return "y\n"

    name = driver.client.name
    monkeypatch.setattr(sys, "stdin", Hesitant())
    assert runs.stop_run(name) == 0
    out = capsys.readouterr().out
    if full:
        assert re.fullmatch(f"stopped {name} at epoch 1; saved {os.environ['HOME']}/.*npz\n", out)
    else:
        (after,) = set(folder.glob("*.npz")) - {before}
        assert out == f"stopped {name} at epoch 1; saved {after}\n"
    driver.client.close()
    assert has_ended(driver)


def test_a_run_that_could_not_be_saved_is_no_success_to_stop():
    full = Ended(60, (), "/there: No space left on device")

    def end(save: bool) -> None:
        ended.write("run-1-full", full)
        server.close()

    told = "stopped run-1-full at epoch 60; not saved: /there: No space left"
    with serving("run-1-full", end=end) as server, pytest.raises(IbtuiError, match=told):
        runs.stop_run("run-1-full", yes=True)


def test_a_worker_that_ends_at_once_is_no_run_that_was_started(monkeypatch):
    run_first(monkeypatch, r"import os; os.write(2, b'no such device: {}\n'); os._exit(1)")
    client = WorkerClient(new_job(SMALL, WatchOptions(detach=True)))
    with Signals() as signals, pytest.raises(IbtuiError, match=r"exit status 1: no such device"):
        client.spawn(signals)
    assert client.process.wait(LONG_S) == 1


@contextlib.contextmanager
def whenever_one_starts(do: Callable[[], object]) -> Iterator[list[subprocess.Popen]]:
    """Do this in the midst of starting a process: it is there, and nobody knows it yet. Gives those."""
    started: list[subprocess.Popen] = []

    class Watched(subprocess.Popen):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            do()

    with system(subprocess, Popen=Watched):
        yield started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_whose_name_nobody_was_told_is_told_to_end(capsys, number):
    with whenever_one_starts(lambda: signal.raise_signal(number)) as started:
        assert main(["--detach", "--engine", "fused", "--ctx", "cpu"]) == 128 + number
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"ibtui: interrupted; run-\S+ was told to end\n", err)
    (process,) = started
    assert process.wait(60) in (0, -signal.SIGTERM) and runs.running() == []


def test_a_run_that_is_interrupted_while_it_is_waited_for_is_told_to_end():
    def interrupted(name: str):
        signal.raise_signal(signal.SIGTERM)

    client = WorkerClient(new_job(LONG, WatchOptions(detach=True)), connect=interrupted)
    with pytest.raises(Interrupted), Signals() as signals:
        client.spawn(signals)
    assert client.process.wait(60) in (0, -signal.SIGTERM)


def test_a_run_that_does_not_answer_is_told_to_end():
    def silent(name: str):
        raise TimeoutError(f"{name} does not answer")

    client = WorkerClient(
        new_job(LONG, WatchOptions(detach=True)), patience=Patience(start=0.0), connect=silent
    )
    with Signals() as signals, pytest.raises(IbtuiError, match=f"{client.name} does not answer"):
        client.spawn(signals)
    assert client.process.wait(60) in (0, -signal.SIGTERM)


def test_screens_are_let_in_while_a_slow_folder_is_cleaned():
    state = RunState(WatchOptions(), LogFile(-1))
    looked, answered = threading.Event(), threading.Event()

    def glob(_: str) -> list[Path]:
        looked.set()
        assert answered.wait(20)
        return []

    state.folder = SimpleNamespace(glob=glob)  # on a disk that takes its time
    with serving("run-1-c", state):
        assert looked.wait(20)
        wire.connect("run-1-c").close()
        answered.set()


def test_a_worker_that_is_slow_to_greet_is_waited_for_while_it_lives(tmp_path):
    tries = []

    def slow(name: str):
        connection = wire.connect(name)
        tries.append(name)
        if len(tries) > 2:
            return connection
        connection.close()
        raise TimeoutError(f"{name} does not answer")

    with Driver.train(SMALL, snapshot_dir=str(tmp_path), connect=slow) as driver:
        driver.until_state("finished")
    assert len(tries) == 3


@pytest.mark.slow
def test_a_worker_to_which_no_screen_comes_ends_however_often_it_is_listed():
    over = threading.Event()
    with serving("run-1-x", end=lambda save: over.set(), first_screen_s=1.5):
        began = time.monotonic()
        while not over.wait(0.05):
            assert time.monotonic() - began < 10
            runs.running()


# Commands at bad moments.


@pytest.mark.parametrize("name", ["queue", *slow("token", "numpy", "select")])
def test_a_users_own_file_is_not_taken_for_a_library(name):
    Path(f"{name}.py").write_text("raise SystemExit('the wrong file')")
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")


def test_a_worker_that_is_told_to_end_by_somebody_else_is_no_death(tmp_path):
    stop = f"stopped by `ibtui stop` \\(pid {os.getpid()}, .*\\)"
    for end, reason in (
        (lambda d: d.worker.terminate(), "the worker was told to end"),
        (lambda d: runs.stop_run(d.client.name, yes=True), stop),
    ):
        driver = Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED)
        driver.until_trained()
        end(driver)
        driver.until_lost()
        (path,) = tmp_path.glob("*.npz")
        assert re.fullmatch(reason, driver.lost.reason) and driver.lost.stopped == (reason == stop)
        assert driver.lost.saved == (str(path),)
        driver.client.close()
        driver.client.wait()
        path.unlink()


def test_a_worker_that_died_after_a_save_has_not_ended_in_order(tmp_path):
    with Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED) as driver:
        driver.until_trained()
        driver.send(Save())
        driver.until(lambda d: d.status.saves)
        driver.worker.kill()
        assert driver.until_lost().saved is None
        driver.client.close()
        driver.client.wait()


@pytest.mark.parametrize("own", [True, False])
def test_a_worker_that_ended_in_order_is_known_to_by_its_end_and_not_by_its_log(tmp_path, own):
    with Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED) as driver:
        driver.until_trained()
        worker = driver.worker
        screen = driver if own else Driver(WorkerClient(name=driver.client.name))
        screen.pull()
        if own:
            places.log_path(driver.client.name).unlink()
            worker.terminate()
        else:  # as by `ibtui ls` once it has died
            worker.send_signal(signal.SIGSTOP)
            places.clear(driver.client.name)
            worker.kill()
        screen.until_lost()
        written = tuple(map(str, tmp_path.glob("*.npz")))
        assert screen.lost.saved == (written if own else None) and screen.client.lost is screen.lost
        worker.wait(10)
        driver.client.close()
        driver.client.wait()
        driver.lost = screen.lost
    assert len(written) == own


SAVED = Ended(60, ("/a.npz",))
ENDS = [
    (None, False), (SAVED, True), (replace(SAVED, saved=()), True),
    (replace(SAVED, unsaved="/there: full"), False),
    (replace(SAVED, error="EngineError: boom", exit_status=1), True),
]  # fmt: skip


@pytest.mark.parametrize(("end", "saved"), ENDS, ids=str)
def test_a_worker_has_ended_with_all_saved_only_where_its_end_says_so(end, saved):
    if end is not None:
        ended.write("run-1-gone", end)
    screen = Driver(WorkerClient(name="run-1-gone"))
    assert screen.pull() is None
    assert screen.lost.saved == (end.saved if saved else None)


@pytest.mark.parametrize(("end", "saved"), ENDS, ids=str)
def test_a_worker_that_was_to_save_has_failed_unless_its_end_says_that_nothing_is_unsaved(end, saved):
    client = WorkerClient(new_job(LONG, WatchOptions()))
    client.send(Stop(save=True))
    if end is not None:
        ended.write(client.name, end)
    client.wait()
    assert client.failed != saved
    assert client.saved == (end.saved if end is not None else ())


def test_what_a_worker_left_is_cleared_also_where_its_folder_has_become_unusable():
    places.folder().chmod(0o755)  # others can enter it now
    with pytest.raises(UsageError):
        places.folder()
    places.clear("run-1")


# What the screen's end makes of its worker.


@pytest.mark.slow
def test_a_run_is_detached_also_where_its_screen_is_left_before_it_listens(tmp_path, monkeypatch):
    run_first(monkeypatch, "import time; time.sleep(0.5)")  # a machine on which Python takes a while to start
    client = WorkerClient(new_job(LONG, WatchOptions(snapshot_dir=str(tmp_path))))
    client.start(lambda _: None)
    client.send(Detach())
    client.close()
    assert client.goes_on
    (run,) = runs.running()
    assert run.name == client.name and run.status.detached
    assert runs.stop_run(client.name) == 0
    assert client.process.wait(LONG_S) == 0


def test_a_run_that_could_not_be_told_to_go_on_is_not_said_to_and_is_saved(tmp_path):
    impatient = Patience(end=0.05, tell=0.05)
    driver = Driver.train(LONG, patience=impatient, snapshot_dir=str(tmp_path), **PACED)
    driver.until(lambda d: d.status.epoch > 3)
    client = driver.client
    with stopped(driver.worker):
        client.send(Detach())
        client.close()
        assert not client.goes_on
    client.wait()
    (path,) = tmp_path.glob("*.npz")
    assert client.saved == (str(path),)


def test_a_screen_that_goes_as_it_comes_starts_no_worker():
    client = WorkerClient(new_job(LONG, WatchOptions()))
    client.send(Stop(save=True))
    client.close()  # by the thread that finds the line dropped
    client.start(lambda _: None)
    client.wait()
    assert client.process is None and not list(places.folder().iterdir())


def test_a_worker_that_is_being_started_as_its_screen_goes_ends_with_it():
    client = WorkerClient(new_job(LONG, WatchOptions()))
    going = threading.Thread(target=client.close)

    def go() -> None:
        client.send(Stop(save=False))
        going.start()
        going.join(0.3)  # it goes now, or waits until the process is known

    with whenever_one_starts(go):
        client.start(lambda _: None)
    going.join()
    assert client.process.wait(LONG_S) is not None
    client.wait()
