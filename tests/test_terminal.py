"""Streams and terminals of every kind: the screen is on the terminal, of its size, in its characters."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ibtui.cli import COMMANDS
from ibtui.run import wire
from ibtui.run.protocol import Peek
from tests.faults.boxes import wait_for
from tests.pythons import run_first
from tests.terminal import Terminal

pytestmark = pytest.mark.slow

LONG = ("--engine", "fused", "--ctx", "cpu", "--samples", "200", "--epochs", "1000000")
NUMBERS = (*LONG[:-1], "50")
ASCII = (
    {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "iso-8859-1"}, {"PYTHONIOENCODING": "utf-16"},
    {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "de_DE.ISO-8859-1"}, {"LANG": "C"},
    {"PYTHONUTF8": "0", "LANG": "C", "PYTHONCOERCECLOCALE": "0"},
)  # fmt: skip
"""Environments whose characters are not those of Unicode."""


def shell(command: str) -> tuple[str, ...]:
    """Run a command line, in which "$@" is ibtui, by a shell."""
    return ("bash", "--norc", "-c", command, "bash")


def leave(terminal: Terminal) -> None:
    terminal.type("q")
    terminal.until("without saving")
    terminal.type("q")
    assert terminal.wait() == 0


# Where it is drawn.


@pytest.mark.parametrize(
    "streams",
    [
        "2>err", "2>/dev/null", "2>&-", ">out", ">&-", ">/dev/full", ">out 2>err", ">out 2>&1", ">&- 2>&-",
        "| cat >out", "2>&1 | cat >out", "</dev/tty", "</dev/tty >out 2>err", "</dev/tty >&- 2>&-",
    ],
)  # fmt: skip
def test_the_screen_is_on_the_terminal_wherever_the_streams_lead(streams):
    with Terminal(*LONG, through=shell(f'set -o pipefail; "$@" {streams}')) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type(" ")
        terminal.until(r"paused +epoch")
        leave(terminal)
    written = "".join(path.read_text() for path in (Path("out"), Path("err")) if path.exists())
    assert "\x1b" not in written and "Error" not in written
    assert (">out" not in streams) == ("nothing saved" not in written), "the last line is the output"


def test_what_is_told_meanwhile_goes_where_the_standard_error_leads(monkeypatch):
    run_first(
        monkeypatch,
        "import sys, threading, time, warnings\n"
        "def warn():\n"
        "    while 'textual' not in sys.modules or sys.stderr is sys.__stderr__:\n"
        "        time.sleep(0.01)  # Textual tells nobody that it has begun\n"
        "    warnings.warn('mind the step')\n"
        "threading.Thread(target=warn, daemon=True).start()\n",
    )
    with Terminal(*LONG, through=shell('"$@" 2>err')) as terminal:
        terminal.until(r"running +epoch [1-9]")
        wait_for(lambda: "mind the step" in Path("err").read_text())
        leave(terminal)
    assert b"mind" not in terminal.raw


@pytest.mark.parametrize("streams", ["<&-", "</dev/null", "<&- >&-", "<&- 2>&1", "</dev/null | cat"])
@pytest.mark.parametrize("arguments", [(), ("replay", "run.npz")], ids=["live", "replay"])
def test_where_no_keys_can_be_read_a_line_says_so(streams, arguments):
    if arguments:
        record()
    with Terminal(*arguments, through=shell(f'set -o pipefail; "$@" {streams}')) as terminal:
        assert terminal.wait() == 2
        assert re.fullmatch(
            r"ibtui: the live screen needs a terminal; [^\n]*--record\s+FILE.npz\s*", terminal.text
        )


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_recording_needs_none_of_the_streams(streams):
    with Terminal(*NUMBERS, "--record", "run.npz", through=shell(f'"$@" {streams}')) as terminal:
        assert terminal.wait() == 0
    assert Path("run.npz").exists()


def test_in_the_background_a_line_says_how_to_come_back():
    with Terminal(*LONG, through=shell('set -m; "$@" & wait %1; fg')) as terminal:
        terminal.until("fg brings ibtui back")
        terminal.until(r"running +epoch [1-9]")
        leave(terminal)


# Its size.


def record() -> None:
    subprocess.run([sys.executable, "-m", "ibtui", *NUMBERS, "--record", "run.npz"], check=True, timeout=60)


def width(terminal: Terminal) -> int:
    return max(len(line.rstrip()) for line in terminal.screen.display)


def test_rows_that_are_written_one_by_one_make_the_screen_that_is_written_whole():
    """Rows that have not changed are not sent again; after a change of size all are."""
    with Terminal(*LONG, columns=120, rows=40) as terminal:
        terminal.until(r"running +epoch \d{2,} of")
        terminal.type(" ")
        terminal.until(r"paused +epoch")
        for key in ("\x1b[D", "\x1b[D", "\t", "[", "e", "\x1b[C"):
            terminal.type(key)
            by_rows = terminal.settle(0.5)
        terminal.resize(110, 35)
        terminal.until(r"╮\n")
        terminal.settle(0.5)
        terminal.resize(120, 40)
        terminal.until(rf"(?s)\n{120 * '.'}\n[^\n]*space[^\n]*$")
        assert terminal.settle(0.5) == by_rows
        leave(terminal)


EXPORTED = [("60", "20"), ("200", "60"), ("0", "many")]


@pytest.mark.parametrize(("columns", "lines"), EXPORTED)
@pytest.mark.parametrize("streams", ["", ">out 2>err"])
def test_the_screen_is_of_the_size_that_the_terminal_says(columns, lines, streams):
    with Terminal(*LONG, through=shell(f'"$@" {streams}'), COLUMNS=columns, LINES=lines) as terminal:
        terminal.until(r"running +epoch [1-9]")
        for size in ((120, 40), (100, 30), (160, 50)):
            terminal.resize(*size)
            terminal.until(rf"(?s)\n{size[0] * '.'}\n[^\n]*space pause[^\n]*$")
            terminal.until(r"╮\n")  # the right border, in the last column
        leave(terminal)


def test_of_a_terminal_that_does_not_say_its_size_the_environment_is_believed():
    for size, environment in (((80, 24), {}), ((100, 30), {"COLUMNS": "100", "LINES": "30"})):
        with Terminal(*LONG, columns=size[0], rows=size[1], mute=True, **environment) as terminal:
            terminal.until(r"running +epoch [1-9]")
            terminal.until(r"╮\n")
            terminal.until("space pause[^\n]*$")
            leave(terminal)


@pytest.mark.parametrize(("columns", "lines"), EXPORTED)
def test_all_that_is_printed_is_of_the_width_that_the_terminal_says(columns, lines):
    record()
    for arguments in (("report", "run.npz"), (*NUMBERS, "--record", "run.npz", "--force")):
        with Terminal(*arguments, columns=90, rows=200, COLUMNS=columns, LINES=lines) as terminal:
            assert terminal.wait() == 0
            assert 80 < width(terminal) <= 90, terminal.text
    helps = []
    for environment in ({}, {"COLUMNS": columns, "LINES": lines}):
        with Terminal("--help", columns=90, rows=200, **environment) as terminal:
            assert terminal.wait() == 0
            helps.append(terminal.text)
    assert helps[0] == helps[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_before_the_screen_listens_waits_for_it(monkeypatch, number):
    run_first(
        monkeypatch,
        f"""
