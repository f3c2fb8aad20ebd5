"""A recording grows, is re-estimated, forgets old activations and can be mirrored elsewhere."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibtui.config import RunConfig
from ibtui.core.information import Binning
from ibtui.core.seeding import initial_parameters
from ibtui.data.samples import make_dataset
from ibtui.engines.dense import packed
from ibtui.recording import Change, Checkpoint, Recording
from ibtui.run.measuring import activations_of, measure, meter_of, new_recording
from ibtui.run.trainer import Trainer
from tests.recording.fuzz import example, measurement

COARSE, CLOSED = Binning("notebook", 4, 10), Binning("closed", 3, 10)
CEILINGS = {"h_x": 1.0, "h_y": 0.5}


def empty(**settings) -> Recording:
    return example(0, resumable=False, epochs=10**6, **settings)


def taken(recording: Recording, epoch: int, binning: Binning | None = None):
    return measurement(recording.config, epoch, 8, binning)


def test_a_row_holds_what_was_measured():
    recording = empty()
    m = taken(recording, 0)
    recording.append(m)
    assert len(recording) == 1
    assert recording.column("epoch").tolist() == [0]
    for found, wanted in ((recording.values(0), m.values), (recording.kept(0), m.kept)):
        assert found.keys() == wanted.keys()
        for name in found:
            assert np.array_equal(found[name], wanted[name]), name
            assert np.array_equal(recording.column(name)[0], wanted[name]), name
    assert recording.activations(0) is m.activations
    assert recording.names == ("epoch", *m.values, *m.kept)


def test_growing_keeps_every_row():
    recording = empty()
    for row in range(1000):
        recording.append(taken(recording, 10 * row))
        assert len(recording) == row + 1
    assert recording.column("epoch").tolist() == list(range(0, 10_000, 10))
    for row in (0, 63, 64, 65, 500, 999):
        m = taken(recording, 10 * row)
        assert np.array_equal(recording.column("i_xt")[row], m.values["i_xt"])
        assert np.array_equal(recording.column("weight1")[row], m.kept["weight1"])


def test_a_row_is_a_copy_of_the_engines_weights():
    recording = empty()
    m = taken(recording, 0)
    recording.append(m)
    before = recording.column("weight0")[0].copy()
    m.kept["weight0"][:] = 7
    assert np.array_equal(recording.column("weight0")[0], before)
    recording.kept(0)["weight0"][:] = 9
    assert np.array_equal(recording.column("weight0")[0], before)


@pytest.mark.slow
def test_a_reader_can_trust_every_row_below_the_length_that_it_saw():
    recording = empty()
    wrong: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if seen := len(recording):
                last = recording.column("epoch")[seen - 1], recording.column("weight0")[seen - 1]
                if last[0] != 10 * (seen - 1) or not last[1].any():
                    wrong.append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    for row in range(1500):
        recording.append(taken(recording, 10 * row))
    done.set()
    reader.join()
    assert not wrong


# Binning.


def test_a_change_of_binning_forgets_the_estimates_and_nothing_else():
    recording = example(3)
    before = {name: recording.column(name).copy() for name in recording.names}
    recording.rebin(CLOSED, {"h_x": 2.5, "h_y": 0.5})
    assert recording.binning == CLOSED
    assert (recording.config.binning, recording.config.x_bins, recording.config.t_bins) == ("closed", 3, 10)
    assert recording.ceilings == {"h_x": 2.5, "h_y": 0.5}
    assert recording.changes == [
        Change(20, "binning", "closed"), Change(20, "x_bins", 3), Change(20, "t_bins", 10)
    ]  # fmt: skip
    assert recording.pending().tolist() == [0, 1, 2]
    for name in recording.names:
        column = recording.column(name)
        if name == "outside":
            assert not column.any()
        elif name in recording.rebinned:
            assert np.isnan(column).all()
        else:
            assert np.array_equal(column, before[name])


def test_estimates_fill_the_rows_in_and_the_newest_binning_wins():
    recording = example(3)
    recording.rebin(COARSE, CEILINGS)
    fresh = taken(recording, 77).values
    assert recording.estimate(1, COARSE, fresh)
    assert recording.pending().tolist() == [0, 2]
    assert np.array_equal(recording.column("i_ty")[1], fresh["i_ty"])
    assert np.array_equal(recording.column("outside")[1], fresh["outside"])
    assert not np.array_equal(recording.column("dimension")[1], fresh["dimension"])
    recording.rebin(CLOSED, CEILINGS)
    assert not recording.estimate(0, COARSE, fresh)
    assert np.isnan(recording.column("i_ty")).all()
    assert recording.pending().tolist() == [0, 1, 2]


def test_a_row_measured_with_an_old_binning_waits_for_the_new_one():
    recording = example(1, epochs=100)
    recording.rebin(CLOSED, CEILINGS)
    recording.append(taken(recording, 10, COARSE))
    recording.append(taken(recording, 20, CLOSED))
    assert recording.pending().tolist() == [0, 1]
    assert np.isnan(recording.column("i_xt")[1]).all()
    assert not np.isnan(recording.column("dimension")[1]).any()
    assert not np.isnan(recording.column("i_xt")[2]).any()


# Memory.


def test_beyond_the_budget_the_oldest_activations_go():
    recording = example(6, 2)
    assert recording.stored == [4, 5]
    assert recording.activations(3) is None
    assert recording.activations(5) is not None
    assert example(6, 0).stored == []
    assert example(6).stored == [0, 1, 2, 3, 4, 5]


@given(st.lists(st.sampled_from("ad"), max_size=60), st.integers(0, 5))
@settings(deadline=None)
def test_activations_never_pass_the_budget_and_are_always_the_newest(actions, kept):
    recording = example(0, kept, resumable=False, epochs=10**6)
    epoch = 0
    for action in actions:
        if action == "a":
            recording.append(taken(recording, epoch))
            epoch += 10
        elif len(recording):
            recording.drop_last()
        held = [recording.activations(row) for row in recording.stored]
        assert sum(t.nbytes for layers in held for t in layers) <= recording.history_bytes
        assert recording.stored == sorted(recording.stored)
        assert all(row < len(recording) for row in recording.stored)
        if action == "a" and kept:
            assert recording.stored[-1] == len(recording) - 1


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("layers", [(2, 2, 2, 2), (5, 1, 3)])
def test_derived_activations_equal_the_stored_ones_to_the_same_bits(activation, layers):
    config = RunConfig(engine="fused", samples=60, layers=layers, activation=activation)
    data = make_dataset(config)
    whole, frugal = (new_recording(config, data, budget) for budget in (1 << 30, 0))
    meter = meter_of(whole)
    for epoch in range(0, 40, 10):
        weights = initial_parameters(layers, inputs=2, sigma=1.0, seed=epoch)
        # As an engine may hand them over: another layout, the same numbers.
        state = packed([(np.asfortranarray(w), b + np.float32(0.1)) for w, b in weights], 0.5)
        for recording in (whole, frugal):
            recording.append(measure(recording, Checkpoint(epoch, state), meter))
    assert whole.stored == [0, 1, 2, 3]
    assert frugal.stored == []
    for row in range(4):
        both = (activations_of(recording, row, meter) for recording in (whole, frugal))
        for stored, derived in zip(*both, strict=True):
            assert stored.dtype == derived.dtype == np.float32
            assert stored.tobytes() == derived.tobytes()


# Mirrors.


def same(mirror: Recording, source: Recording) -> None:
    assert len(mirror) == len(source)
    assert mirror.config == source.config
    assert mirror.tick == source.tick
    assert mirror.ceilings == source.ceilings
    for name in source.names:
        ours, theirs = mirror.column(name), source.column(name)
        assert (ours.dtype, ours.tobytes()) == (theirs.dtype, theirs.tobytes()), name
    assert mirror.pending().tolist() == source.pending().tolist()
    assert mirror.changes == source.changes


actions = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from([COARSE, CLOSED, Binning()])),
        st.tuples(st.just("append many"), st.integers(1, 80)),
        st.tuples(st.just("rebin"), st.sampled_from([COARSE, CLOSED, Binning()])),
        st.tuples(st.just("estimate"), st.integers(0, 200)),
        st.tuples(st.just("mirror"), st.none()),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(actions)
def test_a_mirror_equals_its_source_after_any_sequence(sequence):
    source, mirror = empty(), empty()
    epoch = 0
    for action, value in [*sequence, ("mirror", None)]:
        if action == "append":
            source.append(taken(source, epoch, value))
            epoch += 10
        elif action == "append many":
            for _ in range(value):
                source.append(taken(source, epoch))
                epoch += 10
        elif action == "rebin":
            source.rebin(value, {"h_x": float(value.x_bins), "h_y": 0.5})
        elif action == "estimate" and value < len(source):
            source.estimate(value, source.binning, taken(source, value).values)
        elif action == "mirror":
            update = source.update_since(mirror.tick)
            if update is not None:
                mirror.apply(update)
            same(mirror, source)
            assert source.update_since(mirror.tick) is None


def test_a_mirror_gets_what_is_new_and_no_more():
    source = example(50, resumable=False)
    tick = source.tick
    source.append(taken(source, 500))
    source.rebin(COARSE, CEILINGS)
    assert source.update_since(tick).rows.tolist() == list(range(51))
    tick = source.tick
    source.estimate(7, COARSE, taken(source, 3).values)
    update = source.update_since(tick)
    assert update.rows.tolist() == [7]
    source.column("i_xt")[7] = 0
    assert not (update.columns["i_xt"] == 0).any(), "an update is a copy"


def test_a_mirror_of_a_loaded_recording_begins_at_its_beginning():
    source, mirror = example(5), Recording(example(5).experiment)
    loaded = Recording(source.experiment, dict(source.ceilings))
    loaded.fill({name: source.column(name).copy() for name in source.names}, {})
    mirror.apply(loaded.update_since(0))
    same(mirror, loaded)


def test_the_stamp_of_a_row_changes_with_the_row():
    recording = example(3)
    before = [recording.stamp(row) for row in range(3)]
    assert before == sorted(set(before))
    recording.rebin(COARSE, CEILINGS)
    recording.estimate(1, COARSE, taken(recording, 5).values)
    after = [recording.stamp(row) for row in range(3)]
    assert all(new > old for new, old in zip(after, before, strict=True))
    assert after[1] == recording.tick > after[0]


def test_a_recording_without_a_row_is_filled_and_grows():
    recording = empty()
    recording.fill({name: recording.column(name) for name in recording.names}, {})
    assert len(recording) == 0 and not recording.pending().size
    recording.append(taken(recording, 0))
    assert recording.column("epoch").tolist() == [0]


@pytest.mark.parametrize(("epochs", "every"), [(20, 5), (23, 5), (3, 5), (7, 1)])
def test_what_a_whole_run_takes_is_known_before(epochs, every):
    config = RunConfig(engine="fused", ctx="cpu", epochs=epochs, every=every, samples=40, layers=(3, 2))
    trainer = Trainer(config, 1 << 20)
    before = trainer.recording.whole_bytes
    trainer.train(epochs)
    trainer.measure_if_due()
    recording = trainer.recording
    assert before == sum(recording.column(name).nbytes for name in recording.names)


def test_a_run_that_takes_much_memory_says_so_to_begin_with():
    assert new_recording(RunConfig(), make_dataset(RunConfig()), 0).forewarning() == ""
    wide = RunConfig(layers=(256, 256, 2), epochs=200_000, every=10)
    # float32: 256 times 2, 256 times 256 and 2 times 256 weights, and 514 biases; eight bytes: nine estimates
    # of each of three layers, five of the performance, the epoch
    row = 4 * (512 + 65_536 + 512 + 514) + 8 * (27 + 5 + 1)
    assert new_recording(wide, make_dataset(wide), 0).forewarning() == (
        f"the 20,001 measurements of this run will take {20_001 * row / 1e9:.1f} GB of memory, and on a "
        "screen as much again; a larger --every takes less"
    )
