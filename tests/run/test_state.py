"""The state that a worker's threads share, its history's thread and its log."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.run import log, mirror, places
from ibtui.run.drawing import DrawnRow
from ibtui.run.estimating import FileJob, HistoryThread
from ibtui.run.job import new_job
from ibtui.run.log import LogFile, Output
from ibtui.run.protocol import Detach, Notice, Pause, Pull, Rebin, Restart, Resume, Step
from ibtui.run.snapshot import Snapshot
from ibtui.run.state import RunState
from ibtui.run.trainer import Trainer
from ibtui.run.training import Training
from ibtui.run.worker_saver import WorkerSaver
from tests.faults.boxes import wait_for
from tests.pythons import run_first
from tests.run.driver import LONG, PACED, SMALL, Driver, finished


def test_a_line_that_is_written_while_the_log_is_cut_is_there_afterwards(tmp_path):
    with open(tmp_path / "log", "a+b") as file:
        output, log = Output(file.fileno()), LogFile(file.fileno(), 4000)
        last, cuts, size = -1, 0, 0

        def write() -> None:
            nonlocal last
            while last < 49_999 or cuts <= 10:
                last += 1
                output.write(f"{last}\n")

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        while writer.is_alive():
            before, size = size, os.fstat(file.fileno()).st_size
            cuts += size < before
            log.cut()
            there = [int(line) for line in log.lines(0)[0]]
            assert there == list(range(there[0], there[0] + len(there))) if there else not size
    assert (tmp_path / "log").read_text().endswith(f"{last}\n")


def test_what_is_asked_to_pause_does_not_seem_to_run_on_before_it_is_paused():
    state = RunState(WatchOptions(paused=False), LogFile(-1))
    source = Training(state, WorkerSaver(state, "run"), new_job(SMALL, state.options))
    source.prepare()
    source._report()
    said, checkpoint = [], source._trainer.checkpoint

    def looking():
        said.append(state.where().state)
        return checkpoint()

    source._trainer.checkpoint = looking
    state.obey(Pause())
    source._take(state.commands.get())
    assert [*said, state.where().state] == ["pausing", "paused"]
    source._take(Resume())
    assert state.where().state == "running"
    source.close()


def test_a_log_is_cut_and_its_places_stay_what_they_are(tmp_path):
    with open(tmp_path / "log", "a+b") as file:
        output = LogFile(file.fileno(), 4000)
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
    run_first(
        monkeypatch, f"import os, threading; threading.Thread(target=lambda: {talk}, daemon=True).start()"
    )
    with Driver.train(LONG, **PACED) as driver:
        path = places.log_path(driver.client.name)
        driver.until(lambda d: d.status.epoch > 100)
        wait_for(lambda: path.stat().st_size <= log.MOST_BYTES)
        assert len(driver.mirror.log) <= mirror.LOG_LINES
        driver.send(Step(1))
        driver.until_state("paused")


def test_a_run_is_never_shown_to_have_come_less_far_than_its_measurements():
    state, trainer = RunState(WatchOptions(), LogFile(-1)), Trainer(SMALL, 1 << 28)
    trainer.measure_if_due()
    recording = trainer.recording
    state.begin(recording, trains=True, epoch=0)
    assert state.frame(Pull()).status.epoch == 0
    trainer.train(30)  # a stretch of epochs that is not over
    assert state.frame(Pull()).status.epoch == 30
    assert state.frame(Pull(run=0, tick=recording.tick)).status.epoch == 30
    state.update(epoch=37)
    assert state.frame(Pull(run=0, tick=recording.tick)).status.epoch == 37


def test_notices_are_bounded_and_each_is_told_once():
    state = RunState(WatchOptions(), LogFile(-1))
    for number in range(1000):
        state.note(f"{number}")
    assert len(state.notices.since(0, 10**6)) <= 100
    first = state.frame(Pull())
    assert [n.text for n in first.notices] == [str(n) for n in range(995, 1000)]
    state.note("news")
    assert state.frame(Pull(run=0, notice=first.notice_end)).notices == (Notice("news"),)
    assert state.frame(Pull(run=0, notice=1001)).notices == ()
    assert len(state.frame(Pull(run=0, notice=3)).notices) == 100
    recording = finished()
    for number in range(2000):
        state.saver.write(Snapshot(recording, 1, None, 0, number), lambda name=f"{number}.npz": Path(name))
    assert len(state.where().saved) == 1000 and state.where().saves == 2000


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
    old, new, wanted = finished(), finished(), Binning("closed", 2, 9)
    history = HistoryThread()
    history.work_on(old)
    history.rebin(wanted)
    history.work_on(new)
    history.start()
    assert history.wait_until_idle(10)
    assert history.binning == new.binning == wanted
    wait_for(lambda: old.binning == wanted and not len(old.pending()))  # it is the reference, and follows


def test_estimates_of_an_old_run_are_never_a_new_ones():
    wanted = Binning("closed", 2, 9)
    config = replace(SMALL, binning="closed", x_bins=2, t_bins=9, epochs=5)
    old, new = finished(), finished(config)
    before = {name: new.column(name).copy() for name in new.names}
    history, pending = HistoryThread(), old.pending

    def then_restarted() -> np.ndarray:
        rows = pending()
        if len(rows) and threading.current_thread() is history:
            history.work_on(new)  # just as the estimates of these rows are to be made
        return rows

    old.pending = then_restarted
    history.work_on(old)
    history.rebin(wanted)
    history.start()
    wait_for(lambda: old.binning == wanted and not len(pending()))
    assert history.wait_until_idle(10)
    assert all(new.column(name).tobytes() == value.tobytes() for name, value in before.items())


def test_what_was_skipped_is_counted_anew_in_a_new_run():
    state = RunState(WatchOptions(), LogFile(-1))
    recording = finished()
    state.begin(recording)
    state.update(skipped=7)
    state.begin(recording, continues=True)
    assert state.status.skipped == 7
    state.begin(finished())
    assert state.status.skipped == 0


def test_what_waits_to_be_written_at_the_end_is_given_back():
    history, began, may_end = HistoryThread(), threading.Event(), threading.Event()
    recording, left = finished(), []
    first = FileJob(recording, lambda: (began.set(), may_end.wait()))
    others = [FileJob(recording, lambda: None) for _ in range(3)]
    history.work_on(recording)
    for job in (first, *others):
        history.write(job)
    history.start()
    assert began.wait(10)
    closing = threading.Thread(target=lambda: left.extend(history.close()), daemon=True)
    closing.start()
    wait_for(lambda: history._closed)
    may_end.set()
    closing.join(10)
    assert left == others and not closing.is_alive()
    history.join(10)
    assert not history.is_alive()


def test_a_binning_that_cannot_be_is_told_and_the_last_one_stays():
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")
        before = driver.status.binning
        driver.send(Rebin(Binning("closed", 4, 10**8)))
        driver.until(lambda d: d.notices and d.status.binning == before and not d.status.pending)
        driver.send(Rebin(Binning("closed", 4, 9)))
        driver.until(lambda d: d.recording.binning.t_bins == 9 and not d.status.pending)


def test_going_on_and_off_loses_nothing_of_a_pause():
    with Driver.train(LONG, epochs_per_second=1000.0) as driver:
        driver.until_trained()
        for _ in range(50):
            driver.send(Pause())
            driver.send(Resume())
        driver.send(Pause())
        driver.send(Detach())
        driver.until(lambda d: d.status.state == "paused" and d.status.detached)


def test_what_is_drawn_is_of_the_last_row_that_a_screen_hears_of():
    """A measurement that is taken while a frame is made waits for the next one."""
    drawing = DrawnRow(finished(), 0)
    assert [drawing.draw(None, None, 0, 0, rows).row for rows in (5, None, 13)] == [4, 12, 12]
    assert drawing.draw(None, None, 0, 0, 0) is None
