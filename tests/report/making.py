"""Recordings to report, the command, and what several tests read from its output."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui import cli
from ibtui.config import RunConfig
from ibtui.core.seeding import initial_parameters
from ibtui.data.samples import make_dataset
from ibtui.quantities.meter import quantities
from ibtui.recording import Checkpoint, Recording
from ibtui.report import read_runs
from ibtui.report.display import Display
from ibtui.report.panels import Settings, panels
from ibtui.report.text import report_lines
from ibtui.run.measuring import measure, meter_of, new_recording

CONFIG = RunConfig(epochs=60, every=5, samples=200)
DEFAULT = Settings()
PER_LAYER = [q.name for q in quantities() if q.per_layer]
PERFORMANCE = [q.name for q in quantities() if not q.per_layer]
CODE = re.compile("\x1b\\[[0-9;]*m")
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is an extra"
)


def record(
    config: RunConfig, drop: tuple[int, ...] = (), poison: int | None = None, sigma: float = 1.0,
    names: tuple[str, ...] = (),
) -> Recording:  # fmt: skip
    """A recording of weights that move smoothly from one random draw to another."""
    recording = new_recording(config, replace(make_dataset(config), names=names), 1 << 30)
    meter = meter_of(recording)
    start = initial_parameters(config.layers, inputs=2, sigma=sigma, seed=config.seed)
    stop = initial_parameters(config.layers, inputs=2, sigma=3 * sigma, seed=config.seed + 100)
    for epoch in range(0, config.epochs + 1, config.every):
        if epoch in drop:
            continue
        part = np.float32(epoch / config.epochs)
        state = {"moving_loss": np.array(0.1 * epoch if epoch else float("nan"))}
        for layer, ((v, b), (w, c)) in enumerate(zip(start, stop, strict=True)):
            weight = (1 - part) * v + part * w
            state[f"weight{layer}"] = weight * np.float32("nan") if epoch == poison else weight
            state[f"bias{layer}"] = (1 - part) * b + part * c
        recording.append(measure(recording, Checkpoint(epoch, state), meter))
    return recording


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.main(["report", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def drawn(
    paths: list[Path], display: Display, at: str | None = None, settings: Settings = DEFAULT
) -> list[str]:
    made, notes = read_runs([str(path) for path in paths], at, {})
    return report_lines(made, panels(made, settings), settings, notes, display)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which the command is refused."""
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("ibtui: ")
    assert err.count("\n") == 1
    return err


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "TERM", "NO_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "ibtui", "report", *map(str, arguments)],
        capture_output=True,
        env=plain | environment,
        timeout=120,
    )


def table(text: str) -> dict[str, list[str]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    return {name: [row[name] for row in rows] for name in rows[0]}
