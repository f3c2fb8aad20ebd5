"""Every engine trains as the definition says, the same way every time, from any epoch on."""

import importlib
import itertools
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.seeding import initial_parameters
from ibtui.data.grid import grid_labels
from ibtui.engines import ENGINES as KINDS
from ibtui.engines.dense import packed, parameters_of
from ibtui.engines.mxnet import library
from tests.engines import oracle

MXNET = library.installed()
NEEDS_MXNET = pytest.mark.skipif(MXNET is None, reason="MXNet is not installed")
ENGINES = [
    "fused",
    pytest.param("gluon", marks=NEEDS_MXNET),
    pytest.param("trainer", marks=NEEDS_MXNET),
]
FAST = ENGINES[:2]
SHAPES = [(2, 2, 2, 2), (3, 5, 2), (1, 2), (16, 8, 4), (2,) * 10, (40, 2), (4, 3), (17,)]
ACTIVATIONS = ["tanh", "relu", "sigmoid"]


def beginning(config, x, parameters, moving_loss=math.nan):
    """The state of a run that begins with these parameters."""
    return KINDS["fused"].initial(config, x.shape[1]) | packed(parameters, moving_loss)


def make(engine, config, x, y, parameters, moving_loss=math.nan):
    state = beginning(config, x, parameters, moving_loss)
    if engine == "trainer":
        reference = importlib.import_module("ibtui.bench.gluon_trainer")
        return reference.GluonTrainerEngine(config, "cpu", x, y, state)
    return KINDS[engine].create(config, "cpu", x, y, state)


def moving_loss(engine):
    return float(engine.state()["moving_loss"])


def problem(n=50, inputs=2, **settings):
    """A configuration with random inputs, and labels of every class, that have something to do with them."""
    config = RunConfig(**settings)
    random = np.random.RandomState(7)
    x = random.uniform(size=(n, inputs)).astype(np.float32)
    y = (x.sum(1) * 50).astype(np.int64) % config.layers[-1]
    start = initial_parameters(config.layers, inputs=inputs, sigma=config.init_sigma, seed=config.seed)
    biased = [(weight, np.linspace(-0.3, 0.4, len(bias), dtype=np.float32)) for weight, bias in start]
    return config, x, y, biased


def flat(parameters):
    return np.concatenate([array.ravel() for layer in parameters for array in layer])


def distance(parameters, others):
    return np.abs(flat(parameters).astype(np.float64) - flat(others)).max()


def assert_same(parameters, others):
    np.testing.assert_array_equal(flat(parameters), flat(others))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers", SHAPES, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_one_step_is_the_oracles_step(engine, layers, activation):
    arguments = problem(n=10, layers=layers, activation=activation)
    trained = make(engine, *arguments)
    trained.train(0, 1)
    expected, loss = oracle.train(*arguments, range(1))
    assert distance(parameters_of(trained.state()), expected) < 1e-5
    assert distance(arguments[-1], expected) > 1e-4, "the step is too small to show anything"
    assert moving_loss(trained) == pytest.approx(loss, abs=1e-5)


def assert_epoch_matches(engine, arguments, start=0, epochs=1):
    trained = make(engine, *arguments)
    trained.train(start, start + epochs)
    during = range(start, start + epochs)
    exact, loss = oracle.train(*arguments, during)
    rounded, rounded_loss = oracle.train(*arguments, during, dtype=np.float32)
    assert distance(parameters_of(trained.state()), exact) <= 10 * distance(rounded, exact) + 2e-6
    assert abs(moving_loss(trained) - loss) <= 10 * abs(rounded_loss - loss) + 5e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers", SHAPES, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_epoch_is_the_oracles_epoch(engine, layers, activation):
    assert_epoch_matches(engine, problem(n=57, layers=layers, activation=activation))


