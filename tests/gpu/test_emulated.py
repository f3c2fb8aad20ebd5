"""The GPU's kernel, its source compiled as C++ and run on the CPU: it trains as the definition says.

That shows its arithmetic and its barriers, not that a card runs it: for that see test_card.py.
"""

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.seeding import batch_order, initial_parameters
from ibtui.data.grid import grid_labels
from ibtui.engines import dense
from ibtui.engines.dense import packed, parameters_of
from ibtui.engines.fused import gpu
from ibtui.engines.fused.cpu import FusedEngine
from ibtui.engines.fused.gpu import FusedGpuEngine
from ibtui.errors import EngineError
from tests.engines import oracle
from tests.engines.test_engines import (
    ACTIVATIONS,
    SHAPES,
    assert_same,
    beginning,
    distance,
    flat,
    moving_loss,
    problem,
)
from tests.engines.test_settings import ADAM, RESUMED, SETTINGS, assert_same_state, tiny
from tests.gpu.emulation import COMPILER, Emulation, compiled
from tests.marks import slow

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

BATCHES = [
    (20, 1), (500, 7), (500, 10), (500, 500), (50, 1000), (33, 16), (50, 17), (64, 32), (501, 10), (4, 3),
    (300, 129),
]  # fmt: skip


def make(config, x, y, parameters, loss=math.nan, *, card=None):
    card = card or Emulation(options=gpu.options(config))
    return FusedGpuEngine(config, "gpu0", x, y, beginning(config, x, parameters, loss), card)


def on_cpu(config, x, y, parameters):
    return FusedEngine(config, x, y, beginning(config, x, parameters))


def assert_epochs_match(arguments, start=0, epochs=1, trained=None):
    trained, other = trained or make(*arguments), on_cpu(*arguments)
    during = range(start, start + epochs)
    for engine in (trained, other):
        engine.train(start, start + epochs)
    exact, loss = oracle.train(*arguments, during)
    rounded, rounded_loss = oracle.train(*arguments, during, dtype=np.float32)
    tolerance = 10 * distance(rounded, exact) + 2e-6
    assert distance(parameters_of(trained.state()), exact) <= tolerance
    assert distance(parameters_of(trained.state()), parameters_of(other.state())) <= 2 * tolerance
    assert abs(moving_loss(trained) - loss) <= 10 * abs(rounded_loss - loss) + 5e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers", SHAPES, ids=str)
def test_one_step_is_the_oracles_step(layers, activation):
    arguments = problem(n=10, layers=layers, activation=activation)
    trained = make(*arguments)
    trained.train(0, 1)
    expected, loss = oracle.train(*arguments, range(1))
    assert distance(parameters_of(trained.state()), expected) < 1e-5
    assert distance(arguments[-1], expected) > 1e-4, "the step is too small to show anything"
    assert moving_loss(trained) == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers", [*SHAPES, (60, 60, 3), (9, 200, 2)], ids=str)
def test_an_epoch_is_the_oracles_epoch(layers, activation):
    assert_epochs_match(problem(n=57, layers=layers, activation=activation))


@pytest.mark.parametrize(("n", "batch_size"), BATCHES)
def test_any_batch_size(n, batch_size):
    assert_epochs_match(problem(n=n, batch_size=batch_size))


@pytest.mark.parametrize("inputs", [1, 3, 20])
def test_any_number_of_inputs(inputs):
    assert_epochs_match(problem(inputs=inputs, layers=(3, 2)))


@pytest.mark.parametrize("seed", [0, 12345, 2**32 - 1])
def test_the_default_experiment_from_any_seed(seed):
    x, y = grid_labels()
    config = RunConfig(seed=seed)
    assert_epochs_match((config, x[:500], y[:500], initial_parameters(config.layers, seed=seed)))


def test_a_late_epoch_has_the_order_that_every_engine_has():
    arguments = problem(every=3)
    assert_epochs_match(arguments, start=10**6, epochs=2)
    card = Emulation()
    make(*arguments, card=card).train(10**6, 10**6 + 5)
    orders = card.launches[-1][2]
    np.testing.assert_array_equal(orders[0], batch_order(arguments[0].seed, 10**6 + 3, 50))


