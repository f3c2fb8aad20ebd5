"""What the live screen does when its worker has died."""

from __future__ import annotations

from dataclasses import replace

from ibtui.config import Session
from ibtui.training.engine import Choice
from ibtui.training.trainer import Trainer
from ibtui.watch import _Watched
from ibtui.worker.client import WorkerClient
from ibtui.worker.job import new_job
from tests.worker.driver import SMALL, Driver


def test_a_run_whose_card_failed_goes_on_on_the_cpu():
    trainer = Trainer(SMALL, Choice("fused", "cpu", ""), 1 << 28)
    trainer.train(23)
    recording = trainer.recording
    recording.checkpoint = trainer.checkpoint()
    recording.config = replace(recording.config, ctx="gpu0", engine="gluon")
    session = Session(epochs_per_second=0.0)
    watched = _Watched(WorkerClient(new_job(recording.config, session)), session)
    with Driver(watched.revive(recording)) as driver:
        driver.until_state("finished").pull()
        assert (driver.status.device, driver.status.engine, driver.status.epoch) == ("cpu", "fused", 60)
        assert driver.recording.column("epoch").tolist() == list(range(0, 61, 5))
