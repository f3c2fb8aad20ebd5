"""The README says of the program what the program says of itself, and its commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ibtui.cli import main
from ibtui.ui import keys
from ibtui.ui.panes import panes
from tests.terminal import Terminal

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    assert f"\n## {name}\n" in README
    return README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def block(mark: str) -> str:
    """The code that follows a comment in the README."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)```", README, re.S)
    assert found is not None, mark
    return found[1]


def test_the_table_of_keys_names_them_all():
    table = "\n".join(re.findall(r"^\|.*", section("Keys"), re.M))
    named = set(re.split(r"[\s|,;]+", table))
    assert {key for key, _ in keys.entries(keys.bindings(panes()))} - named == set()


def test_what_draws_pictures_is_named_where_they_are():
    assert "--out figure.png" in section("Record and report")
    assert "report]'" in section("Record and report")


def test_every_file_that_it_shows_or_names_is_there():
    root = Path(__file__).parent.parent
    for path in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (root / path).exists(), path
    for path in re.findall(r"`((?:tests|ibtui|screenshots)/[\w./-]+)`", README):
        assert (root / path).exists(), path


COMMANDS = [
    line.partition("#")[0].split()[1:]
    for line in section("Record and report").splitlines()
    if line.startswith("ibtui ") and "replay" not in line
]


def test_the_commands_for_recordings_run_as_they_stand(capsys):
    pytest.importorskip("matplotlib")
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        quick = ["--engine", "fused"] if "--record" in command and "--resume" not in command else []
        assert main([*command, *quick]) == 0, command
    assert Path("figure.png").stat().st_size > 10_000
    assert Path("scalars.csv").read_text().startswith("file,epoch,layer,")
    with np.load("longer.npz") as file:
        assert file["epoch"][-1] == 4000


@pytest.mark.optional
def test_the_notebook_runs(monkeypatch):
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    assert main(["--record", "run.npz", "--engine", "fused", "--epochs", "20"]) == 0
    monkeypatch.setenv("MPLBACKEND", "agg")
    exec(block("notebook"), {})


def test_the_functions_are_there():
    exec(block("functions"), {})


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """The package of the section Extend, installed."""
    for name in ("rings.py", "spread.py", "clock.py", "walk.py"):
        code = block(f"extend: {name}")
        assert sum(bool(line.strip()) for line in code.splitlines()) < 20, name
        (tmp_path / name).write_text(code)
    information = tmp_path / "ours-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1\n")
    points = block("extend: pyproject.toml")
    points = re.sub(r'\[project.entry-points."(.*)"\]', r"[\1]", points).replace('"', "")
    (information / "entry_points.txt").write_text(points)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    return tmp_path


FLAGS = ["--data", "rings", "--quantities", "spread", "--engine", "walk", "--epochs", "20", "--every", "5"]


def test_the_package_that_it_shows_is_recorded_with(package):
    command = [sys.executable, "-m", "ibtui", "--record", "run.npz", *FLAGS]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load("run.npz") as run:
        assert run["spread"].shape == (5, 4)
        assert np.hypot(*run["x"].T).max() > 1.5
        assert not np.array_equal(run["weight0"][0], run["weight0"][1])


def test_the_package_that_it_shows_is_on_the_screen(package):
    with Terminal(*FLAGS, "--panes", "clock", "--epochs-per-second", "0") as terminal:
        terminal.until("it is epoch 20")
        terminal.type("d" * 5)
        terminal.until("spread")
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("q")
        assert terminal.wait() == 0
