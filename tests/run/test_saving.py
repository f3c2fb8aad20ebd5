"""A worker saves, asked and unasked, so that nothing is lost."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.recording import Checkpoint, files
from ibtui.run import ended, places, runs
from ibtui.run import worker as process
from ibtui.run.ended import Ended
from ibtui.run.estimating import FileJob
from ibtui.run.job import Job
from ibtui.run.log import LogFile
from ibtui.run.protocol import Pause, Pull, Rebin, Restart, Save, Stop
from ibtui.run.saver import Saver
from ibtui.run.state import RunState
from ibtui.run.trainer import Trainer
from ibtui.run.training import Training
from ibtui.run.worker_saver import WorkerSaver
from tests.faults.boxes import equal, resumes_exactly, temporaries, uninterrupted, wait_for
from tests.marks import slow, slow_sets
from tests.pythons import SLOW_DISK, run_first
from tests.run.driver import LONG, LONG_S, PACED, SMALL, Driver, finished
from tests.system import full_disk, system


@pytest.mark.slow
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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Background:
    """In the place of the history's thread: writes at once."""

    pending, binning = 0, Binning()

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock, self.written = clock or Clock(), []

    def write(self, job: FileJob) -> None:
        job.do()
        self.written.append(self.clock.now)


def run_state(folder, clock: Clock | None = None, autosave: float | None = None, **status) -> RunState:
    """The state of a worker that has trained a small run, without a thread for its history."""
    state = RunState(WatchOptions(snapshot_dir=str(folder), autosave=autosave), LogFile(-1))
    state.recording = finished()
    state.saver = Saver(60 * (autosave or 0), clock or Clock())
    state.history = Background(clock)  # type: ignore[assignment]
    state.update(**{"run": 0, "epoch": 60, "state": "finished", "trains": True} | status)
    return state


def seconds(clock: Clock, until: float, saver: WorkerSaver) -> None:
    """Let time pass, as the worker sees it."""
    while clock.now < until:
        clock.now += 1
        saver.tick()


@pytest.mark.parametrize("state", ["running", "finished"])
def test_without_being_asked_for_there_is_no_autosave(tmp_path, state):
    clock = Clock()
    seconds(clock, 10_000, WorkerSaver(run_state(tmp_path, clock, state=state), "run-1"))
    assert list(tmp_path.glob("*.npz")) == []


def test_an_autosave_that_fails_is_told_once_tried_again_and_told_when_it_works(tmp_path):
    clock, folder = Clock(), tmp_path / "gone"
    folder.mkdir()
    state = run_state(folder, clock, autosave=1.0, epoch=10**6, state="running")
    saver = WorkerSaver(state, "run-1")
    seconds(clock, 100, saver)
    assert len(state.history.written) == 1 and state.notices.count == 0
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    seconds(clock, 300, saver)
    assert len(state.history.written) == 5
    (told,) = state.notices.since(0, 10)
    assert told.severity == "error" and "No such file" in told.text and str(folder) in told.text
    folder.mkdir()
    seconds(clock, 500, saver)
    assert len(list(folder.glob("*.npz"))) == 1
    assert [notice.severity for notice in state.notices.since(0, 10)] == ["error", "information"]


