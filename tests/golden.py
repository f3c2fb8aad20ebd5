"""Recordings of the default experiment and of odd ones, and what version 0.1.0 wrote for them.

`tests/data/golden.npz` holds, for each of them and each engine, a digest of every array and a table of the
numbers. It was made by version 0.1.0, and made again when four things of its were given another definition,
after everything else had been found equal to the bit: the estimates of ReLU layers (ranges of the whole run),
chance levels where every sample has a cell of its own (none), the saturation of ReLU layers (none), and the
last bits of dimensions and losses (2e-15 at most), which one compiled pass sums in another order. Only a
change of what ibtui computes is a reason to make it again::

    python -m tests.golden
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np

DATA = Path(__file__).parent / "data" / "golden.npz"
ENGINES = ("fused", "gluon")
PER_LAYER = (
    "i_xt", "i_ty", "chance_i_xt", "chance_i_ty", "occupancy", "outside",
    "dimension", "participation_ratio", "saturation",
)  # fmt: skip
PER_RUN = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "moving_loss")
ROWS = 20
"""So many rows of a recording are in its table: the first, and the last. The digests are of all."""

RUNS: dict[str, list[str]] = {
    "default": ["--every 10"],
    "every epoch": ["--every 1 --epochs 30"],
    "every 7": ["--every 7 --epochs 100 --seed 5 --data-seed 9"],
    "relu": ["--every 10 --epochs 120 --activation relu --layers 8,8,2 --lr 0.05"],
    "sigmoid": ["--every 10 --epochs 120 --activation sigmoid --layers 5,3 --seed 2"],
    "one unit": ["--every 10 --epochs 100 --layers 1,1,2"],
    "one layer": ["--every 10 --epochs 100 --layers 2"],
    "wide": ["--every 10 --epochs 20 --layers 64,33,3 --samples 200"],
    "odd batch": ["--every 10 --epochs 60 --batch-size 7 --samples 101 --seed 3"],
    "batch larger than the data": ["--every 10 --epochs 100 --batch-size 5000 --samples 300"],
    "batch of one": ["--every 10 --epochs 20 --batch-size 1 --samples 60 --activation relu"],
    "grid of 3": ["--every 10 --epochs 60 --grid 3 --layers 4,4,3 --data-seed 0"],
    "four samples": ["--every 10 --epochs 60 --grid 5 --samples 4"],
    "diverges": ["--every 10 --epochs 60 --lr 1000000 --activation relu --layers 4,2"],
    "large weights": ["--every 10 --epochs 60 --init-sigma 50"],
    "huge weights": ["--every 10 --epochs 40 --init-sigma 1000000 --lr 100 --activation relu"],
    "closed": ["--every 10 --epochs 100 --binning closed --t-bins 7"],
    "adaptive": ["--every 10 --epochs 60 --binning adaptive --t-bins 30 --x-bins 1"],
    "one bin": ["--every 10 --epochs 60 --x-bins 1 --t-bins 1"],
    "largest seeds": ["--every 10 --epochs 100 --seed 4294967295 --data-seed 4294967295"],
    "resumed": ["--every 10 --epochs 55 --seed 8", "--epochs 125"],
}
"""The flags of each run; where there are two, the second goes on from the file of the first."""

_RECORD = """
import json, sys
from ibtui.cli import main
for command in json.loads(sys.argv[1]):
    if main(command):
        sys.exit(f"failed: {command}")
"""


def record(engine: str, folder: Path) -> dict[str, Path]:
    """Record every run by one engine, in one process; return its file by the run's name."""
    paths = {name: folder / f"{engine} {name}.npz" for name in RUNS}
    commands = []
    for name, (first, *second) in RUNS.items():
        to = ["--record", str(paths[name])]
        commands.append([*to, "--engine", engine, "--ctx", "cpu", *first.split()])
        commands += [["--resume", str(paths[name]), *to, "--force", *flags.split()] for flags in second]
    command = [sys.executable, "-c", _RECORD, json.dumps(commands)]
    root = Path(__file__).parent.parent
    subprocess.run(
        command, check=True, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=170
    )
    return paths


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by their keys."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def digest(array: np.ndarray) -> str:
    """Return a text that two arrays share only if type, shape and every bit are equal."""
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()[:24]


def table(run: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the numbers of the first rows and of the last: arrays (rows, numbers) by key."""
    count = len(run["epoch"])
    rows = [*range(min(count, ROWS) - 1), count - 1]
    return {key: run[key][rows].reshape(len(rows), -1).astype(np.float64) for key in _columns(run)}


def _columns(run: dict[str, np.ndarray]) -> list[str]:
    """Return the keys of what there is once for each measurement: quantities, weights and biases."""
    layers = run["i_xt"].shape[1]
    kept = [f"{name}{layer}" for layer in range(layers) for name in ("weight", "bias")]
    return ["epoch", *PER_LAYER, *PER_RUN, *kept]


def processor() -> dict[str, str]:
    """Return what decides how the last bits are rounded: processor, libraries, and some of their results.

    Nothing of ibtui is used, so that a fault there cannot pass for another processor.
    """
    random = np.random.RandomState(0)
    a, b = random.randn(37, 65).astype(np.float32), random.randn(65, 37).astype(np.float32)
    wide = random.randn(500, 7)
    results = [a @ b, wide.T @ wide, np.linalg.svd(wide, compute_uv=False), np.exp(wide), np.tanh(a)]
    installed = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "llvmlite")}
    for name in ("mxnet", "mxnet-cu112"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed["mxnet"] = f"{name} {importlib.metadata.version(name)}"
    features = str(sorted(llvm.get_host_cpu_features().items()))
    return {
        "processor": os.environ.get("NUMBA_CPU_NAME", llvm.get_host_cpu_name()),
        "features": hashlib.sha256(features.encode()).hexdigest()[:24],
        "results": hashlib.sha256(b"".join(r.tobytes() for r in results)).hexdigest()[:24],
        **installed,
    }


def main() -> None:
    """Write the data anew."""
    digests: dict[str, dict[str, str]] = {}
    tables: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for engine in ENGINES:
            for name, path in record(engine, Path(folder)).items():
                run = arrays(path)
                new = ("schema", "config", "quantities")  # who wrote the file, and words that may change
                digests[f"{engine} {name}"] = {key: digest(run[key]) for key in run if key not in new}
                tables[f"{engine} {name}"] = np.hstack(list(table(run).values()))
    about = {"made_on": processor(), "digests": digests}
    np.savez_compressed(DATA, about=np.array(json.dumps(about)), **tables)


if __name__ == "__main__":
    main()