@pytest.mark.parametrize(("n", "batch_size"), [(57, 10), (300, 129), (40, 40)])
@pytest.mark.parametrize("layers", [(2, 2, 2, 2), (16, 8, 4), (40, 2)], ids=str)
def test_no_order_of_the_threads_changes_a_bit(layers, n, batch_size):
    arguments = problem(n=n, layers=layers, batch_size=batch_size)
    engines = [make(*arguments, card=Emulation(order)) for order in (0, 1, 7, 101)]
    for engine in engines:
        engine.train(0, 2)
    for engine in engines[1:]:
        assert_same(parameters_of(engine.state()), parameters_of(engines[0].state()))
        assert moving_loss(engine) == moving_loss(engines[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "phase", ["values[row * stride + lane] = x", "= activate(", "losses[lane] =", "weights[i] -="]
)
def test_a_missing_barrier_would_show(phase, tmp_path):
    before, found, after = gpu.source().partition(phase)
    assert found
    broken = compiled(tmp_path, before + found + after.replace("__syncthreads();", "", 1))
    arguments = problem(n=57, layers=(5, 4, 3))
    numbers = set()
    for card in (Emulation(), Emulation(0, broken), Emulation(1, broken), Emulation(7, broken)):
        engine = make(*arguments, card=card)
        engine.train(0, 2)
        numbers.add(flat(parameters_of(engine.state())).tobytes())
    assert len(numbers) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "shows"),
    [
        ("for (int i = thread; i <= layers;", "for (int i = thread; i <= layers + 40;", "wrote beyond"),
        (
            "__syncthreads();\n\n        position",
            "if (lane) __syncthreads();\n\n        position",
            "passed a barrier",
        ),
    ],
)
def test_a_kernel_that_would_hang_or_overrun_is_caught(right, wrong, shows, tmp_path):
    assert gpu.source().count(right) == 1
    broken = compiled(tmp_path, gpu.source().replace(right, wrong))
    with pytest.raises(AssertionError, match=shows):
        make(*problem(), card=Emulation(0, broken)).train(0, 1)


@pytest.mark.parametrize("most", [1, 3, 5])
@pytest.mark.parametrize(("n", "batch_size"), [(53, 10), (300, 200)])
def test_a_launch_may_end_anywhere(monkeypatch, n, batch_size, most):
    arguments = problem(n=n, batch_size=batch_size)
    whole = make(*arguments)
    monkeypatch.setattr(gpu, "_FIRST_CHUNKS", most)
    monkeypatch.setattr(gpu, "_SHORT_S", -1.0)
    card = Emulation()
    pieces = make(*arguments, card=card)
    whole.train(0, 3)
    pieces.train(0, 3)
    assert len(card.launches) > 1
    assert_same(parameters_of(pieces.state()), parameters_of(whole.state()))
    assert moving_loss(pieces) == moving_loss(whole)


@pytest.mark.slow
def test_launches_become_as_long_as_they_may(monkeypatch):
    now = 0.0
    monkeypatch.setattr(gpu.time, "monotonic", lambda: now)
    card = Emulation()

    def delay(arguments):
        nonlocal now
        now += 0.001 * arguments[-1]  # a millisecond a chunk

    card.delay = delay
    make(*problem(n=500, batch_size=1, every=100), card=card).train(0, 20)
    taken = [0.001 * launch[-1] for launch in card.launches]
    assert all(took <= 0.256 for took in taken)
    assert taken[-1] < 0.2 < sum(taken)
    card.launches.clear()
    now = 0.0
    card.delay = lambda arguments: None
    make(*problem(n=500, batch_size=1, every=100), card=card).train(0, 20)
    assert len(card.launches) <= 6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_going_on_from_saved_parameters_changes_nothing(activation):
    arguments = problem(n=53, activation=activation, every=4)
    whole, half, other = make(*arguments), make(*arguments), make(*arguments)
    whole.train(0, 6)
    half.train(0, 3)
    other.train(20, 25)
    other.load(half.state())
    other.train(3, 6)
    assert_same(parameters_of(whole.state()), parameters_of(other.state()))
    assert moving_loss(whole) == moving_loss(other)


def test_a_restart_with_another_seed_is_a_run_of_that_seed():
    config, x, y, parameters = problem(n=53)
    other, restarted = make(replace(config, seed=5), x, y, parameters), make(config, x, y, parameters)
    other.train(0, 2)
    restarted.train(0, 2)
    assert distance(parameters_of(restarted.state()), parameters_of(other.state())) > 0
    restarted.load(packed(parameters, math.nan), 5)
    restarted.train(0, 2)
    assert_same(parameters_of(restarted.state()), parameters_of(other.state()))


def test_an_engine_starts_from_what_it_is_given():
    config, x, y, parameters = problem()
    fresh = make(config, x, y, parameters)
    assert_same(parameters_of(fresh.state()), parameters)
    assert math.isnan(moving_loss(fresh))
    fresh.train(0, 0)
    assert_same(parameters_of(fresh.state()), parameters)
    goes_on = make(config, x, y, parameters, 5.0)
    goes_on.train(0, 1)
    expected = oracle.train(config, x, y, parameters, range(1), moving_loss=5.0)[1]
    assert moving_loss(goes_on) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("largest", range(3))
