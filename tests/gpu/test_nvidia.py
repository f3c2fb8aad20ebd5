"""Libraries, driver, monitor and failures, where there is no GPU."""

import os
import re
import shutil
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import pytest

from ibtui.engines.mxnet import has_machine_code
from ibtui.engines.mxnet import library as mxnet
from ibtui.engines.nvidia import driver, libraries, nvml
from ibtui.engines.nvidia.messages import plain
from ibtui.errors import EngineError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent.parent
GCC = shutil.which("gcc")
NEEDS_GCC = pytest.mark.skipif(GCC is None, reason="gcc is not installed")


# Libraries.


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_mxnets_extra_brings_what_is_loaded_and_nothing_else():
    names = {re.split(r"[=<>;]", line)[0] for line in EXTRAS["cu112"]}
    assert {name for name in names if name.endswith("-cu11")} == {one.wheel for one in libraries.LIBRARIES}
    assert {"mxnet-cu112", "ibtui[gpu]", "numpy"} <= names
    for line in EXTRAS["cu112"]:
        if "nvidia" in line or "mxnet" in line:
            assert "sys_platform == 'linux' and platform_machine == 'x86_64'" in line
            assert "python_version < '3.13'" in line


def test_the_light_extra_brings_no_more_than_bindings_compiler_and_monitor():
    names = [re.split(r"[=<>;]", line)[0] for line in EXTRAS["gpu"]]
    assert names == ["cuda-bindings", "cuda-pathfinder", "nvidia-cuda-nvrtc-cu12", "nvidia-ml-py"]


@pytest.mark.parametrize("library", libraries.LIBRARIES, ids=lambda library: library.soname)
def test_a_wheel_has_its_library_where_it_is_looked_for(library):
    try:
        files = metadata.files(library.wheel)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{library.wheel} is not installed")
    assert f"nvidia/{library.folder}/lib/{library.soname}" in map(str, files)
    assert libraries.wheel_path(library)


def test_libraries_that_are_not_there_are_named_with_what_brings_them():
    found = libraries.preload([libraries.Library("libnosuch.so.3", "nosuch-cu11", "nosuch")])
    assert found[0].path == "" and "libnosuch.so.3" in found[0].error
    assert (
        libraries.missing(found)
        == "lacks libnosuch.so.3 (nosuch-cu11): pip install '.[cu112]' in ibtui's folder (2.3 GB)"
    )
    assert libraries.missing([]) == ""


def library(folder, name, code, *link):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "code.c").write_text(code)
    command = [
        GCC,
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{name}",
        "-o",
        str(folder / name),
        str(folder / "code.c"),
        *link,
    ]
    subprocess.run(command, check=True)
    return str(folder / name)


