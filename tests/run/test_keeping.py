"""What a worker does so that nothing is lost, without being asked; and what it leaves behind: nothing."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ibtui.cli import main
from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.errors import IbtuiError, UsageError
from ibtui.recording import files
from ibtui.run import client as clients
from ibtui.run import log, mirror, places, runs, server
from ibtui.run import worker as process
from ibtui.run.client import WorkerClient
from ibtui.run.estimating import Desk
from ibtui.run.job import Job, new_job
from ibtui.run.log import LogFile, Output
from ibtui.run.protocol import Detach, Notice, Pause, Peek, Pull, Rebin, Restart, Resume, Save, Step, Stop
from ibtui.run.saver import Keeper
from ibtui.run.state import RunState
from ibtui.run.training import TrainingSource
from ibtui.signals import Interrupted, Signals
from tests.faults.boxes import equal, resumes_exactly, uninterrupted, wait_for
from tests.recording.fuzz import example, measurement
from tests.run.driver import SMALL, Driver

LONG = replace(SMALL, epochs=1_000_000)
PACED = {"epochs_per_second": 300.0}


def ended(driver: Driver) -> bool:
    """Wait for a worker that was told to end by somebody else."""
    return driver.client._process.wait(10) == 0


# Autosave.


def test_autosave_writes_one_file_anew_and_says_nothing(tmp_path):
    with Driver.train(LONG, autosave=0.0001, snapshot_dir=str(tmp_path), **PACED) as driver:
        path = tmp_path / f"ibtui-{driver.client.name}-autosave.npz"
        driver.until(lambda d: path.exists())
        first = files.load(path).checkpoint.epoch
        driver.until(lambda d: files.load(path).checkpoint.epoch > first)
        assert [p.name for p in tmp_path.glob("*.npz")] == [path.name]
        assert driver.notices == [] and driver.status.saved == (str(path),)
        driver.send(Restart(7))  # the next run gets a file of its own
        driver.until(lambda d: len(list(tmp_path.glob("*.npz"))) == 2)
        assert files.load(path).config.seed == 1
    assert resumes_exactly(path, 50)


def test_without_being_asked_for_there_is_no_autosave(tmp_path):
    with Driver.train(SMALL, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("finished")
        time.sleep(2.2)
        assert list(tmp_path.glob("*.npz")) == []


def test_an_autosave_that_fails_is_told_once_tried_again_and_told_when_it_works(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with Driver.train(LONG, autosave=0.0001, snapshot_dir=str(folder), **PACED) as driver:
        driver.until(lambda d: d.status.saves)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        driver.until(lambda d: d.notices)
        time.sleep(2.5)  # two more attempts
        driver.pull()
        assert len(driver.notices) == 1 and driver.notices[0].severity == "error"
        assert "No such file" in driver.notices[0].text and str(folder) in driver.notices[0].text
        folder.mkdir()
        driver.until(lambda d: list(folder.glob("*.npz")) and len(d.notices) == 2)
        assert driver.notices[1].severity == "information"
        epoch = driver.status.epoch
        driver.until(lambda d: d.status.epoch > epoch)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowDesk:
    """Writes at once, and it takes a while."""

    pending, binning = 0, Binning()

    def __init__(self, clock: Clock, takes: float) -> None:
        self.clock, self.takes, self.written = clock, takes, []

    def save(self, job) -> None:
        self.clock.now += self.takes
        job.do()
        self.written.append(self.clock.now)


def test_an_autosave_costs_no_more_than_a_twentieth_of_the_time(tmp_path, monkeypatch):
    clock = Clock()
    session = RunState(WatchOptions(autosave=1.0, snapshot_dir=str(tmp_path)), LogFile(-1))
    session.recording = uninterrupted_small()
    session.update(run=0, epoch=10**6, state="running")
    keeper = Keeper(session, "run-1", clock)
    session.desk = SlowDesk(clock, 0.0)  # type: ignore[assignment]

    def slowly(*_: object, **__: object) -> Path:
        clock.now += 30
        return tmp_path / "x.npz"

    monkeypatch.setattr(files, "save_new", slowly)
    monkeypatch.setattr(files, "save", slowly)
    while clock.now < 4000:
        clock.now += 1
        keeper.tick()
    written = session.desk.written
    assert np.diff(written).min() >= 600 and len(written) >= 5


def uninterrupted_small(config=SMALL):
    from ibtui.run.trainer import Trainer

    trainer = Trainer(config, 1 << 28)
    trainer.train(config.epochs)
    return trainer.recording


def test_what_the_log_says_to_be_saved_is_known_to_be(tmp_path, monkeypatch):
    session, told = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1)), []
    session.recording = uninterrupted_small()
    session.update(run=0, epoch=60, state="finished")
    keeper = Keeper(session, "run-1")
    session.desk = SlowDesk(Clock(), 0.0)  # type: ignore[assignment]
    monkeypatch.setattr(
        "builtins.print", lambda text, **_: told.append((text, session.unsaved, session._noted))
    )
    keeper.save(Save())
    monkeypatch.undo()
    assert told == [(f"saved {session.status.saved[0]}", False, 1)]


def test_an_epoch_that_is_told_beyond_what_a_file_holds_is_told_to_be_unsaved(tmp_path):
    session, _, source = training_source(tmp_path)
    source._trainer.train(10)
    session.update(epoch=10)
    session.kept(tmp_path / "x.npz", 0, 10)
    assert not session.frame(Pull()).status.unsaved
    source._trainer.train(5)  # a stretch that is not over
    told = session.frame(Pull()).status
    assert (told.epoch, told.unsaved) == (15, True)


# Detached runs.


def test_a_detached_run_that_has_finished_saves_itself_once(tmp_path):
    driver = Driver.train(SMALL, detach=True, snapshot_dir=str(tmp_path))
    driver.until_state("finished")
    driver.until(lambda d: d.status.saved)
    time.sleep(2.2)
    driver.pull()
    (path,) = tmp_path.glob("*.npz")
    assert driver.status.saved == (str(path),) and not driver.status.unsaved
    assert equal(files.load(path), uninterrupted(files.load(path), 60))
    driver.client.close()
    assert runs.stop_run(None) == 0
    assert ended(driver)
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_a_detached_run_that_cannot_save_itself_tries_again(tmp_path, monkeypatch):
    clock = Clock()
    session = RunState(WatchOptions(detach=True, snapshot_dir=str(tmp_path / "gone")), LogFile(-1))
    session.recording = uninterrupted_small()
    session.update(run=0, epoch=60, state="finished")
    keeper = Keeper(session, "run-1", clock)
    session.desk = SlowDesk(clock, 0.0)  # type: ignore[assignment]
    for _ in range(200):
        clock.now += 1
        keeper.tick()
    assert len(session.desk.written) == 4 and session._noted == 1
    (tmp_path / "gone").mkdir()
    for _ in range(200):
        clock.now += 1
        keeper.tick()
    assert len(list((tmp_path / "gone").glob("*.npz"))) == 1 and not session.unsaved


@pytest.mark.parametrize("attached", [False, True])
def test_a_detached_run_is_not_given_up_when_a_connection_breaks(tmp_path, monkeypatch, attached):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    epoch = driver.until(lambda d: d.status.epoch > 3).status.epoch
    screen = Driver(WorkerClient(name=driver.client.name)) if attached else driver
    screen.until(lambda d: d.status is not None and d.status.epoch > epoch)
    rows = len(screen.recording)
    monkeypatch.setattr(clients, "BROKEN_S", 0.0)
    places.hang_up(screen.client._connection)
    screen.until(lambda d: len(d.recording) > rows)
    assert screen.lost is None and screen.client.goes_on
    monkeypatch.setattr(clients, "BROKEN_S", 60.0)
    places.hang_up(screen.client._connection)
    assert screen.pull() is None
    assert screen.lost.reason.endswith(f"the run goes on: ibtui attach {driver.client.name}")
    assert driver.client._process.poll() is None
    driver.client._process.kill()
    driver.client._process.wait()
    if attached:  # the other screen, which has not asked since
        assert driver.pull() is None
        assert "SIGKILL" in driver.lost.reason
    driver.client.close()
    driver.client.wait()


def break_over(command, monkeypatch, taken=True) -> None:
    """The connection breaks at this command, once: before the worker has got it, or before it has said so."""
    monkeypatch.setattr(clients, "BROKEN_S", 0.0)
    ask, broken = WorkerClient._ask, []

    def breaking(self, request):
        if request != command or broken:
            return ask(self, request)
        broken.append(request)
        if taken:
            ask(self, request)
        self._connection.close()
        raise OSError("broken")

    monkeypatch.setattr(WorkerClient, "_ask", breaking)


@pytest.mark.parametrize(
    ("command", "done", "doubt"),
    [
        (Step(2), (2, 0, 1), "the step was made"),
        (Restart(), (0, 1, 1), "the run was restarted"),
        (Save(), (0, 0, 2), "a snapshot was written"),
        (Detach(), (0, 0, 1), None),
    ],
    ids=str,
)
def test_a_command_whose_answer_did_not_come_is_not_carried_out_twice(
    tmp_path, monkeypatch, command, done, doubt
):
    break_over(command, monkeypatch)
    with Driver.train(LONG, detach=True, paused=True, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("paused")
        driver.send(command)
        driver.until(lambda d: (d.status.epoch, d.status.run) == done[:2] and d.status.state == "paused")
        driver.send(Save(str(tmp_path), 9))
        driver.until(lambda d: dict(d.status.settled).get(9) == "")
        assert (driver.status.epoch, driver.status.run, driver.status.saves) == done
        told = [notice.text for notice in driver.notices if "broke" in notice.text]
        assert told == ([f"the connection broke: whether {doubt} is not known"] if doubt else [])


@pytest.mark.parametrize("taken", [True, False])
def test_who_waits_for_a_file_is_answered_also_where_the_connection_broke(tmp_path, monkeypatch, taken):
    break_over(Save(), monkeypatch, taken)
    with Driver.train(LONG, detach=True, paused=True, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("paused")
        driver.send(Save(None, 7))
        driver.until(lambda d: 7 in dict(d.status.settled))
        doubt = "the connection broke: whether a snapshot was written is not known"
        assert dict(driver.status.settled)[7] in ((doubt, "") if taken else (doubt,))
        driver.until(lambda d: d.status.saves == taken)


def test_the_runtime_folder_may_be_removed_under_a_detached_run(tmp_path):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until_state("running")
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
    assert ended(driver)
    assert [path.suffix for path in places.folder().iterdir()] == [".log"]


def test_a_last_save_goes_elsewhere_where_the_folder_has_gone(tmp_path, monkeypatch):
    home, folder = tmp_path / "home", tmp_path / "gone"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    driver = Driver.train(LONG, snapshot_dir=str(folder), **PACED)
    driver.until(lambda d: d.status.epoch > 20)
    folder.rmdir()
    driver.stop(save=True)
    (path,) = home.glob("*.npz")
    assert files.load(path).checkpoint.epoch > 20


def test_a_save_just_before_the_end_is_written_also_while_estimates_are_made(tmp_path):
    config = replace(SMALL, epochs=3000, every=1, samples=2000)
    driver = Driver.train(config, snapshot_dir=str(tmp_path))
    driver.until(lambda d: d.recording is not None and len(d.recording) > 300)
    driver.send(Pause())
    driver.send(Rebin(Binning("adaptive", 9, 200)))
    driver.send(Save())
    assert driver.stop() < 2
    (path,) = tmp_path.glob("*.npz")
    assert len(files.load(path)) > 300
    assert list(tmp_path.glob(f".*{files.TEMPORARY}")) == []


def training_source(tmp_path, config=LONG, **options):
    """A source in this process, and who keeps what it has."""
    session = RunState(WatchOptions(snapshot_dir=str(tmp_path), **options), LogFile(-1))
    keeper = Keeper(session, "run-1-here")
    source = TrainingSource(session, keeper, Job("run-1-here", config, session.options))
    source.prepare()
    return session, keeper, source


def test_the_last_save_never_waits_for_a_command_that_the_source_has_taken(tmp_path):
    session, keeper, _ = training_source(tmp_path, paused=True)

    class TakenMeanwhile(queue.Queue):
        def empty(self) -> bool:
            return False

    session.commands = TakenMeanwhile()
    last = threading.Thread(target=keeper.finish, args=(True,), daemon=True)
    last.start()
    last.join(20)
    assert not last.is_alive() and len(list(tmp_path.glob("*.npz"))) == 1


def test_a_save_that_the_source_has_just_taken_as_it_all_ends_is_written(tmp_path, monkeypatch):
    session, keeper, source = training_source(tmp_path, paused=True)
    taken, over = threading.Event(), threading.Event()
    checkpoint = source._checkpoint
    monkeypatch.setattr(source, "_checkpoint", lambda: (taken.set(), over.wait(20), checkpoint())[-1])
    session.obey(Save())
    session.obey(Stop())
    serving = threading.Thread(target=source.serve, daemon=True)
    serving.start()
    assert taken.wait(20)
    keeper.finish(False)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    over.set()
    serving.join(20)


def test_a_stop_whose_answer_nobody_awaits_is_carried_out(tmp_path):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until_state("running")
    driver.client.close()
    connection = clients.greeted(driver.client.name)
    driver.client._process.send_signal(signal.SIGSTOP)
    connection.send(Stop(save=False))
    connection.close()
    driver.client._process.send_signal(signal.SIGCONT)
    assert driver.client._process.wait(5) == 0


def test_what_a_killed_worker_left_in_the_snapshot_folder_is_removed(tmp_path):
    files.save(uninterrupted_small(), "run.npz")
    dies = "import os; from ibtui.recording import files; os.fsync = lambda _: os._exit(9); "
    for name in ("ibtui-1-epoch2.npz", "mine.npz"):
        line = dies + f"files.save(files.load('run.npz'), {name!r})"
        assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 9
    left, other = sorted(Path().glob(f".*{files.TEMPORARY}"))
    with Driver.train(SMALL, snapshot_dir=str(tmp_path)) as driver:
        driver.until(lambda d: not left.exists())
    assert other.exists() and "mine" in other.name


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


def test_a_worker_that_starts_is_never_taken_for_a_dead_one(monkeypatch):
    """Whatever `ls` finds under the name of a socket listens already."""
    seen = []
    listen = socket.socket.listen

    def late(self: socket.socket, *queue: int) -> None:
        seen.append(runs.running())
        listen(self, *queue)

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "listen", late)
        listener = places.listen("run-1-new")
    assert seen == [[]] and places.socket_path("run-1-new").exists()
    places.connect("run-1-new").close()
    listener.close()


def test_a_worker_that_does_not_answer_is_listed_and_cannot_be_stopped(monkeypatch, capsys):
    monkeypatch.setattr(clients, "GREETING_S", 0.03)
    monkeypatch.setattr(places, "CONNECT_S", 0.03)
    driver = Driver.train(LONG, detach=True)
    driver.until_state("running")
    pid = driver.client._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(70):  # also where it has no room for more that knock
            (run,) = runs.running()
            assert run.status is None
        runs.list_runs()
        assert "does not answer" in capsys.readouterr().out
        with pytest.raises(IbtuiError, match="does not answer"):
            runs.stop_run(None)
    finally:
        os.kill(pid, signal.SIGCONT)
    driver.client.close()
    monkeypatch.setattr(clients, "GREETING_S", 5.0)
    monkeypatch.setattr(places, "CONNECT_S", 5.0)
    assert runs.stop_run(None) == 0
    assert ended(driver)


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
            late = "no such run" in err and status == 2
            assert (status == 0 and "stopped" in out and not err) or late, told
        assert any(status == 0 for *_, status in told)
        assert ended(driver)
    assert len(list(tmp_path.glob("*.npz"))) == 3


def test_a_run_that_somebody_else_has_just_stopped_is_stopped(monkeypatch, capsys):
    monkeypatch.setattr(runs, "find", lambda name: name)
    places.log_path("run-1-gone").write_text("saved /a/b.npz\nended\n")
    assert runs.stop_run("run-1-gone") == 0
    assert capsys.readouterr().out == "stopped run-1-gone; saved /a/b.npz\n"
    places.clear("run-1-gone")  # as its own screen does
    with pytest.raises(UsageError, match="run-1-gone: no such run"):
        runs.stop_run("run-1-gone")
    stale_socket("run-1-dead")
    with pytest.raises(IbtuiError, match="run-1-dead: died"):
        runs.stop_run("run-1-dead")


def test_a_run_that_dies_over_its_last_save_is_not_stopped_whoever_clears_it_away(tmp_path, monkeypatch):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED)
    driver.until(lambda d: d.status.epoch > 3)
    driver.client.close()
    wait = runs._wait_for_the_end

    def killed(name: str) -> None:
        driver.client._process.kill()
        driver.client._process.wait()
        assert runs.running() == []  # `ibtui ls` in another terminal
        wait(name)

    monkeypatch.setattr(runs, "Stop", lambda save: Peek())
    monkeypatch.setattr(runs, "_wait_for_the_end", killed)
    with pytest.raises(IbtuiError, match="died while it was told to stop"):
        runs.stop_run(None)
    assert list(tmp_path.glob("*.npz")) == [] and list(places.folder().iterdir()) == []


@pytest.mark.parametrize("trouble", ["", "not saved: /there: No space left on device"])
def test_stop_goes_by_what_was_written_after_it_looked(tmp_path, monkeypatch, capsys, trouble):
    driver = Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), paused=True)
    driver.send(Save())
    driver.until(lambda d: d.status.saves and d.status.state == "paused")
    (before,) = tmp_path.glob("*.npz")
    peek, wait = runs._peek, runs._wait_for_the_end

    def then_trained(*asked):
        status = peek(*asked)
        driver.send(Step())
        driver.until(lambda d: d.status.epoch == 1 and d.status.unsaved)
        return status

    def then_ended(name: str) -> None:
        wait(name)
        with open(places.log_path(name), "a") as file:
            print(trouble, file=file)

    name = driver.client.name
    monkeypatch.setattr(runs, "find", lambda _: name)
    monkeypatch.setattr(runs, "_peek", then_trained)
    monkeypatch.setattr(runs, "_wait_for_the_end", then_ended)
    if trouble:
        with pytest.raises(IbtuiError, match=f"stopped {name} at epoch 0; {trouble}"):
            runs.stop_run(name)
    else:
        assert runs.stop_run(name) == 0
        (after,) = set(tmp_path.glob("*.npz")) - {before}
        assert capsys.readouterr().out == f"stopped {name} at epoch 0; saved {after}\n"
    driver.client.close()
    assert ended(driver)


def test_a_worker_says_that_it_has_ended_only_where_it_has_done_so_in_order(tmp_path, monkeypatch, capsys):
    class Left(BaseException):
        pass

    def leave(status: int) -> None:
        raise Left

    monkeypatch.setattr(os, "_exit", leave)
    for status, save, said in ((0, None, "ended\n"), (1, None, ""), (0, ZeroDivisionError, "")):
        session = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
        keeper = Keeper(session, "run-1-z")
        worker = process.Worker(session, keeper, "run-1-z")
        if save is not None:
            monkeypatch.setattr(keeper, "finish", lambda _, error=save: (_ for _ in ()).throw(error))
        with pytest.raises(Left):
            worker.leave(status)
        worker.server.close()
        assert capsys.readouterr().out == said


def test_a_worker_that_ends_at_once_is_no_run_that_was_started(monkeypatch):
    monkeypatch.setattr(clients, "_MAIN", "import sys; sys.exit('no such device: {}')")
    client = WorkerClient(new_job(SMALL, WatchOptions(detach=True)))
    with Signals() as signals, pytest.raises(IbtuiError, match=r"exit status 1: no such device"):
        client.spawn(signals)
    assert client._process.wait(5) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_whose_name_nobody_was_told_is_told_to_end(monkeypatch, capsys, number):
    spawn, started = clients._spawn, []

    def interrupted(job):
        process = spawn(job)
        started.append(process)
        signal.raise_signal(number)  # in the midst of it: there is a process, and nobody knows it yet
        return process

    monkeypatch.setattr(clients, "_spawn", interrupted)
    assert main(["--detach", "--engine", "fused", "--ctx", "cpu"]) == 128 + number
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"ibtui: interrupted; run-\S+ was told to end\n", err)
    (process,) = started
    assert process.wait(60) in (0, -signal.SIGTERM) and runs.running() == []


def test_a_run_that_is_interrupted_while_it_is_waited_for_is_told_to_end(monkeypatch):
    client = WorkerClient(new_job(LONG, WatchOptions(detach=True)))
    monkeypatch.setattr(clients, "greeted", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted), Signals() as signals:
        client.spawn(signals)
    assert client._process.wait(60) in (0, -signal.SIGTERM)


def test_a_run_that_does_not_answer_is_told_to_end(monkeypatch):
    def silent(name: str):
        raise TimeoutError(f"{name} does not answer")

    client = WorkerClient(new_job(LONG, WatchOptions(detach=True)))
    monkeypatch.setattr(clients, "greeted", silent)
    monkeypatch.setattr(clients, "START_S", 0.0)
    with Signals() as signals, pytest.raises(IbtuiError, match=f"{client.name} does not answer"):
        client.spawn(signals)
    assert client._process.wait(60) in (0, -signal.SIGTERM)


def test_screens_are_let_in_while_a_slow_folder_is_cleaned(monkeypatch, tmp_path):
    session = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
    worker = process.Worker(session, Keeper(session, "run-1-c"), "run-1-c")
    cleaned = threading.Event()
    monkeypatch.setattr(server, "clean_folder", lambda *_: cleaned.wait(20))
    threading.Thread(target=worker.server.run, daemon=True).start()
    clients.greeted("run-1-c").close()
    cleaned.set()
    session.ended.set()
    worker.server.close()


def test_a_worker_that_is_slow_to_greet_is_waited_for_while_it_lives(monkeypatch, tmp_path):
    greeted, tries = clients.greeted, []

    def slow(name: str):
        connection = greeted(name)
        tries.append(name)
        if len(tries) > 2:
            return connection
        connection.close()
        raise TimeoutError(f"{name} does not answer")

    monkeypatch.setattr(clients, "greeted", slow)
    with Driver.train(SMALL, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("finished")
    assert len(tries) == 3


def test_a_worker_to_which_no_screen_comes_ends_however_often_it_is_listed(monkeypatch, tmp_path):
    session = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
    worker = process.Worker(session, Keeper(session, "run-1-x"), "run-1-x")
    monkeypatch.setattr(server, "FIRST_SCREEN_S", 1.5)
    ended = threading.Event()
    monkeypatch.setattr(worker.server, "_end", lambda save: ended.set())
    threading.Thread(target=worker.server.run, daemon=True).start()
    began = time.monotonic()
    while not ended.wait(0.05):
        assert time.monotonic() - began < 10
        runs.running()
    session.ended.set()  # the thread goes on, and must not listen in another test's folder
    worker.server.close()


# What does not grow.


def test_a_line_that_is_written_while_the_log_is_cut_is_there_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "MOST_BYTES", 4000)
    with open(tmp_path / "log", "a+b") as file:
        output, truncate = Output(file.fileno()), os.ftruncate
        output.write("a line like many others\n" * 200)
        writer = threading.Thread(target=output.write, args=("saved /a/b.npz\n",))

        def meanwhile(handle: int, size: int) -> None:
            writer.start()
            writer.join(0.2)  # it writes now, or waits
            truncate(handle, size)

        monkeypatch.setattr(os, "ftruncate", meanwhile)
        LogFile(file.fileno()).cut()
        writer.join()
    assert (tmp_path / "log").read_text().endswith("others\nsaved /a/b.npz\n")


def test_a_log_is_cut_and_its_places_stay_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "MOST_BYTES", 4000)
    with open(tmp_path / "log", "a+b") as file:
        output = LogFile(file.fileno())
        seen, place = [], 0
        for number in range(5000):
            os.write(file.fileno(), f"line {number}\n".encode())
            if number % 7 == 0:
                lines, place = output.lines(place)
                seen += lines
                output.cut()
                assert os.fstat(file.fileno()).st_size < 4100
        seen += output.lines(place)[0]
    assert seen == [f"line {number}" for number in range(5000)]


def test_the_log_of_a_worker_that_talks_too_much_is_bounded(monkeypatch, tmp_path):
    talk = "[os.write(1, b'x' * 999 + b'\\n') for _ in range(30000)]"
    wordy = f"import os, threading; threading.Thread(target=lambda: {talk}, daemon=True).start(); "
    monkeypatch.setattr(clients, "_MAIN", wordy + clients._MAIN)
    with Driver.train(LONG, **PACED) as driver:
        path = places.log_path(driver.client.name)
        driver.until(lambda d: d.status.epoch > 100)
        wait_for(lambda: path.stat().st_size <= log.MOST_BYTES)
        assert len(driver.mirror.log) <= mirror.LOG_LINES
        driver.send(Step(1))
        driver.until_state("paused")


def test_a_run_is_never_shown_to_have_come_less_far_than_its_measurements():
    session, recording = RunState(WatchOptions(), LogFile(-1)), example(0, resumable=False)
    session.begin(recording, source="training", epoch=0)
    assert session.frame(Pull()).status.epoch == 0
    recording.append(measurement(recording.config, 30, 8))  # in the middle of a stretch of epochs
    assert session.frame(Pull()).status.epoch == 30
    assert session.frame(Pull(run=0, tick=recording.tick)).status.epoch == 30
    session.update(epoch=37)
    assert session.frame(Pull(run=0, tick=recording.tick)).status.epoch == 37


def test_notices_are_bounded_and_each_is_told_once():
    session = RunState(WatchOptions(), LogFile(-1))
    for number in range(1000):
        session.note(f"{number}")
    assert len(session._notices) <= 100
    first = session.frame(Pull())
    assert [n.text for n in first.notices] == [str(n) for n in range(995, 1000)]
    session.note("news")
    assert session.frame(Pull(run=0, notice=first.notice_end)).notices == (Notice("news"),)
    assert session.frame(Pull(run=0, notice=1001)).notices == ()
    assert len(session.frame(Pull(run=0, notice=3)).notices) == 100
    for number in range(2000):
        session.kept(Path(f"{number}.npz"), 0, number)
    assert len(session.status.saved) == 1000 and session.status.saves == 2000


# Commands at bad moments.


def test_a_binning_asked_for_before_the_worker_is_ready_or_as_it_restarts_is_not_lost():
    with Driver.train(SMALL) as driver:
        driver.send(Rebin(Binning("closed", 3, 7)))
        driver.until(
            lambda d: d.status.state == "finished" and d.recording.binning == Binning("closed", 3, 7)
        )
        for bins in range(20, 26):
            driver.send(Rebin(Binning("adaptive", 3, bins)))
            driver.send(Restart())
        driver.until(
            lambda d: d.status.run == 6 and d.status.state == "finished" and not d.status.pending
        ).pull()
        assert driver.recording.binning == driver.status.binning == Binning("adaptive", 3, 25)


def test_a_binning_that_the_old_run_had_not_taken_yet_is_the_new_runs():
    old, new, wanted = uninterrupted_small(), uninterrupted_small(), Binning("closed", 2, 9)
    desk = Desk(old, lambda: None)
    desk.rebin(wanted)
    desk.take(new)
    desk.start()
    assert desk.settle(10)
    assert desk.binning == new.binning == wanted != old.binning


def test_estimates_of_an_old_run_are_never_a_new_ones():
    wanted = Binning("closed", 2, 9)
    config = replace(SMALL, binning="closed", x_bins=2, t_bins=9, epochs=5)
    old, new = uninterrupted_small(), uninterrupted_small(config)
    before = {name: new.column(name).copy() for name in new.names}
    desk = Desk(old, lambda: None)
    desk.rebin(wanted)
    desk._next()()
    work = desk._next()  # a restart comes just as estimates are to be made
    desk.take(new)
    work()
    assert len(old.pending()) == 0
    assert all(new.column(name).tobytes() == value.tobytes() for name, value in before.items())


def test_a_binning_that_cannot_be_is_told_and_the_last_one_stays():
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")
        before = driver.status.binning
        driver.send(Rebin(Binning("closed", 4, 10**8)))
        driver.until(lambda d: d.notices and d.status.binning == before and not d.status.pending)
        driver.send(Rebin(Binning("closed", 4, 9)))
        driver.until(lambda d: d.recording.binning.t_bins == 9 and not d.status.pending)


def test_saving_works_also_when_training_has_broken_off(tmp_path, monkeypatch):
    session = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
    worker = process.Worker(session, Keeper(session, "run-1-y"), "run-1-y")
    session.begin(uninterrupted_small(), epoch=60, state="failed")
    session.commands.put(Save())
    session.commands.put(Stop())
    worker.wait_to_be_told()
    wait_for(lambda: session.status.saves)
    worker.server.close()
    assert len(list(tmp_path.glob("*.npz"))) == 1


@pytest.mark.parametrize("name", ["queue", "token", "numpy", "select"])
def test_a_users_own_file_is_not_taken_for_a_library(name):
    Path(f"{name}.py").write_text("raise SystemExit('the wrong file')")
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize(("lr", "sigma"), [(1e6, 1e6), (1e6, 1.0), (1e-6, 1e6)])
def test_numbers_that_go_wrong_are_measured_rebinned_saved_and_gone_on_with(tmp_path, activation, lr, sigma):
    config = replace(SMALL, layers=(8, 3, 2), lr=lr, init_sigma=sigma, activation=activation)
    with Driver.train(config, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("finished")
        driver.send(Rebin(Binning("adaptive", 4, 10)))
        driver.until(lambda d: d.recording.binning.kind == "adaptive" and not d.status.pending)
        driver.until(lambda d: d.mirror.look is not None and d.mirror.look.row == 1, row=1)
        driver.send(Save())
        driver.until(lambda d: d.status.saved)
        assert driver.status.state == "finished"
        assert [n.severity for n in driver.notices] == ["information"]
        assert not any("Traceback" in line for line in driver.log)
    (path,) = tmp_path.glob("*.npz")
    assert resumes_exactly(path, 13)


def test_going_on_and_off_loses_nothing_of_a_pause():
    with Driver.train(LONG, epochs_per_second=1000.0) as driver:
        driver.until_state("running")
        for _ in range(50):
            driver.send(Pause())
            driver.send(Resume())
        driver.send(Pause())
        driver.send(Detach())
        driver.until(lambda d: d.status.state == "paused" and d.status.detached)
        driver.client.detached = False


def test_a_snapshot_can_go_to_a_folder_or_a_file_and_who_asked_is_told_of_it(tmp_path):
    with Driver.train(SMALL, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("finished")
        there = tmp_path / "there"
        there.mkdir()
        driver.send(Save())  # nobody waits for this one
        for ticket, place in enumerate((there, tmp_path / "run.npz", tmp_path / "missing" / "run.npz"), 7):
            driver.send(Save(str(place), ticket))
        driver.send(Save(str(tmp_path / "run.npz"), 10))  # never overwritten
        driver.send(Save(str(tmp_path / "not-mounted"), 11))  # a folder that is not there
        driver.until(lambda d: len(d.status.settled) == 5)
        told = dict(driver.status.settled)
        assert (told[7], told[8]) == ("", "")
        assert told[9] == f"not saved: {tmp_path}/missing/run.npz: No such file or directory"
        assert "File exists" in told[10] and "no such folder" in told[11]
        (inside,) = there.glob("*.npz")
        assert {str(inside), str(tmp_path / "run.npz")} < set(driver.status.saved)
        assert equal(files.load(inside), files.load(tmp_path / "run.npz"))
        assert not (tmp_path / "not-mounted").exists()


def test_a_save_that_is_waited_for_is_known_among_others(tmp_path):
    session = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
    for ticket in range(1, 40):
        session.settle(ticket, "trouble" if ticket % 2 else "")
        session.settle(0)
    assert dict(session.status.settled) == {t: "trouble" if t % 2 else "" for t in range(30, 40)}


def test_a_worker_that_is_told_to_end_by_somebody_else_is_no_death(tmp_path):
    for end in (lambda d: os.kill(d.client._process.pid, signal.SIGTERM), lambda d: runs.stop_run(None)):
        driver = Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED)
        driver.until_state("running")
        end(driver)
        while driver.lost is None:
            driver.pull()
        (path,) = tmp_path.glob("*.npz")
        assert driver.lost.reason == "the worker was told to end"
        assert driver.lost.saved == (str(path),)
        driver.client.close()
        driver.client.wait()
        path.unlink()


def test_a_worker_that_died_after_a_save_has_not_ended_in_order(tmp_path):
    with Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED) as driver:
        driver.until_state("running")
        driver.send(Save())
        driver.until(lambda d: d.status.saves)
        os.kill(driver.client._process.pid, signal.SIGKILL)
        while driver.lost is None:
            driver.pull()
        assert driver.lost.saved is None
        driver.client.close()
        driver.client.wait()


@pytest.mark.parametrize("own", [True, False])
def test_a_worker_whose_log_is_gone_is_not_known_to_have_ended_in_order(tmp_path, own):
    with Driver.train(LONG, detach=True, snapshot_dir=str(tmp_path), **PACED) as driver:
        driver.until_state("running")
        worker = driver.client._process
        screen = driver if own else Driver(WorkerClient(name=driver.client.name))
        screen.pull()
        if own:  # as by `ibtui stop`, before we have read it
            places.log_path(driver.client.name).unlink()
            worker.terminate()
        else:  # as by `ibtui ls` once it has died
            worker.send_signal(signal.SIGSTOP)
            places.clear(driver.client.name)
            worker.kill()
        while screen.lost is None:
            screen.pull()
        assert screen.lost.saved is None and screen.client.lost is screen.lost
        worker.wait(10)
        driver.client.close()
        driver.client.wait()
        driver.lost = screen.lost
    assert len(list(tmp_path.glob("*.npz"))) == own


@pytest.mark.parametrize(
    ("lines", "in_order"),
    [
        (["ended"], True), (["saved a.npz", "ended"], True), (["not saved: /a: full", "ended"], False),
        (["not saved: /a: full", "saved /b.npz", "ended"], True), (["saved a.npz"], False), ([], False),
        (["ended", "Traceback"], False),
    ],
    ids=str,
)  # fmt: skip
def test_only_a_worker_that_says_so_at_last_has_ended_in_order(lines, in_order):
    assert clients._in_order(lines) == in_order


@pytest.mark.parametrize(
    ("status", "last", "saved"),
    [
        (0, "ended", True), (0, "Traceback", False), (-9, "saved a.npz", False),
        (1, "saved a.npz", True), (1, "not saved: /a: full", False), (1, None, False),
    ],
)  # fmt: skip
def test_a_run_that_failed_says_by_its_last_file_that_it_saved_what_it_was_to(status, last, saved):
    client = WorkerClient(new_job(LONG, WatchOptions()))
    client._process = SimpleNamespace(returncode=status, wait=lambda _: status, poll=lambda: status)
    client.send(Stop(save=True))
    if last is not None:
        places.log_path(client.name).write_text(f"{last}\n")
    client.wait()
    assert client.failed != saved


def test_a_snapshot_that_is_being_written_is_not_cut_off_by_quitting(tmp_path, monkeypatch):
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        "import os, time\nfsync = os.fsync\n"
        "def slowly(fd):\n    time.sleep(2.5)\n    fsync(fd)\nos.fsync = slowly\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{slow}{os.pathsep}{os.environ['PYTHONPATH']}")
    driver = Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED)
    driver.until_state("running")
    driver.send(Save())
    driver.pull()  # it has been taken
    driver.stop()
    assert len(list(tmp_path.glob("*.npz"))) == 1 and driver.client.saved
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(files.TEMPORARY)]


def test_what_a_worker_left_is_cleared_also_where_its_folder_has_become_unusable(monkeypatch):
    monkeypatch.setattr(places, "folder", lambda: (_ for _ in ()).throw(UsageError("not yours")))
    places.clear("run-1")


# What the screen's end makes of its worker.


def slow_to_open(monkeypatch, seconds: float = 0.5) -> None:
    """Workers take a while to open their door."""
    late = f"import time; time.sleep({seconds}); "
    monkeypatch.setattr(clients, "_MAIN", late + clients._MAIN)


def test_a_run_is_detached_also_where_its_screen_is_left_before_it_listens(tmp_path, monkeypatch):
    slow_to_open(monkeypatch)
    client = WorkerClient(new_job(LONG, WatchOptions(snapshot_dir=str(tmp_path))))
    client.start(lambda _: None)
    client.send(Detach())
    client.close()
    assert client.goes_on
    (run,) = runs.running()
    assert run.name == client.name and run.status.detached
    assert runs.stop_run(client.name) == 0
    assert client._process.wait(10) == 0


def test_a_run_that_could_not_be_told_to_go_on_is_not_said_to_and_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "END_S", 0.05)
    monkeypatch.setattr(clients, "TELL_S", 0.05)
    driver = Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED)
    driver.until(lambda d: d.status.epoch > 3)
    client = driver.client
    os.kill(client._process.pid, signal.SIGSTOP)
    client.send(Detach())
    client.close()
    assert not client.goes_on
    os.kill(client._process.pid, signal.SIGCONT)
    client.wait()
    (path,) = tmp_path.glob("*.npz")
    assert client.saved == (str(path),)


def test_a_screen_that_goes_as_it_comes_starts_no_worker():
    client = WorkerClient(new_job(LONG, WatchOptions()))
    client.send(Stop(save=True))
    client.close()  # by the thread that finds the line dropped
    client.start(lambda _: None)
    client.wait()
    assert client._process is None and not list(places.folder().iterdir())


def test_a_worker_that_is_being_started_as_its_screen_goes_ends_with_it(monkeypatch):
    starting, spawn = threading.Event(), clients._spawn

    def slowly(job):
        starting.set()
        client._closing.wait(0.3)  # it waits for us
        return spawn(job)

    monkeypatch.setattr(clients, "_spawn", slowly)
    client = WorkerClient(new_job(LONG, WatchOptions()))
    thread = threading.Thread(target=client.start, args=(lambda _: None,))
    thread.start()
    assert starting.wait(10)
    client.send(Stop(save=False))
    client.close()
    thread.join()
    assert client._process.wait(10) is not None
    client.wait()
