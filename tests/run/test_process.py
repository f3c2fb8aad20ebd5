"""A worker that is started ahead of its screen."""

import signal
import subprocess
import sys

import pytest

from ibtui.config import RunConfig, WatchOptions
from ibtui.engines.nvidia.driver import has_driver
from ibtui.errors import IbtuiError, UsageError
from ibtui.run import places, process
from ibtui.run.job import new_job
from tests.pythons import run_first
from tests.terminal import Terminal


def job():
    return new_job(RunConfig(ctx="cpu", engine="fused"), WatchOptions())


def left():
    """What is in the runtime folder."""
    return sorted(path.name for path in places.folder().iterdir())


def test_a_worker_that_is_refused_a_screen_ends_and_leaves_nothing():
    before = left()
    with pytest.raises(UsageError), process.started(job()) as worker:
        raise UsageError("no")
    assert worker.returncode == -signal.SIGKILL
    assert left() == before


def test_a_worker_that_cannot_be_started_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        pytest.raises(IbtuiError, match=r"the worker cannot be started: .*No such file"),
        process.started(job()),
    ):
        pytest.fail("it was started")


def test_starting_one_imports_nothing_that_takes_a_while():
    code = "import sys, ibtui.cli, ibtui.run.process; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {"numpy", "numba", "textual", "rich"}


@pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")
def test_what_cannot_train_is_refused_before_there_is_a_screen():
    with Terminal("--ctx", "gpu0") as terminal:
        assert terminal.wait() == 2
    text = terminal.text.strip()
    assert text.startswith("ibtui: --ctx gpu0: no NVIDIA driver")
    assert b"\x1b" not in terminal.raw
    assert not [name for name in left() if name.startswith("run-")]


SLOW_SCREEN = """
import builtins, time
real = builtins.__import__
def slowly(name, *rest, **named):
    if name == "ibtui.ui.live":
        print("importing", flush=True)
        time.sleep(60)  # a signal breaks it off
    return real(name, *rest, **named)
builtins.__import__ = slowly
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_a_signal_while_the_screen_is_imported_ends_both(number, monkeypatch):
    run_first(monkeypatch, SLOW_SCREEN)
    with Terminal("--engine", "fused", "--ctx", "cpu") as terminal:
        terminal.until("importing")
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
    assert not [name for name in left() if name.startswith("run-")]
