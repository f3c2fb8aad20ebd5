"""The default experiment on an NVIDIA GPU: an epoch, a launch, compiling, and whole runs from the start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ibtui.bench.contenders import GPU_CONTENDERS, GPU_STEPS
from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread
from ibtui.bench.training import row, timed
from ibtui.errors import IbtuiError

_EPOCHS = 10


def measure(report: Report, effort: Effort, device: str) -> None:
    """Add all rows of the group."""
    seconds = timed(report, effort, (*GPU_CONTENDERS, *GPU_STEPS), device)
    report.rows += [row("gpu", each, seconds) for each in GPU_CONTENDERS if each.key in seconds]
    for step in GPU_STEPS:
        if step.key in seconds:
            value = Spread.of([1000 * s for s in seconds[step.key]])
            report.rows.append(Row("gpu", step.name, value, "ms"))
    _starts(report, effort, device)


def _starts(report: Report, effort: Effort, device: str) -> None:
    """Time runs of a few epochs, in turns with the CPU: nearly all of that is the start."""
    taken: dict[str, list[float]] = {device: [], "cpu": []}
    with tempfile.TemporaryDirectory(prefix="ibtui-bench-") as folder:
        for at in range(effort.starts + effort.warm):
            for ctx, seconds in taken.items():
                effort.say(f"starts: {ctx}, {at} of {effort.starts}")
                took = _record(ctx, Path(folder, "run.npz"))
                if at >= effort.warm:
                    seconds.append(took)
    for ctx, seconds in taken.items():
        name = f"ibtui --ctx {ctx} --engine fused --record of {_EPOCHS} epochs, process start included"
        report.rows.append(Row("gpu", name, Spread.of(seconds), "s"))


def _record(ctx: str, path: Path) -> float:
    flags = ["--ctx", ctx, "--engine", "fused", "--epochs", str(_EPOCHS), "--record", str(path), "--force"]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "ibtui", *flags],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise IbtuiError(done.stderr.strip().removeprefix("ibtui: ") or f"it ended with {done.returncode}")
    return time.perf_counter() - began