class SlowDisk(Clock):
    """A clock that files take half a minute of."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, set()

    def __call__(self) -> float:
        there = {path.stat().st_ino for path in self._folder.glob("*.npz")}
        self.now += 30 * len(there - self._seen)
        self._seen = there
        return self.now


def test_an_autosave_costs_no_more_than_a_twentieth_of_the_time(tmp_path):
    clock = SlowDisk(tmp_path)
    state = run_state(tmp_path, clock, autosave=1.0, epoch=10**6, state="running")
    seconds(clock, 4000, WorkerSaver(state, "run-1"))
    written = state.history.written
    assert np.diff(written).min() >= 600 and len(written) >= 5


def test_who_is_told_of_a_file_knows_already_that_it_is_saved(tmp_path):
    state, told = run_state(tmp_path), []

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            if text.strip():
                told.append((text, state.unsaved, state.notices.count))
            return len(text)

    with contextlib.redirect_stdout(Log()):
        WorkerSaver(state, "run-1").save(Save())
    assert told == [(f"saved {state.where().saved[0]}", False, 1)]


def test_an_epoch_that_is_told_beyond_what_a_file_holds_is_told_to_be_unsaved():
    state, trainer = RunState(WatchOptions(), LogFile(-1)), Trainer(LONG, 1 << 28)
    trainer.train(10)
    state.begin(trainer.recording, trains=True, epoch=10)
    state.saver.hold(0, 10)
    assert not state.frame(Pull()).status.unsaved
    trainer.train(5)  # a stretch that is not over
    told = state.frame(Pull()).status
    assert (told.epoch, told.unsaved) == (15, True)


@pytest.mark.slow
def test_a_detached_run_that_has_finished_saves_itself_once(tmp_path, capsys):
    driver = Driver.train(SMALL, detach=True, snapshot_dir=str(tmp_path))
    driver.until_state("finished")
    driver.until(lambda d: d.status.saved)
    (path,) = tmp_path.glob("*.npz")
    assert driver.status.saved == (str(path),) and not driver.status.unsaved
    assert equal(files.load(path), uninterrupted(files.load(path), 60))
    driver.client.close()
    assert runs.stop_run(None, yes=True) == 0
    name = driver.client.name
    assert capsys.readouterr().out == f"stopped {name} at epoch 60; had been saved: {path}\n"
    assert driver.worker.wait(LONG_S) == 0
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_a_detached_run_that_is_saved_is_not_saved_again(tmp_path):
    clock = Clock()
    state = run_state(tmp_path, clock, detached=True)
    seconds(clock, 1000, WorkerSaver(state, "run-1"))
    assert state.history.written == [1] and len(list(tmp_path.glob("*.npz"))) == 1


def test_a_detached_run_that_cannot_save_itself_tries_again(tmp_path):
    clock = Clock()
    state = run_state(tmp_path / "gone", clock, detached=True)
    saver = WorkerSaver(state, "run-1")
    seconds(clock, 200, saver)
    assert len(state.history.written) == 4 and state.notices.count == 1
    (tmp_path / "gone").mkdir()
    seconds(clock, 400, saver)
    assert len(list((tmp_path / "gone").glob("*.npz"))) == 1 and not state.unsaved


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
    driver.stop()
    assert driver.worker.returncode == 0
    (path,) = tmp_path.glob("*.npz")
    assert len(files.load(path)) > 300
    assert not temporaries(tmp_path)


def training_source(tmp_path, config=LONG, resume=None, **options):
    """A source in this process, its state and its saver; what it resumes was written for it alone."""
    state = RunState(WatchOptions(snapshot_dir=str(tmp_path), **options), LogFile(-1))
    saver = WorkerSaver(state, "run-1-here")
    job = Job("run-1-here", config, state.options, resume=resume, temporary=resume is not None)
    source = Training(state, saver, job)
    state.update(trains=source.trains, plays=source.plays)
    source.prepare()
    return state, saver, source


def test_the_last_save_never_waits_for_a_command_that_the_source_has_taken(tmp_path):
    handed = tmp_path / "handed" / "run.npz"
    handed.parent.mkdir()
    files.save(finished(), handed)
    state, saver, _ = training_source(tmp_path, resume=str(handed), paused=True)

    class TakenMeanwhile(queue.Queue):
        def empty(self) -> bool:
            return False

    state.commands = TakenMeanwhile()
    last = threading.Thread(target=saver.finish, args=(True,), daemon=True)
    last.start()
    last.join(20)
    assert not last.is_alive() and len(list(tmp_path.glob("*.npz"))) == 1


def test_a_save_that_the_source_has_just_taken_as_it_all_ends_is_written(tmp_path, monkeypatch):
    state, saver, source = training_source(tmp_path, paused=True)
    taken, over = threading.Event(), threading.Event()

    def checkpoint(trainer: Trainer, real=Trainer.checkpoint) -> Checkpoint:
        if state.commands.qsize() == 1:  # all but Stop
            taken.set()
            assert over.wait(20)
        return real(trainer)

    monkeypatch.setattr(Trainer, "checkpoint", checkpoint)
    state.obey(Save())
    state.obey(Stop())
    serving = threading.Thread(target=source.serve, daemon=True)
    serving.start()
    try:
        assert taken.wait(20)
        assert saver.finish(False) == ""
        assert len(list(tmp_path.glob("*.npz"))) == 1
    finally:
        over.set()
        serving.join(20)


def test_what_a_killed_worker_left_in_the_snapshot_folder_is_removed(tmp_path):
    files.save(finished(), "run.npz")
    dies = "import os; from ibtui.recording import files; os.fsync = lambda _: os._exit(9); "
    for name in ("ibtui-1-epoch2.npz", "mine.npz"):
        line = dies + f"files.save(files.load('run.npz'), {name!r})"
        assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 9
    left, other = sorted(Path().glob(f".*{files.TEMPORARY}"))
    with Driver.train(SMALL, snapshot_dir=str(tmp_path)) as driver:
        driver.until(lambda d: not left.exists())
    assert other.exists() and "mine" in other.name


class Left(BaseException):
    """In the place of the process's end."""


