"""`ibtui doctor`, on this machine and on machines that lack things."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ibtui import doctor
from ibtui.core.cache import repair_cache
from ibtui.doctor import findings, questions
from ibtui.doctor.finding import Finding, render
from ibtui.doctor.traps import TRAPS, environment
from ibtui.engines.nvidia.driver import has_driver
from ibtui.engines.nvidia.messages import plain
from tests.terminal import Terminal


def ibtui_doctor(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ibtui", "doctor", *arguments],
        capture_output=True,
        timeout=170,
        env={key: value for key, value in (os.environ | environment).items() if value is not None},
    )


def assert_readable(output):
    lines = output.decode("ascii").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 45
    assert "Traceback" not in output.decode()
    return lines


def test_this_machine_can_run_on_its_cpu(tmp_path):
    run = [sys.executable, "-m", "ibtui", "doctor", "--ctx", "cpu"]
    bare = {"PYTHONPATH": os.environ["PYTHONPATH"]}  # no home, no terminal, no locale
    done = subprocess.run(run, capture_output=True, env=bare, cwd=tmp_path, timeout=170)
    lines = assert_readable(done.stdout)
    assert done.returncode == 0, done.stdout.decode()
    assert lines[-1].startswith("--ctx cpu") or lines[-2].startswith("--ctx cpu")
    assert done.stderr == b""
    for label in (
        "Python",
        "NumPy",
        "Numba",
        "MXNet",
        "engines",
        "CUDA libraries",
        "cuda-bindings",
        "NVIDIA driver",
        "GPU",
        "terminal",
        "compiled",
    ):
        assert any(line.startswith(label) for line in lines), label


@pytest.mark.slow
@pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")
def test_a_gpu_that_cannot_be_had_is_a_problem_with_a_fix(tmp_path):
    cache = str(tmp_path / "caché")
    bare = {"LC_ALL": "C", "LANG": None, "TERM": None, "PYTHONIOENCODING": "ascii", "NUMBA_CACHE_DIR": cache}
    done = ibtui_doctor("--ctx", "gpu0", **bare)
    text = " ".join(b" ".join(done.stdout.split()).decode("ascii").split())
    assert_readable(done.stdout)
    assert done.returncode == 1
    assert "--ctx gpu0 ! cannot train" in text
    assert "cach\\xe9" in text.replace(" ", "")
    assert "fix: ibtui --ctx cpu --engine fused" in text


def test_a_device_that_is_none_is_wrong_usage():
    done = ibtui_doctor("--ctx", "tpu0")
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"--ctx tpu0" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("broken", [["mxnet", "numba"], ["numpy"]], ids=str)
def test_a_package_that_ends_the_process_is_a_finding(broken, tmp_path):
    for name in broken:
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("import os; os.abort()")
        (tmp_path / "broken" / name / "libinfo.py").touch()  # by which MXNet is known
    path = os.pathsep.join([str(tmp_path / "broken"), os.environ["PYTHONPATH"]])
    done = ibtui_doctor("--ctx", "cpu", PYTHONPATH=path)
    lines = assert_readable(done.stdout)
    for name in broken:
        label = {"mxnet": "MXNet", "numpy": "NumPy", "numba": "Numba"}[name]
        assert any(line.startswith(f"{label:15} !  ") for line in lines), done.stdout.decode()
    assert done.returncode == 1
    assert b"ended the process" in done.stdout


def test_asking_imports_nothing_that_could_end_the_process():
    code = "import sys, ibtui.doctor; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {"numpy", "numba", "mxnet", "pynvml", "textual"}


@pytest.mark.slow
def test_engines_of_other_packages_are_listed_and_broken_ones_told(tmp_path):
    folder = tmp_path / "zz"
    (folder / "zz-1.dist-info").mkdir(parents=True)
    (folder / "zz-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: zz\nVersion: 1\n")
    (folder / "zz-1.dist-info" / "entry_points.txt").write_text("[ibtui.engines]\nzz = zz:ENGINE\n")
    (folder / "zz.py").write_text("import os; os.abort()")
    path = [str(Path(__file__).parent / "plugin"), str(folder), os.environ["PYTHONPATH"]]
    done = ibtui_doctor("--ctx", "cpu", PYTHONPATH=os.pathsep.join(path))
    text = " ".join(done.stdout.decode().split())
    assert done.returncode == 0
    assert " engines ok gluon, fused, quadratic ! brokenengine: this engine cannot be loaded from " in text
    assert " ! zz: loading it, or one before it, ended the process CUDA" in text


# What is made of the answers.

CARD = {"name": "NVIDIA H100 (9.0)", "capability": [9, 0], "gib": 79.6}
OLD_CARD = {"name": "NVIDIA T4 (7.5)", "capability": [7, 5], "gib": 15.0}
TOLD = {
    "numpy": ([{"version": "1.26.4", "path": "/site/numpy"}], ""),
    "numba": ([{"version": "0.68.1", "path": "/site/numba"}], ""),
    "mxnet": ([{"build": "mxnet-cu112 1.9.1", "cuda": True},
               {"version": "1.9.1 (CUDA)", "path": "/site/mxnet"}], ""),
    "engines": ([{"gluon": {"refusal": "MXNet has machine code for 5.0 to 8.9"}},
                 {"fused": {"refusal": ""}}], ""),
    "libraries": ([{"found": [
        {"soname": "libcudart.so.11.0", "wheel": "nvidia-cuda-runtime-cu11",
         "path": "/site/nvidia/cuda_runtime/lib/libcudart.so.11.0", "error": ""},
        {"soname": "libcublas.so.11", "wheel": "nvidia-cublas-cu11",
         "path": "/usr/lib/libcublas.so.11", "error": ""},
    ]}], ""),
    "bindings": ([{"version": "12.9.10"}, {"nvrtc": "12.9"}], ""),
    "driver": ([{"version": "535.1"}, {"cuda": [12, 2], "cards": [CARD, OLD_CARD]}], ""),
    "runs": ([{"folder": "/run/user/1000/ibtui"}], ""),
    "run": ([{"choice": "fused on gpu0", "why": "on NVIDIA H100 (9.0)"}, {"engine": "fused"}], ""),
}  # fmt: skip


def examined(monkeypatch, ctx="gpu0", **told):
    answers = TOLD | told
    monkeypatch.setattr(questions, "ask", lambda statement, about, *_: answers[about])
    found, runs = doctor.examine(ctx)
    lines = render(found, 80)
    assert max(map(len, lines)) <= 80
    return "\n".join(" ".join(line.split()) for line in lines), runs


def test_a_gpu_box_is_described(monkeypatch):
    text, runs = examined(monkeypatch)
    assert runs
    for part in (
        "engines ok gluon, fused", "CUDA libraries ok /site/", "ok nvidia/cuda_runtime/lib/libcudart.so.11.0",
        "ok /usr/lib/libcublas.so.11", "cuda-bindings ok 12.9.10, NVRTC 12.9",
        "NVIDIA driver ok 535.1, for CUDA up to 12.2", "gpu0 ok NVIDIA H100 (9.0), 80 GiB; runs: fused",
        "gluon does not run: MXNet has machine code",
        "gpu1 - NVIDIA T4 (7.5), 15 GiB; by its capability: gluon, fused",
        "--ctx gpu0 ok trains: fused on gpu0; on NVIDIA H100 (9.0)",
    ):  # fmt: skip
        assert part in text, text
    assert "fix:" not in text.partition("NumPy")[2].partition("terminal")[0]


def test_what_is_missing_is_named_with_its_fix(monkeypatch):
    lost = {"soname": "libcudnn.so.8", "wheel": "nvidia-cudnn-cu11", "path": "", "error": "cannot open"}
    text, runs = examined(
        monkeypatch,
        libraries=([{"found": [lost]}], ""),
        bindings=([], "PackageNotFoundError: No package metadata was found for cuda-bindings"),
        driver=([{"version": "470.1"}, {"cuda": [11, 4], "cards": []}], ""),
        run=([{"choice": "fused on gpu0", "why": ""}, {"failure": "--ctx gpu0: out of luck"}], ""),
    )
    assert not runs
    assert "CUDA libraries ! libcudnn.so.8 is missing" in text
    assert "nvidia-cudnn-cu11 brings it" in text.replace("\n", " ")
    assert "NVIDIA driver - 470.1, for CUDA up to 11.4" in text and "driver 525" in text
    assert "cuda-bindings ! not installed" in text
    assert "pip install '.[gpu]'" in text.replace("\n", " ")
    assert "--ctx gpu0 ! cannot train: out of luck" in text


def test_without_a_gpu_the_bindings_are_not_missed(monkeypatch):
    nothing = ([], "PackageNotFoundError: No package metadata was found for cuda-bindings")
    text, _ = examined(monkeypatch, ctx="cpu", bindings=nothing)
    assert "cuda-bindings - not installed" in text
    broken = ([{"version": "12.9.10"}, {"failure": "NVRTC, which compiles the kernel, is not installed"}], "")
    assert "cuda-bindings ! NVRTC, which compiles" in examined(monkeypatch, bindings=broken)[0]


def test_processes_that_say_nothing_are_findings(monkeypatch):
    silent = ([], "status -6")
    text, runs = examined(monkeypatch, **dict.fromkeys(TOLD, silent))
    assert not runs
    for label in ("NumPy !", "Numba !", "MXNet !", "engines !", "NVIDIA driver !", "--ctx gpu0 !"):
        assert label in text
    assert text.count("status -6") >= 5


@pytest.mark.parametrize(
    ("environment", "size", "state", "says"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, (120, 40), "ok", "120x40, 256 colours"),
        ({"TERM": "xterm", "COLORTERM": "truecolor", "LC_ALL": "C.utf8"}, (80, 24), "ok", "16 million"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "LANG": "C.UTF-8"}, (100, 30), "ok", "in tmux"),
        (
            {"TERM": "screen", "STY": "1.pts", "LC_ALL": "C", "LANG": "C.UTF-8"},
            (100, 30),
            "ok",
            "no Unicode (locale C)",
        ),
        ({"TERM": "xterm", "LANG": "C.UTF-8"}, (60, 20), "!", "80x24"),
        ({"TERM": "dumb", "LANG": "C.UTF-8"}, (100, 30), "!", "TERM is dumb"),
        ({}, None, "-", "none here"),
    ],
)
def test_the_terminal_is_described(environment, size, state, says):
    finding = findings.terminal(environment, size)
    assert finding.state == state
    assert says in f"{finding.text} {finding.fix}"


def test_the_cache_of_compiled_code_is_described_and_repaired(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))

    def said(damaged=0):
        finding = doctor.compiled_code(damaged)
        return f"{finding.state} {finding.text}"

    assert said() == f"ok {folder} (empty: the first run compiles)"
    folder.mkdir()
    for name in ("a.compiled", "b.compiled", "c.of-someone-else"):
        (folder / name).write_bytes(b"damaged")
    assert repair_cache() == 2
    assert [path.name for path in folder.iterdir()] == ["c.of-someone-else"]
    assert said(2) == f"- {folder} (empty: the first run compiles); 2 damaged or unfinished ones were removed"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/nothing/here")
    assert said() == "! /proc/nothing/here cannot be written to, or is full"


# The environment.

TRAPPED = [
    ({"OMP_NUM_THREADS": "1,2"}, "! OMP_NUM_THREADS=1,2"),
    ({"MXNET_ENGINE_TYPE": "Bogus"}, "! MXNET_ENGINE_TYPE=Bogus"),
    ({"MXNET_CPU_WORKER_NTHREADS": "0"}, "! MXNET_CPU_WORKER_NTHREADS=0"),
    ({"NUMBA_DISABLE_JIT": "1"}, "- NUMBA_DISABLE_JIT is ignored"),
    ({"NUMBA_NUM_THREADS": "0"}, "- NUMBA_NUM_THREADS=0 is ignored"),
    ({"NUMBA_CPU_NAME": "generic"}, "- NUMBA_CPU_NAME=generic changes how"),
    ({"CUDA_VISIBLE_DEVICES": ""}, "- CUDA_VISIBLE_DEVICES hides every GPU"),
    ({"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, "- MPLBACKEND=module://"),
    ({"COLUMNS": "60", "LINES": "20"}, "- COLUMNS=60, LINES=20"),
    ({"PYTHONIOENCODING": "ascii"}, "- PYTHONIOENCODING=ascii"),
    ({"PYTHONIOENCODING": "latin-1:replace"}, "- PYTHONIOENCODING=latin-1"),
    ({"NO_COLOR": "1"}, "- NO_COLOR"),
    ({"TMPDIR": "/nowhere/at/all"}, "! TMPDIR=/nowhere/at/all"),
    ({"XDG_RUNTIME_DIR": "/nowhere/at/all"}, "- XDG_RUNTIME_DIR=/nowhere/at/all: No such"),
    ({"XDG_RUNTIME_DIR": "/proc"}, "- XDG_RUNTIME_DIR=/proc: "),
    ({"XDG_RUNTIME_DIR": "/" + "x" * 90}, "- XDG_RUNTIME_DIR is 91 bytes long"),
    ({"HOME": "nowhere"}, "- there is no home folder"),
]


def trapped(variables):
    return [f"{each.state} {each.text}" for each in environment(variables)]


@pytest.mark.parametrize(("variables", "says"), TRAPPED, ids=[" ".join(v) for v, _ in TRAPPED])
def test_variables_that_get_in_the_way_are_named(variables, says, tmp_path):
    usual = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"], "LANG": "C.UTF-8"}
    assert trapped(usual) == ["ok no variable and no file in the way"]
    assert any(text.startswith(says) for text in trapped(usual | variables))


@pytest.mark.parametrize("name", ["numpy.py", "random.py", "typing/__init__.py", "mxnet/__init__.py"])
def test_files_that_hide_a_library_are_named(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    first = name.partition("/")[0]
    assert any(text.startswith(f"! {first} in the current folder") for text in trapped({"HOME": "/"}))


@pytest.mark.slow
def test_a_size_that_is_exported_is_named_on_a_terminal_too():
    with Terminal("doctor", "--ctx", "cpu", columns=100, rows=60, COLUMNS="60", LINES="20") as terminal:
        terminal.until(r"COLUMNS=60, LINES=20: not used")


def test_every_kind_of_trap_is_tried_here():
    seen = {trap.seen for trap in TRAPS for variables, _ in TRAPPED if list(trap.seen(variables))}
    assert {trap.seen.__name__ for trap in TRAPS if trap.seen not in seen} == {"_hiding"}


@pytest.mark.slow
def test_a_variable_that_mxnet_cannot_start_with_is_told_without_waiting_for_it():
    done = ibtui_doctor("--ctx", "cpu", MXNET_CPU_WORKER_NTHREADS="0")
    said = " ".join(done.stdout.decode().split())
    assert done.returncode == 0
    assert "environment ! MXNET_CPU_WORKER_NTHREADS=0: for MXNet it must be a whole number from 1" in said
    assert "--ctx cpu ok trains: fused on cpu" in said


def test_text_from_outside_cannot_reach_the_terminal_raw():
    lines = render([Finding("MXNet", "!", "broken \x1b[31m by a\nlibrary")], 80)
    assert "\x1b" not in "".join(lines)
    assert plain("a\x1b") == "a\x1b"  # made printable where it is printed
