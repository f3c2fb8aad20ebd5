"""Terminals of every kind: what colours and characters they get, and whether a session works there."""

from __future__ import annotations

import os
import re
import shutil

from tests.faults.boxes import ENDLESS, FUSED, Lost, example, sockets, tidy, wait_for
from tests.terminal import Terminal

_UTF8, _ASCII = "utf-8", "ascii"
KINDS = (
    ({"TERM": "dumb"}, "none", _ASCII),
    ({"NO_COLOR": "1"}, "none", _ASCII),
    ({"NO_COLOR": "1", "TERM": "xterm"}, "none", _ASCII),
    ({"LANG": "C"}, "256", _ASCII),
    ({"TERM": "xterm"}, "16", _UTF8),
    ({"TERM": "linux"}, "16", _UTF8),
    ({"TERM": "screen"}, "16", _UTF8),
    ({"TERM": "xterm-256color"}, "256", _UTF8),
    ({"TERM": "screen-256color"}, "256", _UTF8),
    ({"TERM": "tmux-256color"}, "256", _UTF8),
    ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor", _UTF8),
)
"""Environments, the colours that such a terminal has, and its characters."""
_DEPTHS = ("none", "16", "256", "truecolor")
_THROUGH = {
    "tmux": ("tmux", "-u", "-f", os.devnull, "-L"),
    "screen": ("screen", "-U", "-m", "-c", os.devnull, "-S"),
}
_NEW = {"tmux": ("new-session",), "screen": ()}
SIZES = ((120, 40), (80, 24))
_RUN = (*FUSED, "--epochs", str(ENDLESS))


def kinds(tries: int) -> list[Lost]:
    """So many of all kinds at both layouts; inside tmux and GNU screen where they are installed."""
    sessions = [(columns, rows, *kind) for columns, rows in SIZES for kind in KINDS]
    wrong = [_in_environment(*session) for session in sessions[:: max(1, len(sessions) // tries)]]
    inside = {name: name for name in _THROUGH if shutil.which(name)}
    wrong += [_inside(name, *SIZES[0]) for name in inside]
    said = [f"inside {name}" if name in inside else f"no {name} here" for name in _THROUGH]
    found = [trouble for trouble in wrong if trouble]
    return [
        Lost(
            f"No colour, 16, 256, true colour; `TERM=dumb`, `NO_COLOR`, `LANG=C`; {', '.join(said)}",
            len(wrong),
            f"{len(found)} that did not show a run, obey keys and end, or got colours or characters that "
            f"they do not have{example(found)}",
            not found,
        )
    ]


def _in_environment(columns: int, rows: int, environment: dict[str, str], depth: str, characters: str) -> str:
    """Say what went wrong with a terminal of this kind."""
    with Terminal(*_RUN, columns=columns, rows=rows, **{"COLORTERM": ""} | environment) as terminal:
        trouble = _session(terminal)
    if _depth(terminal.raw) > _DEPTHS.index(depth):
        trouble = f"{_DEPTHS[_depth(terminal.raw)]} colours, of {depth}"
    if characters == _ASCII and not terminal.raw.isascii():
        trouble = "more than ASCII"
    return trouble and f"{environment}: {trouble}"


def _inside(name: str, columns: int, rows: int) -> str:
    """Say what went wrong in a terminal multiplexer."""
    through = (*_THROUGH[name], f"ibtui-{os.getpid()}", *_NEW[name])
    with Terminal(*_RUN, columns=columns, rows=rows, through=through) as terminal:
        trouble = _session(terminal)
    return trouble and f"{name}: {trouble}"


def _session(terminal: Terminal) -> str:
    """A run is shown, paused, drawn at another size, and left; what went wrong."""
    try:
        terminal.until(r"running +epoch [1-9]")
        terminal.type(" ")
        terminal.until("paused")
        terminal.resize(100, 30)
        terminal.until(r"(?s)paused.*accuracy")
        terminal.type("q")
        terminal.until("without saving")
        terminal.type("q")
        if status := terminal.wait():
            return f"exit status {status}"
        wait_for(lambda: not sockets(), 5)
    except AssertionError as error:
        tidy()
        return str(error).partition("\n")[0]
    return ""


def _depth(raw: bytes) -> int:
    """The best of the colours that were asked for: 0 for none, up to 3."""
    best = 0
    for sequence in re.findall(rb"\x1b\[([\d;]*)m", raw):
        numbers = [int(number or 0) for number in sequence.split(b";")]
        while numbers:
            number = numbers.pop(0)
            if number in (38, 48):
                best = max(best, 3 if numbers.pop(0) == 2 else 2)
                break
            if number % 60 in (*range(30, 38), *range(40, 48)):  # and the bright ones, 90 and 100 on
                best = max(best, 1)
    return best
