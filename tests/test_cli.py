"""Wrong usage gets one line and exit status 2, before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ibtui.cli import main
from ibtui.recording.files import save
from tests.recording.fuzz import example as recording_of

REC = ("--record", "run.npz")


@pytest.mark.parametrize(
    ("arguments", "needles"),
    [
        (["--ctx", "tpu"], ["--ctx tpu", "cpu"]),
        (["--ctx", "gpu"], ["--ctx gpu", "gpu0"]),
        (["--engine", "jax"], ["--engine jax", "fused"]),
        (["--activation", "gelu"], ["--activation gelu", "relu"]),
        (["--binning", "equal"], ["--binning equal", "adaptive"]),
        (["--epochs", "0"], ["--epochs 0", "from 1"]),
        (["--epochs", "-5"], ["--epochs -5", "from 1"]),
        (["--epochs", "ten"], ["--epochs ten", "whole number"]),
        (["--epochs", "1e99"], ["--epochs 1e99", "whole number"]),
        (["--every", "0"], ["--every 0"]),
        (["--every", "2.5"], ["--every 2.5"]),
        (["--t-bins", "0"], ["--t-bins 0"]),
        (["--t-bins", "9" * 5000], ["--t-bins 9999"]),
        (["--x-bins", "-1"], ["--x-bins -1"]),
        (["--layers", "2,1"], ["--layers 2,1", "two at least"]),
        (["--layers", "2,,2"], ["--layers 2,,2"]),
        (["--layers", "0,2"], ["--layers 0,2"]),
        (["--layers", "4096,4096,2"], ["--layers 4096,4096,2", "weights"]),
        (["--batch-size", "0"], ["--batch-size 0"]),
        (["--lr", "0"], ["--lr 0"]),
        (["--lr", "nan"], ["--lr nan"]),
        (["--lr", "inf"], ["--lr inf"]),
        (["--lr", "-1"], ["--lr -1"]),
        (["--init-sigma", "x"], ["--init-sigma x"]),
        (["--samples", "3"], ["--samples 3", "from 4"]),
        (["--samples", "99999999999"], ["--samples 99999999999"]),
        (["--grid", "1"], ["--grid 1", "from 2"]),
        (["--seed", "-1"], ["--seed -1"]),
        (["--marker", "dots"], ["--marker dots"]),
        (["--history-mb", "0"], ["--history-mb 0"]),
        (["--epochs-per-second", "-1"], ["--epochs-per-second -1"]),
        (["--autosave", "-1"], ["--autosave -1"]),
        (["--frobnicate"], ["--frobnicate"]),
        (["--epochs"], ["--epochs", "argument"]),
        (["reply"], ["reply"]),
        (["--config", "missing.toml"], ["missing.toml", "No such file"]),
        (["--resume", "missing.npz"], ["missing.npz", "No such file"]),
        (["--ctx", "gpu0", "--engine", "fused", "--lr", "\x1b[2J"], ["--lr \\x1b[2J"]),
    ],
)
def test_a_wrong_argument(arguments, needles, capsys):
    assert main([*arguments, *REC]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.endswith("\n") and "Traceback" not in err
    for needle in needles:
        assert needle in err
    assert not Path("run.npz").exists()


def test_a_config_file_sets_what_flags_do_not(capsys):
    Path("c.toml").write_text('epochs = 7\nevery = 3\nengine = "fused"\nsamples = 40\nt-bins = 9\n')
    assert main(["--config", "c.toml", "--every", "7", *REC]) == 0
    assert "recorded 2 measurements of 7 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("epoch = 7", ["unknown key epoch", "did you mean epochs?"]),
        ("epochs = 'x'", ["c.toml: epochs x: must be"]),
        ("epochs = ", ["not TOML"]),
        ("layers = 2", ["c.toml: layers 2: must be"]),
        ("[run]\nepochs = 3", ["unknown key run"]),
    ],
)
def test_a_config_file_that_is_wrong(text, needles, capsys):
    Path("c.toml").write_text(text)
    assert main(["--config", "c.toml", *REC]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    for needle in needles:
        assert needle in err


@pytest.mark.parametrize("where", ["nowhere/run.npz", "file/run.npz", "."])
def test_a_place_that_cannot_be_written_is_found_before_training(where, capsys):
    Path("file").write_text("")
    assert main(["--epochs", "100000000", "--engine", "fused", "--record", where]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_terminal_the_screen_says_so():
    for arguments in ([], ["--engine", "fused"]):
        done = subprocess.run(
            [sys.executable, "-m", "ibtui", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert "needs a terminal" in done.stderr and "--record" in done.stderr


def test_force_without_record_is_refused(capsys):
    assert main(["--force"]) == 2
    assert "--record" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--detach"],
        ["--paused"],
        ["--snapshot-dir", "."],
        ["--marker", "ascii"],
        ["--epochs-per-second", "5"],
    ],
)
def test_what_is_the_screens_is_refused_with_record_and_may_stand_in_a_file(flags, capsys):
    small = ["--engine", "fused", "--epochs", "5", "--samples", "200", "--record", "run.npz"]
    assert main([*small, *flags]) == 2
    assert capsys.readouterr().err == f"ibtui: {flags[0]}: not with --record, which has no screen\n"
    value = {"--detach": "true", "--paused": "true", "--epochs-per-second": "5"}.get(
        flags[0], f"'{flags[-1]}'"
    )
    Path("ibtui.toml").write_text(f"{flags[0][2:]} = {value}\n")
    assert main([*small, "--config", "ibtui.toml"]) == 0
    assert Path("run.npz").exists()


def test_replay_of_what_is_no_recording(capsys):
    Path("x.npz").write_text("hello")
    assert main(["replay", "x.npz"]) == 2
    assert "x.npz" in capsys.readouterr().err


def test_replay_of_a_recording_without_a_measurement(capsys):
    save(recording_of(0, resumable=False), "empty.npz")
    assert main(["replay", "empty.npz"]) == 2
    assert capsys.readouterr().err == "ibtui: empty.npz: holds no measurements\n"


def test_help_and_version(capsys):
    for argument in ("--help", "--version"):
        with pytest.raises(SystemExit) as stop:
            main([argument])
        assert stop.value.code == 0
    assert "--t-bins" in capsys.readouterr().out


def written_to(output, *arguments):
    """Exit status and standard error of the command, with that as its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "ibtui", *arguments],
        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


PRINTING = [
    ["--version"],
    ["ls"],
    ["doctor", "--ctx", "cpu"],
    ["report", "run.npz"],
    ["report", "run.npz", "--out", "x.csv"],
    ["bench", "--quick", "--only", "measurement"],
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("arguments", PRINTING, ids=lambda arguments: arguments[0])
def test_output_that_cannot_be_written_is_one_line_and_exit_status_1(arguments):
    save(recording_of(2, resumable=False), "run.npz")
    with open("/dev/full", "w") as full:
        status, err = written_to(full, *arguments)
    said = [line for line in err.splitlines() if not line.startswith("measurement: ")]  # bench's progress
    assert (status, said) == (1, ["ibtui: the output could not be written: No space left on device"])


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda arguments: arguments[0])
def test_a_reader_that_has_gone_has_seen_enough(arguments):
    save(recording_of(2, resumable=False), "run.npz")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        status, err = written_to(writer, *arguments)
    finally:
        os.close(writer)
    assert (status, [line for line in err.splitlines() if not line.startswith("measurement: ")]) == (0, [])


def test_a_report_without_a_standard_output():
    save(recording_of(2, resumable=False), "run.npz")
    command = f"{sys.executable} -m ibtui report run.npz >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