def end_of(
    state: RunState, status: int, *, save: bool = True, saver: type[WorkerSaver] = WorkerSaver
) -> Ended | None:
    """Have a worker leave, and read what it has written of its end."""

    def leave(status: int) -> None:
        raise Left(status)

    worker = process.Worker(state, saver(state, "run-1-z"), "run-1-z")
    worker.save_first = save
    with system(_exit=leave), pytest.raises(Left, match=str(status)):
        worker.leave(status)
    assert not places.socket_path("run-1-z").exists()
    written = ended.read("run-1-z")
    places.clear("run-1-z")
    return written


def begun(folder, **status) -> RunState:
    """The state of a worker that has trained a small run."""
    state = RunState(WatchOptions(snapshot_dir=str(folder)), LogFile(-1))
    state.begin(finished(), **{"epoch": 60, "state": "finished", "trains": True} | status)
    return state


def test_the_end_of_a_run_says_what_was_saved(tmp_path):
    end = end_of(begun(tmp_path), 0)
    (path,) = tmp_path.glob("*.npz")
    assert end == Ended(60, (str(path),))


def test_the_end_of_a_run_says_that_it_failed_and_where_it_was_saved_instead(tmp_path):
    state = begun(tmp_path / "gone", state="failed", message="MemoryError")
    end = end_of(state, 1)
    (path,) = Path(os.environ["HOME"]).glob("*.npz")
    assert end == Ended(60, (str(path),), "", "MemoryError", 1)


def test_the_end_of_a_run_says_why_nothing_was_saved(tmp_path):
    end = end_of(begun(tmp_path), 0, save=False)
    assert end == Ended(60, (), "it was not to be saved")

    with full_disk():
        end = end_of(begun(tmp_path), 0)
    assert end == Ended(60, (), f"{tmp_path}: File too large")
    assert list(tmp_path.glob("*.npz")) == []


def test_the_end_of_a_run_counts_epochs_that_were_measured_and_not_told_of_yet(tmp_path):
    end = end_of(begun(tmp_path, epoch=20, state="running"), 0)
    assert end is not None and end.epoch == 60


def test_a_worker_that_fails_over_its_last_save_does_not_say_that_it_was_saved(tmp_path):
    class Failing(WorkerSaver):
        def finish(self, save: bool) -> str:
            raise ZeroDivisionError("division by zero")

    end = end_of(begun(tmp_path), 0, saver=Failing)
    assert end == Ended(60, (), "ZeroDivisionError: division by zero")


def test_a_worker_that_cannot_write_its_end_ends(tmp_path):
    places.end_path("run-1-z").mkdir()  # in its place
    assert end_of(begun(tmp_path), 0) is None


@pytest.mark.parametrize("how", ["SIGTERM", *slow("busy", "failed", "died")])
def test_each_way_to_end_but_a_death_writes_it(tmp_path, monkeypatch, how):
    breaks = {"busy": "threading.Event().wait()", "failed": "1 / 0"}
    if how in breaks:
        code = "import threading; from ibtui.run.trainer import Trainer; real = Trainer.train\n"
        code += "Trainer.train = lambda trainer, n: real(trainer, n) if trainer.epoch < 20 else "
        run_first(monkeypatch, code + breaks[how])
    driver = Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED)
    driver.until_state("failed") if how == "failed" else driver.until_trained()
    worker = driver.worker
    worker.send_signal(signal.SIGKILL if how == "died" else signal.SIGTERM)
    status = worker.wait(10)
    end = ended.read(driver.client.name)
    files_written = tuple(map(str, tmp_path.glob("*.npz")))
    if how == "died":
        assert end is None
    else:
        error = "ZeroDivisionError: division by zero" if how == "failed" else ""
        assert (end.saved, end.unsaved, end.error, end.exit_status) == (files_written, "", error, status)
        assert len(files_written) == 1
    driver.client.close()
    driver.client.wait()
    assert not list(places.folder().iterdir())


