"""A long run, watched: memory is to be flat once the budget for activations is reached, and frames too."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from ibtui.config import RunConfig
from tests.faults.boxes import Lost
from tests.faults.trials import _rss_mb
from tests.worker.driver import Driver

FRAME_S = 1 / 30
"""How often the screen asks."""


@dataclass
class _Sample:
    epoch: int
    worker_mb: float
    frame_ms: float


def watched(epochs: int) -> list[Lost]:
    """So many epochs of the fused engine with a measurement every 10, and a screen that asks for frames.

    What grows by design is the recording: scalars and weights of every measurement. It is told apart.
    """
    history_mb = max(1, epochs // 12_500)
    config = RunConfig(engine="fused", ctx="cpu", epochs=epochs)
    samples: list[_Sample] = []
    began = time.monotonic()
    with Driver.train(config, epochs_per_second=0.0, history_mb=history_mb) as driver:
        driver.until(lambda d: d.recording is not None)
        pid = driver.client._process.pid
        while driver.status.state not in ("finished", "failed"):
            asked = time.perf_counter()
            driver.pull()
            taken = time.perf_counter() - asked
            samples.append(_Sample(driver.status.epoch, _rss_mb(pid), 1000 * taken))
            time.sleep(FRAME_S)
        took = time.monotonic() - began
        assert driver.status.state == "finished", driver.status.message
        recording = driver.recording
        row_bytes = sum(recording.column(name)[0].nbytes for name in recording.names)
        measured = len(recording)
        speed = epochs / took
    # Full where so many measurements are kept: 4 layers of 2 units, 500 samples, float32.
    full = 10 * (history_mb << 20) // (4 * 500 * 8)
    later = [s for s in samples if s.epoch > 1.2 * full]
    half = len(later) // 2
    first, last = later[: max(1, half // 4)], later[-max(1, half // 4) :]
    grown = statistics.median(s.worker_mb for s in last) - statistics.median(s.worker_mb for s in first)
    # Columns grow by doubling: room for twice what there is, and the old one while it is copied.
    by_design = 2 * row_bytes * measured / 2**20
    early, late = (statistics.median(s.frame_ms for s in part) for part in (first, last))
    return [
        Lost(
            f"{epochs:,} epochs, measured every 10, watched ({speed:,.0f} epochs/s, {took / 60:.1f} min)",
            1,
            f"worker {samples[-1].worker_mb:.0f} MB, {grown:+.1f} MB since the {history_mb} MB for "
            f"activations were full at epoch {first[0].epoch:,} ({measured:,} rows of scalars and weights "
            f"are {row_bytes * measured / 2**20:.1f} MB); a frame took {early:.1f} ms then, {late:.1f} ms "
            "at last",
            grown < by_design + 8 and late < 2 * early + 10,
        )
    ]
