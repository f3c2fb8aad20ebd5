"""The whole product on a real terminal: a screen, a worker, keys."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import RunConfig, WatchOptions
from ibtui.recording import files
from ibtui.run import wire
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from tests.faults.boxes import asked, resumes_exactly, sockets, temporaries, wait_for
from tests.marks import slow
from tests.pythons import SLOW_DISK, run_first
from tests.terminal import Terminal

FUSED = ("--engine", "fused", "--ctx", "cpu", "--samples", "200")
LONG = (*FUSED, "--epochs", "1000000")
HELD = r"← → past  \[ \] b binning"
"""The keys that a dead run still has, while a worker holds its history."""
GLUON = ("--engine", "gluon", "--ctx", "cpu", "--samples", "200", "--epochs", "1000000")


def no_worker_is_left(seconds: float = 30.0) -> bool:
    try:
        wait_for(lambda: not sockets(), seconds)
    except AssertionError:
        return False
    return True


def paused_at(terminal: Terminal) -> int:
    """The epoch at which a run is paused, once the line that says so is drawn to its end."""
    seen = ""
    while (line := terminal.until(r"paused +epoch ([\d,]+) of"))[1] != seen:
        seen = line[1]
        terminal.settle(0.1)
    return int(seen.replace(",", ""))


@pytest.mark.parametrize(
    ("size", "arguments"),
    [
        pytest.param((120, 40), LONG, id="fused"),
        *(pytest.param(size, LONG, marks=pytest.mark.slow) for size in ((80, 24), (97, 33))),
        *(pytest.param(size, GLUON, marks=pytest.mark.slow) for size in ((120, 40), (80, 24), (97, 33))),
    ],
)
def test_a_session(size, arguments):
    if "gluon" in arguments and importlib.util.find_spec("mxnet") is None:
        pytest.skip("MXNet is not installed")
    with Terminal(*arguments, columns=size[0], rows=size[1]) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type(" ")
        epoch = paused_at(terminal)
        terminal.settle(0.5)
        assert terminal.epoch() == epoch, "training went on while paused"
        terminal.type("s")
        terminal.until(rf"epoch {epoch + 1:,} of")
        terminal.type("S")
        terminal.until(rf"epoch {epoch + 11:,} of")
        terminal.type("[")
        terminal.until(r"T ?70\b")
        terminal.type("}")
        terminal.until(r"X ?5\b")
        terminal.type("b")
        terminal.until(r"closed|clos")
        terminal.type("w")
        terminal.until(r"saved")
        terminal.type(" ")
        terminal.until(r"running")
        while terminal.epoch() == epoch + 11:
            terminal.settle(0.1)
        terminal.type("q")
        terminal.until(r"without saving")
        terminal.type("q")
        assert terminal.wait() == 0
    (snapshot,) = Path().glob("*.npz")
    recording = files.load(snapshot)
    assert recording.checkpoint.epoch == epoch + 11
    assert (recording.config.binning, recording.config.t_bins, recording.config.x_bins) == ("closed", 70, 5)
    assert np.isfinite(recording.column("i_ty")).all()
    left = terminal.raw.decode("utf-8", "replace").rpartition("\x1b[?1049l")[2]
    assert re.search(r"epoch [\d,]+ of 1,000,000", left) and "accuracy" in left and snapshot.name in left
    assert no_worker_is_left()


@pytest.mark.slow
def test_a_run_that_ends_stays_on_the_screen_and_says_so():
    with Terminal(*FUSED, "--epochs", "50", "--epochs-per-second", "0") as terminal:
        terminal.until(r"finished +epoch 50 of 50")
        terminal.settle(0.3)
        assert terminal.process.poll() is None
        terminal.type("w")
        terminal.until("saved")
        terminal.type("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *slow(signal.SIGHUP, signal.SIGINT),
    ],
)
def test_a_signal_ends_the_screen_with_a_snapshot_and_no_process(number):
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        began = time.monotonic()
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        assert no_worker_is_left()
        assert time.monotonic() - began < 10
        (snapshot,) = Path().glob("*.npz")
        assert files.load(snapshot).checkpoint.epoch > 0
        assert b"\x1b[?1049l" in terminal.raw, "the terminal was not restored"
        left = terminal.raw.decode("utf-8", "replace").rpartition("\x1b[?1049l")[2]
        assert snapshot.name in left, "where it was saved is not said"


@pytest.mark.slow
def test_a_worker_killed_over_its_last_save_leaves_what_the_screen_holds(tmp_path, monkeypatch):
    snapshots = tmp_path / "snapshots"
    snapshots.mkdir()
    run_first(monkeypatch, SLOW_DISK.format(seconds=60))
    with Terminal(*LONG, "--snapshot-dir", str(snapshots)) as terminal:
        terminal.until(r"running +epoch [1-9]\d")
        worker = worker_of(terminal.process.pid)
        terminal.process.send_signal(signal.SIGTERM)
        wait_for(lambda: temporaries(snapshots))
        os.kill(worker, signal.SIGKILL)
        assert terminal.wait() == 143
        left = terminal.raw.decode("utf-8", "replace").rpartition("\x1b[?1049l")[2]
    (snapshot,) = snapshots.glob("*.npz")
    assert snapshot.name in left and files.load(snapshot).column("epoch")[-1] > 0
    assert resumes_exactly(snapshot, 50) and no_worker_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("by_signal", [True, False])
def test_an_end_while_everything_starts_leaves_nothing_behind(by_signal):
    with Terminal(*LONG) as terminal:
        while b"\x1b[?1049h" not in terminal.raw:
            assert terminal.read(0.05)
        if by_signal:
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.wait() == 143
            assert b"\x1b[?1049l" in terminal.raw, "the terminal was not restored"
        else:
            terminal.hang_up()
            assert terminal.process.wait(10) == 129
        assert no_worker_is_left()


def test_a_worker_to_which_nobody_connected_ends_with_its_client():
    client = WorkerClient(new_job(RunConfig(engine="fused", ctx="cpu"), WatchOptions()))
    client.start(lambda _: None)
    client.close()
    client.wait(10)
    assert client.process.returncode not in (None, -signal.SIGKILL), "it had to be killed"
    assert no_worker_is_left()


@pytest.mark.slow
def test_a_dropped_line_ends_everything_with_a_snapshot():
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.hang_up()
        assert terminal.process.wait(10) == 129
        assert no_worker_is_left()
        (snapshot,) = Path().glob("*.npz")
        assert files.load(snapshot).checkpoint.epoch > 0


def paused_and_killed(terminal):
    """The epoch at which a run was paused before its worker was killed."""
    terminal.until(r"running +epoch [2-9]\d")
    terminal.type(" ")
    epoch = paused_at(terminal)
    os.kill(worker_of(terminal.process.pid), signal.SIGKILL)
    terminal.until(r"dead +epoch")
    terminal.until("† the worker was killed by SIGKILL")
    return epoch


def worker_of(pid: int) -> int:
    """The only child of a process, whichever of its threads has started it."""
    children = [
        int(n) for task in Path(f"/proc/{pid}/task").glob("*/children") for n in task.read_text().split()
    ]
    (worker,) = filter(alive, children)
    return worker


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_worker_that_is_killed_leaves_a_history_that_is_walked_rebinned_saved_and_gone_on_with(size):
    with Terminal(*LONG, columns=size[0], rows=size[1]) as terminal:
        epoch = paused_and_killed(terminal)
        terminal.until(HELD)
        terminal.type("[")
        terminal.until(r"T ?70\b")
        terminal.type("b")
        terminal.type("\x1b[H")
        terminal.until(r"view: epoch 0\b|view 0\b")
        terminal.until("0  dim")
        terminal.type("w")
        terminal.until("saved")
        (snapshot,) = Path().glob("*.npz")
        recording = files.load(snapshot)
        assert recording.checkpoint.epoch == epoch
        assert (recording.config.binning, recording.config.t_bins) == ("closed", 70)
        assert resumes_exactly(snapshot, 50)  # all of it, to what was recorded with that binning
        holder = worker_of(terminal.process.pid)
        terminal.type("c")
        terminal.until(r"running +epoch [1-9]")
        assert terminal.epoch() >= epoch
        wait_for(lambda: not alive(holder))
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("q")
        assert terminal.wait() == 0
    left = terminal.raw.decode("utf-8", "replace").rpartition("\x1b[?1049l")[2]
    assert snapshot.name in left, "what was saved before c is not named"
    assert list(Path().glob("*.npz")) == [snapshot]
    assert not list(Path(os.environ["XDG_RUNTIME_DIR"], "ibtui").iterdir())


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("end", ["signal", "hang up", "kill"])
@pytest.mark.parametrize("held", [True, False], ids=["held", "at once"])
def test_the_end_of_a_screen_whose_worker_has_died_leaves_one_snapshot_and_no_process(end, held):
    if (end, held) == ("kill", False):
        pytest.skip("then the worker that no screen comes to saves the history, in a minute")
    with Terminal(*LONG) as terminal:
        epoch = paused_and_killed(terminal)
        if held:
            terminal.until(HELD)
        if end == "hang up":
            terminal.hang_up()
            assert terminal.process.wait(10) == 129
        else:
            terminal.process.send_signal(signal.SIGHUP if end == "signal" else signal.SIGKILL)
            terminal.wait()
        wait_for(lambda: list(Path().glob("*.npz")), 10)
        wait_for(lambda: not processes(), 10)
        (snapshot,) = Path().glob("*.npz")
        assert files.load(snapshot).checkpoint.epoch == epoch
        assert resumes_exactly(snapshot, 50)


def processes() -> list[str]:
    """Workers of this test's own runtime folder that are still there."""
    folder = f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(path.name) != os.getpid() and folder in (path / "environ").read_bytes():
                found.append(path.name)
    return found


