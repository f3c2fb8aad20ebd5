"""`ibtui report` as a command: what it refuses, and what follows from the stream and the environment."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace

import pytest

from ibtui.recording.files import save
from ibtui.report.display import Display, display_of
from tests.marks import slow
from tests.report.making import (
    CONFIG,
    command,
    drawn,
    record,
    refused,
    run,
)


def test_what_cannot_be_read_is_refused_by_name(folder, tmp_path, capsys):
    (tmp_path / "text.npz").write_text("no recording")
    assert "text.npz" in refused(capsys, tmp_path / "text.npz")
    assert "gone.npz: No such file" in refused(capsys, folder / "a.npz", tmp_path / "gone.npz")
    assert "no measurement" in refused(capsys, folder / "empty.npz")
    assert "three.npz: it has 3 layers" in refused(capsys, folder / "a.npz", folder / "three.npz")
    again = folder / ".." / folder.name / "a.npz"
    assert "a.npz: given twice" in refused(capsys, folder / "a.npz", folder / "b.npz", again)
    refused(capsys)


def test_runs_estimated_differently_are_not_averaged(folder, tmp_path, capsys):
    save(record(replace(CONFIG, seed=8, t_bins=30)), tmp_path / "x.npz")
    line = refused(capsys, folder / "a.npz", tmp_path / "x.npz")
    assert "x.npz: estimated with --t-bins 30" in line
    assert run(capsys, folder / "a.npz", tmp_path / "x.npz", "--t-bins", 30)[0] == 0


@pytest.mark.parametrize(
    "flags", [("--t-bins", "0"), ("--x-bins", "a"), ("--binning", "b"), ("--marker", "z")]
)
def test_settings_outside_their_domain_are_refused_by_name(folder, capsys, flags):
    assert f"{flags[0]} {flags[1]}: must be" in refused(capsys, folder / "a.npz", *flags)


def test_nothing_is_overwritten_unless_forced_and_nothing_is_left_behind(folder, tmp_path, capsys):
    out = tmp_path / "x.csv"
    out.write_text("precious")
    assert "--force" in refused(capsys, folder / "a.npz", "--out", out)
    assert out.read_text() == "precious"
    assert run(capsys, folder / "a.npz", "--out", out, "--force")[0] == 0
    assert out.read_text().startswith("file,epoch,layer,")
    refused(capsys, folder / "three.npz", folder / "a.npz", "--out", tmp_path / "y.csv")
    refused(capsys, folder / "a.npz", "--out", tmp_path / "y.gif")
    refused(capsys, folder / "a.npz", "--out", tmp_path / "no" / "y.csv")
    assert os.listdir(tmp_path) == ["x.csv"]


def test_piped_it_is_a_hundred_columns_of_plain_text(folder):
    done = command(folder / "a.npz", PYTHONIOENCODING="utf-8", COLUMNS="33", TERM="xterm-256color")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert max(map(len, text.splitlines())) == 100
    assert "\x1b" not in text
    assert re.search("[⠁-⣿]", text)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, *slow({"PYTHONIOENCODING": "ascii"})])
def test_a_terminal_without_unicode_gets_ascii(folder, environment):
    done = command(folder / "a.npz", **{"PYTHONIOENCODING": "utf-8"} | environment)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"information plane" in done.stdout


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none"),
        ({"TERM": "dumb"}, "none"),
    ],
)
def test_the_display_follows_the_terminal(monkeypatch, environment, colours):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for name in ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "91")
    monkeypatch.setenv("LINES", "31")
    display = display_of(Terminal(), os.environ)
    expected = "ascii" if environment["TERM"] == "dumb" else "braille"
    assert display == Display(91, 30, colours, expected)


def test_plotext_is_left_as_it_was(folder):
    import plotext

    drawn([folder / "a.npz"], Display(80, 23))
    assert set(plotext.figure.build().string(True)) <= set("┌─┐│└┘ \n")
