"""Which engine a machine gets, and the one line for what it cannot do."""

import json
import shutil
import subprocess
import sys

import pytest

from ibtui.config import RunConfig
from ibtui.errors import EngineError, UsageError
from ibtui.training import mxnet_runtime
from ibtui.training.engine import choose
from ibtui.training.mxnet_runtime import Build, Probe

CPU = Build("mxnet", "1.9.1", False, "")
CUDA = Build("mxnet-cu112", "1.9.1", True, "")
NO_DRIVER = Build(
    "mxnet-cu112", "1.9.1", True, "mxnet-cu112 is a CUDA build and this machine has no NVIDIA driver"
)
UNKNOWN = Build("mxnet", "", None, "")
WORKS = Probe(True, 1, {}, "")
NO_KERNELS = Probe(True, 1, {"gpu0": "MXNet has no code for this GPU's generation"}, "")
CRASHES = Probe(False, 0, {}, "MXNet ended the process that tried it: status -6")


@pytest.fixture
def machine(monkeypatch):
    """Make this a machine with that MXNet, and with a driver if GPUs answer."""

    def make(build, probe=None):
        def answer(device):
            assert probe is not None, "MXNet must not be tried where its package says enough"
            return probe

        monkeypatch.setattr(mxnet_runtime, "installed", lambda: build)
        monkeypatch.setattr(mxnet_runtime, "has_driver", lambda: probe is not None)
        monkeypatch.setattr(mxnet_runtime, "probe", answer)

    return make


@pytest.mark.parametrize(
    ("build", "probe", "asked", "engine", "ctx"),
    [
        (None, None, {}, "fused", "cpu"),
        (CPU, None, {}, "gluon", "cpu"),
        (CPU, WORKS, {}, "gluon", "cpu"),
        (CPU, None, {"engine": "fused"}, "fused", "cpu"),
        (CPU, None, {"ctx": "cpu"}, "gluon", "cpu"),
        (NO_DRIVER, None, {}, "fused", "cpu"),
        (CUDA, WORKS, {}, "gluon", "gpu0"),
        (CUDA, WORKS, {"engine": "gluon", "ctx": "gpu0"}, "gluon", "gpu0"),
        (CUDA, WORKS, {"ctx": "cpu"}, "gluon", "cpu"),
        (CUDA, WORKS, {"engine": "fused"}, "fused", "cpu"),
        (CUDA, NO_KERNELS, {}, "gluon", "cpu"),
        (CUDA, CRASHES, {}, "gluon", "cpu"),
        (UNKNOWN, None, {}, "gluon", "cpu"),
        (UNKNOWN, WORKS, {}, "gluon", "gpu0"),
    ],
)
def test_auto_is_settled(machine, build, probe, asked, engine, ctx):
    machine(build, probe)
    choice = choose(RunConfig(**asked))
    assert (choice.engine, choice.ctx) == (engine, ctx)
    assert choice.why
    assert "\n" not in choice.why


def test_the_cpu_build_alone_is_no_cause_for_advice(machine):
    machine(CPU)
    assert choose(RunConfig()).why == "mxnet 1.9.1"


def test_a_gpu_that_does_not_serve_is_named(machine):
    machine(CUDA, NO_KERNELS)
    assert "generation" in choose(RunConfig()).why


@pytest.mark.parametrize(
    ("build", "probe", "asked", "says"),
    [
        (None, None, {"engine": "gluon"}, ["--engine gluon", "not installed", "ibtui[cpu]", "ibtui[cu112]"]),
        (None, None, {"ctx": "gpu0"}, ["--ctx gpu0", "not installed", "ibtui[cu112]"]),
        (CPU, WORKS, {"ctx": "gpu0"}, ["--ctx gpu0", "mxnet 1.9.1 is the CPU build", "ibtui[cu112]"]),
        (NO_DRIVER, None, {"ctx": "gpu0"}, ["--ctx gpu0", "driver"]),
        (NO_DRIVER, None, {"engine": "gluon"}, ["--engine gluon", "driver", "--engine fused"]),
        (CUDA, WORKS, {"ctx": "gpu3"}, ["--ctx gpu3", "no such GPU", "gpu0"]),
        (CUDA, Probe(True, 0, {}, ""), {"ctx": "gpu0"}, ["--ctx gpu0", "sees no GPU"]),
        (CUDA, NO_KERNELS, {"ctx": "gpu0"}, ["--ctx gpu0", "generation"]),
        (CUDA, CRASHES, {"ctx": "gpu0"}, ["--ctx gpu0", "ended the process"]),
        (UNKNOWN, Probe(False, 0, {}, ""), {"ctx": "gpu0"}, ["--ctx gpu0", "CPU build"]),
        (CUDA, WORKS, {"ctx": "gpu0", "engine": "fused"}, ["--ctx gpu0", "fused engine", "--engine gluon"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(machine, build, probe, asked, says):
    machine(build, probe)
    with pytest.raises(UsageError) as refusal:
        choose(RunConfig(**asked))
    text = str(refusal.value)
    assert "\n" not in text
    for part in says:
        assert part in text


def test_choosing_imports_neither_mxnet_nor_numba():
    code = (
        "import sys, json; from ibtui.config import RunConfig; from ibtui.training.engine import choose; "
        "choose(RunConfig()); "
        "print(json.dumps([m for m in ('mxnet', 'numba', 'llvmlite') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.skipif(mxnet_runtime.installed() is None, reason="MXNet is not installed")
def test_mxnet_comes_silently_and_leaves_numpy_as_it_was():
    code = (
        "import numpy; before = 'bool' in vars(numpy); from ibtui.training import mxnet_runtime as runtime; "
        "runtime.load(); assert ('bool' in vars(numpy)) == before; "
        "print(runtime.devices(), runtime.version())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("['cpu'")


@pytest.mark.skipif(mxnet_runtime.installed() is None, reason="MXNet is not installed")
def test_a_process_of_its_own_answers_for_the_gpus():
    found = mxnet_runtime.probe("gpu0")
    assert found.error == ""
    assert found.cuda == mxnet_runtime.has_cuda()


def test_a_process_that_dies_is_an_answer(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    mxnet_runtime.probe.cache_clear()
    try:
        assert "ended the process" in mxnet_runtime.probe("gpu0").error
    finally:
        mxnet_runtime.probe.cache_clear()


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (
            OSError("libcuda.so.1: cannot open shared object file: No such file"),
            ["libcuda.so.1", "ibtui[cpu]"],
        ),
        (AttributeError("module 'numpy' has no attribute\n'float_'"), ["AttributeError", "--engine fused"]),
    ],
)
def test_an_import_that_fails_is_one_line(monkeypatch, raised, says):
    def fail(name):
        raise raised

    monkeypatch.setattr(mxnet_runtime, "installed", lambda: CUDA)
    monkeypatch.setattr(mxnet_runtime.importlib, "import_module", fail)
    with pytest.raises(EngineError) as failure:
        mxnet_runtime.load.__wrapped__()
    assert "\n" not in str(failure.value)
    for part in says:
        assert part in str(failure.value)