@NEEDS_GCC
@pytest.mark.parametrize("linked", [True, False])
def test_the_wheels_library_serves_those_that_need_it(tmp_path, linked):
    """As libmxnet.so needs libcublas.so.11, which no loader would find in its wheel's folder.

    Some libraries name what they need, some count on its symbols being there.
    """
    site = tmp_path / "site" / "nvidia" / "one" / "lib"
    path = library(site, "libibone.so.1", "int one(void) { return 1; }")
    (site.parent.parent / "__init__.py").write_text(
        ""
    )  # as in NVIDIA's own wheels, one of which may be there
    uses = "int one(void); int two(void) { return 1 + one(); }"
    user = library(tmp_path / "user", "libibuser.so.1", uses, *[path] * linked)
    code = (
        "import ctypes, sys; from ibtui.engines.nvidia import libraries; "
        "found = libraries.preload([libraries.Library('libibone.so.1', 'one-cu11', 'one')]); "
        "print(found[0].path, ctypes.CDLL(sys.argv[1]).two())"
    )
    path_list = os.pathsep.join([str(tmp_path / "site"), os.environ["PYTHONPATH"]])
    environment = os.environ | {"PYTHONPATH": path_list}
    done = subprocess.run([sys.executable, "-c", code, user], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == [path, "2"], done.stderr
    alone = f"import ctypes; ctypes.CDLL({user!r}).two()"
    assert subprocess.run([sys.executable, "-c", alone], capture_output=True).returncode != 0


@NEEDS_GCC
def test_the_systems_library_is_used_where_there_is_no_wheel(tmp_path):
    path = library(tmp_path, "libibsystem.so.4", "int four(void) { return 4; }")
    code = (
        "from ibtui.engines.nvidia import libraries; "
        "print(libraries.preload([libraries.Library('libibsystem.so.4', 'system-cu11', 'system')])[0].path)"
    )
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == path


@pytest.mark.parametrize("cuda_build", [True, False, None])
def test_only_a_cuda_build_has_libraries_loaded(monkeypatch, cuda_build):
    asked = []
    monkeypatch.setattr(mxnet, "installed", lambda: mxnet.Build("mxnet-x", "1", cuda_build, ""))
    monkeypatch.setattr(driver, "has_driver", lambda: True)
    monkeypatch.setattr(mxnet.importlib, "import_module", lambda name: name)
    absent = [libraries.Loaded("libcublas.so.11", "nvidia-cublas-cu11", "", "no")]
    monkeypatch.setattr(libraries, "preload", lambda: asked.append(1) or absent)
    for name in ("CUDA_MODULE_LOADING", "MXNET_CUDNN_LIB_CHECKING"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "kept") if cuda_build is None else None
    if cuda_build:
        with pytest.raises(
            EngineError, match=r"^mxnet-x 1 lacks libcublas\.so\.11 \(nvidia-cublas-cu11\): pip "
        ):
            mxnet.import_mxnet.__wrapped__()
    else:
        assert mxnet.import_mxnet.__wrapped__() == "mxnet"
    assert len(asked) == (cuda_build is not False)
    assert os.environ.get("CUDA_MODULE_LOADING") == {True: "LAZY", False: None, None: "kept"}[cuda_build]


# Capabilities.


@pytest.mark.parametrize(
    ("capability", "has"),
    [
        ((3, 7), False),
        ((5, 0), True),
        ((6, 1), True),
        ((7, 5), True),
        ((8, 9), True),
        ((9, 0), False),
        ((12, 0), False),
    ],
)
def test_gluon_runs_on_maxwell_to_ada(capability, has):
    assert has_machine_code(capability) is has


# The driver.

DRIVER = r"""
#include <stdio.h>
#include <string.h>
int cuInit(unsigned f) { return STATUS; }
int cuGetErrorString(int e, const char **s) { *s = "no CUDA-capable device is detected"; return 0; }
int cuDriverGetVersion(int *v) { *v = 12040; return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int i) { *d = i + 10; return 0; }
int cuDeviceGetName(char *name, int n, int d) { snprintf(name, n, "NVIDIA Card %d", d); return 0; }
int cuDeviceGetPCIBusId(char *id, int n, int d) { snprintf(id, n, "0000:%02x:00.0", d); return 0; }
int cuDeviceTotalMem_v2(size_t *m, int d) { *m = 80ul << 30; return 0; }
int cuDeviceGetAttribute(int *v, int what, int d) { *v = what == 75 ? 8 : what == 76 ? d - 4 : -1; return 0; }
"""


def asked_of(driver_folder, statement):
    environment = os.environ | {"LD_LIBRARY_PATH": str(driver_folder)}
    code = (
        f"from ibtui.engines.nvidia import driver\ntry: {statement}\nexcept driver.EngineError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@NEEDS_GCC
def test_the_driver_says_what_there_is(tmp_path):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "0"))
    said = asked_of(
        tmp_path,
        "d = driver.start_driver(); print(d.cuda, *d.cards, d.cards[1].memory >> 30, d.cards[1].pci)",
    )
    assert said == "(12, 4) NVIDIA Card 10 (8.6) NVIDIA Card 11 (8.7) 80 0000:0b:00.0"


@NEEDS_GCC
@pytest.mark.parametrize("visible", ["", "7", "GPU-1234", "MIG-9/1/0"])
def test_a_variable_that_hides_every_gpu_is_named(tmp_path, monkeypatch, visible):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "100"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    said = asked_of(tmp_path, "print(driver.no_gpu('gpu0'))")
    assert said.startswith(f"CUDA_VISIBLE_DEVICES={visible} hides every GPU: unset it")


@NEEDS_GCC
def test_a_gpu_that_is_not_among_those_there_is_refused(tmp_path):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "0"))
    said = asked_of(tmp_path, "print(driver.no_gpu('gpu1') or 'there', driver.no_gpu('gpu2'))")
    assert said == "there no such GPU; there is gpu0, gpu1; --ctx cpu needs no GPU"


