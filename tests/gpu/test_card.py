"""On a machine with an NVIDIA GPU and the extra gpu: `pytest -m gpu`; elsewhere skipped."""

import functools
import json
import math
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.seeding import initial_parameters
from ibtui.data.grid import grid_labels
from ibtui.engines.choose import Choice, choose, create_engine
from ibtui.engines.dense import packed, parameters_of
from ibtui.engines.fused import gpu
from ibtui.engines.fused.kind import FUSED
from ibtui.engines.mxnet import trial
from ibtui.engines.nvidia import driver, nvml
from ibtui.errors import EngineError, UsageError
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
from tests.engines.test_settings import ADAM, RESUMED, SETTINGS, assert_same_state
from tests.gpu import test_emulated
from tests.gpu.test_emulated import BATCHES
from tests.run.driver import Driver

pytestmark = pytest.mark.gpu
cuda = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is in the extra gpu")


@functools.cache
def no_gpu():
    """Say why there is no GPU to test with; empty: there is one."""
    return FUSED.refusal(RunConfig(), 2, "gpu0")


@pytest.fixture(autouse=True)
def card():
    if reason := no_gpu():
        pytest.skip(reason)


@pytest.fixture
def capability():
    return driver.start_driver().cards[0].capability


def make(config, x, y, parameters, *, engine="fused"):
    return create_engine(Choice(engine, "gpu0", ""), config, x, y, beginning(config, x, parameters))


def assert_epochs_match(arguments, engine="fused", **during):
    test_emulated.assert_epochs_match(arguments, trained=make(*arguments, engine=engine), **during)


@pytest.fixture(params=["fused", "gluon"])
def engine(request, capability):
    if request.param == "gluon" and (reason := trial.no_gluon("gpu0")):
        pytest.skip(reason)
    return request.param


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers", SHAPES, ids=str)
def test_one_step_is_the_oracles_step(engine, layers, activation):
    arguments = problem(n=10, layers=layers, activation=activation)
    trained = make(*arguments, engine=engine)
    trained.train(0, 1)
    expected, loss = oracle.train(*arguments, range(1))
    assert distance(parameters_of(trained.state()), expected) < 1e-5
    assert moving_loss(trained) == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layers", [*SHAPES, (60, 60, 3), (9, 200, 2)], ids=str)
def test_an_epoch_is_the_oracles_epoch(engine, layers, activation):
    assert_epochs_match(problem(n=57, layers=layers, activation=activation), engine)


@pytest.mark.parametrize(("n", "batch_size"), BATCHES)
def test_any_batch_size(n, batch_size):
    assert_epochs_match(problem(n=n, batch_size=batch_size))


def test_late_epochs_of_the_default_experiment():
    x, y = grid_labels()
    config = RunConfig(seed=3)
    start = initial_parameters(config.layers, seed=3)
    assert_epochs_match((config, x[:500], y[:500], start), start=10**6, epochs=3)


@pytest.mark.parametrize(("n", "batch_size"), [(203, 10), (300, 129)])
def test_a_run_repeats_to_the_bit(n, batch_size):
    arguments = problem(n=n, layers=(16, 8, 4), batch_size=batch_size)
    first, *others = (make(*arguments) for _ in range(3))
    first.train(0, 50)
    for other in others:
        for epoch in range(0, 50, 10):
            other.train(epoch, epoch + 10)
        assert_same(parameters_of(other.state()), parameters_of(first.state()))
        assert moving_loss(other) == moving_loss(first)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_three_epochs_are_the_oracles(engine, settings):
    assert_epochs_match(problem(n=57, **settings), engine, epochs=3)


@pytest.mark.parametrize("settings", RESUMED, ids=str)
def test_going_on_from_a_state_changes_nothing(engine, settings):
    arguments = problem(n=53, **settings)
    whole, half, other = (make(*arguments, engine=engine) for _ in range(3))
    whole.train(0, 6)
    half.train(0, 3)
    other.train(20, 25)
    other.load(half.state())
    other.train(3, 6)
    assert_same_state(whole.state(), other.state())


@pytest.mark.parametrize("settings", [{}, {"layers": (20, 3), "output": "linear"}, ADAM], ids=str)
def test_the_signal_to_noise_ratio_of_gradients_is_the_oracles(engine, settings):
    arguments = problem(n=101, gradients=True, **settings)
    trained = make(*arguments, engine=engine)
    trained.train(0, 3)
    expected = oracle.gradient_snr(*arguments, range(3))
    np.testing.assert_allclose(trained.state()["gradient_snr"], expected, rtol=1e-3)


