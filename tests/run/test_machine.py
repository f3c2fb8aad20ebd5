"""The machine that the last bits of a run depend on is recorded; another one is told of on resuming."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from ibtui.recording import machine
from ibtui.recording.files import load
from ibtui.run.resuming import resumed_config
from tests.run.driver import Driver

SMALL = ("--engine", "fused", "--samples", "60", "--every", "1")
SAID = "ibtui: resumed where the last bits may come out otherwise than where it was recorded: "


def ibtui(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ibtui", *arguments], capture_output=True, text=True, timeout=150
    )


@pytest.fixture
def recorded(monkeypatch) -> str:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    done = ibtui(*SMALL, "--epochs", "2", "--record", "run.npz")
    assert (done.returncode, done.stderr) == (0, "")
    return "run.npz"


def test_a_recording_says_what_its_last_bits_depend_on(recorded):
    with np.load(recorded) as file:
        there = json.loads(str(file["machine"]))
    assert there["NumPy"] == np.__version__
    assert there["threads"] == "2"
    assert all(there[name] for name in ("processor", "compiled for", "Numba"))
    assert load(recorded).machine == there


@pytest.mark.slow
def test_gone_on_with_on_the_same_machine_nothing_is_said(recorded):
    done = ibtui("--resume", recorded, "--epochs", "3", "--record", "more.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert load("more.npz").changes == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OMP_NUM_THREADS", "1", "threads 2 then, 1 now"),
        ("NUMBA_CPU_NAME", "generic", "compiled for"),
    ],
)
def test_gone_on_with_elsewhere_one_line_says_what_differs(recorded, monkeypatch, variable, value, says):
    monkeypatch.setenv(variable, value)
    done = ibtui("--resume", recorded, "--epochs", "3", "--record", "more.npz")
    assert done.returncode == 0
    assert done.stderr.startswith(SAID)
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    (change,) = load("more.npz").changes
    assert (change.epoch, change.setting) == (2, "machine")
    assert says in change.value
    again = ibtui("--resume", "more.npz", "--epochs", "4", "--record", "most.npz")
    assert (again.returncode, again.stderr) == (0, "")  # it is where it was recorded last


@pytest.mark.slow
def test_the_screen_is_told_too(recorded, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with Driver.train(resumed_config(recorded, {"epochs": 3}), resume=recorded) as driver:
        driver.until(lambda _: any("threads 2 then, 1 now" in notice.text for notice in driver.notices))
        assert driver.recording.machine["threads"] == "1"


@pytest.mark.parametrize(
    ("then", "now", "says"),
    [
        ({}, {"threads": "1"}, ""),
        ({"threads": "1"}, {"threads": "1"}, ""),
        ({"threads": "1", "processor": "A"}, {"threads": "1", "processor": "B"}, "processor A then, B now"),
        ({"processor": "A"}, {"processor": "A", "MXNet": "1"}, "MXNet none then, 1 now"),
    ],
)
def test_the_difference_between_machines_is_named(then, now, says):
    assert machine.difference(then, now) == says


def test_however_much_differs_it_is_a_line_that_a_file_can_hold():
    strange = {str(number): "x" * 300 for number in range(32)}
    assert 0 < len(machine.difference(strange, {"threads": "1"})) <= 900
