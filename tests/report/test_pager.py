"""A report that is higher than the terminal goes through the user's pager."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.marks import slow
from tests.report.making import command
from tests.terminal import Terminal

SEEN = "cat > seen; echo shown"
"""A pager that keeps what it is given."""


def test_the_pager_gets_the_whole_report_with_its_colours(folder):
    with Terminal("report", str(folder / "a.npz"), PAGER=SEEN) as terminal:
        terminal.until("shown")
        assert terminal.wait() == 0
        assert "information plane" not in terminal.text
    seen = Path("seen").read_text()
    assert seen.count("\n") > 40 and "information plane" in seen and "\x1b[" in seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "rows", "environment"),
    [
        (["--no-pager"], 24, {"PAGER": SEEN}),
        ([], 200, {"PAGER": SEEN}),
        ([], 24, {"PAGER": SEEN, "TERM": "dumb"}),
        ([], 24, {"PAGER": "cat"}),
        ([], 24, {"PAGER": ""}),
        ([], 24, {"PAGER": "no-such-pager --wide"}),
        ([], 24, {"PAGER": "/etc/passwd"}),
        ([], 24, {"PATH": "/nowhere"}),
    ],
    ids=["--no-pager", "it fits", "dumb", "cat", "none", "missing", "no program", "no less"],
)
def test_without_a_pager_all_is_printed(folder, flags, rows, environment):
    with Terminal("report", str(folder / "a.npz"), *flags, rows=rows, **environment) as terminal:
        assert terminal.wait() == 0
        assert b"information plane" in terminal.raw and b"Traceback" not in terminal.raw
        assert terminal.raw.count(b"\n") > 40
    assert not Path("seen").exists()


@pytest.mark.slow
def test_what_is_piped_is_not_paged(folder):
    done = command(folder / "a.npz", PAGER=SEEN, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") > 40 and not Path("seen").exists()


@pytest.mark.parametrize("pager", ["head -n 1", *slow("true", "exit 1")])
def test_a_pager_that_is_left_early_is_no_error(folder, pager):
    with Terminal("report", str(folder / "a.npz"), PAGER=pager) as terminal:
        assert terminal.wait() == 0
        assert terminal.raw.count(b"\n") <= 1


@pytest.mark.parametrize(
    "pager", ["echo ready; exec sleep 60", "trap : INT; sh -c 'echo ready; exec sleep 60'; echo interrupted"]
)
def test_ctrl_c_in_the_pager_is_no_error(folder, pager):
    with Terminal("report", str(folder / "a.npz"), PAGER=pager) as terminal:
        terminal.until("ready")
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.text and "information plane" not in terminal.text


@pytest.mark.skipif(shutil.which("less") is None, reason="needs less")
@pytest.mark.parametrize("options", ["-M", *slow("--tilde", "")])
def test_less_shows_colours_and_is_left_by_q(folder, options):
    with Terminal("report", str(folder / "a.npz"), LESS=options) as terminal:
        terminal.until("layer 0")
        assert "ESC[" not in terminal.text
        terminal.type("q")
        assert terminal.wait() == 0