CONTEXTS = r"""
static int held = 0;
static int say(int device) { printf("held %d of %d\n", held, device); return fflush(stdout); }
int cuDevicePrimaryCtxRetain(void **context, int device) { held++; return say(device); }
int cuDevicePrimaryCtxRelease_v2(int device) { held--; return say(device); }
"""


@NEEDS_GCC
def test_a_card_is_woken_for_the_engine_that_takes_it_over(tmp_path):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "0") + CONTEXTS)
    said = asked_of(tmp_path, "driver.warm('gpu1', 'fused'); driver.warmed('gpu1'); driver.warmed('gpu1')")
    assert said.splitlines() == ["held 1 of 11", "held 0 of 11"]


@NEEDS_GCC
@pytest.mark.parametrize(("device", "engine"), [("cpu", "fused"), ("gpu0", "gluon"), ("auto", "auto")])
def test_no_card_is_woken_for_what_does_not_take_it_over(tmp_path, device, engine):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "0") + CONTEXTS)
    assert asked_of(tmp_path, f"driver.warm('{device}', '{engine}'); driver.warmed('{device}')") == ""


@NEEDS_GCC
def test_a_card_that_does_not_wake_is_told_by_whoever_uses_it(tmp_path):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "100") + CONTEXTS)
    assert asked_of(tmp_path, "driver.warm('gpu0', 'fused'); driver.warmed('gpu0')") == ""


@NEEDS_GCC
def test_a_driver_is_started_once_whatever_comes_of_it(tmp_path):
    for status in ("0", "100"):
        counts = 'int cuInit(unsigned f) { printf("init\\n"); fflush(stdout); return STATUS; }'
        code = re.sub(r"int cuInit.*", lambda _, counts=counts: counts, DRIVER).replace("STATUS", status)
        library(tmp_path / status, "libcuda.so.1", code)
        said = asked_of(
            tmp_path / status, "driver.no_gpu('gpu0'); driver.no_gpu('gpu0'); driver.start_driver()"
        )
        assert said.count("init") == 1


@NEEDS_GCC
def test_a_driver_that_refuses_says_why(tmp_path):
    library(tmp_path, "libcuda.so.1", DRIVER.replace("STATUS", "100"))
    assert asked_of(tmp_path, "driver.start_driver()").startswith("no GPU answers")


def test_without_a_driver_that_is_said():
    if driver.has_driver():
        pytest.skip("this machine has an NVIDIA driver")
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        driver.start_driver()


# Failures, in CUDA's own words (cuGetErrorString's and cudaGetErrorString's) and names.

FAILURES = [
    ("out of memory", "out of memory: nvidia-smi"),
    ("cudaMalloc retry failed: out of memory", "out of memory: nvidia-smi"),
    ("CUDA_ERROR_OUT_OF_MEMORY", "out of memory: nvidia-smi"),
    ("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED", "out of memory: nvidia-smi"),
    ("an illegal memory access was encountered", "a kernel failed"),
    ("CUDA_ERROR_ILLEGAL_ADDRESS", "a kernel failed"),
    ("unspecified launch failure", "a kernel failed"),
    ("misaligned address", "a kernel failed"),
    ("an illegal instruction was encountered", "a kernel failed"),
    ("invalid program counter", "a kernel failed"),
    ("operation not supported on global/shared address space", "a kernel failed"),
    ("hardware stack error", "a kernel failed"),
    ("device-side assert triggered", "a kernel failed"),
    ("CUDA-capable device(s) is/are busy or unavailable", "exclusive mode"),
    ("all CUDA-capable devices are busy or unavailable", "exclusive mode"),
    ("exclusive-thread device already in use by a different thread", "exclusive mode"),
    ("no kernel image is available for execution on the device", "machine code"),
    ("the provided PTX was compiled with an unsupported toolchain.", "older than the CUDA"),
    ("CUDA driver version is insufficient for CUDA runtime version", "too old, or its parts"),
    ("system has unsupported display driver / cuda driver combination", "too old, or its parts"),
    ("the launch timed out and was terminated", "watchdog"),
    ("uncorrectable ECC error encountered", "hardware reported"),
    ("uncorrectable NVLink error detected during the execution", "hardware reported"),
    ("no CUDA-capable device is detected", "no GPU answers"),
    ("GPU is lost", "no GPU answers"),
    ("invalid device ordinal", "no such GPU"),
    ("system not yet initialized", "Fabric Manager"),
    ("too many resources requested for launch", "more than a block"),
    ("a PTX JIT compilation failed", "could not be compiled"),
    ("device kernel image is invalid", "could not be compiled"),
    ("initialization error", "could not be started"),
    ("CUBLAS_STATUS_NOT_INITIALIZED", "could not be started"),
    ("unknown error", "unknown error: often"),
]


