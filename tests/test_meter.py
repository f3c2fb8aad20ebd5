"""One path from weights to numbers, checked against the definitions written out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.information import Binning
from ibtui.core.seeding import initial_parameters
from ibtui.data.samples import make_dataset
from ibtui.quantities.meter import quantities
from ibtui.recording import Checkpoint
from ibtui.run.measuring import measure, meter_of, new_recording
from tests.core import oracle

KINDS = ("notebook", "closed", "adaptive")
PER_LAYER = tuple(q.name for q in quantities() if q.per_layer)


def weights(config: RunConfig, seed: int = 3):
    nets = initial_parameters(config.layers, inputs=2, sigma=1.5, seed=seed)
    return [(w, b + np.float32(0.2)) for w, b in nets]


def measured(config: RunConfig, binning: Binning, parameters, moving_loss: float, epoch: int = 0):
    """The measurement that the product makes of these weights."""
    recording = new_recording(config, make_dataset(config), 0)
    state = {f"weight{i}": w for i, (w, _) in enumerate(parameters)}
    state |= {f"bias{i}": b for i, (_, b) in enumerate(parameters)}
    state["moving_loss"] = np.array(float(moving_loss))
    recording.rebin(binning, meter_of(recording, binning).ceilings)
    return measure(recording, Checkpoint(epoch, state), meter_of(recording))


def activate(z: float, activation: str) -> float:
    if activation == "tanh":
        return math.tanh(z)
    return max(z, 0.0) if activation == "relu" else 1 / (1 + math.exp(-z))


def slow_forward(x, parameters, activation):
    """Every layer's activations in float64, one number at a time."""
    layers, rows = [], [[float(v) for v in row] for row in x]
    for w, b in parameters:
        rows = [
            [
                activate(float(b[i]) + sum(float(w[i, j]) * row[j] for j in range(len(row))), activation)
                for i in range(len(b))
            ]
            for row in rows
        ]
        layers.append(rows)
    return layers


