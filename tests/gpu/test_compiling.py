"""The GPU's kernel, compiled by NVIDIA's own compiler, which needs no GPU."""

import functools
import locale
import re
import struct
import threading

import pytest

from ibtui.config import RunConfig
from ibtui.engines.fused import gpu
from ibtui.errors import EngineError
from tests.gpu.emulation import signature
from tests.marks import slow

cuda = pytest.importorskip("ibtui.engines.fused.cuda", reason="cuda-bindings is in the extra gpu")

PTX_TYPES = {"float": "f32", "int": "u32"}
KNOWN = [50, 52, 60, 61, 70, 75, 80, 86, 89, 90, 100, 120]
EM_CUDA = 190
NEWER = (99, 0)  # no compiler knows it: it gets PTX


def architecture_of(cubin):
    """The architecture in the header of machine code, an ELF file: 90 for sm_90."""
    assert cubin[:4] == b"\x7fELF"
    machine, flags = struct.unpack_from("<H", cubin, 18)[0], struct.unpack_from("<I", cubin, 48)[0]
    assert machine == EM_CUDA
    return {flags & 0xFF, flags >> 8 & 0xFF}  # where older and newer compilers write it


VARIANTS = [{}, {"optimizer": "adam", "gradients": True}]


@functools.cache
def ptx(**settings):
    options = gpu.options(RunConfig(**settings))
    return cuda.compile_source(gpu.source(), NEWER, options).rstrip(b"\0").decode()


@pytest.mark.parametrize("arch", [*slow(52, 75, 86), 90, *slow(100, 120)])
def test_every_generation_gets_its_machine_code(arch):
    cubin = cuda.compile_source(gpu.source(), divmod(arch, 10))
    assert arch in architecture_of(cubin)
    assert f".text.{gpu.KERNEL}\0".encode() in cubin


@pytest.mark.slow
def test_a_kernel_is_compiled_to_the_same_bytes_each_time():
    assert cuda.compile_source(gpu.source(), (9, 0)) == cuda.compile_source(gpu.source(), (9, 0))


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_the_kernel_keeps_to_a_block_and_calls_nothing(settings):
    text = ptx(**settings)
    assert re.findall(r"\.visible \.entry (\w+)", text) == [gpu.KERNEL]
    # All shared memory is given at the launch, and fits every card; registers of 512 threads fit too.
    assert re.findall(r"^(.*\.shared .*memory.*;)$", text, re.MULTILINE)
    assert [int(n) for n in re.findall(r"\.shared [^;]*\[(\d*)\];", text) if n] == []
    assert f".maxntid {gpu.MAX_THREADS}" in text
    # No stack in memory, no calls, nothing that another library would have to bring.
    for surprise in (".local", ".extern .func", "call.uni", "vprintf", "malloc"):
        assert surprise not in text
    # Barriers are met by all threads of the block.
    assert set(re.findall(r"\bbar\S*\s+[^;]+;|\bbarrier\S*\s+[^;]+;", text)) == {"bar.sync \t0;"}


def test_plain_descent_has_no_code_for_what_it_does_not_do():
    plain, adam = ptx(), ptx(optimizer="adam", gradients=True)
    assert "sqrt" in adam and "sqrt" not in plain
    assert len(re.findall("ld.global.f64|st.global.f64", plain)) < len(
        re.findall("ld.global.f64|st.global.f64", adam)
    )


def test_compiling_leaves_the_locale_as_it_was():
    codes = []

    def compile_elsewhere():  # the locale is a thread's own: in a new one, nobody has changed it yet
        codes.append(locale.nl_langinfo(locale.CODESET))
        cuda.compile_source(gpu.source(), (7, 0))
        codes.append(locale.nl_langinfo(locale.CODESET))

    thread = threading.Thread(target=compile_elsewhere)
    thread.start()
    thread.join()
    assert codes[0] == codes[1]


def test_the_kernels_arguments_are_of_the_types_that_its_source_declares():
    parameters = re.findall(rf"\.param \.(\w+) (?:\.ptr [^,)]*?)?{gpu.KERNEL}_param_\d+", ptx())
    assert parameters == ["u64" if pointer else PTX_TYPES[kind] for kind, pointer in signature()]


def test_source_that_does_not_compile_is_told_in_the_compilers_words():
    with pytest.raises(cuda.CudaError, match=r"NVRTC_ERROR_COMPILATION: kernel.cu\(1\): error") as failure:
        cuda.compile_source("this is no CUDA", (9, 0))
    assert "\n" not in str(failure.value)


def test_options_reach_the_compiler():
    source = 'extern "C" __global__ void train(int *x) { *x = WIDTH; }'
    with pytest.raises(cuda.CudaError, match="WIDTH"):
        cuda.compile_source(source, NEWER)
    assert ", 1234;" in cuda.compile_source(source, NEWER, ["-DWIDTH=1234"]).decode()


@pytest.mark.parametrize(
    ("capability", "known", "arch"),
    [
        ((5, 0), KNOWN, "sm_50"),
        ((6, 1), KNOWN, "sm_61"),
        ((8, 9), KNOWN, "sm_89"),
        ((8, 9), [80, 86], "sm_86"),
        ((9, 0), KNOWN, "sm_90"),
        ((9, 0), [80, 86], "compute_86"),
        ((10, 3), KNOWN, "sm_100"),
        ((11, 0), KNOWN, "compute_100"),
        ((12, 1), KNOWN, "sm_120"),
        ((13, 0), KNOWN, "compute_120"),
    ],
)
def test_a_card_gets_machine_code_unless_it_is_newer_than_the_compiler(capability, known, arch):
    assert cuda.architecture(capability, known) == arch


@pytest.mark.parametrize("capability", [(3, 5), (3, 7)])
def test_a_card_that_is_too_old_is_refused(capability):
    with pytest.raises(
        EngineError, match=r"this NVRTC compiles for capability 5\.0 or newer, and the GPU has 3\.\d: pip"
    ):
        cuda.architecture(capability, KNOWN)