@pytest.mark.slow
def test_a_detached_run_whose_worker_dies_is_held_for_the_screen_that_watches_it():
    with Terminal(*LONG, "--detach") as terminal:
        terminal.until(r"running +epoch [1-9]")
        worker = worker_of(terminal.process.pid)
        terminal.type("q")
        assert terminal.wait() == 0
    with Terminal("attach") as terminal:
        terminal.until(r"running +epoch [1-9]")
        os.kill(worker, signal.SIGKILL)
        terminal.until(r"dead +epoch")
        terminal.until(HELD)
        terminal.type("[")
        terminal.until(r"T ?70\b")
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("s")
        assert terminal.wait() == 1
    (snapshot,) = Path().glob("*.npz")
    assert files.load(snapshot).config.t_bins == 70
    assert resumes_exactly(snapshot, 50)
    assert not processes()


@pytest.mark.slow
def test_replay_needs_no_training():
    with Terminal(*FUSED, "--epochs", "50", "--record", "run.npz") as terminal:
        assert terminal.wait() == 0
    with Terminal("replay", "run.npz") as terminal:
        terminal.until(r"epoch 50 of 50")
        terminal.type("\x1b[D")
        terminal.until(r"view: epoch 49|epoch 49 of 50")
        terminal.type("q")
        assert terminal.wait() == 0
        assert no_worker_is_left()


