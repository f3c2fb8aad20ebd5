"""Which engine a machine gets, and the one line for what it cannot do."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.engines import probing
from ibtui.engines.choose import choose
from ibtui.engines.fused import kind
from ibtui.engines.mxnet import library, trial
from ibtui.engines.mxnet import variables as mxnet_variables
from ibtui.engines.mxnet.library import Build
from ibtui.engines.nvidia import driver
from ibtui.engines.nvidia.driver import Card, Driver
from ibtui.engines.nvidia.guard import Guarded
from ibtui.engines.wheels import advice
from ibtui.errors import EngineError, UsageError

CPU = Build("mxnet", "1.9.1", False, "")
CUDA = Build("mxnet-cu112", "1.9.1", True, "")
NO_DRIVER = Build(
    "mxnet-cu112", "1.9.1", True, "mxnet-cu112 is a CUDA build and this machine has no NVIDIA driver"
)
UNKNOWN = Build("mxnet", "", None, "")
A100 = Driver((12, 4), (Card("NVIDIA A100", (8, 0), 80 << 30, "0000:01:00.0"),))
H100 = Driver((13, 0), (Card("NVIDIA H100", (9, 0), 80 << 30, "0000:01:00.0"),))
OLD_DRIVER = Driver((11, 8), H100.cards)
OLD_CARD = Driver((12, 4), (Card("NVIDIA K80", (3, 7), 12 << 30, "0000:01:00.0"),))
CRASHES = "MXNet ended the process that tried it: status -6"


@pytest.fixture
def machine(monkeypatch):
    """Make this a machine with that MXNet, that driver with its cards, and NVIDIA's bindings or not.

    `mxnet`: why MXNet cannot compute on the GPU, empty where it can; None: it must not be tried.
    """

    def make(build, there=None, mxnet=None, bindings=True):
        def try_mxnet(device):
            assert mxnet is not None, "MXNet must not be tried where its package or the driver says enough"
            return mxnet

        monkeypatch.setattr(trial, "failure", try_mxnet)
        monkeypatch.setattr(library, "installed", lambda: build)
        monkeypatch.setattr(driver, "has_driver", lambda: there is not None)
        monkeypatch.setattr(driver, "start_driver", lambda: there)
        monkeypatch.setattr(kind, "start_driver", lambda: there)
        monkeypatch.setattr(kind, "_has_bindings", lambda: bindings)

    return make


@pytest.mark.parametrize(
    ("build", "there", "mxnet", "asked", "engine", "ctx"),
    [
        (None, None, None, {}, "fused", "cpu"),
        (None, H100, None, {}, "fused", "cpu"),
        (None, H100, None, {"ctx": "gpu0"}, "fused", "gpu0"),
        (CPU, None, None, {}, "gluon", "cpu"),
        (CPU, A100, None, {}, "gluon", "cpu"),
        (CPU, A100, None, {"ctx": "gpu0"}, "fused", "gpu0"),
        (CPU, None, None, {"engine": "fused"}, "fused", "cpu"),
        (CPU, None, None, {"ctx": "cpu"}, "gluon", "cpu"),
        (NO_DRIVER, None, None, {}, "fused", "cpu"),
        (CUDA, A100, "", {}, "gluon", "gpu0"),
        (CUDA, A100, "", {"ctx": "gpu0"}, "gluon", "gpu0"),
        (CUDA, A100, "", {"engine": "gluon", "ctx": "gpu0"}, "gluon", "gpu0"),
        (CUDA, A100, None, {"engine": "fused", "ctx": "gpu0"}, "fused", "gpu0"),
        (CUDA, A100, None, {"ctx": "cpu"}, "gluon", "cpu"),
        (CUDA, A100, None, {"engine": "fused"}, "fused", "cpu"),
        (CUDA, A100, CRASHES, {}, "gluon", "cpu"),
        (CUDA, A100, CRASHES, {"ctx": "gpu0"}, "fused", "gpu0"),
        (CUDA, H100, None, {}, "gluon", "cpu"),
        (CUDA, H100, None, {"ctx": "gpu0"}, "fused", "gpu0"),
        (CUDA, H100, None, {"engine": "gluon"}, "gluon", "cpu"),
        (UNKNOWN, None, None, {}, "gluon", "cpu"),
        (UNKNOWN, A100, "", {}, "gluon", "gpu0"),
    ],
)
def test_auto_is_settled(machine, build, there, mxnet, asked, engine, ctx):
    machine(build, there, mxnet)
    choice = choose(RunConfig(**asked), 2)
    assert (choice.engine, choice.ctx) == (engine, ctx)
    assert choice.why
    assert "\n" not in choice.why
    if ctx == "cpu" and build is CUDA and asked.get("ctx") != "cpu" and asked.get("engine") != "fused":
        assert "; no GPU: " in choice.why


def test_the_status_line_says_why_an_engine_is_on_the_gpu(machine):
    machine(CUDA, A100, "")
    assert choose(RunConfig(ctx="gpu0", engine="fused"), 2).why == "on NVIDIA A100 (8.0)"
    assert choose(RunConfig(ctx="gpu0"), 2).why == "mxnet-cu112 1.9.1 on NVIDIA A100 (8.0)"


@pytest.mark.parametrize(
    ("build", "there", "mxnet", "asked", "says"),
    [
        (None, None, None, {"engine": "gluon"}, ["--engine gluon", "not installed", ".[cpu]", "[cu112]"]),
        (None, None, None, {"ctx": "gpu0"}, ["--ctx gpu0: no NVIDIA driver", "--ctx cpu"]),
        (CPU, None, None, {"ctx": "gpu0"}, ["--ctx gpu0: no NVIDIA driver", "--ctx cpu"]),
        (CPU, None, None, {"ctx": "gpu0", "engine": "fused"}, ["--ctx gpu0: no NVIDIA driver", "--ctx cpu"]),
        (NO_DRIVER, None, None, {"ctx": "gpu0"}, ["--ctx gpu0", "driver"]),
        (NO_DRIVER, None, None, {"engine": "gluon"}, ["--engine gluon", "driver", "--engine fused"]),
        (CPU, A100, None, {"ctx": "gpu0", "engine": "gluon"}, ["CPU build", ".[cu112]", "2.3 GB"]),
        (None, A100, None, {"ctx": "gpu0", "engine": "gluon"}, ["not installed", ".[cu112]"]),
        (CUDA, A100, "", {"ctx": "gpu3"}, ["--ctx gpu3", "no such GPU", "there is gpu0"]),
        (None, Driver((12, 4), ()), None, {"ctx": "gpu0"}, ["no such GPU; there is none"]),
        (CUDA, H100, None, {"ctx": "gpu0", "engine": "gluon"}, ["5.0 to 8.9", "H100 (9.0)", "fused"]),
        (None, OLD_DRIVER, None, {"ctx": "gpu0"}, ["CUDA up to 11.8", "driver 525", "--ctx cpu"]),
        (None, OLD_CARD, None, {"ctx": "gpu0"}, ["NVIDIA K80 (3.7) is too old", "5.0"]),
        (None, H100, None, {"ctx": "gpu0", "layers": (200, 200, 2)}, ["41,202 weights", "49,152", "cpu"]),
        (CUDA, A100, CRASHES, {"ctx": "gpu0", "engine": "gluon"}, ["--engine gluon", "ended the process"]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(machine, build, there, mxnet, asked, says):
    machine(build, there, mxnet)
    with pytest.raises(UsageError) as refusal:
        choose(RunConfig(**asked), 2)
    text = str(refusal.value)
    assert "\n" not in text
    for part in says:
        assert part in text


@pytest.mark.parametrize(("build", "also"), [(None, "not installed"), (CUDA, CRASHES), (CPU, "CPU build")])
def test_a_missing_extra_is_named_with_its_size(machine, build, also):
    machine(build, A100, CRASHES if build is CUDA else None, bindings=False)
    with pytest.raises(UsageError) as refusal:
        choose(RunConfig(ctx="gpu0"), 2)
    text = str(refusal.value)
    assert text.startswith(
        "--ctx gpu0: the fused engine needs NVIDIA's cuda-bindings: pip install '.[gpu]' in "
    )
    assert "(100 MB)" in text and also in text and "\n" not in text


@pytest.mark.parametrize("visible", ["1", "GPU-1234", "MIG-1\x1b[31m"])
def test_a_gpu_that_a_variable_hides_is_refused_with_the_variable(machine, monkeypatch, visible):
    machine(None, A100)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UsageError) as refusal:
        choose(RunConfig(ctx="gpu1"), 2)
    shown = visible.replace("\x1b", "\\x1b")
    assert f"no such GPU; there is gpu0 (CUDA_VISIBLE_DEVICES={shown} hides others)" in str(refusal.value)


WRONG = [
    ({"OMP_NUM_THREADS": "abc"}, "OMP_NUM_THREADS=abc"),
    ({"OMP_NUM_THREADS": "1,2"}, "OMP_NUM_THREADS=1,2"),
    ({"MXNET_ENGINE_TYPE": "Bogus"}, "MXNET_ENGINE_TYPE=Bogus"),
    ({"MXNET_CPU_WORKER_NTHREADS": "0"}, "MXNET_CPU_WORKER_NTHREADS=0"),
    ({"MXNET_CPU_PARALLEL_SIZE": "x", "MXNET_HOME": "/"}, "MXNET_CPU_PARALLEL_SIZE"),  # the table lacks it
]


def recorded(*arguments, **variables):
    command = [sys.executable, "-m", "ibtui", "--epochs", "1", "--samples", "20", "--record", "run.npz"]
    environment = os.environ | variables
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, timeout=170
    )


@pytest.mark.skipif(library.installed() is None, reason="MXNet is not installed")
@pytest.mark.slow
@pytest.mark.parametrize(("variables", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_variable_that_mxnet_cannot_start_with_is_named(variables, says):
    asked = recorded("--engine", "gluon", **variables)
    assert asked.returncode == 2
    assert asked.stderr.count("\n") == 1
    assert asked.stderr.startswith("ibtui: --engine gluon: ")
    assert says in asked.stderr
    auto = recorded(**variables)
    assert auto.returncode == 0
    assert auto.stderr.count("\n") == 1
    assert says in auto.stderr and "the fused engine trains instead" in auto.stderr
    with np.load("run.npz") as file:
        assert json.loads(str(file["config"]))["engine"] == "fused"


@pytest.mark.parametrize(
    "variables",
    [{"OMP_NUM_THREADS": "2"}, {"MXNET_ENGINE_TYPE": "NaiveEngine"}, {"MXNET_CPU_WORKER_NTHREADS": "4"}, {}],
    ids=str,
)
def test_right_variables_start_no_process_of_their_own(monkeypatch, variables):
    for name in [name for name in os.environ if name.startswith(("MXNET_", "DMLC_"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(mxnet_variables, "ask", lambda *_, **__: pytest.fail("MXNet was tried"))
    assert mxnet_variables.fault() == ""


def test_of_several_unknown_variables_the_guilty_one_is_named(monkeypatch):
    for name in ("MXNET_A", "MXNET_B", "MXNET_C"):
        monkeypatch.setenv(name, "1")

    def ask(statement, *, timeout, without):
        return [], "" if "MXNET_B" in without else "no answer within 45 s"

    monkeypatch.setattr(mxnet_variables, "ask", ask)
    mxnet_variables._guilty.cache_clear()
    said = mxnet_variables.fault()
    mxnet_variables._guilty.cache_clear()
    assert said == "MXNet does not start with MXNET_B set (no answer within 45 s): unset it"


@pytest.mark.parametrize("name", ["mxnet/notes.txt", "mxnet/__init__.py", "mxnet.py", "mxnet/lib/x.so"])
def test_what_is_only_named_mxnet_is_not_mxnet(name, tmp_path):
    (tmp_path / "path" / name).parent.mkdir(parents=True)
    (tmp_path / "path" / name).touch()
    # No MXNet further on: the path of packages without it.
    code = (
        "import sys, importlib.util as u; from pathlib import Path; from ibtui.engines.mxnet import library\n"
        "library.metadata.version = None; real = u.find_spec\n"
        "from importlib.machinery import PathFinder\n"
        "u.find_spec = lambda n: PathFinder.find_spec(n, [sys.argv[1]]) if n == 'mxnet' else real(n)\n"
        "print(library.installed(), library.not_installed())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "path")], capture_output=True, text=True, check=True
    )
    first = tmp_path / "path" / name.partition("/")[0]
    assert done.stdout.startswith(f"None MXNet is not installed ({first}")
    assert done.stdout.endswith("is something else)\n")


@pytest.mark.parametrize(
    ("extra", "python", "system", "machine", "says"),
    [
        ("cpu", (3, 12), "linux", "x86_64", "pip install '.[cpu]' in ibtui's folder"),
        ("cpu", (3, 10), "linux", "aarch64", "pip install '.[cpu]' in ibtui's folder"),
        ("cu112", (3, 12), "linux", "x86_64", "pip install '.[cu112]' in ibtui's folder (2.3 GB)"),
        ("gpu", (3, 14), "linux", "x86_64", "pip install '.[gpu]' in ibtui's folder (100 MB)"),
        ("gpu", (3, 10), "linux", "aarch64", "pip install '.[gpu]' in ibtui's folder (100 MB)"),
        ("gpu", (3, 15), "linux", "x86_64", "Python 3.10 to 3.14"),
        ("gpu", (3, 12), "darwin", "arm64", "Linux on x86-64 or Arm"),
        ("cpu", (3, 13), "linux", "x86_64", "Python 3.10 to 3.12, as MXNet has no build for 3.13"),
        ("cu112", (3, 14), "linux", "x86_64", "Python 3.10 to 3.12, as MXNet has no build for 3.14"),
        ("cpu", (3, 11), "darwin", "arm64", "no build for this processor"),
        ("cu112", (3, 11), "linux", "aarch64", "Linux on x86-64"),
    ],
)
def test_nothing_is_advised_that_would_install_nothing(extra, python, system, machine, says):
    said = advice(extra, python, system, machine)
    assert says in said
    assert ("pip" in said) == ("pip" in says)


def test_choosing_imports_neither_mxnet_nor_numba():
    code = (
        "import sys, json; from ibtui.config import RunConfig; from ibtui.engines.choose import choose; "
        "choose(RunConfig(), 2); "
        "print(json.dumps([m for m in ('mxnet', 'numba', 'llvmlite') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.skipif(library.installed() is None, reason="MXNet is not installed")
def test_mxnet_comes_silently_and_leaves_numpy_as_it_was():
    code = (
        "import numpy; before = 'bool' in vars(numpy); from ibtui.engines.mxnet import library as runtime; "
        "runtime.import_mxnet(); assert ('bool' in vars(numpy)) == before; "
        "print(runtime.version())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert re.fullmatch(r"\d+\.\d+\.\d+ \((CPU|CUDA)\)\n", done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(library.installed() is None, reason="MXNet is not installed")
def test_a_process_of_its_own_tries_mxnet():
    build = library.installed()
    assert trial.failure("gpu0").startswith(f"{build} is a CPU build: ") == (build.cuda is False)


def test_a_process_that_dies_is_an_answer(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    trial.failure.cache_clear()
    try:
        assert "ended the process" in trial.failure("gpu0")
    finally:
        trial.failure.cache_clear()


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (
            OSError("libcuda.so.1: cannot open shared object file: No such file"),
            ["libcuda.so.1", ".[cpu]"],
        ),
        (AttributeError("module 'numpy' has no attribute\n'float_'"), ["AttributeError", "--engine fused"]),
    ],
)
def test_an_import_that_fails_is_one_line(monkeypatch, raised, says):
    def fail(name):
        raise raised

    monkeypatch.setattr(library, "installed", lambda: CUDA)
    monkeypatch.setattr(library.importlib, "import_module", fail)
    with pytest.raises(EngineError) as failure:
        library.import_mxnet.__wrapped__()
    assert "\n" not in str(failure.value)
    for part in says:
        assert part in str(failure.value)


# A process of its own, and what becomes of it.

SAY = "from ibtui.engines.probing import tell; tell(%s); print('MXNet says something'); "


def test_answers_count_among_whatever_else_is_printed():
    answers, error = probing.ask(SAY % "{'failure': 'a'}" + SAY % "{'failure': sys.argv[1]}", "gpu0")
    assert [answer["failure"] for answer in answers] == ["a", "gpu0"]
    assert error == ""


def test_what_a_process_said_before_it_died_is_known():
    answers, error = probing.ask(SAY % "{'failure': ''}" + "import os; os.abort()")
    assert answers == [{"failure": ""}]
    assert error == "status -6"


@pytest.mark.slow
def test_a_process_that_hangs_is_ended():
    answers, error = probing.ask(SAY % "{'failure': ''}" + "import time; time.sleep(600)", timeout=2.0)
    assert answers == [{"failure": ""}]
    assert "no answer within 2 s" in error


# Failures in the course of training.


class Failing:
    """An engine on a GPU that has failed."""

    name, device = "fused", "gpu1"

    def train(self, start, stop):
        raise RuntimeError(
            "[12:00:00] src/x.cc:1: Check failed: e == cudaSuccess: an illegal memory access was "
            "encountered\n"
            "Stack trace:\n  [bt] (0)"
        )

    def state(self):
        raise RuntimeError("unknown error")

    close = state

    def load(self, state, seed=None):
        raise EngineError("refused")


def test_a_gpu_that_fails_is_told_in_one_plain_sentence():
    engine = Guarded("fused", "gpu1", Failing)
    assert (engine.name, engine.device) == ("fused", "gpu1")
    for broken, says in (
        (lambda: engine.train(0, 1), "a kernel failed on the GPU"),
        (engine.state, "unknown"),
    ):
        with pytest.raises(EngineError) as failure:
            broken()
        assert str(failure.value).startswith("gpu1: ") and says in str(failure.value)
        assert str(failure.value).endswith("; --ctx cpu needs no GPU")
        assert "\n" not in str(failure.value)
    with pytest.raises(EngineError, match=r"^refused$"):
        engine.load({})
    engine.close()


def test_an_engine_that_cannot_be_made_on_a_gpu_is_told_so_too():
    def make():
        raise RuntimeError("cudaMalloc retry failed: out of memory")

    with pytest.raises(EngineError, match="gpu0: the GPU is out of memory"):
        Guarded("gluon", "gpu0", make)