@pytest.mark.parametrize(("said", "plainly"), FAILURES)
def test_a_failure_is_one_plain_sentence_with_cudas_own_words(said, plainly):
    around = (
        "Traceback (most recent call last):\n"
        '  File "src/storage/./pooled_storage_manager.h", line 187\n'
        f"CUDA: Check failed: e == cudaSuccess: {said}\n"
        "Stack trace:\n  [bt] (0) libmxnet.so(+0x1) [0x7f]\n"
    )
    for text in (said, f"cuInit: {said} (1)", around):
        told = plain(text)
        assert "\n" not in told
        assert plainly in told.partition(" [")[0]
        assert said in told.partition(" [")[2]
        assert ".h" not in told and "[bt]" not in told


@pytest.mark.parametrize("text", ["", "\n", "something new\nand more", "x" * 1000])
def test_a_failure_that_nobody_foresaw_is_told_as_it_is(text):
    told = plain(text)
    assert told and "\n" not in told and len(told) <= 160
    assert text[:20].partition("\n")[0] in told


# The status line.

CARD = driver.Card("NVIDIA Card", (8, 6), 80 << 30, "0000:0b:00.0")


class Nvml:
    """A stand-in for pynvml."""

    def __init__(self):
        self.asked = 0

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByPciBusId(self, pci):
        assert pci == b"0000:0b:00.0"
        return 7

    def nvmlDeviceGetHandleByIndex(self, index):
        raise LookupError(f"no GPU {index}")

    def nvmlDeviceGetMemoryInfo(self, handle):
        assert handle == 7
        self.asked += 1
        return type("Memory", (), {"used": 3 << 29, "total": 80 << 30})

    def nvmlDeviceGetUtilizationRates(self, handle):
        return type("Rates", (), {"gpu": 37, "memory": 2})


@pytest.fixture
def machine(monkeypatch):
    def make(module, started=driver.Driver((12, 4), (CARD,))):  # noqa: B008
        def start():
            if started is None:
                raise EngineError("no driver")
            return started

        monkeypatch.setattr(driver, "start_driver", start)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return make


def test_the_status_line_says_what_the_card_does(machine):
    library = machine(Nvml())
    description = nvml.Description("gpu0")
    assert [str(description) for _ in range(2)] == ["NVIDIA Card (8.6) · 1.5 of 80 GiB · 37 %"] * 2
    assert library.asked == 2


def test_where_nvml_knows_less_less_is_shown(machine):
    machine(None)  # importing it fails
    assert str(nvml.Description("gpu0")) == "NVIDIA Card (8.6)"
    assert str(nvml.Description("gpu3")) == ""
    slice_of_it = machine(Nvml())
    slice_of_it.nvmlDeviceGetUtilizationRates = None
    assert str(nvml.Description("gpu0")) == "NVIDIA Card (8.6) · 1.5 of 80 GiB"
    machine(object(), None)
    assert str(nvml.Description("gpu0")) == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_description_is_published_when_it_changes(monkeypatch):
    texts, published, done = iter(["a", "a", "b"]), [], threading.Event()

    class Description:
        def __init__(self, device):
            assert device == "gpu0"

        def __str__(self):
            try:
                return next(texts)
            except StopIteration:
                done.set()
                raise SystemExit from None  # which nothing else ends

    monkeypatch.setattr(nvml, "PERIOD_S", 0.001)
    before = threading.active_count()
    nvml.monitor("cpu", published.append)
    assert threading.active_count() == before
    nvml.monitor("gpu0", published.append, Description)
    assert done.wait(10)
    assert published == ["a", "b"]