def slow_performance(outputs, y):
    hits, losses = [], []
    for scores, right in zip(outputs, y, strict=True):
        hits.append(scores.index(max(scores)) == right)
        losses.append(math.log(math.fsum(math.exp(s) for s in scores)) - scores[right])
    return sum(hits) / len(hits), math.fsum(losses) / len(losses)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_every_number_follows_its_definition(activation, kind):
    config = RunConfig(samples=120, layers=(3, 2, 2), activation=activation)
    data = make_dataset(config)
    binning = Binning(kind, 3, 7)
    parameters = weights(config)
    m = measured(config, binning, parameters, 0.25, epoch=40)
    assert (m.epoch, m.binning, m.values["moving_loss"]) == (40, binning, 0.25)

    y = data.y.tolist()
    x_kind = "notebook" if kind == "adaptive" else kind
    of_x = oracle.cells(data.x.astype(float).tolist(), 3, (0.0, 1.0), x_kind)
    for layer, t in enumerate(m.activations):
        assert t.dtype == np.float32
        rows = t.astype(float).tolist()
        top = {"tanh": 1.0, "sigmoid": 1.0, "relu": float(t.max())}[activation]
        low = -1.0 if activation == "tanh" else 0.0
        of_t = oracle.cells(rows, 7, (low, top), kind)
        expected = {
            "i_xt": oracle.mutual_information(of_x, of_t),
            "i_ty": oracle.mutual_information(of_t, y),
            "chance_i_xt": oracle.chance(of_x, of_t),
            "chance_i_ty": oracle.chance(of_t, y),
            "occupancy": len(set(of_t)) / len(of_t),
            "outside": 0,
            "saturation": sum(v in (low, top) for row in rows for v in row) / t.size,
        }
        deviations = t.astype(float) - t.astype(float).mean(axis=0)
        eigenvalues = np.linalg.eigvalsh(deviations.T @ deviations).clip(0)
        expected["dimension"] = np.sqrt(eigenvalues).sum() ** 2 / eigenvalues.sum()
        expected["participation_ratio"] = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
        assert expected.keys() == set(PER_LAYER)
        for name, value in expected.items():
            assert m.values[name][layer] == pytest.approx(value, rel=1e-9, abs=1e-9), (name, layer)

    slow = slow_forward(data.x, parameters, activation)
    for t, reference in zip(m.activations, slow, strict=True):
        np.testing.assert_allclose(t, reference, rtol=2e-5, atol=2e-6)
    held_out = slow_forward(data.x_test, parameters, activation)[-1]
    assert (m.values["train_accuracy"], m.values["train_loss"]) == pytest.approx(
        slow_performance(slow[-1], y), abs=1e-6
    )
    expected = slow_performance(held_out, data.y_test.tolist())
    assert (m.values["test_accuracy"], m.values["test_loss"]) == pytest.approx(expected, abs=1e-6)
    assert (m.values["train_accuracy"], m.values["train_loss"]) != (
        m.values["test_accuracy"],
        m.values["test_loss"],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_ceilings_of_a_new_recording_are_entropies(kind):
    config = RunConfig(binning=kind, samples=200)
    data = make_dataset(config)
    recording = new_recording(config, data, 1000)
    x_kind = "notebook" if kind == "adaptive" else kind
    of_x = oracle.cells(data.x.astype(float).tolist(), 4, (0.0, 1.0), x_kind)
    assert recording.ceilings["h_x"] == pytest.approx(oracle.entropy(of_x), rel=1e-12)
    assert recording.ceilings["h_y"] == pytest.approx(oracle.entropy(data.y.tolist()), rel=1e-12)
    assert len(recording) == 0
    assert recording.checkpoint is None
    assert recording.history_bytes == 1000


def test_the_default_run_has_the_ceilings_that_are_published():
    recording = new_recording(RunConfig(), make_dataset(RunConfig()), 0)
    assert recording.ceilings["h_y"] == pytest.approx(0.69308, abs=5e-6)
    assert recording.ceilings["h_x"] == pytest.approx(2.7636, abs=5e-5)


def test_the_first_half_is_measured_and_the_second_is_held_out():
    for samples, half in [(1000, 500), (7, 3), (4, 2)]:
        data = make_dataset(RunConfig(samples=samples))
        assert data.x.shape == (half, 2)
        assert data.y.shape == (half,)
        assert data.x_test.shape == (samples - half, 2)
        assert data.y_test.shape == (samples - half,)
        assert data.x.dtype == data.x_test.dtype == np.float32
    whole = make_dataset(RunConfig(samples=8))
    again = make_dataset(RunConfig(samples=8, seed=9))
    assert np.array_equal(whole.x, again.x), "the net's seed does not touch the data"
    other = make_dataset(RunConfig(samples=8, data_seed=5))
    assert not np.array_equal(whole.x, other.x)


def test_setting_the_binning_measures_with_it():
    config = RunConfig(samples=100)
    recording = new_recording(config, make_dataset(config), 0)
    meter = meter_of(recording)
    before = meter.estimator
    meter.binning = Binning()
    assert meter.estimator is before
    closed = Binning("closed", 3, 5)
    meter.binning = closed
    assert meter.ceilings == meter_of(recording, closed).ceilings
    kept = measured(config, closed, weights(config), math.nan).kept
    ours = meter.measure(0, kept, {})
    theirs = measured(config, closed, weights(config), math.nan)
    assert ours.binning == theirs.binning == closed
    for name in PER_LAYER:
        assert np.array_equal(ours.values[name], theirs.values[name]), name


def test_estimates_are_made_again_as_they_were_measured():
    config = RunConfig(samples=100)
    recording = new_recording(config, make_dataset(config), 0)
    meter = meter_of(recording)
    m = measured(config, recording.binning, weights(config), math.nan)
    again = meter.estimates(0, m.activations, m.kept, {})
    assert set(again) == set(recording.rebinned) == {q.name for q in quantities() if q.rebinned}
    for name, values in again.items():
        assert np.array_equal(values, m.values[name]), name


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0])
def test_a_net_that_diverged_or_died_is_measured_as_far_as_is_defined(activation, kind, value):
    config = RunConfig(samples=40, layers=(3, 2), activation=activation)
    data = make_dataset(config)
    for layer in range(2):
        parameters = weights(config)
        parameters[layer][0][:] = value
        parameters[layer][1][:] = 0 if value == 0 else value
        m = measured(config, Binning(kind), parameters, value)
        for name in PER_LAYER:
            numbers = m.values[name]
            assert numbers.shape == (2,)
            if layer == 1:  # what goes before is sound
                assert np.isfinite(numbers[0]), name
        if np.isnan(value):
            lost = slice(layer, None)
            for name in PER_LAYER:
                if name != "outside":
                    assert np.isnan(m.values[name][lost]).all(), name
            assert np.isnan(m.values["train_loss"])
            assert m.values["train_accuracy"] == 0.0
        if value == 0:
            assert np.isnan(m.values["dimension"][layer])
            assert np.isnan(m.values["participation_ratio"][layer])
            assert m.values["i_xt"][layer] == m.values["i_ty"][layer] == 0
            assert np.isfinite(m.values["train_loss"])
        assert 0 <= m.values["train_accuracy"] <= 1
        recording = new_recording(config, data, 0)
        recording.append(measured(config, recording.binning, parameters, value))
        assert np.array_equal(recording.column("moving_loss"), [value], equal_nan=True)
