"""The launcher on a stand-in for the driver: all but what a card alone can show (test_card.py)."""

import math

import numpy as np
import pytest

from ibtui.core.cache import Store
from ibtui.engines.dense import packed, parameters_of
from ibtui.engines.fused import gpu
from ibtui.engines.fused.kind import FUSED
from ibtui.engines.nvidia.driver import Card, Driver
from ibtui.engines.nvidia.guard import Guarded
from ibtui.errors import EngineError
from tests.engines.test_engines import assert_same, moving_loss, problem
from tests.gpu.emulation import COMPILER, Emulation, library
from tests.gpu.standin import Bindings, CUresult

cuda = pytest.importorskip("ibtui.engines.fused.cuda", reason="cuda-bindings is in the extra gpu")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

H100 = Card("NVIDIA H100", (9, 0), 80 << 30, "0000:01:00.0")


REAL = cuda.compile_source
CODE = {}
"""Machine code that earlier tests had compiled: compiling takes half a second."""


def compiled_once(*arguments):
    key = repr(arguments)
    if key not in CODE:
        CODE[key] = REAL(*arguments)
    return CODE[key]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make this a machine with this driver; returns its bindings."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cuda, "compile_source", compiled_once)

    def make(card=H100, version=(12, 4), **fails):
        bindings = Bindings(library(), fails)
        monkeypatch.setattr(cuda, "cuda", bindings)
        monkeypatch.setattr(cuda, "start_driver", lambda: Driver(version, (card,)))
        return bindings

    return make


def launcher(source=None):
    return cuda.CudaLauncher("gpu0", gpu.source() if source is None else source, gpu.KERNEL)


def engine(config, x, y, parameters, launcher):
    return gpu.FusedGpuEngine(config, "gpu0", x, y, packed(parameters, math.nan), launcher)


def test_training_by_way_of_the_driver_is_training(machine):
    bindings = machine()
    arguments = problem(n=53, every=4)
    there, expected = engine(*arguments, launcher()), engine(*arguments, Emulation())
    for each in (there, expected):
        each.train(0, 5)
    assert_same(parameters_of(there.state()), parameters_of(expected.state()))
    assert moving_loss(there) == moving_loss(expected)
    assert bindings.codes[0][:4] == b"\x7fELF"  # machine code, not PTX
    there.close()
    assert bindings.memory == {} and bindings.contexts == 0


def test_each_call_makes_the_cards_context_its_threads_first(machine):
    bindings = machine()
    device = launcher()
    array = device.array(np.arange(4.0))
    for call in (
        lambda: device.array(np.arange(3.0)),
        lambda: device.write(array, np.ones(4)),
        lambda: device.read(array),
        device.close,
    ):
        bindings.calls.clear()
        call()
        assert bindings.calls[0] == "cuCtxSetCurrent"
    trained = engine(*problem(), launcher())
    bindings.calls.clear()
    trained.train(0, 1)
    launched = bindings.calls.index("cuLaunchKernel")
    assert bindings.calls[launched - 1] == "cuCtxSetCurrent"


def test_an_array_that_is_no_block_of_memory_is_copied_in_its_order(machine):
    machine()
    device = launcher()
    values = np.arange(12, dtype=np.float32).reshape(3, 4).T
    assert (device.read(device.array(values)) == values).all()


def test_code_is_compiled_once_for_a_source_a_card_and_a_driver(machine, monkeypatch):
    compiled, real = [], cuda.compile_source
    monkeypatch.setattr(cuda, "compile_source", lambda *args: compiled.append(args[1]) or real(*args))
    first = machine()
    launcher()
    second = machine()
    launcher()
    assert compiled == [(9, 0)]
    assert second.codes == first.codes
    machine(Card("NVIDIA L4", (8, 9), 24 << 30, ""))
    launcher()
    machine(version=(13, 0))
    launcher()
    launcher(gpu.source() + "// changed")
    assert compiled == [(9, 0), (8, 9), (9, 0), (9, 0)]


def test_kept_code_that_cannot_be_read_is_compiled_anew(machine, tmp_path):
    first = machine()
    launcher()
    (kept,) = (tmp_path / "cache").glob("*.compiled")
    kept.write_bytes(kept.read_bytes()[:-1])
    again = machine()
    launcher()
    assert again.codes == first.codes


def test_kept_code_needs_no_compiler(machine, monkeypatch):
    machine()
    Store(gpu.KERNEL, gpu.source()).save(((), str(H100), (12, 4)), b"code")
    monkeypatch.setattr(cuda, "nvrtc_version", lambda: pytest.fail("NVRTC was loaded"))
    bindings = machine()
    launcher()
    assert bindings.codes == [b"code"]


