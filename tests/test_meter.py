"""One path from weights to numbers, checked against the definitions written out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.forward import forward
from ibtui.core.information import Binning
from ibtui.core.kde import kde_bounds
from ibtui.core.layer import Layer
from ibtui.core.seeding import initial_parameters
from ibtui.data.samples import Dataset, make_dataset
from ibtui.engines.dense import parameters_of
from ibtui.quantities.meter import Meter, quantities
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
    assert (m.epoch, m.values["moving_loss"]) == (40, 0.25)
    ranged = activation == "relu" and kind != "adaptive"
    assert m.binning == Binning(kind, 3, 7, tops=m.binning.tops if ranged else ())

    y = data.y.tolist()
    x_kind = "notebook" if kind == "adaptive" else kind
    of_x = oracle.cells(data.x.astype(float).tolist(), 3, (0.0, 1.0), x_kind)
    for layer, t in enumerate(m.activations):
        assert t.dtype == np.float32
        rows = t.astype(float).tolist()
        top = 2.0 ** math.ceil(math.log2(t.max())) if activation == "relu" else 1.0
        assert not ranged or m.binning.tops[layer] == top
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
            "i_xt_lower": math.nan,
            "i_ty_lower": math.nan,
        }
        if activation == "relu":
            expected["saturation"] = math.nan
        if max(len(set(of_t)), len(set(of_x))) == len(t):
            expected["chance_i_xt"] = math.nan
        deviations = t.astype(float) - t.astype(float).mean(axis=0)
        eigenvalues = np.linalg.eigvalsh(deviations.T @ deviations).clip(0)
        expected["dimension"] = np.sqrt(eigenvalues).sum() ** 2 / eigenvalues.sum()
        expected["participation_ratio"] = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
        assert expected.keys() == set(PER_LAYER)
        for name, value in expected.items():
            about = pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)
            assert m.values[name][layer] == about, (name, layer)

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
        assert np.array_equal(ours.values[name], theirs.values[name], equal_nan=True), name


def test_estimates_are_made_again_as_they_were_measured():
    config = RunConfig(samples=100)
    recording = new_recording(config, make_dataset(config), 0)
    meter = meter_of(recording)
    m = measured(config, recording.binning, weights(config), math.nan)
    again = meter.estimates(0, m.activations, m.kept, {})
    assert set(again) == set(recording.rebinned) == {q.name for q in quantities() if q.rebinned}
    for name, values in again.items():
        assert np.array_equal(values, m.values[name], equal_nan=True), name


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0])
def test_a_net_that_diverged_or_died_is_measured_as_far_as_is_defined(activation, kind, value):
    config = RunConfig(samples=40, layers=(3, 2), activation=activation)
    data = make_dataset(config)
    absent = {"i_xt_lower", "i_ty_lower", *(["saturation"] if activation == "relu" else [])}
    for layer in range(2):
        parameters = weights(config)
        parameters[layer][0][:] = value
        parameters[layer][1][:] = 0 if value == 0 else value
        m = measured(config, Binning(kind), parameters, value)
        for name in PER_LAYER:
            numbers = m.values[name]
            assert numbers.shape == (2,)
            if layer == 1:  # what goes before is sound
                missing = name in absent or (name.startswith("chance") and m.values["occupancy"][0] == 1)
                assert np.isfinite(numbers[0]) != missing, name
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


# --- what is measured besides ---------------------------------------------------------------------


def meter_for(data: Dataset, widths=(3, 2), binning=Binning(), extra=(), **options) -> Meter:  # noqa: B008
    layers = [Layer(str(i), width, "tanh") for i, width in enumerate(widths)]
    if options.get("softmax"):
        layers[-1] = Layer(layers[-1].name, widths[-1], "softmax")

    def net(kept, x):
        return forward(x, parameters_of(kept), "tanh", "linear" if options.get("softmax") else "same")

    return Meter(data, layers, binning, net, extra, **options)


def kept_of(widths=(3, 2), seed: int = 3):
    nets = initial_parameters(widths, inputs=2, sigma=1.5, seed=seed)
    return {
        name: value for i, (w, b) in enumerate(nets) for name, value in ((f"weight{i}", w), (f"bias{i}", b))
    }


def points(n: int, seed: int):
    random = np.random.RandomState(seed)
    return random.uniform(size=(n, 2)).astype(np.float32), random.randint(0, 2, n)


def performance_of(kept, x, y, output="same"):
    outputs = forward(x, parameters_of(kept), "tanh", output)[-1]
    return pytest.approx(slow_performance(outputs.astype(float).tolist(), y.tolist()), rel=1e-12)


def pair(m, what: str):
    return m.values[f"{what}_accuracy"], m.values[f"{what}_loss"]


def test_what_trains_and_what_is_held_out_may_or_may_not_be_measured():
    (x, y), (x_test, y_test), (x_rest, y_rest) = points(30, 0), points(20, 1), points(25, 2)
    kept = kept_of()
    trains = np.arange(30) < 12
    mixed = meter_for(Dataset(x, y, x_test, y_test, trains=trains, x_rest=x_rest, y_rest=y_rest))
    m = mixed.measure(0, kept, {})
    training = np.concatenate([x[trains], x_rest]), np.concatenate([y[trains], y_rest])
    assert pair(m, "train") == performance_of(kept, *training)
    assert pair(m, "test") == performance_of(kept, x_test, y_test)
    held_out = meter_for(Dataset(x, y, x, y, trains=np.zeros(30, bool), x_rest=x_rest, y_rest=y_rest))
    m = held_out.measure(0, kept, {})
    assert pair(m, "train") == performance_of(kept, x_rest, y_rest)
    assert pair(m, "test") == performance_of(kept, x, y)
    everything_trains = meter_for(Dataset(x, y, x[:0], y[:0])).measure(0, kept, {})
    assert np.isnan(pair(everything_trains, "test")).all()
    assert pair(everything_trains, "train") == performance_of(kept, x, y)


def test_the_softmax_of_the_outputs_is_measured_and_the_outputs_are_scored():
    x, y = points(40, 0)
    kept = kept_of()
    meter = meter_for(Dataset(x, y, x, y), softmax=True)
    m = meter.measure(0, kept, {})
    raw = forward(x, parameters_of(kept), "tanh", "linear")[-1].astype(float)
    shares = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(m.activations[-1], shares, rtol=1e-6)
    assert m.activations[-1].dtype == np.float32
    assert pair(m, "train") == performance_of(kept, x, y, "linear")
    cells = oracle.cells(m.activations[-1].tolist(), 100, (0.0, 1.0), "notebook")
    assert m.values["i_ty"][-1] == pytest.approx(oracle.mutual_information(cells, y.tolist()), abs=1e-12)
    for one, other in zip(meter.activations(kept), m.activations, strict=True):
        assert np.array_equal(one, other)


def test_ranges_grow_before_a_measurement_is_estimated():
    x, y = points(60, 0)
    data = Dataset(x, y, x, y)
    layers = [Layer("0", 3, "relu")]
    meter = Meter(data, layers, Binning(), lambda kept, x: forward(x, parameters_of(kept), "relu"))
    small, large = kept_of((3,)), {name: 3 * value for name, value in kept_of((3,)).items()}
    first = meter.measure(0, small, {})
    assert first.binning == meter.binning == Binning().covering(["relu"], first.activations)
    second = meter.measure(1, large, {})
    assert second.binning.tops > first.binning.tops
    assert meter.estimator.binning == second.binning
    assert meter.grown(first.activations) is meter.binning
    again = meter.estimates(0, first.activations, small, {})
    cells = oracle.cells(first.activations[0].tolist(), 100, (0.0, second.binning.tops[0]), "notebook")
    assert again["i_ty"][0] == pytest.approx(oracle.mutual_information(cells, y.tolist()), abs=1e-12)
    meter.binning = first.binning
    assert meter.grown(second.activations) == second.binning
    assert meter.measure(2, small, {}).values["i_ty"][0] == first.values["i_ty"][0]


def test_estimating_again_computes_nothing_that_does_not_depend_on_the_binning():
    x, y = points(40, 0)
    meter = meter_for(Dataset(x, y, x, y))
    kept = kept_of()
    m = meter.measure(0, kept, {})
    again = meter.estimates(0, m.activations, {}, {})  # a forward pass would need what is kept
    assert again["i_xt"] == pytest.approx(m.values["i_xt"], abs=0)
    assert np.isnan(meter.estimator.measure(m.activations, geometry=False).dimension).all()


EXTRA = ("effective_rank", "cka", "sparsity", "weight_norm", "gradient_snr")


def test_the_optional_quantities_follow_their_definitions():
    x, y = points(50, 0)
    widths = (4, 2)
    kept = kept_of(widths)
    meter = meter_for(
        Dataset(x, y, x, y), widths, extra=EXTRA, weights=lambda kept: [w for w, _ in parameters_of(kept)]
    )
    m = meter.measure(0, kept, {"gradient_snr": np.array([0.5, 2.0]), "moving_loss": 1.0})
    assert m.values["gradient_snr"].tolist() == [0.5, 2.0]
    assert m.values["moving_loss"] == 1.0
    one_hot = np.eye(2)[y] - np.eye(2)[y].mean(axis=0)
    for layer, t in enumerate(m.activations):
        deviations = t.astype(float) - t.astype(float).mean(axis=0)
        s = np.sqrt(np.linalg.eigvalsh(deviations.T @ deviations).clip(1e-300))
        rank = math.exp(-sum(p * math.log(p) for p in s / s.sum()))
        assert m.values["effective_rank"][layer] == pytest.approx(rank, rel=1e-9)
        of_t, of_y = deviations @ deviations.T, one_hot @ one_hot.T  # kernels, sample by sample
        alignment = (of_t * of_y).sum() / np.sqrt((of_t**2).sum() * (of_y**2).sum())
        assert m.values["cka"][layer] == pytest.approx(alignment, rel=1e-9)
        squares = math.fsum(float(v) ** 2 for v in kept[f"weight{layer}"].ravel())
        assert m.values["weight_norm"][layer] == pytest.approx(math.sqrt(squares), rel=1e-12)
        assert m.values["sparsity"][layer] == 0.0
    relu = forward(x, parameters_of(kept), "relu")
    sparse = Meter(
        meter.dataset, [Layer("0", 4, "relu"), Layer("1", 2, "relu")], Binning(), lambda *_: relu, EXTRA
    )
    m = sparse.measure(0, kept, {})
    assert m.values["sparsity"] == pytest.approx([sum(v == 0 for v in t.ravel()) / t.size for t in relu])
    assert np.isnan(m.values["weight_norm"]).all()
    assert np.isnan(m.values["gradient_snr"]).all()
    assert np.isnan(m.values["moving_loss"])


@pytest.mark.parametrize("name", ["effective_rank", "cka"])
def test_what_has_no_variance_or_is_not_finite_has_no_geometry(name):
    x, y = points(20, 0)
    for value in (0.0, np.nan, np.inf):
        layers = [np.full((20, 2), value, np.float32)]
        meter = Meter(
            Dataset(x, y, x, y), [Layer("0", 2, "tanh")], Binning(), lambda *_, t=layers: t, (name,)
        )
        assert math.isnan(meter.measure(0, {}, {}).values[name][0])


def test_a_measurement_by_kernels_has_bounds_and_no_chance():
    x, y = points(30, 0)
    m = meter_for(Dataset(x, y, x, y), binning=Binning("kde")).measure(0, kept_of(), {})
    for layer, t in enumerate(m.activations):
        bounds = kde_bounds(t, y)
        names = ("i_xt", "i_ty", "i_xt_lower", "i_ty_lower")
        assert tuple(m.values[name][layer] for name in names) == bounds
    assert np.isnan(m.values["chance_i_xt"]).all()
    assert np.isfinite(m.values["dimension"]).all()
    assert meter_for(Dataset(x, y, x, y), binning=Binning("kde"), most_kde=9).ceilings["h_x"] == math.log(9)