def test_saving_works_also_when_training_has_broken_off(tmp_path):
    state = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
    worker = process.Worker(state, WorkerSaver(state, "run-1-y"), "run-1-y")
    state.begin(finished(), epoch=60, state="failed")
    state.commands.put(Save())
    state.commands.put(Stop())
    worker.wait_to_be_told()
    wait_for(lambda: state.where().saves)
    worker.server.close()
    assert len(list(tmp_path.glob("*.npz"))) == 1


@pytest.mark.parametrize("activation", ["tanh", *slow("relu", "sigmoid")])
@pytest.mark.parametrize(("lr", "sigma"), [(1e6, 1e6), *slow_sets((1e6, 1.0), (1e-6, 1e6))])
def test_numbers_that_go_wrong_are_measured_rebinned_saved_and_gone_on_with(tmp_path, activation, lr, sigma):
    config = replace(SMALL, layers=(8, 3, 2), lr=lr, init_sigma=sigma, activation=activation)
    with Driver.train(config, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("finished")
        driver.send(Rebin(Binning("adaptive", 4, 10)))
        driver.until(lambda d: d.recording.binning.kind == "adaptive" and not d.status.pending)
        driver.until(
            lambda d: d.mirror.representation is not None and d.mirror.representation.row == 1, row=1
        )
        driver.send(Save())
        driver.until(lambda d: d.status.saved)
        assert driver.status.state == "finished"
        assert [n.severity for n in driver.notices] == ["information"]
        assert not any("Traceback" in line for line in driver.log)
    (path,) = tmp_path.glob("*.npz")
    assert resumes_exactly(path, 13)


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
        driver.until(lambda d: len(d.status.save_results) == 5)
        told = dict(driver.status.save_results)
        assert (told[7], told[8]) == ("", "")
        assert told[9] == f"not saved: {tmp_path}/missing/run.npz: No such file or directory"
        assert "File exists" in told[10] and "no such folder" in told[11]
        (inside,) = there.glob("*.npz")
        assert {str(inside), str(tmp_path / "run.npz")} < set(driver.status.saved)
        assert equal(files.load(inside), files.load(tmp_path / "run.npz"))
        assert not (tmp_path / "not-mounted").exists()


def test_a_save_that_is_waited_for_is_known_among_others(tmp_path):
    state = RunState(WatchOptions(snapshot_dir=str(tmp_path)), LogFile(-1))
    for ticket in range(1, 40):
        state.answer(ticket, "trouble" if ticket % 2 else "")
        state.answer(0)
    assert dict(state.status.save_results) == {t: "trouble" if t % 2 else "" for t in range(30, 40)}


@pytest.mark.slow
def test_a_snapshot_that_is_being_written_is_not_cut_off_by_quitting(tmp_path, monkeypatch):
    run_first(monkeypatch, SLOW_DISK.format(seconds=2.5))
    driver = Driver.train(LONG, snapshot_dir=str(tmp_path), **PACED)
    driver.until_trained()
    driver.send(Save())
    driver.pull()  # it has been taken
    driver.stop()
    assert len(list(tmp_path.glob("*.npz"))) == 1 and driver.client.saved
    assert not temporaries(tmp_path)


@pytest.mark.parametrize(("epoch", "more"), [(13, ", measured up to epoch 10"), (15, "")])
def test_a_file_from_between_two_measurements_says_up_to_where_it_is_measured(tmp_path, capsys, epoch, more):
    trainer = Trainer(LONG, 1 << 28)
    trainer.train(epoch)
    trainer.measure_if_due()
    state = run_state(tmp_path, epoch=epoch, state="paused")
    state.recording = trainer.recording
    WorkerSaver(state, "run-1").save(Save(), trainer.checkpoint())
    (path,) = state.where().saved
    assert f"epoch{epoch}" in path
    assert capsys.readouterr().out == f"saved {path}{more}\n"
    assert state.notices.is_newest(f"saved {path}{more}")
