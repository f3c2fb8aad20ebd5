"""Wall time of whole runs without a screen: a process each, started and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, at_most
from ibtui.engines.mxnet import library

_LIMITS_S = {"fused": 3.0, "gluon": 20.0}
_QUICK_EPOCHS = 50


def measure(report: Report, effort: Effort) -> None:
    """Time `ibtui --record` of the default experiment on each engine, in turns."""
    engines = ["fused"]
    build = library.installed()
    if build is None or build.obstacle:
        report.absent.setdefault("mxnet", build.obstacle if build else "not installed")
    else:
        engines.append("gluon")
    taken: dict[str, list[float]] = {engine: [] for engine in engines}
    with tempfile.TemporaryDirectory(prefix="ibtui-bench-") as folder:
        for at in range(effort.starts + effort.warm):
            for engine in engines:
                effort.say(f"runs: {engine}, {at} of {effort.starts}")
                took = _record(engine, Path(folder, "run.npz"), effort.quick)
                if at >= effort.warm:
                    taken[engine].append(took)
    for engine in engines:
        value = Spread.of(taken[engine])
        name = f"ibtui --engine {engine} --record, process start included"
        report.rows.append(Row("runs", name, value, "s", targets=(at_most(value, _LIMITS_S[engine], "s"),)))


def _record(engine: str, path: Path, quick: bool) -> float:
    command = [
        sys.executable,
        "-m",
        "ibtui",
        "--engine",
        engine,
        "--ctx",
        "cpu",
        "--record",
        str(path),
        "--force",
    ]
    if quick:
        command += ["--epochs", str(_QUICK_EPOCHS)]
    began = time.perf_counter()
    subprocess.run(
        command, check=True, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """Return our environment, in which a process of this Python finds the modules that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
