"""A run whose worker has died, and the worker that holds its history."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from ibtui.config import RunConfig, WatchOptions
from ibtui.core.information import Binning
from ibtui.recording import Recording, files
from ibtui.run import places, runs
from ibtui.run.client import Patience, WorkerClient
from ibtui.run.job import DeadRun, new_job
from ibtui.run.protocol import Pause, Rebin, Restart, Resume, Save, Step, Stop
from ibtui.run.trainer import Trainer
from ibtui.ui.live import LiveWorkers
from tests.faults.boxes import equal, resumes_exactly, temporaries, wait_for
from tests.marks import slow
from tests.run.driver import LONG_S, SMALL, Driver
from tests.system import full_disk

CLOSED = replace(SMALL, binning="closed", t_bins=30)


def trained(config: RunConfig = SMALL) -> Trainer:
    """A run that died after 23 epochs."""
    trainer = Trainer(config, 1 << 28)
    trainer.train(23)
    return trainer


def mirrored(trainer: Trainer) -> Recording:
    """The history as a screen knows it: no activations."""
    recording = trainer.recording
    mirror = Recording(recording.experiment, recording.ceilings)
    mirror.apply(recording.update_since(0))
    mirror.checkpoint = trainer.checkpoint()
    return mirror


def held(recording: Recording, *, saved: bool = False, **session: object) -> Driver:
    """A screen over the worker that was handed this."""
    workers = LiveWorkers(WorkerClient(name="run-1-gone"), WatchOptions(**session))
    return Driver(workers.hold(recording, DeadRun(24, saved)))


def test_what_is_held_is_all_that_was_known_and_can_be_saved_and_gone_on_with(tmp_path):
    recording = mirrored(trained())
    with held(recording, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("dead").pull()
        status = driver.status
        assert (status.trains, status.plays, status.epoch, status.epochs) == (False, False, 24, 60)
        assert (status.device, status.engine, status.unsaved) == ("cpu", "fused", True)
        assert equal(driver.recording, recording)
        assert driver.recording.checkpoint.epoch == 23
        driver.send(Save())
        driver.until(lambda d: d.status.saved)
        assert not driver.status.unsaved
    (path,) = tmp_path.glob("*.npz")
    assert "epoch23" in path.name
    assert equal(files.load(path), recording)
    assert resumes_exactly(path, 30)


def test_the_file_that_was_handed_over_is_removed_once_read_and_nothing_else_is_left():
    with held(mirrored(trained())) as driver:
        driver.until_state("dead")
        wait_for(lambda: not places.recording_path(driver.client.name).exists())
    assert not list(places.folder().iterdir())


def test_the_present_is_the_newest_known_and_the_past_as_it_was_from_the_first_frame_on():
    trainer = trained()
    with held(mirrored(trainer)) as driver:
        driver.until(lambda d: d.mirror.representation is not None, row=2)
        assert (driver.mirror.representation.row, driver.mirror.representation.epoch) == (2, 10)
        for points, t in zip(
            driver.mirror.representation.points, trainer.recording.activations(2), strict=True
        ):
            np.testing.assert_array_equal(points, t)
        driver.until(lambda d: d.mirror.representation.row is None)
        assert driver.mirror.representation.epoch == 23
        for points, t in zip(driver.mirror.representation.points, trainer.measure().activations, strict=True):
            np.testing.assert_array_equal(points, t)


def test_all_of_it_is_rebinned_the_present_included():
    closed = trained(CLOSED)
    with held(mirrored(trained())) as driver:
        driver.until_state("dead")
        driver.send(Rebin(closed.recording.binning))
        driver.until(lambda d: d.recording.binning == closed.recording.binning and not d.status.pending)
        assert equal(driver.until(lambda d: not d.status.pending).recording, closed.recording)
        wanted = closed.measure().values["i_ty"]
        driver.until(lambda d: np.array_equal(d.mirror.representation.values["i_ty"], wanted))


def test_what_waited_for_its_estimates_as_the_worker_died_gets_them():
    recording, closed = mirrored(trained()), trained(CLOSED)
    recording.rebin(closed.recording.binning, closed.recording.ceilings)
    assert len(recording.pending())
    with held(recording) as driver:
        driver.until(lambda d: d.recording is not None and not d.status.pending).pull()
        assert equal(driver.recording, closed.recording)


def test_nothing_of_it_trains():
    with held(mirrored(trained())) as driver:
        driver.until_state("dead")
        for command in (Resume(), Step(5), Pause(), Restart()):
            driver.send(command)
        driver.send(Rebin(Binning("closed", 4, 30)))
        driver.until(lambda d: d.recording.binning.kind == "closed" and not d.status.pending)
        assert (driver.status.state, driver.status.epoch, driver.status.run) == ("dead", 24, 0)


def test_it_is_listed_as_dead_and_belongs_to_its_screen(capsys):
    with held(mirrored(trained()), detach=True) as driver:  # as the run was
        driver.until_state("dead")
        runs.list_runs()
        (line,) = capsys.readouterr().out.splitlines()
        assert "  dead  epoch 24 of 60  cpu fused  " in line
        assert line.endswith("  attached")


@pytest.mark.parametrize("end", ["hang up", *slow(signal.SIGTERM, signal.SIGHUP)], ids=str)
@pytest.mark.parametrize("saved", [False, True])
def test_the_end_of_its_screen_ends_it_and_saves_what_no_file_holds(tmp_path, end, saved):
    recording = mirrored(trained())
    driver = held(recording, saved=saved, snapshot_dir=str(tmp_path), detach=True)
    driver.until_state("dead")
    assert driver.status.unsaved != saved
    if end == "hang up":
        driver.client.close()
    else:
        driver.worker.send_signal(end)
    assert driver.worker.wait(LONG_S) == 0
    driver.client.close()
    written = list(tmp_path.glob("*.npz"))
    assert len(written) == (0 if saved else 1)
    assert all(equal(files.load(path), recording) for path in written)


def test_with_autosave_it_is_saved_at_once(tmp_path):
    with held(mirrored(trained()), autosave=60.0, snapshot_dir=str(tmp_path)) as driver:
        driver.until(lambda d: d.status.saved)
        assert not driver.status.unsaved


def test_a_recording_that_cannot_be_handed_over_is_a_worker_that_is_lost():
    with full_disk(), held(mirrored(trained())) as driver:
        assert driver.pull() is None
        assert driver.lost.reason == "File too large"


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2])
def test_one_that_is_not_needed_any_more_leaves_nothing_whenever_it_is_told(tmp_path, moment):
    workers = LiveWorkers(WorkerClient(name="run-1-gone"), WatchOptions(snapshot_dir=str(tmp_path)))
    client = workers.hold(mirrored(trained()), DeadRun(24, False))
    Driver(client)
    time.sleep(moment)  # at no event, but at any moment
    client.send(Stop(save=False))
    client.close()
    assert client.process is None or client.process.wait(LONG_S) is not None
    client.wait()
    assert not list(places.folder().iterdir())
    assert not list(tmp_path.glob("*.npz"))


def test_one_that_is_left_while_it_is_handed_the_recording_leaves_nothing():
    recording, before = mirrored(trained()), threading.enumerate()
    job = new_job(None, WatchOptions())
    job = replace(job, replay=str(places.recording_path(job.name)), dead=DeadRun(24, False), temporary=True)
    client = WorkerClient(job, handed=recording, patience=Patience(end=0.05))
    with recording.lock:  # as long as this is held, it is not written to the end
        client.start(lambda _: None)
        wait_for(lambda: temporaries(places.folder()))
        client.send(Stop(save=False))
        client.close()
        client.wait()
    wait_for(lambda: set(threading.enumerate()) <= set(before))
    assert client.process is None and not list(places.folder().iterdir())


@pytest.mark.slow
def test_a_run_that_was_resumed_for_longer_is_held_and_saved_as_the_longer_run(tmp_path):
    files.save(trained(replace(SMALL, epochs=23)).recording, tmp_path / "short.npz")
    longer = replace(SMALL, epochs=5000)
    with Driver.train(longer, resume=str(tmp_path / "short.npz")) as driver:
        driver.until(lambda d: d.status.epoch > 100)
        recording = driver.recording
        assert recording.config.epochs == 5000
        workers = LiveWorkers(driver.client, WatchOptions(snapshot_dir=str(tmp_path)))
        written = files.load(workers.write(recording, None))
        assert written.config.epochs == 5000
    with held(recording) as driver:
        assert driver.until_state("dead").status.epochs == 5000
