"""The real worker, in its own process, over the real socket."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest

from ibtui.config import WatchOptions
from ibtui.core.information import Binning
from ibtui.recording import Recording, files
from ibtui.run import places, runs
from ibtui.run.client import Patience, WorkerClient
from ibtui.run.job import new_job
from ibtui.run.protocol import Detach, Pause, Rebin, Restart, Resume, Save, SetPace, Step
from ibtui.run.trainer import Trainer
from tests.marks import slow
from tests.run.driver import LONG_S, SMALL, Driver

LONG = replace(SMALL, epochs=1_000_000)


def headless(config) -> Recording:
    trainer = Trainer(config, 1 << 28)
    trainer.train(config.epochs)
    return trainer.recording


def assert_same(a: Recording, b: Recording) -> None:
    assert len(a) == len(b) > 0
    for name in a.names:
        np.testing.assert_array_equal(a.column(name), b.column(name), err_msg=name)
    assert a.ceilings == b.ceilings


def test_a_watched_run_and_a_headless_one_are_equal_to_the_bit():
    with Driver.train() as driver:
        driver.until_state("finished").pull()
        assert driver.status.epoch == 60
        assert_same(driver.recording, headless(SMALL))


def test_pausing_stops_training_and_stepping_moves_exactly_so_many_epochs():
    with Driver.train(LONG, epochs_per_second=200.0) as driver:
        driver.until(lambda d: d.status.epoch > 3)
        driver.send(Pause())
        epoch = driver.until_state("paused").status.epoch
        for _ in range(10):
            assert driver.obeyed().status.epoch == epoch
        for epochs in (1, 1, 10, 7):
            driver.send(Step(epochs))
            epoch += epochs
        driver.until(lambda d: d.status.state == "paused" and d.status.epoch == epoch)
        for _ in range(10):
            assert driver.obeyed().status.epoch == epoch
        driver.send(Resume())
        driver.until(lambda d: d.status.epoch > epoch)


def test_steps_between_scheduled_measurements_are_shown_and_not_recorded():
    with Driver.train(replace(SMALL, every=10), paused=True) as driver:
        driver.until_state("paused")
        driver.send(Step(13))
        driver.until(lambda d: d.status.epoch == 13 and d.status.state == "paused").pull()
        assert driver.mirror.representation.epoch == 13
        assert driver.mirror.representation.row is None
        assert driver.recording.column("epoch").tolist() == [0, 10]
        driver.send(Resume())
        driver.until_state("finished").pull()
        assert_same(driver.recording, headless(replace(SMALL, every=10)))


@pytest.mark.parametrize(
    "binning", [Binning("closed", 4, 30), *slow(Binning("adaptive", 4, 10), Binning("notebook", 2, 7))]
)
def test_rebinned_history_equals_a_run_recorded_with_that_binning(binning):
    with Driver.train() as driver:
        driver.until_state("finished")
        for bins in range(2, 40):  # a key that is held down
            driver.send(Rebin(Binning("notebook", 5, bins)))
        driver.send(Rebin(binning))
        driver.until(lambda d: d.recording.binning == binning and not d.status.pending).pull()
        config = replace(SMALL, binning=binning.kind, x_bins=binning.x_bins, t_bins=binning.t_bins)
        assert driver.recording.config == config
        assert_same(driver.recording, headless(config))


@pytest.mark.slow
def test_rebinning_while_training_leaves_no_row_behind():
    config = replace(SMALL, epochs=3000, every=1)
    with Driver.train(config) as driver:
        driver.until(lambda d: d.recording is not None and len(d.recording) > 100)
        for kind, bins in (("closed", 20), ("adaptive", 5), ("notebook", 50), ("closed", 30)):
            driver.send(Rebin(Binning(kind, 3, bins)))
            driver.pull()
        driver.until(lambda d: d.status.state == "finished" and not d.status.pending).pull()
        assert_same(driver.recording, headless(replace(config, binning="closed", x_bins=3, t_bins=30)))


def test_a_past_epoch_looks_as_it_did_when_it_was_the_present(tmp_path):
    with Driver.train(history_mb=1) as driver:
        driver.until_state("finished")
        driver.until(
            lambda d: d.mirror.representation is not None and d.mirror.representation.row == 3, row=3
        )
        look = driver.mirror.representation
        t = headless(SMALL).activations(3)
        assert look.epoch == 15
        for points, activations in zip(look.points, t, strict=True):
            np.testing.assert_array_equal(points, activations)


def test_a_run_that_will_take_much_memory_says_so_once():
    with Driver.train(replace(LONG, layers=(64, 64, 2), every=1), paused=True) as driver:
        driver.until_state("paused").pull()
        assert [n.severity for n in driver.notices] == ["warning"]
        assert "the 1,000,001 measurements of this run will take" in driver.notices[0].text


def test_the_estimates_at_other_bins_are_those_of_a_binning_with_so_many():
    with Driver.train(SMALL) as driver:
        driver.until_state("finished")
        for kind in ("notebook", "closed", "adaptive"):
            for place, bins in enumerate((10, 30, 100)):
                wanted = Binning(kind, 4, bins)
                driver.send(Rebin(wanted))
                driver.until(lambda d, b=wanted: d.recording.binning == b and not d.status.pending)
                rows = len(driver.recording)
                driver.until(
                    lambda d, r=rows: np.array_equal(
                        d.mirror.representation.values["i_ty"], d.recording.column("i_ty")[r - 1]
                    )
                )
                look = driver.mirror.representation
                np.testing.assert_array_equal(look.sensitivity[0, :, place], look.values["i_ty"])
                np.testing.assert_array_equal(look.sensitivity[1, :, place], look.values["chance_i_ty"])


def test_a_snapshot_reads_back_as_the_run_up_to_then_and_never_overwrites(tmp_path):
    with Driver.train(LONG, paused=True, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("paused")
        driver.send(Step(22))
        driver.until(lambda d: d.status.epoch == 22)
        driver.send(Save())
        driver.send(Save())
        driver.until(lambda d: len(d.status.saved) == 2)
        assert not driver.status.unsaved
        first, second = driver.status.saved
        assert first != second
        said = [f"saved {path}, measured up to epoch 20" for path in (first, second)]
        assert [n.text for n in driver.notices] == said
        saved = files.load(first)
        assert saved.column("epoch").tolist() == [0, 5, 10, 15, 20]
        assert saved.checkpoint.epoch == 22
        assert saved.config == replace(LONG, engine="fused")


def test_a_snapshot_that_cannot_be_written_is_told_and_the_run_goes_on(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with Driver.train(LONG, epochs_per_second=100.0, snapshot_dir=str(folder)) as driver:
        driver.until_trained()
        folder.rmdir()
        driver.send(Save())
        driver.until(lambda d: d.notices)
        assert driver.notices[0].severity == "error"
        assert "No such file" in driver.notices[0].text
        epoch = driver.status.epoch
        driver.until(lambda d: d.status.epoch > epoch)


def test_restart_with_the_same_seed_repeats_the_run_and_another_seed_does_not():
    with Driver.train() as driver:
        driver.until_state("finished").pull()
        first = driver.recording
        driver.send(Restart())
        driver.until(lambda d: d.status.run == 1 and d.status.state == "finished").pull()
        assert driver.mirror.reference is first
        assert_same(driver.recording, first)
        driver.send(Restart(2))
        driver.until(lambda d: d.status.run == 2 and d.status.state == "finished").pull()
        assert_same(driver.recording, headless(replace(SMALL, seed=2)))


@pytest.mark.slow
def test_the_pace_is_kept_and_can_be_changed():
    with Driver.train(LONG, epochs_per_second=50.0) as driver:
        driver.until(lambda d: d.status.epoch >= 10)
        driver.send(SetPace(0.0))
        driver.until(lambda d: d.status.epoch > 2000)
        assert driver.status.pace == 0


def test_a_run_that_diverges_is_shown_and_goes_on():
    with Driver.train(replace(SMALL, layers=(8, 8, 2), lr=1e6, activation="relu", init_sigma=1e6)) as driver:
        driver.until_state("finished").pull()
        assert np.isnan(driver.recording.column("train_loss")[-1])


def test_bad_news_while_starting_is_a_state_and_not_a_crash(tmp_path):
    with Driver.train(resume=str(tmp_path / "missing.npz")) as driver:
        driver.until_state("failed")
        assert "No such file" in driver.status.message


def test_the_screen_that_dies_leaves_a_snapshot_and_no_process(tmp_path):
    driver = Driver.train(LONG, epochs_per_second=200.0, snapshot_dir=str(tmp_path))
    driver.until(lambda d: d.status.epoch > 20)
    driver.client.close()  # without a word, as a process that is killed goes
    driver.worker.wait(LONG_S)
    (saved,) = tmp_path.glob("*.npz")
    assert files.load(saved).checkpoint.epoch > 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_told_to_end_saves_first(tmp_path, number):
    with Driver.train(LONG, epochs_per_second=200.0, snapshot_dir=str(tmp_path)) as driver:
        driver.until(lambda d: d.status.epoch > 20)
        driver.worker.send_signal(number)
        driver.worker.wait(LONG_S)
    (saved,) = tmp_path.glob("*.npz")
    assert files.load(saved).checkpoint.epoch > 20


def test_a_worker_that_is_killed_is_lost_with_its_signal_and_history_stays():
    driver = Driver.train(LONG)
    driver.until(lambda d: d.recording is not None and len(d.recording) > 10)
    driver.worker.kill()
    assert "SIGKILL" in driver.until_lost().reason
    assert len(driver.recording) > 10


def test_quitting_without_saving_leaves_nothing_and_nobody_has_to_be_killed(tmp_path):
    driver = Driver.train(LONG, patience=Patience(end=LONG_S))
    driver.until_trained()
    driver.stop()
    assert driver.worker.returncode == 0
    assert not list(tmp_path.glob("*.npz"))
    assert not list(places.folder().iterdir())


def test_a_detached_run_survives_its_screen_and_is_listed_attached_and_stopped(tmp_path, capsys):
    driver = Driver.train(LONG, epochs_per_second=200.0, snapshot_dir=str(tmp_path))
    driver.until(lambda d: d.status.epoch > 5)
    driver.send(Detach())
    driver.until(lambda d: d.status.detached)
    driver.client.close()
    driver.client.wait()
    epoch = driver.status.epoch
    (run,) = runs.running()
    assert run.status.detached
    assert runs.list_runs() == 0
    assert run.name in capsys.readouterr().out
    again = Driver(WorkerClient(name=runs.find(None)))
    again.until(lambda d: d.status.epoch > epoch)
    assert again.recording.column("epoch")[0] == 0
    again.client.close()
    assert runs.stop_run(run.name) == 0
    assert "saved" in capsys.readouterr().out
    driver.worker.wait(LONG_S)
    (saved,) = tmp_path.glob("*.npz")
    assert files.load(saved).checkpoint.epoch > epoch
    assert runs.running() == []


def test_replay_shows_a_file_walks_plays_and_rebins_it(tmp_path):
    recording = headless(SMALL)
    files.save(recording, tmp_path / "run.npz")
    with Driver.replay(tmp_path / "run.npz", epochs_per_second=200.0) as driver:
        driver.until_state("paused").pull()
        assert_same(driver.recording, recording)
        assert driver.mirror.representation.epoch == 60
        driver.until(lambda d: d.mirror.representation.row == 2, row=2)
        assert driver.mirror.representation.epoch == 10
        driver.send(Resume())
        driver.until(lambda d: d.states[-1] == "running")
        driver.until(lambda d: d.status.state == "paused" and d.status.epoch == 60)
        driver.send(Rebin(Binning("closed", 4, 30)))
        driver.until(lambda d: d.recording.binning.kind == "closed" and not d.status.pending).pull()
        assert_same(driver.recording, headless(replace(SMALL, binning="closed", t_bins=30)))
        assert not driver.status.unsaved


@pytest.mark.slow
def test_a_run_that_is_gone_on_with_is_unsaved_only_where_its_file_does_not_hold_it_all(tmp_path):
    files.save(headless(SMALL), tmp_path / "run.npz")
    pending = files.load(tmp_path / "run.npz")
    pending.rebin(pending.binning, pending.ceilings)
    files.save(pending, tmp_path / "pending.npz")
    odd = headless(replace(SMALL, epochs=58))  # its last measurement is not on the schedule of a longer run
    files.save(odd, tmp_path / "odd.npz")
    for name, epochs, unsaved in (
        ("run", 60, False),
        ("run", 1000, False),
        ("odd", 58, False),
        ("odd", 1000, True),
        ("pending", 60, True),
    ):
        config = replace(SMALL, epochs=epochs)
        path = str(tmp_path / f"{name}.npz")
        with Driver.train(config, resume=path, paused=True, snapshot_dir=str(tmp_path)) as driver:
            driver.until_state("paused", "finished")
            assert driver.status.unsaved == unsaved, (name, epochs)
            if epochs == 1000:
                driver.send(Step())
                driver.until(lambda d, done=driver.status.epoch: d.status.epoch > done)
                assert driver.status.unsaved
    job = replace(new_job(SMALL, WatchOptions(), resume=str(tmp_path / "copy.npz")), temporary=True)
    handed = Driver(WorkerClient(job, handed=files.load(tmp_path / "run.npz")))
    handed.until_state("finished")  # that file is removed
    assert handed.status.unsaved
    handed.stop()


def test_nobody_else_can_reach_the_socket():
    with Driver.train(LONG, paused=True) as driver:
        driver.until_state("paused")
        path = places.socket_path(driver.client.name)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
