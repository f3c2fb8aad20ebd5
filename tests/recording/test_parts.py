"""A file says what is measured, what trains and what is held out, and is resumed on what trains."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ibtui.cli import main
from ibtui.data.samples import make_dataset
from ibtui.errors import RecordingError
from ibtui.recording import files, reading
from tests.recording.fuzz import arrays, example
from tests.recording.tampered import RUN, rewrite

MEASURED = [
    (), ("--measure-samples", "20"), ("--measure-on", "held-out"), ("--measure-on", "all"),
    ("--measure-on", "all", "--measure-samples", "30", "--split", "0.8"),
]  # fmt: skip
SMALL = ("--engine", "fused", "--ctx", "cpu", "--samples", "100", "--every", "2", "--data", "moons")


def recorded(name: str, *flags: str) -> dict[str, np.ndarray]:
    assert main([*flags, "--record", name]) == 0
    return arrays(Path(name))


@pytest.mark.parametrize("measured", MEASURED, ids="-".join)
def test_a_file_is_resumed_on_what_trains_whatever_is_measured(measured):
    whole = recorded("whole.npz", *SMALL, *measured, "--epochs", "12")
    recorded("part.npz", *SMALL, *measured, "--epochs", "6")
    resumed = recorded("resumed.npz", "--resume", "part.npz", "--epochs", "12")
    assert whole.keys() == resumed.keys()
    for key, values in whole.items():
        assert resumed[key].tobytes() == values.tobytes(), key
    assert Path("whole.npz").read_bytes() == Path("resumed.npz").read_bytes()


def test_what_is_measured_changes_no_weight():
    usual = recorded("0.npz", *SMALL, "--epochs", "6")
    for number, measured in enumerate(MEASURED[1:4], 1):
        other = recorded(f"{number}.npz", *SMALL, *measured, "--epochs", "6")
        for key in usual:
            if key.startswith(("weight", "bias", "checkpoint_")):
                assert other[key].tobytes() == usual[key].tobytes(), key
        assert other["i_ty"].tobytes() != usual["i_ty"].tobytes()


def test_the_file_holds_what_trains_and_is_not_measured_and_no_part_that_is_none():
    run = recorded("run.npz", *SMALL, "--epochs", "2", "--measure-on", "held-out", "--measure-samples", "20")
    data = make_dataset(files.load("run.npz").config)
    for key in ("x", "y", "x_test", "y_test", "x_rest", "y_rest", "trains"):
        assert run[key].tobytes() == getattr(data, key).tobytes()
    assert not run["trains"].any() and run["trains"].dtype == bool
    assert run["x_rest"].shape == (50, 2) and run["x"].shape == (20, 2)
    assert "x_range" not in run and "names" not in run
    usual = recorded("usual.npz", *SMALL, "--epochs", "2")
    assert not {"x_rest", "y_rest", "trains", "names"} & usual.keys()


def test_parts_of_a_file_are_what_the_recording_had():
    recording = example(2, parts=True)
    files.save(recording, RUN)
    again = files.load(RUN)
    assert again.dataset.names == ("-", "+") and again.dataset.x_range is None
    assert files.peek(RUN).names == ("-", "+") and files.peek(RUN).x_range is None
    for ours, theirs in zip(again.dataset.training, recording.dataset.training, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert again.binning.identity


def test_a_file_without_these_keys_trains_on_what_it_measures():
    recording = files.load(rewrite({}))
    assert recording.dataset.measures_training
    assert np.shares_memory(recording.dataset.training[0], recording.dataset.x)
    assert recording.dataset.names == ()


def test_keys_that_say_the_usual_are_read_and_not_written_again():
    usual = {"trains": np.ones(8, bool), "x_rest": np.zeros((0, 2), "<f4"), "y_rest": np.zeros(0, "<i8")}
    recording = files.load(rewrite(usual))
    assert recording.dataset.measures_training
    files.save(recording, RUN)
    assert not usual.keys() & arrays(RUN).keys()


def test_in_a_file_of_schema_1_these_keys_mean_nothing():
    path = rewrite({"schema": np.array(1), "trains": np.zeros(3), "names": np.zeros(3), "x_rest": b""})
    assert files.load(path).dataset.measures_training


def test_names_of_a_stranger_are_made_printable():
    assert files.load(rewrite({"names": np.array('["\\u001b[2J", "b"]')})).dataset.names == ("\\x1b[2J", "b")


def test_what_is_not_measured_counts_among_the_samples_that_are_too_many(monkeypatch):
    recording = example(1, parts=True)
    data = recording.dataset
    files.save(recording, RUN)
    units = (len(data.x) + len(data.x_test) + len(data.x_rest)) * 5
    monkeypatch.setattr(reading, "MAX_ACTIVATIONS", units)
    files.load(RUN)
    monkeypatch.setattr(reading, "MAX_ACTIVATIONS", units - 1)
    with pytest.raises(RecordingError, match="more samples than a net of its size can be measured with"):
        files.load(RUN)
    assert os.listdir() == ["run.npz"]
