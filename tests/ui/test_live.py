"""The live screen when its worker has died, and the line that it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ibtui.config import WatchOptions
from ibtui.recording import files
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.protocol import Stop
from ibtui.run.trainer import Trainer
from ibtui.ui import live as watch
from ibtui.ui.live import LiveWorkers
from ibtui.ui.summary import Farewell
from tests.marks import slow_sets
from tests.run.driver import SMALL, Driver

LONG = replace(SMALL, epochs=1_000_000)


def test_a_run_whose_card_failed_goes_on_on_the_cpu():
    trainer = Trainer(SMALL, 1 << 28)
    trainer.train(23)
    recording = trainer.recording
    recording.checkpoint = trainer.checkpoint()
    recording.config = replace(recording.config, ctx="gpu0", engine="gluon")
    session = WatchOptions(epochs_per_second=0.0)
    workers = LiveWorkers(WorkerClient(new_job(recording.config, session)), session)
    with Driver(workers.go_on(recording)) as driver:
        driver.until_state("finished").pull()
        assert (driver.status.device, driver.status.engine, driver.status.epoch) == ("cpu", "fused", 60)
        assert driver.recording.column("epoch").tolist() == list(range(0, 61, 5))


def test_what_the_screen_writes_itself_is_named_in_full(tmp_path):
    workers = LiveWorkers(WorkerClient(name="run-1-gone"), WatchOptions(snapshot_dir="there"))
    Path("there").mkdir()
    trainer = Trainer(SMALL, 1 << 28)
    trainer.train(23)
    written = workers.write(trainer.recording, None)
    assert [written] == [str(path) for path in (tmp_path / "there").glob("*.npz")]


@pytest.mark.parametrize(
    ("end", "count"), [("saving", 1), ("killed", 1), *slow_sets(("discarding", 0), ("killed, discarding", 0))]
)
def test_what_a_worker_was_to_save_is_saved_once_by_it_or_by_the_screen(
    end, count, tmp_path, monkeypatch, capsys
):
    def run(client: WorkerClient, session: WatchOptions, workers: LiveWorkers, heard: object) -> Farewell:
        driver = Driver(client)
        driver.until(lambda d: d.recording is not None and len(d.recording) > 5)
        if "killed" in end:
            driver.worker.kill()
        client.send(Stop(save="discarding" not in end))
        client.close()
        return Farewell(exit_status=143, unsaved=driver.recording)

    monkeypatch.setattr(watch, "run", run)
    session = WatchOptions(epochs_per_second=300.0, snapshot_dir=str(tmp_path))
    assert watch.show_live(WorkerClient(new_job(LONG, session)), session) == 143
    found = list(tmp_path.glob("*.npz"))
    assert len(found) == count
    told = capsys.readouterr().out
    assert all(str(path) in told and len(files.load(path)) > 5 for path in found)
    assert found or "nothing saved" in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recorded": 100}, "saved a.npz, b.npz, measured up to epoch 100"),
        ({"recorded": 102}, "saved a.npz, b.npz"),
        ({"recorded": 100, "loop": "mlp"}, "saved a.npz, b.npz"),
        ({"recorded": 100, "saved": ()}, "nothing saved"),
    ],
)
def test_the_last_line_says_up_to_where_what_was_saved_is_measured(changes, said):
    outcome = Farewell(epoch=102, epochs=200, saved=("a.npz", "b.npz"), state="finished")
    assert replace(outcome, **changes).summary.split("; ")[-1] == said