@pytest.mark.parametrize(
    ("n", "batch_size"),
    [(20, 1), (500, 7), (500, 10), (500, 500), (50, 1000), (33, 16), (50, 17), (64, 32), (501, 10), (4, 3)],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_any_batch_size(engine, n, batch_size):
    assert_epoch_matches(engine, problem(n=n, batch_size=batch_size))


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_default_experiment_from_any_seed(engine, seed):
    x, y = grid_labels()
    config = RunConfig(seed=seed)
    assert_epoch_matches(engine, (config, x[:500], y[:500], initial_parameters(config.layers, seed=seed)))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_late_epoch_has_an_order_of_its_own(engine):
    assert_epoch_matches(engine, problem(), start=1_000_000)


@pytest.mark.parametrize("inputs", [1, 3, 20])
@pytest.mark.parametrize("engine", ENGINES)
def test_any_number_of_inputs(engine, inputs):
    assert_epoch_matches(engine, problem(inputs=inputs, layers=(3, 2)))


@pytest.mark.parametrize("engine", ENGINES)
def test_learning_rate_is_used(engine):
    assert_epoch_matches(engine, problem(lr=0.3))


@pytest.mark.parametrize("largest", range(3))
@pytest.mark.parametrize("engine", ENGINES)
def test_large_outputs_do_not_overflow_the_loss(engine, largest):
    config, x, y, parameters = problem(layers=(2, 3), activation="relu", lr=1e-9)
    weight, bias = parameters[-1]
    huge = [*parameters[:-1], (weight, bias + np.float32(200) * (np.arange(3) == largest))]
    trained = make(engine, config, x, y, huge)
    trained.train(0, 1)
    assert moving_loss(trained) == pytest.approx(oracle.train(config, x, y, huge, range(1))[1], rel=1e-4)


@pytest.mark.parametrize("engine", FAST)
def test_the_same_run_twice_is_the_same_bits(engine):
    arguments = problem(n=203, layers=(16, 8, 4))
    first, second = make(engine, *arguments), make(engine, *arguments)
    first.train(0, 3)
    second.train(0, 3)
    assert_same(parameters_of(first.state()), parameters_of(second.state()))
    assert moving_loss(first) == moving_loss(second)


@pytest.mark.parametrize("engine", ENGINES)
def test_ten_epochs_at_once_are_ten_epochs_one_by_one(engine):
    arguments = problem(n=53)
    at_once, by_one = make(engine, *arguments), make(engine, *arguments)
    at_once.train(0, 10)
    for epoch in range(10):
        by_one.train(epoch, epoch + 1)
    assert_same(parameters_of(at_once.state()), parameters_of(by_one.state()))
    assert moving_loss(at_once) == moving_loss(by_one)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_going_on_from_saved_parameters_changes_nothing(engine, activation):
    arguments = problem(n=53, activation=activation)
    whole, half = make(engine, *arguments), make(engine, *arguments)
    whole.train(0, 6)
    half.train(0, 3)
    other = make(engine, *problem(n=53, activation=activation))
    other.train(20, 25)
    other.load(half.state())
    other.train(3, 6)
    assert_same(parameters_of(whole.state()), parameters_of(other.state()))
    assert moving_loss(whole) == moving_loss(other)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_restart_with_another_seed_is_a_run_of_that_seed(engine):
    config, x, y, parameters = problem(n=53)
    other = make(engine, replace(config, seed=5), x, y, parameters)
    other.train(0, 2)
    restarted = make(engine, config, x, y, parameters)
    restarted.train(0, 2)
    assert distance(parameters_of(restarted.state()), parameters_of(other.state())) > 0
    restarted.load(packed(parameters, math.nan), 5)
    restarted.train(0, 2)
    assert_same(parameters_of(restarted.state()), parameters_of(other.state()))
    assert moving_loss(restarted) == moving_loss(other)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_starts_from_what_it_is_given(engine):
    config, x, y, parameters = problem()
    fresh = make(engine, config, x, y, parameters)
    assert_same(parameters_of(fresh.state()), parameters)
    assert math.isnan(moving_loss(fresh))
    assert moving_loss(make(engine, config, x, y, parameters, 0.25)) == 0.25
    fresh.train(0, 0)
    assert_same(parameters_of(fresh.state()), parameters)
    assert math.isnan(moving_loss(fresh))


@pytest.mark.parametrize("engine", ENGINES)
def test_parameters_are_copies(engine):
    config, x, y, parameters = problem()
    kept = [(weight.copy(), bias.copy()) for weight, bias in parameters]
    trained = make(engine, config, x, y, parameters)
    before = parameters_of(trained.state())
    for weight, bias in before:
        weight[...] = 9
        bias[...] = 9
    assert_same(parameters_of(trained.state()), kept)
    trained.train(0, 1)
    assert_same(parameters, kept)
    assert all(array.dtype == np.float32 for layer in parameters_of(trained.state()) for array in layer)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_moving_loss_goes_on_from_the_one_it_is_given(engine):
    arguments = problem(n=30)
    trained = make(engine, *arguments, 5.0)
    trained.train(0, 1)
    assert moving_loss(trained) == pytest.approx(
        oracle.train(*arguments, range(1), moving_loss=5.0)[1], abs=1e-5
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_is_no_exception(engine, activation):
    config, x, y, parameters = problem(layers=(3, 2), activation=activation)
    trained = make(engine, replace(config, lr=1e6), x, y, [(w * 1e30, b * 1e30) for w, b in parameters])
    trained.train(0, 5)
    assert len(parameters_of(trained.state())) == 2


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("engine", FAST)  # MXNet's own ReLU layer makes 0 of NaN
def test_a_net_of_nan_stays_nan(engine, activation):
    config, x, y, parameters = problem(activation=activation)
    trained = make(engine, config, x, y, [(weight * np.nan, bias) for weight, bias in parameters])
    trained.train(0, 2)
    assert np.isnan(flat(parameters_of(trained.state()))).all()
    assert math.isnan(moving_loss(trained))


@NEEDS_MXNET
@pytest.mark.parametrize("most", [1, 30, 80, 200, 10**6])
def test_chunks_of_any_length_give_the_same_bits(monkeypatch, most):
    gluon = importlib.import_module("ibtui.engines.mxnet.gluon")
    arguments = problem(n=77)
    whole = make("gluon", *arguments)
    monkeypatch.setattr(gluon, "MAX_OPERATORS", most)
    pieces = make("gluon", *arguments)
    whole.train(0, 2)
    pieces.train(0, 2)
    assert_same(parameters_of(whole.state()), parameters_of(pieces.state()))
    assert moving_loss(whole) == moving_loss(pieces)


@NEEDS_MXNET
def test_chunks_cover_an_epoch_in_two_kinds_of_graph_at_most():
    gluon = importlib.import_module("ibtui.engines.mxnet.gluon")
    for n, batch_size, layers in itertools.product(
        (4, 10, 505, 5003, 20_000), (1, 7, 10, 30_000), (1, 4, 64)
    ):
        sizes = gluon.batches(n, batch_size)
        assert sum(sizes) == n
        assert max(sizes) <= batch_size
        chunks = gluon.chunks(sizes, layers)
        assert [size for chunk in chunks for size in chunk] == sizes
        assert len(set(chunks)) <= 2
        assert max(map(len, chunks)) * (6 * layers + 2) <= max(gluon.MAX_OPERATORS, 6 * layers + 2)


@NEEDS_MXNET
def test_loading_parameters_builds_no_graph_again(monkeypatch):
    gluon = importlib.import_module("ibtui.engines.mxnet.gluon")
    config, x, y, parameters = problem()
    trained = make("gluon", config, x, y, parameters)
    trained.train(0, 1)
    monkeypatch.setattr(gluon.Steps, "hybrid_forward", None)
    trained.load(packed(parameters, math.nan))
    trained.train(0, 1)


def test_an_engine_is_compiled_when_it_is_made_and_not_in_its_first_epoch():
    code = (
        "import numpy as np; from ibtui.config import RunConfig; from ibtui.engines import ENGINES; "
        "from ibtui.engines.fused._kernel import train_epochs; "
        "compiled = train_epochs(False, False); "
        "config, zeros = RunConfig(layers=(2,)), np.zeros((2, 2), np.float32); "
        "assert not compiled.signatures; state = ENGINES['fused'].initial(config, 2); "
        "ENGINES['fused'].create(config, 'cpu', zeros, np.array([0, 1]), state); "
        "assert compiled.signatures"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_code_on_disk_belongs_to_the_files_it_was_compiled_from(tmp_path, monkeypatch):
    """Numba's cache looks at one file; a change in another that it calls must reach the next process."""
    kernel = importlib.import_module("ibtui.engines.fused._kernel")
    before = kernel._sources()
    changed = tmp_path / "_lanes.py"
    changed.write_text(Path(kernel._lanes.__file__).read_text().replace("0.1337", "0.1338"))
    monkeypatch.setattr(kernel._lanes, "__file__", str(changed))
    assert kernel._sources() != before
    bound = [cell.cell_contents for cell in kernel.train_epochs(False, False).py_func.__closure__]
    assert before in bound


@pytest.mark.parametrize("engine", FAST)
def test_engines_keep_to_their_protocol(engine):
    trained = make(engine, *problem())
    assert (trained.name, trained.device) == (engine, "cpu")
    trained.close()
