"""`--record` where its terminal, its engine or its signals misbehave."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui import console, record
from ibtui.config import RunConfig, WatchOptions
from ibtui.engines.fused import cpu as fused
from ibtui.errors import EngineError, IbtuiError
from ibtui.recording import files
from tests.faults.boxes import ENDLESS, FUSED, LONG_S, ibtui, resumes_exactly, small_disk_command, wait_for
from tests.pythons import run_first
from tests.system import full_disk

PATH = Path("run.npz")
RUN = (*FUSED, "--epochs", str(ENDLESS), "--record", str(PATH), "--autosave", "0.001")
CONFIG = RunConfig(engine="fused", ctx="cpu", epochs=200, every=10, samples=200)


def test_a_terminal_that_goes_away_ends_the_run_with_everything_saved():
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ibtui", *RUN], stdin=child, stdout=child, stderr=child,
        start_new_session=True, preexec_fn=lambda: _terminal(0),
    )  # fmt: skip
    os.close(child)
    wait_for(PATH.exists)
    reached = files.load(PATH).checkpoint.epoch
    os.close(parent)
    assert process.wait(LONG_S) == 129
    assert files.load(PATH).checkpoint.epoch >= reached
    assert list(Path().iterdir()) == [PATH]


def _terminal(fd: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


@pytest.mark.slow
def test_under_nohup_the_run_outlives_its_terminal():
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ibtui", *RUN], stdin=subprocess.DEVNULL, stdout=child, stderr=child,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    os.close(child)
    wait_for(PATH.exists)
    os.close(parent)
    process.send_signal(signal.SIGHUP)
    for _ in range(3):
        reached = files.load(PATH).checkpoint.epoch
        wait_for(lambda before=reached: files.load(PATH).checkpoint.epoch > before)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG_S) == 143


def test_a_reader_that_goes_away_does_not_end_the_run():
    line = [sys.executable, "-m", "ibtui", *FUSED, "--epochs", "4000", "--record", str(PATH)]
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(LONG_S) == 0
    assert files.load(PATH).checkpoint.epoch == 4000


def test_closed_standard_streams_are_not_written_to():
    line = f"exec {sys.executable} -m ibtui {' '.join(FUSED)} --epochs 2000 --record {PATH} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False, timeout=LONG_S).returncode == 0
    assert files.load(PATH).checkpoint.epoch == 2000


def test_signals_that_belong_together_are_one_and_a_later_one_is_impatience():
    with console.Signals() as heard:
        heard.break_off_at(2)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard.status == 129
    with console.Signals(together_s=0.0) as heard:
        heard.break_off_at(2)
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(console.Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # heard no more
    assert heard.status == 129


def test_a_signal_in_a_destructor_interrupts_what_comes_after_it_and_prints_nothing(capsys):
    class Dying:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    with console.Signals() as heard:
        heard.break_off_at(1)
        dying = [Dying()]
        dying.clear()
        with pytest.raises(console.Interrupted):
            time.sleep(LONG_S)  # the signal comes again long before
    assert heard.status == 143
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_signal_while_the_first_signals_are_listened_for_is_heeded(monkeypatch, after):
    run_first(
        monkeypatch,
        f"""
import os, signal
listen, heard = signal.signal, []
def then_arrive(number, handler):
    before = listen(number, handler)
    if getattr(handler, "__name__", "") == "_arrived":
        heard.append(number)
        if len(heard) == {after}:
            os.kill(os.getpid(), heard[0])
    return before
signal.signal = then_arrive
""",
    )
    done = ibtui(*RUN)
    said = f"interrupted before the first measurement; {PATH} was not written\n"
    assert (*done.communicate(timeout=LONG_S), done.returncode) == (said, "", 130)
    assert os.listdir() == []


@pytest.mark.slow
def test_impatience_while_a_file_gets_its_name_leaves_it_ours(monkeypatch):
    run_first(
        monkeypatch,
        """
import os, signal, time
link = os.link
def then_impatient(*places):
    link(*places)
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.6)  # a signal that comes sooner would be no impatience
    signal.raise_signal(signal.SIGINT)
os.link = then_impatient
""",
    )
    done = ibtui(*RUN)
    out, err = done.communicate(timeout=LONG_S)
    assert (done.returncode, err) == (130, "") and "interrupted; saved" in out
    assert os.listdir() == [str(PATH)] and len(files.load(PATH))


@pytest.mark.parametrize(
    "error", [EngineError("the GPU has fallen off the bus"), MemoryError(), OSError(5, "EIO")]
)
def test_training_that_breaks_off_leaves_what_was_done_and_says_where(monkeypatch, error):
    told = r"training broke off: .*saved 11 measurements of 100 epochs in run.npz"

    class Broken(fused.FusedEngine):
        def train(self, start: int, stop: int) -> None:
            if stop > 100:
                raise error
            super().train(start, stop)

    with monkeypatch.context() as patched:
        patched.setattr("ibtui.engines.fused.cpu.FusedEngine", Broken)
        with pytest.raises(IbtuiError, match=told):
            record.record(CONFIG, WatchOptions(), str(PATH), force=False, resume=None)
    assert files.load(PATH).column("epoch").tolist() == list(range(0, 101, 10))
    assert resumes_exactly(PATH, 7)


def test_an_autosave_costs_no_more_than_a_twentieth_of_the_time(monkeypatch):
    began = []
    save = files.save

    def slowly(*arguments, **options):
        began.append(time.monotonic())
        time.sleep(0.05)  # a slow disk
        return save(*arguments, **options)

    monkeypatch.setattr(files, "save", slowly)
    config = replace(CONFIG, epochs=60_000, every=1000)
    record.record(config, WatchOptions(autosave=1e-6), str(PATH), force=False, resume=None)
    assert len(began) >= 2 and np.diff(began[:-1]).min(initial=9) >= 0.95


def test_a_run_that_will_take_much_memory_says_so_once():
    process = ibtui(*RUN, "--layers", "64,64,2", "--every", "1")
    assert "measurements of this run will take" in process.stderr.readline()
    wait_for(PATH.exists)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=LONG_S)
    assert (process.returncode, err) == (143, "")


def test_where_nothing_can_be_written_anywhere_the_old_file_stays(capfd):
    config = replace(CONFIG, epochs=3000)
    record.record(CONFIG, WatchOptions(), str(PATH), force=False, resume=None)
    before = PATH.read_bytes()

    with full_disk(), pytest.raises(IbtuiError, match=r"File too large; .*nowhere else"):
        record.record(config, WatchOptions(autosave=1e-6), str(PATH), force=True, resume=None)
    assert PATH.read_bytes() == before
    assert capfd.readouterr().err.count("File too large") == 1


def test_a_small_disk_can_be_made_here():
    if not small_disk_command(Path.cwd(), 100):
        pytest.skip("no user namespaces: the trial limits the size of files instead")