def test_large_outputs_do_not_overflow_the_loss(largest):
    config, x, y, parameters = problem(layers=(2, 3), activation="relu", lr=1e-9)
    weight, bias = parameters[-1]
    huge = [*parameters[:-1], (weight, bias + np.float32(200) * (np.arange(3) == largest))]
    trained = make(config, x, y, huge)
    trained.train(0, 1)
    assert moving_loss(trained) == pytest.approx(oracle.train(config, x, y, huge, range(1))[1], rel=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_net_of_nan_stays_nan(activation):
    config, x, y, parameters = problem(activation=activation)
    trained = make(config, x, y, [(weight * np.nan, bias) for weight, bias in parameters])
    trained.train(0, 2)
    assert np.isnan(flat(parameters_of(trained.state()))).all()
    assert math.isnan(moving_loss(trained))


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[-1], *slow(*SETTINGS[1:-1])], ids=str)
def test_three_epochs_are_the_oracles(settings):
    assert_epochs_match(problem(n=57, **settings), epochs=3)


def test_adams_guard_is_added_to_the_corrected_root():
    assert_epochs_match(tiny(), epochs=3)


def test_adam_reaches_the_end_of_its_rates():
    config, x, y, parameters = problem(n=50, **ADAM)
    state = beginning(config, x, parameters) | {"steps": np.array(37_408)}  # of 37,412
    there, here = make(config, x, y, parameters), on_cpu(config, x, y, parameters)
    for each in (there, here):
        each.load(state)
        each.train(7481, 7484)
    assert distance(parameters_of(there.state()), parameters_of(here.state())) < 1e-5


@pytest.mark.parametrize("settings", RESUMED, ids=str)
def test_going_on_from_a_state_changes_nothing(settings):
    arguments = problem(n=53, every=4, **settings)
    whole, half, other = make(*arguments), make(*arguments), make(*arguments)
    whole.train(0, 6)
    half.train(0, 3)
    other.train(20, 25)
    other.load(half.state())
    other.train(3, 6)
    assert_same_state(whole.state(), other.state())


@pytest.mark.parametrize(("n", "batch_size"), [(101, 10), (300, 140)])
@pytest.mark.parametrize("settings", [{}, {"layers": (20, 3), "output": "linear"}, ADAM], ids=str)
def test_the_signal_to_noise_ratio_of_gradients_is_the_oracles(settings, n, batch_size):
    arguments = problem(n=n, batch_size=batch_size, gradients=True, every=2, **settings)
    trained = make(*arguments)
    for start, stop in ((0, 1), (1, 4)):  # the second in two launches
        trained.train(start, stop)
        expected = oracle.gradient_snr(*arguments, range(stop))
        np.testing.assert_allclose(trained.state()["gradient_snr"], expected, rtol=1e-3)
    kept = trained.state()["gradient_snr"]
    trained.train(4, 4)
    assert (trained.state()["gradient_snr"] == kept).all()


@pytest.mark.parametrize("settings", [{}, ADAM], ids=str)
def test_measuring_gradients_changes_no_bit_of_training(settings):
    config, *rest = problem(n=203, **settings)
    plain, measured = make(config, *rest), make(replace(config, gradients=True), *rest)
    for each in (plain, measured):
        each.train(0, 3)
    assert_same(parameters_of(measured.state()), parameters_of(plain.state()))


@pytest.mark.parametrize(("n", "batch_size"), [(57, 10), (300, 200)])
def test_neither_threads_nor_launches_change_a_bit_of_adam(monkeypatch, n, batch_size):
    arguments = problem(n=n, layers=(16, 8, 4), batch_size=batch_size, gradients=True, **ADAM)
    options = gpu.options(arguments[0])
    whole, *others = (make(*arguments, card=Emulation(order, options=options)) for order in (0, 1, 7))
    whole.train(0, 3)
    monkeypatch.setattr(gpu, "_SHORT_S", -1.0)
    for other in others:
        other._chunks = 1
        other.train(0, 3)
        assert_same_state(other.state(), whole.state())


def test_what_is_on_the_card_is_given_back():
    card = Emulation()
    engine = make(*problem(), card=card)
    engine.train(0, 1)
    engine.close()
    assert card.closed


def test_a_net_fits_or_is_refused_with_its_size():
    random.seed(3)
    fitted = 0
    for _ in range(300):
        widths = [2, *(random.choice([1, 2, 5, 30, 90, 300]) for _ in range(random.randint(1, 4)))]
        batch = random.choice([1, 10, 77, 500, 100_000])
        try:
            plan = gpu.plan(widths, batch)
        except EngineError:
            assert dense.parameter_count(widths) * 4 + 8 * sum(widths) > 48_000
            continue
        fitted += 1
        assert plan.shared_bytes <= 48 * 1024
        assert 1 <= plan.chunk <= min(batch, plan.stride, plan.threads)
        assert plan.threads % 32 == 0 and 32 <= plan.threads <= 512
    assert 30 < fitted < 290


def test_the_largest_net_that_fits_trains():
    size = next(n for n in range(200, 60, -1) if fits((2, n, n, 2)))
    assert 90 < size < 110
    assert_epochs_match(problem(n=9, layers=(size, size, 2), batch_size=4, init_sigma=0.1))


def fits(widths):
    try:
        return gpu.plan(widths, 4)
    except EngineError:
        return None
