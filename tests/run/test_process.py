"""A worker that is started ahead of its screen."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ibtui.config import RunConfig, WatchOptions
from ibtui.engines.nvidia.driver import has_driver
from ibtui.errors import IbtuiError, UsageError
from ibtui.run import places, process, wire
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.protocol import Peek
from tests.marks import slow
from tests.pythons import run_first
from tests.run.driver import LONG_S, Driver
from tests.terminal import Terminal


def job(**options):
    return new_job(RunConfig(ctx="cpu", engine="fused", epochs=10**8), WatchOptions(**options))


@contextmanager
def connected(name):
    """A connection to a worker that has just been started."""
    end = time.monotonic() + LONG_S
    while True:
        try:
            connection = wire.connect(name)
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)  # nothing tells when it listens
    yield connection
    connection.close()


def left():
    """The files in the runtime folder."""
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


STARTER = """
import sys
from ibtui.config import RunConfig, WatchOptions
from ibtui.run import job, process
config = RunConfig(ctx="cpu", engine="fused")
worker = process.start_worker(job.new_job(config, WatchOptions(snapshot_dir=sys.argv[1])))
print(worker.pid, flush=True)
sys.stdin.read()
"""


def test_a_worker_whose_starter_is_killed_before_there_is_a_screen_ends_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        pid = int(starter.stdout.readline())
        assert [name for name in left() if name.startswith("run-")]
        starter.kill()
    end = time.monotonic() + LONG_S
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.01)  # it is no child of this process
    assert not [name for name in left() if name.startswith("run-")]
    assert not list(tmp_path.glob("*.npz"))


def test_a_run_that_is_to_be_watched_begins_when_somebody_looks():
    asked = job(epochs_per_second=0.0)
    worker = process.start_worker(asked)
    with connected(asked.name) as connection:
        while connection.ask(Peek()).status.run < 0:  # the engine is being loaded
            assert worker.poll() is None
        assert {connection.ask(Peek()).status.epoch for _ in range(200)} == {0}
    with Driver(WorkerClient(asked, process=worker)) as driver:
        driver.until(lambda d: d.status.epoch > 1000)


@pytest.mark.parametrize("moment", [0.0, *slow(0.3, 0.6)])
def test_leaving_before_anything_is_to_be_seen_writes_no_file(moment):
    with Terminal("--engine", "fused", "--ctx", "cpu") as terminal:
        terminal.settle(moment)
        terminal.type("q")
        assert terminal.wait() == 0
    assert not list(Path.cwd().glob("*.npz"))
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


@pytest.mark.parametrize("number", [signal.SIGTERM, *slow(signal.SIGHUP, signal.SIGINT)], ids=str)
def test_a_signal_while_the_screen_is_imported_ends_both(number, monkeypatch):
    run_first(monkeypatch, SLOW_SCREEN)
    with Terminal("--engine", "fused", "--ctx", "cpu") as terminal:
        terminal.until("importing")
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
    assert not [name for name in left() if name.startswith("run-")]