@pytest.mark.slow
def test_each_set_of_options_has_its_own_code(machine, monkeypatch):
    compiled, real = [], cuda.compile_source
    monkeypatch.setattr(cuda, "compile_source", lambda *args: compiled.append(args[2]) or real(*args))
    machine()
    for options in (["-DA"], ["-DB"], ["-DA"], ["-DB"]):
        cuda.CudaLauncher("gpu0", gpu.source(), gpu.KERNEL, options)
    assert compiled == [["-DA"], ["-DB"]]


def test_kept_code_that_the_driver_does_not_take_is_compiled_anew(machine):
    Store(gpu.KERNEL, gpu.source()).save(((), str(H100), (12, 4)), b"stale")
    bindings = machine()
    take = bindings.cuModuleLoadData
    bindings.cuModuleLoadData = lambda code: (CUresult(1),) if code == b"stale" else take(code)
    launcher()
    assert bindings.codes[-1][:4] == b"\x7fELF"
    again = machine()
    launcher()
    assert again.codes == bindings.codes[-1:]


def test_code_that_does_not_load_is_not_kept(machine, tmp_path):
    machine(cuModuleLoadData=CUresult.CUDA_ERROR_INVALID_VALUE)
    with pytest.raises(cuda.CudaError):
        launcher()
    assert not list((tmp_path / "cache").glob("*.compiled"))


@pytest.mark.parametrize("call", ["cuModuleLoadData", "cuModuleGetFunction"])
def test_a_launcher_that_cannot_be_made_leaves_nothing_on_the_card(machine, call):
    bindings = machine(**{call: CUresult.CUDA_ERROR_INVALID_VALUE})
    with pytest.raises(cuda.CudaError):
        launcher()
    assert bindings.contexts == 0


def test_an_engine_that_cannot_be_made_leaves_nothing_on_the_card(machine, monkeypatch):
    config, x, y, parameters = problem()
    bindings = machine(cuMemAlloc=CUresult.CUDA_ERROR_OUT_OF_MEMORY)
    with pytest.raises(EngineError, match="out of memory"):
        FUSED.create(config, "gpu0", x, y, packed(parameters, math.nan))
    assert bindings.contexts == 0


def test_closing_gives_the_context_back_whatever_else_fails(machine):
    bindings = machine(cuMemFree=CUresult.CUDA_ERROR_ECC_UNCORRECTABLE)
    device = launcher()
    device.array(np.zeros(3))
    with pytest.raises(cuda.CudaError, match="ECC"):
        device.close()
    assert bindings.contexts == 0


def test_a_driver_that_is_older_than_the_compiler_is_told(machine):
    machine(version=(11, 8))
    with pytest.raises(
        EngineError, match=r"CUDA up to 11\.8, and NVRTC is of 1\d\.\d+: update the driver, or pip"
    ):
        launcher()


def test_a_missing_compiler_is_told_with_what_brings_it(machine, monkeypatch):
    def absent():
        raise cuda.DynamicLibNotFoundError('Failure finding "libnvrtc.so"')

    machine()
    monkeypatch.setattr(cuda.nvrtc, "nvrtcVersion", absent)
    with pytest.raises(EngineError, match=r"NVRTC, which compiles the kernel, is not installed: pip .*gpu"):
        launcher()


@pytest.mark.parametrize(
    ("call", "result", "says"),
    [
        ("cuDevicePrimaryCtxRetain", CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE, "exclusive mode"),
        ("cuDevicePrimaryCtxRetain", CUresult.CUDA_ERROR_ECC_UNCORRECTABLE, "hardware reported"),
        ("cuMemAlloc", CUresult.CUDA_ERROR_OUT_OF_MEMORY, "the GPU is out of memory"),
        ("cuLaunchKernel", CUresult.CUDA_ERROR_LAUNCH_TIMEOUT, "watchdog"),
        ("cuMemcpyDtoH", CUresult.CUDA_ERROR_ECC_UNCORRECTABLE, "hardware reported"),
    ],
)
def test_what_fails_on_the_card_is_one_plain_sentence(machine, call, result, says):
    machine(**{call: result})
    arguments = problem()
    with pytest.raises(EngineError) as failure:
        Guarded("fused", "gpu0", lambda: engine(*arguments, launcher())).train(0, 1)
    text = str(failure.value)
    assert text.startswith("gpu0: ") and says in text and f"({result.name})" in text
    assert text.endswith("; --ctx cpu needs no GPU") and "\n" not in text