class Timed:
    """A launcher that waits for each launch, and notes the seconds that it took."""

    def __init__(self, launcher):
        self.launcher, self.took = launcher, []

    def __getattr__(self, name):
        return getattr(self.launcher, name)

    def launch(self, arguments, threads, shared_bytes):
        began = time.monotonic()
        self.launcher.launch(arguments, threads, shared_bytes)
        self.launcher.read(arguments[6])
        self.took.append(time.monotonic() - began)


def test_a_long_stretch_takes_many_short_launches():
    config, x, y, parameters = problem(n=500, batch_size=1, every=1000)
    from ibtui.engines.fused.cuda import CudaLauncher

    timed = Timed(CudaLauncher("gpu0", gpu.source(), gpu.KERNEL))
    trained = gpu.FusedGpuEngine(config, "gpu0", x, y, packed(parameters, math.nan), timed)
    trained.train(0, 1000)
    assert len(timed.took) > 3
    assert max(timed.took) < 0.5


def test_the_second_start_compiles_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    first = make(*problem())
    kept = list((tmp_path / "cache").glob(f"{gpu.KERNEL}-*.compiled"))
    assert len(kept) == 1
    monkeypatch.setattr("ibtui.engines.fused.cuda.compile_source", lambda *_: pytest.fail("compiled again"))
    second = make(*problem())
    monkeypatch.undo()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    third = make(*problem())  # what is damaged is compiled anew
    for engine in (first, second, third):
        engine.train(0, 2)
        assert_same(parameters_of(engine.state()), parameters_of(first.state()))
    for engine in (first, second, third):
        engine.close()


def test_several_threads_may_use_one_engine_in_turn():
    arguments = problem()
    here, elsewhere = make(*arguments), make(*arguments)
    here.train(0, 3)
    thread = threading.Thread(target=elsewhere.train, args=(0, 3))
    thread.start()
    thread.join()
    assert_same(parameters_of(elsewhere.state()), parameters_of(here.state()))


def test_memory_is_given_back():
    def free():
        return cuda.cuMemGetInfo()[1]

    made = make(*problem(n=2_000_000))
    low = free()
    other = make(*problem())
    made.close()
    assert free() - low > 20_000_000
    other.train(0, 1)  # the card is still there for others
    other.close()


def test_a_net_of_nan_stays_nan():
    config, x, y, parameters = problem()
    trained = make(config, x, y, [(weight * np.nan, bias) for weight, bias in parameters])
    trained.train(0, 2)
    assert np.isnan(flat(parameters_of(trained.state()))).all()
    assert math.isnan(moving_loss(trained))


def test_gluon_is_taken_where_mxnet_has_code_and_the_kernel_elsewhere(capability):
    choice = choose(RunConfig(ctx="gpu0"), 2)
    assert choice.engine == ("fused" if trial.no_gluon("gpu0") else "gluon")
    assert choice.ctx == "gpu0"
    assert driver.dotted(capability) in choice.why


def test_auto_takes_a_gpu_only_for_gluon():
    assert (choose(RunConfig(), 2).ctx == "gpu0") == (not trial.no_gluon("gpu0"))


def test_gluon_where_mxnet_cannot_run_is_refused_before_training():
    if not trial.no_gluon("gpu0"):
        pytest.skip("MXNet runs on this GPU")
    with pytest.raises(UsageError, match="--engine fused"):
        choose(RunConfig(ctx="gpu0", engine="gluon"), 2)


def ibtui(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "ibtui", *arguments], capture_output=True, text=True, timeout=170
    )


def test_a_recording_from_the_gpu_is_whole(tmp_path, engine):
    done = ibtui(
        "--record", "run.npz", "--ctx", "gpu0", "--engine", engine, "--epochs", "100", "--every", "10"
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "run.npz", allow_pickle=False) as run:
        assert run["epoch"].tolist() == list(range(0, 101, 10))
        for name in ("i_xt", "i_ty", "train_loss", "weight0", "t0"):
            assert np.isfinite(run[name]).all()
        assert '"ctx": "gpu0"' in str(run["config"]) and f'"engine": "{engine}"' in str(run["config"])
        assert run["train_loss"][-1] < run["train_loss"][0]


def test_the_doctor_is_content():
    done = ibtui("doctor", "--ctx", "gpu0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^--ctx gpu0 +ok trains", done.stdout, re.MULTILINE)