import os, signal
listen, heard = signal.signal, []
def after_it_has_come(number, handler):
    if getattr(handler, "__name__", "") == "_signalled" and not heard:
        heard.append(number)
        os.kill(os.getpid(), {number})
    return listen(number, handler)
signal.signal = after_it_has_come
""",
    )
    with Terminal(*LONG) as terminal:
        assert terminal.wait() == 128 + number
        assert "Traceback" not in terminal.text
    wait_for(lambda: not list(Path(os.environ["XDG_RUNTIME_DIR"], "ibtui").glob("*.sock")))


# Its characters and colours.


@pytest.mark.parametrize("environment", ASCII, ids=str)
def test_without_unicode_the_screen_is_ascii(environment):
    with Terminal(*LONG, **environment) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type("?")
        terminal.until("What the screen shows")
        terminal.type("\x1b[F")
        terminal.until("Keys: ")
        terminal.type("?")
        terminal.until(r"running +epoch")
        assert terminal.raw.isascii() and "\\u" not in terminal.text
        leave(terminal)
    assert terminal.raw.isascii()


@pytest.mark.parametrize("environment", [*ASCII, {}], ids=str)
def test_help_and_the_bar_print_everywhere(environment):
    for arguments in ((), *((name,) for name in COMMANDS)):
        text = subprocess.run(
            [sys.executable, "-m", "ibtui", *arguments, "--help"],
            env=os.environ | environment, capture_output=True, check=True, timeout=60,
        ).stdout  # fmt: skip
        assert b"usage:" in text or "utf-16" in environment.values()
    with Terminal("--help", **environment) as terminal:
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.text
    if environment:
        with Terminal(*NUMBERS, "--record", "run.npz", **environment) as terminal:
            assert terminal.wait() == 0
            assert terminal.raw.isascii() or "utf-16" in environment.values()


@pytest.mark.parametrize("bytes_", [b"\xe4", b"\xff\xfe", b"\xc3 \xc3", b"\xe2\x94"])
def test_bytes_that_are_no_utf8_are_no_keys(bytes_):
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type(bytes_)
        terminal.settle(0.3)
        terminal.type("S")
        terminal.until("paused")
        leave(terminal)


@pytest.mark.parametrize(
    ("environment", "marker", "fine"),
    [
        ({"NO_COLOR": "1"}, (), False), ({"NO_COLOR": "1", "TERM": "linux"}, (), False),
        ({"NO_COLOR": "1"}, ("--marker", "braille"), True), ({"NO_COLOR": ""}, (), True), ({}, (), True),
    ],
)  # fmt: skip
def test_without_colours_letters_tell_layers_and_classes_apart(environment, marker, fine):
    with Terminal(*LONG, *marker, **environment) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.settle(0.3)
        assert bool(re.search("[⠁-⣿]", terminal.text)) == fine
        assert terminal.text.isascii() != fine
        leave(terminal)


@pytest.mark.parametrize("term", ["", "dumb", "linux", "vt100", "unknown", "no-such-terminal"])
def test_whatever_term_is_the_run_is_shown(term):
    with Terminal(*LONG, columns=80, rows=24, TERM=term) as terminal:
        terminal.until(r"running +epoch [1-9]")
        leave(terminal)


# Suspending it.

JOBS = ("bash", "--norc", "-c", 'set -m; "$@"; echo "stands $?"; read; fg; echo "left $?"', "bash")
"""A shell that waits for a line before it brings back what was suspended."""


def given_back(terminal: Terminal) -> bool:
    """Return True where the terminal shows what it did before, and a cursor."""
    after = terminal.raw.rpartition(b"\x1b[?1049h")[2]
    return b"\x1b[?1049l" in after and b"\x1b[?25h" in after


def screens() -> list[int]:
    """Return the processes of the test's folder that draw a screen."""
    here, found = os.getcwd(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().split(b"\0")
            if b"ibtui" in command and b"-m" in command and os.readlink(path / "cwd") == here:
                found.append(int(path.name))
        except OSError:
            continue
    return [pid for pid in found if b"bash" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize(
    ("size", "paused", "streams"),
    [((120, 40), False, ""), ((80, 24), True, ""), ((120, 40), True, ">out"), ((80, 24), False, "2>err")],
)
def test_a_suspended_screen_comes_back_and_training_goes_on_or_stands(size, paused, streams):
    command = JOBS[3].replace('"$@"', f'"$@" {streams}')
    with Terminal(*LONG, columns=size[0], rows=size[1], through=(*JOBS[:3], command, "bash")) as terminal:
        terminal.until(r"running +epoch [1-9]")
        if paused:
            terminal.type(" ")
            terminal.until(r"paused +epoch")
            terminal.settle(0.3)
        epoch = terminal.epoch()
        terminal.type("\x1a")
        terminal.until("stands 1")
        assert given_back(terminal)
        (worker,) = Path(os.environ["XDG_RUNTIME_DIR"], "ibtui").glob("*.sock")
        with wire.connect(worker.stem) as line:
            wait_for(lambda: paused or line.ask(Peek()).status.epoch > epoch + 10)
        terminal.resize(size[0] + 3, size[1] + 2)
        terminal.type("\n")
        terminal.until(r"(?s)accuracy.*\n space [^\n]*$")
        terminal.until("╮\n")
        while not paused and terminal.epoch() <= epoch + 10:
            terminal.settle(0.1)
        assert not paused or terminal.epoch() == epoch
        terminal.type(" ")
        terminal.until("running" if paused else "paused")
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("q")
        terminal.until("left 0")
        assert terminal.wait() == 0


@pytest.mark.parametrize("opened", ["?", "q", "\x10", "i"], ids=["help", "question", "palette", "enlarged"])
def test_it_is_suspended_from_wherever_one_is(opened):
    with Terminal(*LONG, through=JOBS) as terminal:
        terminal.until(r"running +epoch [1-9]")
        before = terminal.settle(0.2)
        terminal.type(opened)
        while terminal.settle(0.3) == before:
            pass
        terminal.type("\x1a")
        terminal.until("stands 1")
        terminal.type("\n")
        terminal.until("scroll|without saving|Search|plane")
        terminal.process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("how", ["TSTP", "STOP"])
def test_a_screen_stopped_by_a_signal_is_drawn_anew(how):
    with Terminal(*LONG, through=JOBS) as terminal:
        terminal.until(r"running +epoch [1-9]")
        (pid,) = screens()
        os.kill(pid, getattr(signal, f"SIG{how}"))
        terminal.until("stands 1")
        terminal.screen.erase_in_display(2)
        terminal.type("\n")
        terminal.until(r"(?s)running +epoch.*accuracy.*space pause")
        leave(terminal)


@pytest.mark.parametrize("end", ["kill %1", "kill -HUP %1", "hang up"])
def test_a_suspended_screen_can_be_ended_and_its_run_is_saved(end):
    command = f'set -m; "$@"; echo "stands $?"; read; {end}; wait; echo ended; read'
    with Terminal(*LONG, through=(*JOBS[:3], command, "bash")) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type("\x1a")
        terminal.until("stands 1")
        if end == "hang up":
            terminal.hang_up()
        else:
            terminal.type("\n")
            terminal.until("ended")
        wait_for(lambda: not screens(), 10)
        wait_for(lambda: list(Path().glob("*.npz")), 10)


def test_without_a_shell_to_come_back_to_it_is_not_suspended():
    with Terminal(*LONG) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type("\x1a")
        terminal.until("no shell is here")
        leave(terminal)


@pytest.mark.parametrize("wrapper", ['sh -c "\\"\\$@\\"; exit \\$?" sh', "env", "nice"])
def test_what_has_started_it_is_suspended_with_it(wrapper):
    with Terminal(*LONG, through=(*JOBS[:3], JOBS[3].replace('"$@"', f'{wrapper} "$@"'), "bash")) as terminal:
        terminal.until(r"running +epoch [1-9]")
        terminal.type("\x1a")
        terminal.until("stands 1")
        assert given_back(terminal)
        terminal.type("\n")
        terminal.until(r"running +epoch [1-9]")
        leave(terminal)