@pytest.mark.slow
def test_a_folder_that_has_gone_is_asked_another_place_for_and_nothing_is_lost(tmp_path):
    gone, there = tmp_path / "gone", tmp_path / "there"
    gone.mkdir()
    there.mkdir()
    with Terminal(*LONG, "--snapshot-dir", str(gone)) as terminal:
        terminal.until(r"running +epoch [1-9]")
        gone.rmdir()
        terminal.type("q")
        terminal.until("save and quit")
        terminal.type("s")
        terminal.until("No such file")
        terminal.until("Another folder")
        fill_in(terminal, "/missing/r.npz")
        terminal.until("/missing/r.npz: No such file")
        fill_in(terminal, str(there), "/missing/r.npz")  # what was typed is left to be mended
        assert terminal.wait() == 0
    (snapshot,) = there.glob("*.npz")
    assert files.load(snapshot).checkpoint.epoch > 0 and no_worker_is_left()
    assert snapshot.name in terminal.raw.decode("utf-8", "replace").rpartition("\x1b[?1049l")[2]


def fill_in(terminal: Terminal, place: str, suggested: str = "~") -> None:
    """Answer with another place than the one that is suggested."""
    terminal.until(rf"│ +{re.escape(os.path.expanduser(suggested))} ")
    terminal.type(place)
    terminal.until(re.escape(place[-10:]) + " ")
    terminal.type("\r")


@pytest.mark.slow
def test_every_size_is_survived_and_training_goes_on():
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        for columns, rows in (
            (1, 1),
            (10, 3),
            (400, 120),
            (79, 24),
            (80, 23),
            (80, 24),
            (200, 50),
            (120, 40),
        ):
            terminal.resize(columns, rows)
            terminal.settle(0.3)
        terminal.until(r"running +epoch [1-9]\d")
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("q")
        assert terminal.wait() == 0


@pytest.mark.slow
@pytest.mark.alone
def test_a_line_that_takes_nothing_stops_neither_training_nor_keys_nor_the_end():
    # A picture of this size does not fit what the system holds for a terminal.
    with Terminal(*LONG, "--epochs-per-second", "0", columns=250, rows=70) as terminal:
        terminal.until(r"running +epoch [1-9]")
        (worker,) = Path(os.environ["XDG_RUNTIME_DIR"], "ibtui").glob("*.sock")
        with wire.connect(worker.stem) as line:
            before = asked(line)
            terminal.type(" ")  # nothing is read from here on
            wait_for(lambda: asked(line).state == "paused")
            terminal.type(" ")
            wait_for(lambda: asked(line).state == "running" and asked(line).epoch > before.epoch + 100_000)
            terminal.type(" ")
            wait_for(lambda: asked(line).state == "paused")
            terminal.type(" ")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(10) == 143
        assert no_worker_is_left()
        (snapshot,) = Path().glob("*.npz")
        assert files.load(snapshot).checkpoint.epoch > before.epoch + 100_000
        terminal.settle(0.5)
        assert b"\x1b[?1049l" in terminal.raw, "the terminal was not restored"


