"""Going on with a recorded run: what contradicts it is refused by name, and its history is taken over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.information import Binning
from ibtui.core.seeding import initial_parameters
from ibtui.data.samples import make_dataset
from ibtui.engines.dense import packed
from ibtui.errors import RecordingError, UsageError
from ibtui.recording import Checkpoint, Recording, files
from ibtui.run.measuring import measure, meter_of, new_recording
from ibtui.run.resuming import resume, resumed_config

CONFIG = RunConfig(
    ctx="gpu0", engine="fused", epochs=23, every=10, layers=(3, 2), samples=40, t_bins=20, binning="notebook",
    x="grid",
)  # fmt: skip


def recorded(measured: tuple[int, ...] = (0, 10, 20, 23), reached: int | None = 23, **settings) -> Recording:
    """A run whose nets nobody trained; each epoch has one of its own."""
    config = dataclasses.replace(CONFIG, **settings)
    recording = new_recording(config, make_dataset(config), 1 << 30)
    meter = meter_of(recording)
    for epoch in measured:
        recording.append(measure(recording, state(config, epoch, 0.5), meter))
    if reached is not None:
        recording.checkpoint = state(config, reached, 0.25)
    return recording


def state(config: RunConfig, epoch: int, moving_loss: float) -> Checkpoint:
    return Checkpoint(epoch, packed(initial_parameters(config.layers, seed=epoch), moving_loss))


def file(recording: Recording) -> str:
    files.save(recording, "run.npz", overwrite=True)
    return "run.npz"


def refusal(path: str, **asked) -> str:
    with pytest.raises(UsageError) as error:
        resumed_config(path, asked)
    line = str(error.value)
    assert line.isprintable()
    return line


def test_what_is_not_asked_for_is_as_the_recording_says():
    path = file(recorded())
    assert resumed_config(path, {}) == CONFIG
    assert resumed_config(path, {"epochs": 40}) == dataclasses.replace(CONFIG, epochs=40)
    assert resumed_config(path, {"ctx": "auto", "engine": "auto", "epochs": 23}) == CONFIG


def test_asking_for_what_the_recording_says_is_no_contradiction():
    path = file(recorded())
    same = {f.name: getattr(CONFIG, f.name) for f in dataclasses.fields(CONFIG)}
    assert resumed_config(path, same) == CONFIG
    assert resumed_config(path, {"layers": "3,2", "lr": 0.1, "batch_size": 10}) == CONFIG


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"ctx": "cpu"}, "--ctx cpu: run.npz was recorded with gpu0; leave it out"),
        ({"engine": "gluon"}, "--engine gluon: run.npz was recorded with fused; leave it out"),
        ({"every": 5}, "--every 5: run.npz was recorded with 10; leave it out"),
        ({"layers": "2,2"}, "--layers 2,2: run.npz was recorded with 3,2; leave it out"),
        ({"activation": "relu"}, "--activation relu: run.npz was recorded with tanh; leave it out"),
        ({"lr": 0.2}, "--lr 0.2: run.npz was recorded with 0.1; leave it out"),
        ({"batch_size": 11}, "--batch-size 11: run.npz was recorded with 10; leave it out"),
        ({"init_sigma": 2}, "--init-sigma 2.0: run.npz was recorded with 1.0; leave it out"),
        ({"grid": 3}, "--grid 3: run.npz was recorded with 2; leave it out"),
        ({"samples": 41}, "--samples 41: run.npz was recorded with 40; leave it out"),
        ({"data_seed": 5}, "--data-seed 5: run.npz was recorded with 4; leave it out"),
        ({"seed": 2}, "--seed 2: run.npz was recorded with 1; leave it out"),
        ({"x_bins": 5}, "--x-bins 5: run.npz was recorded with 4; leave it out"),
        ({"t_bins": 100}, "--t-bins 100: run.npz was recorded with 20; leave it out"),
        ({"binning": "closed"}, "--binning closed: run.npz was recorded with notebook; leave it out"),
        ({"epochs": 22}, "--epochs 22: run.npz has 23 already; give a total of 23 or more"),
        ({"epochs": 0}, "--epochs 0: must be a whole number from 1 to 100000000"),
        ({"lr": "fast"}, "--lr fast: must be a number above 0 and up to 1e+06"),
    ],
)
def test_a_setting_that_contradicts_the_recording_is_refused_by_name(asked, line):
    assert refusal(file(recorded()), **asked) == line


def test_every_setting_is_compared():
    path = file(recorded())
    others = {
        "ctx": "cpu", "engine": "gluon", "every": 1, "layers": (4, 2), "activation": "relu", "lr": 1.0,
        "batch_size": 1, "init_sigma": 3.0, "grid": 5, "samples": 4, "data_seed": 0, "seed": 0, "x_bins": 1,
        "t_bins": 1, "binning": "adaptive", "data": "rings", "quantities": ("spread",), "output": "linear",
        "optimizer": "adam", "init": "fan-in", "split": 0.3, "measure_on": "all", "measure_samples": 10,
        "measure_output": "softmax", "gradients": True, "x": "identity", "t_width": 1.0, "estimator": "kde",
        "kde_noise": 1.0,
    }  # fmt: skip
    assert others.keys() == {f.name for f in dataclasses.fields(RunConfig)} - {"epochs", "units"}
    for name, value in others.items():
        assert refusal(path, **{name: value}).startswith(f"--{name.replace('_', '-')} ")


def test_a_file_that_cannot_be_gone_on_with_is_refused():
    path = file(recorded(reached=None))
    assert refusal(path) == "run.npz: holds no checkpoint to go on from"
    with pytest.raises(UsageError, match=r"^run\.npz: holds no checkpoint to go on from$"):
        resume(path, 40, 1 << 20)
    Path("text.npz").write_text("no recording")
    assert refusal("text.npz").startswith("text.npz: not a recording")
    assert refusal("\x1b[2J.npz").startswith("\\x1b[2J.npz: No such file")
    with pytest.raises(RecordingError):
        resume("missing.npz", 40, 1 << 20)


def test_fewer_epochs_than_there_are_is_refused_even_late():
    with pytest.raises(UsageError, match=r"^--epochs 22: run\.npz has 23 already"):
        resume(file(recorded()), 22, 1 << 20)


@pytest.mark.parametrize(
    ("measured", "reached", "epochs", "kept"),
    [
        (
            (0, 10, 20, 23),
            23,
            40,
            [0, 10, 20],
        ),  # the end of the shorter run is not on the longer one's schedule
        ((0, 10, 20, 23), 23, 23, [0, 10, 20, 23]),
        ((0, 10, 20), 20, 23, [0, 10, 20]),
        ((0, 10, 20), 23, 40, [0, 10, 20]),
        ((0, 10, 20), 10, 40, [0, 10, 20]),  # saved between a measurement and the next checkpoint
        ((0, 10, 20, 23), 10, 15, [0, 10]),
        ((0, 10, 20, 23), 10, 20, [0, 10, 20]),
        ((), 0, 40, []),
        ((0,), 7, 40, [0]),
    ],
)
def test_the_history_is_what_one_run_of_so_many_epochs_would_have_by_now(measured, reached, epochs, kept):
    source = recorded(measured, reached)
    recording = resume(file(source), epochs, 1 << 20)
    assert recording.column("epoch").tolist() == kept
    assert recording.stored == list(range(len(kept)))
    assert recording.config == dataclasses.replace(CONFIG, epochs=epochs)
    for name in source.names:
        assert recording.column(name).tobytes() == source.column(name)[: len(kept)].tobytes()
    ours, theirs = recording.checkpoint, source.checkpoint
    assert ours.epoch == theirs.epoch
    assert {k: v.tobytes() for k, v in ours.state.items()} == {
        k: v.tobytes() for k, v in theirs.state.items()
    }
    # What it has become can be saved, and gone on with again.
    files.save(recording, "again.npz", overwrite=True)
    assert files.peek("again.npz").rows == len(kept)


def test_a_budget_holds_for_the_history_that_is_taken_over():
    recording = resume(file(recorded()), 40, 0)
    assert recording.stored == []
    assert recording.history_bytes == 0


def test_estimates_that_were_not_made_in_time_are_made():
    source = recorded()
    binning = Binning("closed", 3, 7)
    source.rebin(binning, meter_of(source, binning).ceilings)
    recording = resume(file(source), 23, 1 << 20)
    whole = recorded(binning="closed", x_bins=3, t_bins=7)
    assert not len(recording.pending())
    for name in whole.names:
        assert recording.column(name).tobytes() == whole.column(name).tobytes(), name


def test_a_net_that_diverged_is_gone_on_with_as_it_is():
    source = recorded((0,), 5)
    source.checkpoint.state["weight0"][:] = np.nan
    recording = resume(file(source), 40, 1 << 20)
    assert np.isnan(recording.checkpoint.state["weight0"]).all()