@pytest.mark.filterwarnings("default")
def test_the_bench_measures_the_card():
    done = ibtui("bench", "--ctx", "gpu0", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert driver.dotted(driver.start_driver().cards[0].capability) in report["machine"]["gpu"]
    names = " ".join(row["name"] for row in report["rows"])
    for part in ("fused engine", "on the CPU", "a launch", "compiled for the card", "process start included"):
        assert part in names


def test_the_status_line_names_the_card(capability):
    assert driver.dotted(capability) in str(nvml.Description("gpu0"))


# Failures that can be provoked.


def test_a_net_that_does_not_fit_is_refused_with_its_size():
    with pytest.raises(UsageError, match="49,152"):
        choose(RunConfig(ctx="gpu0", engine="fused", layers=(200, 200, 2)), 2)


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="no such GPU"):
        choose(RunConfig(ctx="gpu99"), 2)


def provoked(code):
    """Train on the GPU in a process of its own, since a fault ends all CUDA in it; return what it says."""
    head = (
        "import numpy as np\n"
        "from ibtui.errors import EngineError\n"
        "from ibtui.engines.fused import gpu\n"
        "from cuda.bindings import driver as cuda\n"
        "from ibtui.engines.choose import Choice, create_engine\n"
        "from ibtui.engines.dense import packed\n"
        "from tests.engines.test_engines import problem\n"
        "def train():\n"
        "    *arguments, parameters = problem()\n"
        "    state = packed(parameters, float('nan'))\n"
        "    engine = create_engine(Choice('fused', 'gpu0', ''), *arguments, state)\n"
        "    try: engine.train(0, 3)\n"
        "    finally: engine.close()\n"
    )
    tail = (
        "\ntry: train()\nexcept EngineError as error: print('EngineError:', error, flush=True)\n"
        "import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + code + tail], capture_output=True, text=True, timeout=170
    )
    return done.stdout + done.stderr


def test_a_kernel_that_faults_is_one_plain_sentence():
    code = (
        "right = gpu.source\n"
        "gpu.source = lambda: right().replace('state[2] = position;', "
        "'state[2] = position; *(float *)16 = 1.0f;')"
    )
    said = provoked(code)
    assert "EngineError: gpu0: a kernel failed on the GPU" in said
    assert "illegal" in said or "launch failure" in said


def test_a_gpu_without_free_memory_is_one_plain_sentence():
    code = (
        "cuda.cuInit(0)\n"
        "_, context = cuda.cuDevicePrimaryCtxRetain(cuda.cuDeviceGet(0)[1])\n"
        "cuda.cuCtxSetCurrent(context)\n"
        "size = 1 << 36\n"
        "while size >= 1 << 12:\n"
        "    if int(cuda.cuMemAlloc(size)[0]): size //= 2\n"
    )
    said = provoked(code)
    assert "EngineError: gpu0: the GPU is out of memory" in said


def test_a_kernel_that_does_not_compile_is_one_plain_sentence():
    said = provoked("gpu.source = lambda: 'this is no CUDA'")
    assert "EngineError: gpu0: the kernel could not be compiled" in said


@pytest.mark.parametrize(
    "visible", ["", "-1", "GPU-00000000-0000-0000-0000-000000000000", "MIG-nothing", "7"]
)
def test_a_variable_that_hides_every_gpu_is_named(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    done = ibtui("--record", "run.npz", "--ctx", "gpu0", "--epochs", "10")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"CUDA_VISIBLE_DEVICES={visible} hides every GPU" in done.stderr


def test_a_gpu_may_be_named_by_its_uuid(monkeypatch):
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", re.search(r"GPU-[0-9a-f-]+", listed)[0])
    done = ibtui("--record", "run.npz", "--ctx", "gpu0", "--engine", "fused", "--epochs", "10")
    assert done.returncode == 0, done.stderr


def test_a_worker_whose_gpu_fails_keeps_its_screen_and_history(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "from ibtui.engines.fused import gpu\n"
        "right = gpu.source\n"
        "begun = 'double moving_loss = state[0];'\n"
        "faults = begun + ' if (moving_loss == moving_loss) *(float *)16 = 1.0f;'\n"
        "gpu.source = lambda: right().replace(begun, faults)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    config = RunConfig(ctx="gpu0", engine="fused", epochs=10_000, every=1000)
    with Driver.train(config) as driver:
        driver.until_state("failed")
        assert "a kernel failed on the GPU" in driver.status.message
        assert len(driver.recording) > 0


def test_a_device_that_never_was_is_an_engine_error():
    *arguments, parameters = problem()
    with pytest.raises(EngineError):
        create_engine(Choice("fused", "gpu99", ""), *arguments, packed(parameters, math.nan))
