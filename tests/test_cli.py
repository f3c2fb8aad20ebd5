"""Wrong usage gets one line and exit status 2, before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from ibtui import __version__, load
from ibtui.cli import main
from ibtui.config import RunConfig, WatchOptions
from ibtui.data.samples import make_dataset
from ibtui.recording.files import save
from ibtui.run.measuring import new_recording
from tests.marks import slow

PLUGIN = Path(__file__).with_name("plugin")
REC = ("--record", "run.npz")


def record() -> None:
    """Write run.npz."""
    assert main(["--engine", "fused", "--epochs", "10", "--samples", "40", *REC]) == 0


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
        (["--data", "cube"], ["--data cube", "grid"]),
        (["--data", "cube:noise=1"], ["--data cube", "grid"]),
        (["--data", "grid:noise=1"], ["--data grid:noise=1: grid has no option noise; it has none"]),
        (["--data", "moons:nose=1"], ["--data moons:nose=1: moons has no option nose; did you mean noise?"]),
        (["--data", "moons:noise=-1"], ["--data moons:noise=-1: must be a number from 0 up to 10"]),
        (["--data", "moons:noise=1,noise=2"], ["--data moons:noise=1,noise=2: noise is there twice"]),
        (
            ["--data", "circles:classes=65"],
            ["--data circles:classes=65: must be a whole number from 2 to 64"],
        ),
        (
            ["--data", "icosahedron12", "--samples", "500"],
            ["--samples 500: icosahedron12 has 4,096; leave it"],
        ),
        (["--data", "missing.npz"], ["--data missing.npz: No such file"]),
        (["--data", "missing.npz", "--samples", "9"], ["--data missing.npz: No such file"]),
        (
            ["--split", "0.0001"],
            ["--split 0.0001: must be such that of 1,000 samples some are left to train"],
        ),
        (
            ["--data", "circles:classes=3"],
            ["--layers 2,2,2,2: must be such that the last layer has a unit per"],
        ),
        (["--data", "a b"], ["--data a b", "a name"]),
        (["--quantities", "spread"], ["--quantities spread", "effective_rank"]),
        (["--panes", "clock"], ["--panes clock", "left out"]),
        (["reply"], ["ibtui: reply: no such command; did you mean replay?"]),
        (["repot"], ["ibtui: repot: no such command; did you mean report?"]),
        (["\x1b[2J"], ["ibtui: \\x1b[2J: no such command; there is replay, report,"]),
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
        ("engine = 'jax'", ["c.toml: engine jax: must be auto or gluon or fused"]),
        ("[run]\nepochs = 3", ["c.toml: [run]: keys stand at the top of the file"]),
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


PATHS = {
    "--record": ["--record", "{}"],
    "--resume": ["--resume", "{}", *REC],
    "--config": ["--config", "{}", *REC],
    "--snapshot-dir": ["--snapshot-dir", "{}"],
    "FILE": ["report", "{}"],
    "--out": ["report", "run.npz", "--out", "{}"],
}


@pytest.mark.parametrize("value", ["", "-", "/dev/stdin", "/dev/stdout", "/dev/stderr"])
@pytest.mark.parametrize("name", PATHS)
def test_what_is_no_path_is_refused_by_name(name, value, capsys):
    assert main([part.format(value) for part in PATHS[name]]) == 2
    shown = value or '""'
    assert capsys.readouterr().err.startswith(f"ibtui: {name} {shown}: must be a path")
    if name == "FILE":
        assert main(["replay", value]) == 2
        assert capsys.readouterr().err.startswith(f"ibtui: {name} {shown}: must be a path")


def test_the_home_folder_may_stand_at_the_beginning_of_every_path(tmp_path, capsys):
    home = Path.home()
    (home / "c.toml").write_text("snapshot-dir = '~'")
    small = ["--engine", "fused", "--epochs=5", "--samples=40", "--config=~/c.toml"]
    assert main([*small, "--record=~/run.npz"]) == 0
    assert main([*small, "--resume=~/run.npz", "--epochs=6", "--record=~/more.npz"]) == 0
    assert main(["report", "~/run.npz", "--out=~/x.csv"]) == 0
    assert {"run.npz", "more.npz", "x.csv"} <= set(os.listdir(home))
    assert os.listdir(tmp_path) == []
    assert WatchOptions(snapshot_dir="~/snapshots").snapshot_dir == f"{home}/snapshots"
    capsys.readouterr()
    assert main(["replay", "~/run.npz"]) == 2
    assert "needs a terminal" in capsys.readouterr().err


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
    config = RunConfig(engine="fused", ctx="cpu")
    save(new_recording(config, make_dataset(config), 0), "empty.npz")
    assert main(["replay", "empty.npz"]) == 2
    assert capsys.readouterr().err == "ibtui: empty.npz: holds no measurements\n"


def command(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ibtui", *arguments], env=os.environ | environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def helped(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"ibtui {__version__}\n"


def test_help_has_every_setting_under_a_heading_with_its_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = helped(capsys)
    headings = [line for line in out.splitlines() if line[:1].isalpha() and line.endswith(":")]
    assert headings == [
        "options:", "run:", "data:", "net and training:", "measuring:", "watching:", "keeping:",
        "commands, each with its own --help:",
    ]  # fmt: skip
    body = out.partition("run:")[2]
    for field in (*fields(RunConfig), *fields(WatchOptions)):
        assert f"  --{field.name.replace('_', '-')} " in body or f"  --{field.name}\n" in body
    for line in (
        "(2000)",
        "(2,2,2,2)",
        "(0.1)",
        "(auto)",
        "auto, gluon, fused",
        "grid, circles[:noise=0.05,classes=2], moons[:noise=0.1], spirals[",
        "icosahedron12: the dataset, such as",
    ):
        assert line in body


def test_help_names_every_command_with_what_it_does(capsys):
    commands = helped(capsys).partition("commands, each with its own --help:\n")[2].splitlines()
    names = ["replay", "report", "attach", "ls", "stop", "bench", "doctor", "presets", "completion"]
    assert [line.split()[0] for line in commands] == names
    for line, name in zip(commands, names, strict=True):
        assert " ".join(line.lower().split()[1:]) in " ".join(helped(capsys, name).lower().split())


@pytest.mark.parametrize("name", ["", "replay", "report", "attach", "ls", "stop", "bench", "doctor"])
def test_help_prints_where_there_is_only_ascii(name):
    done = command(*filter(None, [name]), "--help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: ibtui" in done.stdout


def test_help_names_what_other_packages_bring():
    out = " ".join(command("--help", PYTHONPATH=f"{os.environ['PYTHONPATH']}:{PLUGIN}").stdout.split())
    assert "auto, gluon, fused, brokenengine, quadratic: what trains" in out
    assert "icosahedron12, brokenrings, rings: the dataset" in out
    assert "brokenspread, spread: measure these" in out
    assert "brokenpane, clock: show these panes" in out


@pytest.mark.parametrize(
    ("flag", "name"), [("--data", "rings"), ("--quantities", "spread"), ("--engine", "engine")]
)
def test_what_cannot_be_loaded_is_told_in_a_line(flag, name):
    done = command(flag, f"broken{name}", *REC, PYTHONPATH=f"{os.environ['PYTHONPATH']}:{PLUGIN}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"ibtui: broken{name}: this " in done.stderr and "cannot be loaded from broken:" in done.stderr


def test_version_and_help_import_nothing_heavy():
    for argument, light in (("--version", {"importlib.metadata"}), ("--help", set())):
        code = f"import sys; from ibtui.cli import main\ntry: main([{argument!r}])\nexcept SystemExit: pass\n"
        done = subprocess.run(
            [sys.executable, "-c", code + "print(*sys.modules, file=sys.stderr)"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        heavy = {"numpy", "numba", "mxnet", "textual", "rich", "msgspec", "plotext", "multiprocessing"}
        assert not set(done.stderr.split()) & (heavy | light)


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
    ["report", "run.npz"],
    *slow(
        ["report", "run.npz", "--out", "x.csv"],
        ["doctor", "--ctx", "cpu"],
        ["bench", "--quick", "--only", "measurement"],
    ),
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("arguments", PRINTING, ids=lambda arguments: arguments[0])
def test_output_that_cannot_be_written_is_one_line_and_exit_status_1(arguments):
    record()
    with open("/dev/full", "w") as full:
        status, err = written_to(full, *arguments)
    said = [line for line in err.splitlines() if not line.startswith("measurement: ")]  # bench's progress
    assert (status, said) == (1, ["ibtui: the output could not be written: No space left on device"])


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda arguments: arguments[0])
def test_a_reader_that_has_gone_has_seen_enough(arguments):
    record()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        status, err = written_to(writer, *arguments)
    finally:
        os.close(writer)
    assert (status, [line for line in err.splitlines() if not line.startswith("measurement: ")]) == (0, [])


def test_a_report_without_a_standard_output():
    record()
    command = f"{sys.executable} -m ibtui report run.npz >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data", "moons", "--grid", "3"], "--grid plays no part: the data are no grid"),
        (["--data", "moons", "--x-bins", "5"], "--x-bins plays no part: each sample is a symbol of X"),
        (["--t-bins", "10", "--binning", "width"], "--t-bins plays no part: the estimator is width binning"),
        (["--activation", "relu", "--t-bins", "9"], "--t-bins plays no part: the estimator is width binning"),
        (["--kde-noise", "0.1"], "--kde-noise plays no part: the estimator is notebook binning"),
        (["--estimator", "kde", "--binning", "closed"], "--binning plays no part: the estimator is kde"),
        (["--init", "fan-in", "--init-sigma", "3"], "--init-sigma plays no part: --init fan-in decides it"),
    ],
)
def test_a_setting_that_plays_no_part_is_told(flags, said, capsys):
    small = ["--engine", "fused", "--epochs=2", "--samples=40", "--record=run.npz", "--force"]
    assert main([*small, *flags]) == 0
    assert f"ibtui: {said}\n" in capsys.readouterr().err
    assert main(small) == 0
    assert "plays no part" not in capsys.readouterr().err


def test_a_split_that_a_file_of_samples_decides_itself_is_told(capsys):
    x, y = np.random.default_rng(1).normal(size=(12, 2)), np.arange(12) % 2
    np.savez("whole.npz", x=x, y=y)
    np.savez("halves.npz", x=x[:8], y=y[:8], x_test=x[8:], y_test=y[8:])
    small = [
        "--engine",
        "fused",
        "--epochs=2",
        "--batch-size=2",
        "--record=run.npz",
        "--force",
        "--split=0.25",
    ]
    for data, train in (("whole.npz", 3), ("halves.npz", 8)):
        assert main([*small, "--data", data]) == 0
        told = (
            "ibtui: --split plays no part: the file says which samples are held out\n"
            in capsys.readouterr().err
        )
        assert told == (data == "halves.npz")
        assert int(load("run.npz").dataset.trains.sum()) == train


def test_a_grid_of_x_needs_a_range(capsys):
    small = ["--engine", "fused", "--epochs=2", "--samples=40", "--record=run.npz"]
    assert main([*small, "--data", "moons", "--x", "grid"]) == 2
    assert "--x grid: must be identity or auto, for these data declare no range" in capsys.readouterr().err
    assert not Path("run.npz").exists()
    assert main([*small, "--data", "moons"]) == 0
    assert main(["report", "run.npz", "--x", "grid"]) == 2
    assert "--x grid: " in capsys.readouterr().err
