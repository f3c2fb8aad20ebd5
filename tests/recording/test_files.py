"""A file gives back what was written, of every version, and of packages that are not here."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui import archive
from ibtui.core.information import Binning
from ibtui.errors import EngineError, UsageError
from ibtui.quantities import Quantity
from ibtui.quantities.meter import quantities
from ibtui.recording import Change
from ibtui.recording.files import load, peek, save
from ibtui.recording.schema import LATER
from ibtui.run.measuring import activations_of, estimate_pending, meter_of
from tests.recording.fuzz import (
    OLD,
    TEXTS,
    arrays,
    differences,
    example,
    from_elsewhere,
    measurement,
)
from tests.recording.tampered import RUN, quantities_with, rewrite
from tests.terminal import Terminal

PER_LAYER = [q.name for q in quantities() if q.per_layer]
PER_RUN = [q.name for q in quantities() if not q.per_layer]
REBINNED = [q.name for q in quantities() if q.rebinned]


def test_every_array_is_there_as_the_schema_says():
    recording = example(6, 2)
    assert save(recording, RUN) == RUN.stat().st_size
    found = arrays(RUN)
    config, (rows, layers, samples) = recording.config, (6, 2, 8)
    shapes = {
        "schema": (), "h_x": (), "h_y": (), "x_range": (2,), "epoch": (rows,), "t_index": (2,),
        "x": (samples, 2), "y": (samples,), "x_test": (samples, 2), "y_test": (samples,),
        "weight0": (rows, 3, 2), "bias0": (rows, 3), "weight1": (rows, 2, 3), "bias1": (rows, 2),
        "t0": (2, samples, 3), "t1": (2, samples, 2),
        "checkpoint_epoch": (), "checkpoint_moving_loss": (),
        "checkpoint_weight0": (3, 2), "checkpoint_bias0": (3,),
        "checkpoint_weight1": (2, 3), "checkpoint_bias1": (2,),
    }  # fmt: skip
    shapes |= dict.fromkeys(PER_LAYER, (rows, layers)) | dict.fromkeys(PER_RUN, (rows,))
    shapes |= dict.fromkeys(set(TEXTS) - {"names"}, ())
    assert {key: array.shape for key, array in found.items()} == shapes
    single = re.compile(r"(x|x_test|(checkpoint_)?(weight|bias)\d|t\d)")
    whole = {"schema", "epoch", "t_index", "y", "y_test", "outside", "checkpoint_epoch"}
    for key, array in found.items():
        wanted = np.float32 if single.fullmatch(key) else np.int64 if key in whole else np.float64
        assert key in TEXTS or array.dtype == wanted, key
    assert found["schema"] == 2
    assert str(found["config"]) == config.to_json()
    assert found["t_index"].tolist() == [4, 5]


@pytest.mark.parametrize(
    "recording",
    [
        example(), example(6, 2), example(4, 0), example(0), example(3, resumable=False),
        example(1, layers=(2,)),
        example(70, 3, layers=(1, 5, 4), samples=9, activation="relu", binning="adaptive"),
        example(3, parts=True),
    ],
)  # fmt: skip
def test_what_is_read_is_what_was_written(recording):
    save(recording, RUN)
    again = load(RUN)
    assert again.config == recording.config
    assert len(again) == len(recording)
    for key in recording.names:
        ours, theirs = again.column(key), recording.column(key)
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())
    assert again.stored == recording.stored
    for row in range(len(recording)):
        ours, theirs = again.activations(row), recording.activations(row)
        assert (ours is None) == (theirs is None)
        for a, b in zip(ours or (), theirs or (), strict=True):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    for key in ("x", "y", "x_test", "y_test", "trains", "x_rest", "y_rest"):
        ours, theirs = getattr(again.dataset, key), getattr(recording.dataset, key)
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())
    assert again.dataset.x_range == recording.dataset.x_range
    assert again.dataset.names == recording.dataset.names
    assert again.ceilings == recording.ceilings
    assert again.quantities == recording.quantities and again.layers == recording.layers
    assert again.experiment.kept == recording.experiment.kept
    assert again.changes == recording.changes
    assert again.machine == recording.machine != {}
    assert (again.checkpoint is None) == (recording.checkpoint is None)
    if recording.checkpoint:
        assert again.checkpoint.epoch == recording.checkpoint.epoch
        ours, theirs = again.checkpoint.state, recording.checkpoint.state
        assert ours.keys() == theirs.keys()
        assert all((ours[k].dtype, ours[k].tobytes()) == (theirs[k].dtype, theirs[k].tobytes()) for k in ours)
    assert not differences(RUN, again)
    summary = peek(RUN)
    assert (summary.config, summary.rows) == (recording.config, len(recording))
    assert summary.checkpoint_epoch == (recording.checkpoint.epoch if recording.checkpoint else None)


def test_the_same_recording_gives_the_same_bytes_whatever_its_arrays_look_like_in_memory():
    recording = example()
    save(recording, "a.npz")
    c = recording.checkpoint
    transposed = {name: np.array(array, order="F") for name, array in c.state.items()}
    transposed["bias0"] = np.repeat(c.state["bias0"], 2)[::2]
    recording.checkpoint = type(c)(c.epoch, transposed)
    save(recording, "b.npz")
    save(load("a.npz"), "c.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes() == Path("c.npz").read_bytes()
    with zipfile.ZipFile("a.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_change_of_binning_while_a_file_is_written_does_not_reach_it():
    recording = example(3)
    lock = recording.lock

    class ThenRebinned(contextlib.nullcontext):
        """The recording's lock, and a change of binning as soon as whoever writes the file lets go of it."""

        def __enter__(self) -> None:
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()
            recording.lock = lock
            recording.rebin(Binning("closed", 2, 2), {"h_x": 0.0, "h_y": 0.0})

    recording.lock = ThenRebinned()
    save(recording, "a.npz")
    assert recording.binning == Binning("closed", 2, 2)
    save(example(3), "b.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_a_loaded_recording_goes_on():
    save(example(3), RUN)
    recording = load(RUN)
    recording.append(measurement(recording.config, 30, 8))
    whole = example(4)
    whole.checkpoint = recording.checkpoint
    save(recording, "a.npz")
    save(whole, "b.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_a_snapshot_holds_the_first_rows_and_its_own_checkpoint():
    recording, own = example(5), example(1).checkpoint
    save(recording, RUN, rows=3, checkpoint=own)
    again = load(RUN)
    assert again.column("epoch").tolist() == [0, 10, 20]
    assert again.stored == [0, 1, 2]
    assert again.checkpoint.epoch == own.epoch == 0
    save(recording, RUN, rows=99, overwrite=True)
    assert len(load(RUN)) == 5


def test_activations_beyond_the_budget_are_not_kept_in_memory(monkeypatch):
    read, counts = archive.Archive.last, []

    def last(self, key, count):
        counts.append(count)
        return read(self, key, count)

    monkeypatch.setattr(archive.Archive, "last", last)
    save(example(6), RUN)
    a_row = 4 * 8 * (3 + 2)
    recording = load(RUN, history_bytes=2 * a_row + 1)
    assert recording.stored == [4, 5]
    assert counts == [2, 2]
    assert load(RUN, history_bytes=0).stored == []
    for t in recording.activations(4):
        assert t.base is None  # no part of an array of all rows, which would stay whole
    recording.append(measurement(recording.config, 60, 8))
    assert recording.stored == [5, 6]


def test_measurements_without_a_number_are_as_good_as_any():
    recording = example(3)
    for key in (*PER_LAYER, *PER_RUN):
        if key in PER_RUN:
            recording.column(key)[1] = np.nan
        elif key != "outside":
            recording.column(key)[1] = np.nan, np.inf
    recording.column("weight0")[2] = -np.inf
    recording.ceilings["h_x"] = float("nan")
    save(recording, RUN)
    again = load(RUN)
    assert np.isnan(again.column("i_xt")[1, 0])
    assert np.isinf(again.column("i_xt")[1, 1])
    assert not differences(RUN, again)
    assert again.pending().size == 0


def test_rows_saved_before_their_estimates_were_made_wait_for_them_again():
    recording = example(3)
    recording.rebin(Binning("closed", 4, 10), recording.ceilings)
    recording.estimate(1, recording.binning, measurement(recording.config, 1, 8).values)
    save(recording, RUN)
    assert load(RUN).pending().tolist() == [0, 2]


def test_compressed_by_numpy_it_reads_the_same():
    save(example(), RUN)
    np.savez_compressed("small.npz", **arrays(RUN))
    assert not differences(Path("small.npz"), load("small.npz"))


def test_a_file_of_version_0_1_holds_the_same_numbers_for_ever():
    old, recording = arrays(OLD), load(OLD)
    assert old["schema"] == 1 and len(recording) == 7
    for key in recording.names:
        column = recording.column(key)
        assert (column.dtype, column.tobytes()) == (old[key].dtype, old[key].tobytes()), key
    assert recording.ceilings == {"h_x": old["h_x"], "h_y": old["h_y"]}
    assert recording.checkpoint.epoch == 60
    assert list(recording.quantities.values()) == [q for q in quantities() if q.name not in LATER]
    assert [(layer.width, layer.activation) for layer in recording.layers] == [(3, "tanh"), (2, "tanh")]
    assert (recording.config.data, recording.config.quantities, recording.changes) == ("grid", (), [])
    data = recording.dataset
    assert data.measures_training and data.trains.all() and data.x_range == (0, 1) and data.names == ()
    # Written again, it is the same, and of today's schema.
    save(recording, RUN)
    assert arrays(RUN)["schema"] == 2
    assert not differences(OLD, load(RUN))


def test_a_file_of_version_0_1_is_rebinned_to_what_is_measured_today():
    recording = load(OLD, history_bytes=0)
    meter = meter_of(recording)
    before = {key: recording.column(key).copy() for key in set(REBINNED) - set(LATER)}
    recording.rebin(recording.binning, meter.ceilings)
    estimate_pending(recording, meter)
    for key in set(REBINNED) - set(LATER):
        now = recording.column(key)
        known = ~np.isnan(now)  # a chance level that says nothing was a number
        assert known.all() or key.startswith("chance")
        assert np.abs(now - before[key])[known].max() < 1e-12, key
    assert recording.ceilings == pytest.approx(load(OLD).ceilings, abs=1e-12)


@pytest.mark.parametrize("way", ["replay", "report", "resume"])
def test_a_file_of_version_0_1_is_replayed_reported_and_resumed(way):
    if way == "resume":
        done = ibtui("--resume", str(OLD), "--epochs", "90", "--record", str(RUN))
        assert (done.returncode, done.stderr) == (0, "")
        whole = (
            "--epochs",
            "90",
            "--every",
            "10",
            "--samples",
            "60",
            "--layers",
            "3,2",
            "--seed",
            "6",
            "--engine",
            "fused",
        )
        assert ibtui(*whole, "--record", "whole.npz").returncode == 0
        again, never = arrays(RUN), arrays(Path("whole.npz"))
        assert again["epoch"].tolist() == list(range(0, 91, 10))
        for key in set(never) - {
            *TEXTS,
            *LATER,
        }:  # to the bit on the processor that made it: see `tests.golden`
            assert key[0] == "t" or np.allclose(again[key], never[key], atol=0.01, equal_nan=True), key
    elif way == "report":
        done = ibtui("report", str(OLD), "--out", "table.csv")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(Path("table.csv").read_text().splitlines()) == 1 + 7 * 2
    else:
        with Terminal("replay", str(OLD), columns=100, rows=30) as terminal:
            terminal.until(r"epoch 60 of 60")
            terminal.type("q")
            assert terminal.wait() == 0


def ibtui(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ibtui", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_file_from_elsewhere_is_read_by_its_own_declarations():
    save(example(6, 2), RUN)
    Path("far.npz").write_bytes(from_elsewhere(RUN.read_bytes()))
    recording = load("far.npz")
    assert recording.config.engine == "there" and recording.config.data == "away"
    assert recording.column("distance").tolist() == [0, 1, 2, 3, 4, 5]
    assert recording.quantities["distance"].label == "distance"
    assert not differences(Path("far.npz"), recording)
    assert peek("far.npz").checkpoint_epoch == 50
    meter = meter_of(recording)
    assert activations_of(recording, 5, meter) is recording.activations(5)
    with pytest.raises(EngineError, match=r"the engine there.* is not installed here"):
        activations_of(recording, 0, meter)
    save(recording, "again.npz", overwrite=True)
    assert arrays(Path("again.npz")).keys() == arrays(Path("far.npz")).keys()


def test_words_of_a_stranger_are_made_printable():
    path = rewrite(
        {
            "quantities": lambda m: quantities_with(m, label="\x1b[2J\u202e", description="a\nb"),
            "far": np.zeros(3),
            "changes": np.array('[[0, "binning", "\\u001b[2J"]]'),
            "machine": np.array('{"processor": "\\u001b[2J"}'),
        }
    )
    recording = load(path)
    far = recording.quantities["far"]
    assert far.label == r"\x1b[2J\u202e" and far.description == r"a\nb"
    assert recording.changes == [Change(0, "binning", r"\x1b[2J")]
    assert recording.machine == {"processor": r"\x1b[2J"}


def test_a_change_of_binning_is_told_by_the_file():
    recording = example(3)
    recording.rebin(Binning("closed", 4, 7), recording.ceilings)
    save(recording, RUN)
    assert load(RUN).changes == [Change(20, "binning", "closed"), Change(20, "t_bins", 7)]
    recording.changes *= 10_000
    save(recording, RUN, overwrite=True)
    assert load(RUN).changes == recording.changes[-5000:]


def test_what_a_file_could_not_hold_is_refused_before_the_run():
    experiment = example(0).experiment
    for name in ("x", "t0", "weight0", "i_xt", "checkpoint_epoch", "naïve", "a-b", "x" * 65):
        with pytest.raises(UsageError, match=name[:10]):
            replace(experiment, quantities=(*experiment.quantities, Quantity(name, "label")))
