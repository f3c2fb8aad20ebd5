"""Ranges of activations without a bound: one for the whole history, widened as a run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import RunConfig, WatchOptions
from ibtui.core.binning import Binning
from ibtui.core.information import i_ty
from ibtui.record import record
from ibtui.recording import Recording, files
from ibtui.run.measuring import estimate_pending, fitted, meter_of
from ibtui.run.protocol import Rebin
from ibtui.run.resuming import resume
from ibtui.run.trainer import Trainer
from tests.run.driver import Driver

RELU = RunConfig(
    engine="fused", ctx="cpu", epochs=60, every=5, samples=200, layers=(4, 3, 2), activation="relu",
    output="linear", binning="closed", t_bins=12, init_sigma=0.7, lr=0.2, seed=4,
)  # fmt: skip


def trained(config: RunConfig = RELU) -> Recording:
    trainer = Trainer(config, 1 << 30)
    trainer.train(config.epochs)
    trainer.estimate()
    return trainer.recording


def largest(recording: Recording) -> np.ndarray:
    """Return the largest activation of each layer in the whole history; of linear ones, by magnitude."""
    rows = [[np.abs(t).max() for t in recording.activations(row)] for row in range(len(recording))]
    return np.max(rows, axis=0)


def test_ranges_end_at_the_power_of_two_that_holds_the_whole_history() -> None:
    recording = trained()
    first = np.array([np.abs(t).max() for t in recording.activations(0)])
    assert (largest(recording) > 4 * first).all(), "nothing grew: the test shows nothing"
    for top, most in zip(recording.tops, largest(recording), strict=True):
        assert top / 2 < most <= top
        assert np.log2(top) == round(np.log2(top))
    assert not recording.column("outside").any()


def test_every_estimate_uses_the_ranges_of_the_end() -> None:
    recording = trained()
    for row in range(len(recording)):
        for layer, (t, top) in enumerate(zip(recording.activations(row), recording.tops, strict=True)):
            low = -top if layer == 2 else 0.0  # the output is linear
            wanted = i_ty(t, recording.dataset.y, t_bins=12, t_range=(low, top), binning="closed")
            assert recording.column("i_ty")[row, layer] == wanted


def test_a_live_run_comes_to_the_same_ranges_and_numbers() -> None:
    with Driver.train(RELU) as driver:
        driver.until(lambda d: d.status.state == "finished" and not d.status.pending).pull()
        live, alone = driver.recording, trained()
        assert live.tops == alone.tops
        for name in alone.rebinned:
            np.testing.assert_array_equal(live.column(name), alone.column(name), err_msg=name)


def test_a_recorded_run_has_no_estimate_of_narrower_ranges(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    record(RELU, WatchOptions(autosave=0.0), str(path), force=False, resume=None)
    written, alone = files.load(path), trained()
    assert (written.tops, len(written.pending())) == (alone.tops, 0)
    for name in alone.rebinned:
        np.testing.assert_array_equal(written.column(name), alone.column(name), err_msg=name)


def test_another_binning_has_ranges_that_hold_the_past_and_back() -> None:
    with Driver.train(replace(RELU, binning="width")) as driver:
        driver.until(lambda d: d.status.state == "finished" and not d.status.pending).pull()
        assert driver.recording.tops == ()
        driver.send(Rebin(Binning("closed", 4, 12)))
        driver.until(lambda d: d.recording.binning.kind == "closed" and not d.status.pending).pull()
        alone = trained()
        assert driver.recording.tops == alone.tops
        np.testing.assert_array_equal(driver.recording.column("i_xt"), alone.column("i_xt"))
        driver.send(Rebin(Binning("width", 4, 12)))
        driver.until(lambda d: d.recording.binning.kind == "width" and not d.status.pending).pull()
        assert driver.recording.tops == ()


def test_a_file_keeps_the_ranges_and_a_resumed_run_goes_on_with_them(tmp_path: Path) -> None:
    short, whole = trained(replace(RELU, epochs=30)), trained()
    path = tmp_path / "run.npz"
    files.save(short, path)
    assert files.load(path).tops == short.tops
    again = Trainer(RELU, 1 << 30, str(path))
    again.train(60)
    again.estimate()
    assert again.recording.tops == whole.tops
    for name in whole.names:
        np.testing.assert_array_equal(again.recording.column(name), whole.column(name), err_msg=name)


def test_a_file_of_before_keeps_its_own_ranges_until_it_is_gone_on_with(tmp_path: Path) -> None:
    old = trained()
    old.rebin(replace(old.binning, tops=()), old.ceilings)  # as versions before had it
    meter = meter_of(old)
    for row in range(len(old)):
        meter.binning = old.binning
        old.estimate(row, old.binning, meter.estimates(0, old.activations(row), old.kept(row), {}))
    path = tmp_path / "old.npz"
    files.save(old, path)
    found = files.load(path)
    assert found.tops == ()
    assert not len(found.pending())
    np.testing.assert_array_equal(found.column("i_ty"), old.column("i_ty"))
    # The measurement's own maximum is its range.
    t = found.activations(2)[0]
    assert found.column("i_ty")[2, 0] == i_ty(
        t, found.dataset.y, t_bins=12, t_range=(0, float(t.max())), binning="closed"
    )
    gone_on = resume(str(path), 60, 1 << 30)
    assert gone_on.tops == trained().tops
    np.testing.assert_array_equal(gone_on.column("i_ty"), trained().column("i_ty"))


def test_ends_that_are_none_are_refused(tmp_path: Path) -> None:
    recording = trained(replace(RELU, epochs=5))
    for tops in ((np.nan, 1.0, 1.0), (-1.0, 1.0, 1.0), (np.inf, 1.0, 1.0), (1.0, 1.0)):
        path = tmp_path / "run.npz"
        object.__setattr__(recording, "tops", tops)
        files.save(recording, path, overwrite=True)
        with pytest.raises(Exception, match="tops"):
            files.load(path)


def test_a_layer_whose_activation_is_bounded_needs_no_range() -> None:
    recording = trained(replace(RELU, activation="tanh", output="same", epochs=5))
    meter = meter_of(recording)
    assert fitted(recording, recording.binning, meter).tops == ()
    estimate_pending(recording, meter)
    assert recording.tops == ()
