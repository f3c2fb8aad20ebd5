"""Compiled code, through all that uses it: no damage to it stops anything, and the doctor repairs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ibtui.engines.mxnet import library
from ibtui.run.protocol import Stop
from tests.run.driver import SMALL as SMALL_CONFIG
from tests.run.driver import Driver

SMALL = ("--samples", "60", "--epochs", "4", "--every", "2")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda b: b"",
    "half": lambda b: b[: len(b) // 2],
    "garbage": lambda b: os.urandom(len(b)),
}


def ibtui(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ibtui", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, **options)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """A folder with the code that these tests need, from an empty one."""
    folder = tmp_path_factory.mktemp("compiled")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    recording = str(folder / "run.npz")
    done = ibtui("--engine", "fused", *SMALL, "--record", recording, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    done = ibtui("report", recording, "--t-bins", "7", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture
def damage(compiled, tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Give the test a cache of its own, every file of which is damaged in this way."""

    def make(kind: str) -> Path:
        folder = tmp_path / "cache"
        shutil.copytree(compiled, folder)
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
        files = list(folder.glob("*.compiled"))
        assert files
        for file in files:
            file.write_bytes(DAMAGES[kind](file.read_bytes()))
        return folder

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("engine", ["fused", "gluon"])
def test_a_recording_is_made_anyway_with_one_line(damage, kind, engine):
    if engine == "gluon" and library.installed() is None:
        pytest.skip("MXNet is not installed")
    folder = damage(kind)
    once = ibtui("--engine", engine, *SMALL, "--record", "run.npz")
    assert (once.returncode, once.stderr) == (
        0,
        f"ibtui: compiled code in {folder} is damaged: compiling anew\n",
    )
    again = ibtui("--engine", engine, *SMALL, "--record", "again.npz")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.slow
def test_a_report_is_made_anyway_with_one_line(damage):
    folder = damage("empty")
    done = ibtui("report", str(folder / "run.npz"), "--t-bins", "7")
    assert (done.returncode, done.stderr) == (
        0,
        f"ibtui: compiled code in {folder} is damaged: compiling anew\n",
    )


@pytest.mark.slow
def test_the_live_screen_comes_anyway_and_its_log_has_the_line(damage):
    folder = damage("half")
    with Driver.train(SMALL_CONFIG) as driver:
        driver.until_state("finished")
        driver.until(lambda d: d.log)
        assert driver.log.count(f"ibtui: compiled code in {folder} is damaged: compiling anew") == 1
        driver.send(Stop())


@pytest.mark.slow
def test_the_doctor_removes_what_is_damaged_and_says_so(damage):
    folder = damage("garbage")
    count = len(list(folder.glob("*.compiled")))
    said = " ".join(ibtui("doctor", "--ctx", "cpu").stdout.split())
    assert f"; {count} damaged or unfinished ones were removed" in said
    again = " ".join(ibtui("doctor", "--ctx", "cpu").stdout.split())
    assert "compiled cache ok" in again


@pytest.mark.slow
def test_a_folder_that_is_full_costs_a_line(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    full = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (45000, 45000));"
        "from ibtui.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", full, "--engine", "fused", *SMALL, "--record", "run.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert (done.returncode, done.stderr) == (
        0,
        f"ibtui: compiled code is not kept: {folder}: File too large\n",
    )
    assert not list(folder.glob("*.new"))


@pytest.mark.slow
def test_a_user_without_entry_and_home_can_record(tmp_path):
    nobody = (
        "import pwd, sys\n"
        "def getpwuid(number): raise KeyError(number)\n"
        "pwd.getpwuid = getpwuid\n"
        "from ibtui.cli import main; sys.exit(main())"
    )
    folder, temporary = tmp_path / "here", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    clean = {"PYTHONPATH": os.environ["PYTHONPATH"], "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", nobody, "--engine", "fused", *SMALL, "--record", "run.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, env=clean, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in folder.iterdir()] == ["run.npz"]
    assert list((temporary / f"ibtui-compiled-{os.getuid()}").glob("*.compiled"))
