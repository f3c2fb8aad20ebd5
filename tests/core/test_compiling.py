"""Compiled code that is kept: no damage to it, and no odd environment, stops what needs it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.marks import slow

CODE = """
from ibtui.core.compiling import compiled

@compiled
def twice(x):
    return 2 * x
"""
CALL = "import code_of_ours, logging; print(code_of_ours.twice(21), len(code_of_ours.twice.stats.cache_hits))"


@pytest.fixture
def call(tmp_path):
    """Call a compiled function in a process of its own, with these variables; returns what it says."""
    (tmp_path / "code_of_ours.py").write_text(CODE)

    def run(cache: Path | None = tmp_path / "cache", **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG_CACHE"))}
        chosen = {"NUMBA_CACHE_DIR": str(cache)} if cache else {}
        done = subprocess.run(
            [sys.executable, "-c", CALL], env=clean | chosen | environment, cwd=tmp_path,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return run


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.compiled"))


def test_code_is_kept_and_found_again(call, tmp_path):
    assert call().stdout == "42 0\n"
    assert len(kept(tmp_path / "cache")) == 1
    again = call()
    assert (again.stdout, again.stderr) == ("42 1\n", "")


DAMAGES = {
    "empty": lambda b: b"",
    "truncated": lambda b: b[:-1],
    "half": lambda b: b[: len(b) // 2],
    "garbage": lambda b: os.urandom(len(b)),
    "a byte": lambda b: b[:3000] + bytes([b[3000] ^ 1]) + b[3001:],
    "longer": lambda b: b + b"x",
}


@pytest.mark.parametrize("damage", ["a byte", *slow(*(name for name in DAMAGES if name != "a byte"))])
def test_damaged_code_is_compiled_anew_with_one_line(call, tmp_path, damage):
    call()
    (path,) = kept(tmp_path / "cache")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    done = call()
    assert done.stdout == "42 0\n"
    assert done.stderr == f"compiled code in {tmp_path / 'cache'} is damaged: compiling anew\n"
    assert (again := call()).stdout == "42 1\n"
    assert again.stderr == ""


@pytest.mark.slow
def test_another_source_is_other_code(call, tmp_path):
    call()
    (tmp_path / "code_of_ours.py").write_text(CODE.replace("2 * x", "x + x + x - x"))
    assert call().stdout == "42 0\n"


def test_a_folder_that_takes_nothing_costs_a_line_alone(call, tmp_path):
    (tmp_path / "cache").write_text("a file")
    done = call()
    assert done.stdout == "42 0\n"
    assert done.stderr.count("\n") == 1
    assert "compiled code is not kept" in done.stderr


@pytest.mark.slow
def test_a_full_folder_costs_a_line_alone(call, tmp_path):
    call()
    for path in kept(tmp_path / "cache"):
        path.unlink()
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)); {CALL}"
    limited = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limited}"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", limited], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "42 0\n"
    assert done.stderr == f"compiled code is not kept: {tmp_path / 'cache'}: File too large\n"
    assert kept(tmp_path / "cache") == []
    assert [p.name for p in (tmp_path / "cache").iterdir()] == []


def test_without_a_home_the_folder_is_a_private_one_for_temporary_files(call, tmp_path):
    done = call(None, HOME="relative", TMPDIR=str(tmp_path))
    assert done.stdout == "42 0\n"
    assert done.stderr == ""
    (folder,) = tmp_path.glob("ibtui-compiled-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(kept(folder)) == 1
    assert not (tmp_path / "~").exists()
    assert not (tmp_path / "relative").exists()


@pytest.mark.slow
def test_nothing_is_loaded_from_a_temporary_folder_that_others_can_write_to(call, tmp_path):
    call(None, HOME="relative", TMPDIR=str(tmp_path))
    (folder,) = tmp_path.glob("ibtui-compiled-*")
    folder.chmod(0o777)
    done = call(None, HOME="relative", TMPDIR=str(tmp_path))
    assert done.stdout == "42 0\n"
    assert "not a folder of yours alone" in done.stderr


@pytest.mark.slow
def test_code_of_another_processor_is_never_loaded(call, tmp_path):
    call()
    (ours,) = kept(tmp_path / "cache")
    assert call(NUMBA_CPU_NAME="generic").stdout == "42 0\n"  # another key, another file
    (other,) = set(kept(tmp_path / "cache")) - {ours}
    other.replace(ours)  # as where two keys come to one name
    assert call().stdout == "42 0\n"
    assert call().stdout == "42 1\n"


@pytest.mark.slow
def test_code_that_is_whole_and_cannot_be_used_is_compiled_anew_with_one_line(call, tmp_path):
    call()
    (path,) = kept(tmp_path / "cache")
    seal, body = path.read_bytes()[32:64], b"no pickle"
    path.write_bytes(hashlib.sha256(seal + body).digest() + seal + body)
    done = call()
    assert done.stdout == "42 0\n"
    assert done.stderr.count("\n") == 1
    assert "cannot be used" in done.stderr
    assert call().stdout == "42 1\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_DISABLE_JIT", "1"),
        ("NUMBA_NUM_THREADS", "0"),
        ("NUMBA_NUM_THREADS", "x"),
        ("NUMBA_CPU_FEATURES", "avx"),
        ("NUMBA_OPT", "x"),
        ("NUMBA_DEBUG", "x"),
    ],
)
def test_variables_that_would_stop_numba_are_named_and_ignored(call, name, value):
    done = call(**{name: value})
    assert done.stdout == "42 0\n"
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
