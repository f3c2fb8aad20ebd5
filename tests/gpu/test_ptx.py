"""The GPU's kernel, compiled by NVIDIA's own compiler, which needs no GPU."""

import ctypes
import locale
import re
import threading

import pytest

from ibtui.engines.fused import gpu
from ibtui.engines.nvidia.compiler import architecture, kept_locale
from ibtui.engines.nvidia.libraries import NVRTC, wheel_path
from tests.gpu.emulation import signature
from tests.marks import slow

pytestmark = pytest.mark.skipif(
    not wheel_path(NVRTC),
    reason=f"{NVRTC.wheel} is not installed: it is in the extra test, for Linux x86-64",
)
PTX_TYPES = {"float": "f32", "int": "u32"}


def compiled(option, source=None):
    """PTX and the compiler's log."""
    nvrtc = ctypes.CDLL(wheel_path(NVRTC))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    text = (gpu.source() if source is None else source).encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"fused.cu", 0, None, None) == 0
    with kept_locale():
        status = nvrtc.nvrtcCompileProgram(program, 1, (ctypes.c_char_p * 1)(option.encode()))

    def got(name):
        assert getattr(nvrtc, f"nvrtcGet{name}Size")(program, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert getattr(nvrtc, f"nvrtcGet{name}")(program, buffer) == 0
        return buffer.value.decode()

    log = got("ProgramLog")
    assert status == 0, log
    ptx = got("PTX")
    assert nvrtc.nvrtcDestroyProgram(ctypes.byref(program)) == 0
    return ptx, log


@pytest.mark.parametrize("arch", [52, *slow(61, 70, 75, 80, 86), 90])
def test_every_generation_gets_its_code(arch):
    option = architecture((arch // 10, arch % 10))
    assert option == f"--gpu-architecture=compute_{arch}"
    ptx, log = compiled(option)
    assert log.strip() in ("", "\0")
    assert f".target sm_{arch}" in ptx
    assert re.findall(r"\.visible \.entry (\w+)", ptx) == [gpu.KERNEL]
    # The driver translates PTX of CUDA 11.8 from version 520 on: a newer one would ask for a newer driver.
    assert re.search(r"\.version (\d+\.\d+)", ptx)[1] == "7.8"
    # All shared memory is given at the launch, and fits every card; registers of 512 threads fit too.
    assert re.findall(r"^(.*\.shared .*memory.*;)$", ptx, re.MULTILINE)
    assert [int(n) for n in re.findall(r"\.shared [^;]*\[(\d*)\];", ptx) if n] == []
    assert f".maxntid {gpu.MAX_THREADS}, 1, 1" in ptx
    # No stack in memory, no calls, nothing that another library would have to bring.
    for surprise in (".local", ".extern .func", "call.uni", "vprintf", "malloc"):
        assert surprise not in ptx
    # Barriers are met by all threads of the block.
    assert set(re.findall(r"\bbar\S*\s+[^;]+;|\bbarrier\S*\s+[^;]+;", ptx)) == {"bar.sync \t0;"}


def test_compiling_leaves_the_locale_as_it_was():
    codes = []

    def compile_elsewhere():  # the locale is a thread's own: in a new one, nobody has changed it yet
        codes.append(locale.nl_langinfo(locale.CODESET))
        compiled(architecture((7, 0)))
        codes.append(locale.nl_langinfo(locale.CODESET))

    thread = threading.Thread(target=compile_elsewhere)
    thread.start()
    thread.join()
    assert codes[0] == codes[1]


def test_the_signature_is_the_kernels():
    parameters = re.findall(rf"\.param \.(\w+) {gpu.KERNEL}_param_\d+", compiled(architecture((7, 0)))[0])
    assert parameters == ["u64" if pointer else PTX_TYPES[kind] for kind, _, pointer in signature()]
    declared = re.search(rf"\b{gpu.KERNEL}\(([^)]*)\)", gpu.source())[1]
    assert " ".join(declared.split()) == gpu.SIGNATURE


def test_nothing_writes_to_an_argument_that_is_const():
    """MXNet orders launches by what is const and what is not."""
    ptx = compiled(architecture((7, 0)))[0]
    assert "st.global" in ptx
    for index, (_, const, pointer) in enumerate(signature()):
        if pointer and const:
            written = re.sub(r"\bconst ", "", gpu.SIGNATURE).split(",")[index].split()[-1].lstrip("*")
            assert not re.search(rf"\b{written}\[[^\]]*\] *[-+]?= ", gpu.source())


def test_a_newer_card_gets_the_newest_code_that_the_compiler_knows():
    assert architecture((12, 0)) == "--gpu-architecture=compute_90"
