"""`ibtui --record` as a user runs it, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.recording import files
from ibtui.run.protocol import Save
from tests.faults.boxes import wait_for
from tests.marks import slow, slow_sets
from tests.run.driver import Driver

SMALL = ("--engine", "fused", "--epochs", "60", "--every", "5", "--samples", "200")
LONG = ("--engine", "fused", "--epochs", "100000000", "--every", "1000")


def ibtui(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 100} | options
    return subprocess.run([sys.executable, "-m", "ibtui", *arguments], check=False, **options)


def arrays(path: Path | str) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def assert_same_bytes(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype and a[key].shape == b[key].shape, key
        assert a[key].tobytes() == b[key].tobytes(), key


def test_a_recording_without_terminal_or_stdin_prints_a_line_per_tenth():
    environment = {k: v for k, v in os.environ.items() if k != "TERM"}
    done = ibtui(*SMALL, "--record", "run.npz", env=environment, stdin=None, close_fds=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert first == "preparing fused on cpu; compiled the first time only"
    assert re.fullmatch(r"recorded 13 measurements of 60 epochs in run.npz, train accuracy 0\.\d+", lines[-1])
    assert 1 <= len(lines) - 1 <= 10
    assert "epochs/s" in lines[0] and "I(T;Y)" in lines[0]
    run = arrays("run.npz")
    assert run["epoch"].tolist() == list(range(0, 61, 5))
    for line in lines[:-1]:  # the figures are those of the epoch that is named
        shown = re.fullmatch(
            r"epoch (\d+) of 60  [\d,]+ epochs/s  (?:at (\d+): )?"
            r"train accuracy (\S+)  loss (\S+)  I\(T;Y\) (\S+) nats",
            line,
        )
        assert shown, line
        row = run["epoch"].tolist().index(int(shown[2] or shown[1]))
        assert shown[3] == f"{run['train_accuracy'][row]:.3f}" and shown[4] == f"{run['train_loss'][row]:.4f}"
        assert shown[5] == f"{run['i_ty'][row, -1]:.3f}"


@pytest.mark.slow
def test_the_same_configuration_twice_gives_the_same_bytes():
    for name in ("a.npz", "b.npz"):
        assert ibtui(*SMALL, "--record", name).returncode == 0
    assert_same_bytes(arrays("a.npz"), arrays("b.npz"))
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_a_run_that_is_watched_and_one_that_is_recorded_give_the_same_file(tmp_path):
    """They drive the same trainer and the same saver."""
    config = RunConfig(engine="fused", ctx="cpu", epochs=60, every=5, samples=200)
    assert ibtui(*SMALL, "--record", "recorded.npz").returncode == 0
    with Driver.train(config, snapshot_dir=str(tmp_path)) as driver:
        driver.until_state("finished")
        driver.send(Save("watched.npz"))
        driver.until(lambda d: d.status.saved)
    assert_same_bytes(arrays("recorded.npz"), arrays("watched.npz"))
    assert Path("recorded.npz").read_bytes() == Path("watched.npz").read_bytes()


@pytest.mark.slow
def test_an_existing_file_is_refused_unless_forced():
    Path("run.npz").write_text("precious")
    done = ibtui(*SMALL, "--record", "run.npz")
    assert done.returncode == 2
    assert "exists already" in done.stderr and "--force" in done.stderr
    assert Path("run.npz").read_text() == "precious"
    assert ibtui(*SMALL, "--record", "run.npz", "--force").returncode == 0
    assert len(files.load("run.npz")) == 13


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), *slow_sets((signal.SIGINT, 130), (signal.SIGHUP, 129))]
)
def test_a_signal_saves_what_is_there(number, status):
    process = subprocess.Popen(
        [sys.executable, "-m", "ibtui", *LONG, "--record", "run.npz", "--autosave", "0.0001"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: Path("run.npz").exists() or process.poll() is not None)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (status, "")
    assert "interrupted; saved" in out
    recording = files.load("run.npz")
    assert recording.checkpoint.epoch >= max(1, recording.column("epoch")[-1])
    assert [p.name for p in Path().iterdir() if p.name != "run.npz"] == []


@pytest.mark.parametrize("engine", ["fused", *slow("gluon")])
def test_going_on_gives_the_same_bytes_as_one_run(engine):
    if engine == "gluon" and importlib.util.find_spec("mxnet") is None:
        pytest.skip("MXNet is not installed")

    def record(epochs: int, name: str, *more: str) -> None:
        done = ibtui(
            "--engine",
            engine,
            "--ctx",
            "cpu",
            "--samples",
            "200",
            "--every",
            "10",
            "--epochs",
            str(epochs),
            "--record",
            name,
            *more,
        )
        assert (done.returncode, done.stderr) == (0, "")

    record(40, "whole.npz")
    record(23, "part.npz")
    assert arrays("part.npz")["epoch"].tolist() == [0, 10, 20, 23]
    done = ibtui("--resume", "part.npz", "--epochs", "40", "--record", "rest.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_bytes(arrays("whole.npz"), arrays("rest.npz"))


@pytest.mark.slow
def test_a_setting_that_contradicts_the_recording_is_refused_by_name():
    assert ibtui(*SMALL, "--record", "run.npz").returncode == 0
    done = ibtui("--resume", "run.npz", "--lr", "0.2", "--epochs", "80", "--record", "more.npz")
    assert done.returncode == 2
    assert "--lr 0.2" in done.stderr and "0.1" in done.stderr
    done = ibtui("--resume", "run.npz", "--epochs", "50", "--record", "more.npz")
    assert done.returncode == 2
    assert "--epochs 50" in done.stderr
    assert not Path("more.npz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "said"), [(60, "epochs/s"), (80, "I(T;Y)"), (120, "train accuracy")])
def test_on_a_terminal_there_is_a_progress_bar(columns, said):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ibtui", *SMALL, "--record", "run.npz"],
        stdin=child, stdout=child, stderr=child, env=os.environ | {"TERM": "xterm", "COLUMNS": str(columns)},
    )  # fmt: skip
    os.close(child)
    seen = b""
    try:
        while piece := os.read(parent, 65536):
            seen += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(parent)
    assert process.wait(30) == 0
    text = seen.decode()
    assert "60/60" in text and said in text and "…" not in text
    assert "recorded 13 measurements" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run.npz", "x" * 251 + ".npz"])
def test_a_run_that_diverges_says_from_where_on_and_so_does_its_report(name):
    wild = ("--lr", "1e6", "--init-sigma", "1e6", "--activation", "relu", "--layers", "8,8,8,8,2")
    assert (done := ibtui(*SMALL, *wild, "--record", name)).returncode == 0
    run = arrays(name)
    epoch = run["epoch"][~np.isfinite(run["train_loss"])][0]
    said = f"the loss is not finite from epoch {epoch} on"
    assert done.stdout.splitlines()[-1].endswith(f"; it diverged: {said}")
    shown = ibtui("report", name, "--out", "x.csv").stdout
    assert shown.startswith(f"{name}: diverged: {said}")
