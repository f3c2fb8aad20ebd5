"""A long run, watched: memory is to be flat once the budget for activations is reached, and frames too."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ibtui.config import RunConfig
from ibtui.data.samples import make_dataset
from ibtui.run.measuring import experiment_of
from tests.faults.boxes import Lost, folder
from tests.faults.counted import Mark
from tests.faults.line import Line

HOUR_S = 3600.0


def watched(epochs: int) -> list[Lost]:
    """So many epochs of the fused engine with a measurement every 10, on the real screen at 120x40.

    What grows by design is the recording, in the worker and in the screen's mirror: scalars and weights of
    every measurement. It is told apart.
    """
    history_mb = max(1, epochs // 12_500)
    config = RunConfig(engine="fused", ctx="cpu", epochs=epochs)
    began = time.monotonic()
    with folder() as place:
        path = place / "marks"
        line = (str(path), config.to_json(), str(history_mb))
        with Line(*line, module="tests.faults.counted") as terminal:
            assert terminal.process.wait(HOUR_S) == 0, terminal.text
        marks = _marks(path)
    took = time.monotonic() - began
    assert marks[-1].epoch == epochs, marks[-1]
    # Full where so many measurements are kept: 4 layers of 2 units, 500 samples, float32.
    full = 10 * (history_mb << 20) // (4 * 500 * 8)
    first, last = _ends([mark for mark in marks if 1.2 * full < mark.epoch < epochs])
    recorded = marks[-1].rows * _row_bytes(config) / 2**20
    worker, screen = (
        statistics.median(getattr(m, name) for m in last) - statistics.median(getattr(m, name) for m in first)
        for name in ("worker_mb", "screen_mb")
    )
    early, late = _frame_ms(first), _frame_ms(last)
    # Columns grow by doubling: room for twice what there is, and the old one while it is copied.
    by_design = 2 * recorded
    return [
        Lost(
            f"{epochs:,} epochs, measured every 10, watched at 120x40 ({epochs / took:,.0f} epochs/s, "
            f"{took / 60:.1f} min, {marks[-1].frames:,} frames)",
            1,
            f"worker {marks[-1].worker_mb:.0f} MB, {worker:+.1f} MB since the {history_mb} MB for "
            f"activations were full at epoch {first[0].epoch:,}; screen {marks[-1].screen_mb:.0f} MB, "
            f"{screen:+.1f} MB ({marks[-1].rows:,} rows of scalars and weights are {recorded:.1f} MB in "
            f"each); a frame took {early:.1f} ms of the screen's processor then, {late:.1f} ms at last",
            worker < by_design + 8 and screen < by_design + 8,
            prompt=late < 1.1 * early + 1,
        )
    ]


def _marks(path: Path) -> list[Mark]:
    return [Mark(**json.loads(line)) for line in path.read_text().splitlines()]


def _ends(marks: Sequence[Mark]) -> tuple[Sequence[Mark], Sequence[Mark]]:
    """The first and the last third of the time in which it trains."""
    part = len(marks) // 3
    return marks[:part], marks[-part:]


def _frame_ms(marks: Sequence[Mark]) -> float:
    """The processor time of a frame: the median of short windows, for a pass of the collector is in few."""
    windows = [(a, b) for a, b in zip(marks, marks[2:], strict=False) if b.frames > a.frames]
    return statistics.median(
        1000 * (b.screen_cpu_s - a.screen_cpu_s) / (b.frames - a.frames) for a, b in windows
    )


def _row_bytes(config: RunConfig) -> int:
    columns = experiment_of(config, make_dataset(config)).columns.values()
    return sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in columns)