@pytest.mark.slow
def test_a_run_with_a_screen_of_its_own_is_not_attached_to():
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        with Terminal("attach") as other:
            other.until("D in that one detaches it")
            assert other.wait() == 2
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("q")
        assert terminal.wait() == 0


@pytest.mark.slow
def test_a_detached_run_goes_on_without_its_terminal_and_comes_back():
    with Terminal(*LONG, "--detach") as terminal:
        terminal.until(r"running +epoch [1-9]")
        epoch = terminal.epoch()
        terminal.hang_up()
        assert terminal.process.wait(10) == 129
    assert not no_worker_is_left(0.5)
    with Terminal("attach") as terminal:
        terminal.until(r"running +epoch [1-9]")
        assert terminal.epoch() > epoch
        terminal.type("q")
        assert terminal.wait() == 0
    with Terminal("ls") as terminal:
        terminal.until(r"running +epoch [1-9]")
    with Terminal("stop") as terminal:
        terminal.until(r"stopped run-\d+-\w+ at epoch")
        assert terminal.wait() == 0
    assert no_worker_is_left()
    (snapshot,) = Path().glob("*.npz")
    assert files.load(snapshot).column("epoch")[0] == 0


@pytest.mark.slow
def test_a_run_with_a_screen_is_stopped_only_by_who_means_it_and_its_screen_says_by_whom():
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        ((name, *_),) = [line.split() for line in said("ls")[1].splitlines()]
        status, _, err = said("stop")
        assert (status, err) == (
            2,
            f"ibtui: no detached run is there to choose; name it where you mean {name} (attached)\n",
        )
        status, _, err = said("stop", name)
        assert status == 2 and f"ibtui stop {name} --yes" in err and err.count("\n") == 1
        with Terminal("stop", name) as other:
            other.until("a screen is attached to it; end the run")
            other.type("n\n")
            other.until(f"{name} goes on")
            assert other.wait() == 1
        with Terminal("stop", name) as other:
            other.until("end the run")
            other.type("y\n")
            other.until(f"stopped {name} at epoch")
            assert other.wait() == 0
        (snapshot,) = Path().glob("*.npz")
        terminal.until(rf"■ stopped by `ibtui stop` \(pid {other.process.pid}, /dev/")
        assert f";saved{snapshot.absolute()}" in "".join(terminal.text.split())
        assert "dead" not in terminal.text
        terminal.until("■ stopped +epoch")
        terminal.type("q")
        assert terminal.wait() == 0
        assert f"saved{snapshot.absolute()};stoppedby`ibtuistop`" in "".join(terminal.text.split())
    assert no_worker_is_left()


@pytest.mark.slow
def test_the_screen_of_a_detached_run_that_is_stopped_says_so_too():
    with Terminal(*LONG, "--detach") as terminal:
        terminal.until(r"running +epoch [1-9]")
        assert said("stop")[0] == 2
        status, out, _ = said("stop", "--yes")
        assert status == 0 and out.startswith("stopped run-")
        terminal.until("■ stopped by `ibtui stop`")
        terminal.type("q")
        terminal.until("stopped by `ibtui stop`")
        assert terminal.wait() == 0


def said(*arguments):
    """The output of the command without a terminal."""
    line = [sys.executable, "-m", "ibtui", *arguments]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LANG": "C"}, {"TERM": "linux"}, {"TERM": "screen"},
        {"TERM": "xterm", "COLORTERM": ""}, {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    ],
    ids=str,
)  # fmt: skip
def test_every_terminal_shows_the_run(environment):
    with Terminal(*LONG, columns=80, rows=24, **environment) as terminal:
        terminal.until(r"running +epoch [1-9]")
        text = terminal.text
        if environment in ({"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LANG": "C"}):
            assert text.isascii(), text
        terminal.type("q")
        terminal.until("without saving")
        if environment in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
            assert not re.findall(rb"\x1b\[[\d;]*?(38;5|38;2|\b3[0-7]\b)", terminal.raw)
        terminal.type("q")
        assert terminal.wait() == 0
