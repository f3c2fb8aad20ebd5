"""Numbers go wrong: learning rates and weights from sane to absurd, recorded and on the screen."""

from __future__ import annotations

import copy
import itertools
import random
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from ibtui.config import RunConfig
from ibtui.recording import Recording, files
from tests.faults.boxes import Lost, equal, example, folder, gone_on_with, resumes_exactly, run_of, sockets
from tests.terminal import Terminal

ACTIVATIONS = ("tanh", "relu", "sigmoid")
RATES = (0.1, 5.0, 300.0, 1e6)
SIGMAS = (1.0, 5e-324, 1e-30, 40.0, 1e6)
LAYERS = ((2, 2, 2, 2), (1, 5, 2), (12, 12, 12, 2), (12, 12, 12, 12, 12, 12, 2))
BINNINGS = ("notebook", "closed", "adaptive")
EPOCHS, EVERY = 60, 5
_TAME = 1e15
"""Weights below this give activations that are numbers, if the activation is bounded."""
_EVERYWHERE = (*"iduev", "\r", *"\t\t\t\t\t\t\t\t\t\t", "m", "?", "\x1b", "\x1b", "\x1b[D", "\x1b[F")
"""Keys that lead to every pane, alone on the screen, and to every way of looking; then back."""


def wrong_numbers(tries: int) -> list[Lost]:
    """So many configurations recorded and gone on from; some, most of which diverge, on the screen."""
    grid = list(itertools.product(ACTIVATIONS, RATES, SIGMAS, LAYERS, BINNINGS))
    failed, dark, diverged, shown = [], [], 0, 0
    with folder() as place:
        for at, values in enumerate(random.Random(10).sample(grid, min(tries, len(grid)))):
            config = _config(*values)
            try:
                recording = _recorded(config, place / "run.npz", failed)
            except Exception:
                failed.append(f"{config}: {traceback.format_exc().splitlines()[-1]}")
                continue
            finite = np.isfinite(recording.column("train_loss")).all()
            diverged += not finite
            if at % 12 == 0 or (not finite and diverged % 3 == 1):
                shown += 1
                dark += _shown(recording, place / str(at))
    return [
        Lost(
            "Learning rates and initial weights up to 1e6, runs gone on from weights of 1e38: "
            f"{diverged} losses that do not stay finite; {shown} of the runs on the screen",
            tries,
            f"{len(failed)} exceptions, warnings, or files that do not say what was measured or are not gone "
            f"on from exactly{example(failed)}; {len(dark)} panes not drawn, screens that froze or do not "
            f"say where it began{example(dark)}",
            not failed and not dark and diverged > 0,
        )
    ]


def _config(activation: str, lr: float, sigma: float, layers: tuple[int, ...], binning: str) -> RunConfig:
    return RunConfig(
        engine="fused", ctx="cpu", epochs=EPOCHS, every=EVERY, samples=100, activation=activation, lr=lr,
        init_sigma=sigma, layers=layers, binning=binning,
    )  # fmt: skip


def _recorded(config: RunConfig, path: Path, wrong: list[str]) -> Recording:
    """A run, saved, loaded, gone on from as it is and from weights of 1e38; a warning is an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recording = run_of(config)
        files.save(recording, path)
        if not equal(files.load(path), recording):
            wrong.append(f"{config}: the file does not say what was measured")
        if not resumes_exactly(path, 25):
            wrong.append(f"{config}: does not go on as a run never left")
        if not _measured_where_defined(recording):
            wrong.append(f"{config}: not measured, though it is defined")
        files.save(_overflowing(recording), path, overwrite=True)
        gone_on_with(path, EPOCHS + 25)
    path.unlink()
    return recording


def _measured_where_defined(recording: Recording) -> bool:
    """Return whether each estimate is a number wherever the weights let the activations be numbers.

    Chance levels are none where each sample has a cell of its own; lower bounds are of kernels alone.
    """
    if recording.config.activation == "relu":
        return True
    rows = len(recording)
    weights = [recording.column(name).reshape(rows, -1) for name in recording.experiment.kept]
    tame = np.all([(np.nan_to_num(np.abs(w), nan=np.inf) < _TAME).all(axis=1) for w in weights], axis=0)
    told_apart = recording.column("occupancy") == 1
    for name in set(recording.rebinned) - {"i_xt_lower", "i_ty_lower"}:
        there = np.isfinite(recording.column(name))
        wanted = ~told_apart if name.startswith("chance_") else np.ones_like(there)
        if not (there == wanted)[tame].all():
            return False
    return True


def _overflowing(recording: Recording) -> Recording:
    """A copy whose checkpoint has weights of 1e38."""
    assert recording.checkpoint is not None
    state = recording.checkpoint.state
    huge = {n: np.full_like(values, 1e38) for n, values in state.items() if n.startswith("weight")}
    other = copy.copy(recording)
    other.checkpoint = replace(recording.checkpoint, state={**state, **huge})
    return other


def _shown(recording: Recording, at: Path) -> list[str]:
    """Say what is wrong with such a run on the real screen."""
    at.mkdir()
    config = recording.config
    options = {
        name.replace("_", "-"): getattr(config, name)
        for name in (
            "engine",
            "ctx",
            "epochs",
            "every",
            "samples",
            "activation",
            "lr",
            "init_sigma",
            "binning",
        )
    } | {"layers": ",".join(map(str, config.layers)), "epochs-per-second": 0, "snapshot-dir": at}
    line = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with Terminal(*line) as terminal:
        try:
            terminal.until(rf"finished +epoch {EPOCHS} of")
            for key in _EVERYWHERE:
                terminal.type(key)
                terminal.settle(0.05)
                assert "cannot be drawn" not in terminal.text, "a pane cannot be drawn"
            if not np.isfinite(recording.column("train_loss")).all():
                terminal.until("not finite from|diverged at")
            terminal.type("w")
            terminal.until("saved /")  # the help says "saved", too, and may still be there
            assert "cannot be drawn" not in terminal.text, "a pane cannot be drawn"
            terminal.type("q")
            assert terminal.wait() == 0
        except AssertionError as error:
            return [f"{config}: {str(error).splitlines()[0]}"]
    (snapshot,) = at.glob("*.npz")
    return [] if equal(files.load(snapshot), recording) and not sockets() else [f"{config}: another history"]
