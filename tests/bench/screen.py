"""The cost of the screen, and how soon it is there, on a terminal of our own of 120x40.

The processes here are real ones with a pseudo-terminal, since Textual's headless mode leaves out the last
step, from strips to the bytes that a terminal gets.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, at_most
from tests.bench.runs import environment

_COLUMNS, _ROWS = 120, 40
_PATIENCE_S = 60.0
_SELDOM, _OFTEN = 1000, 10
"""Epochs between measurements: a history of hundreds in the time of the bench, or of ten thousands."""
_TRAIN = ("-m", "ibtui", "--engine", "fused", "--ctx", "cpu", "--epochs", "100000000", "--history-mb", "64")
_FLAT_OUT = (*_TRAIN, "--epochs-per-second", "0", "--every", "1000")
_FRAME = re.compile(rb"epoch [0-9,]+ of")
_PAINTED = re.compile(rb"starting|" + _FRAME.pattern)
"""On a busy machine the worker may be ready before anything is painted."""
_PAUSED, _RUNNING = re.compile("‖ paused".encode()), re.compile("● running".encode())
"""In the line of the state: the log says it, too, and maybe sooner."""
_LONGEST = 64
"""Bytes that are kept from one read to the next: more than any pattern matches."""


class Terminal:
    """A process of this Python on a pseudo-terminal, whose output is read and forgotten."""

    def __init__(self, arguments: Sequence[str]) -> None:
        import fcntl
        import termios

        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._ours, self._unread = ours, b""
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=environment() | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        with contextlib.suppress(RuntimeError):
            self.read_to_the_end(5.0)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def press(self, key: bytes) -> None:
        """Type a key; what was written before is no answer to it."""
        self._unread = b""
        os.write(self._ours, key)

    def until(self, wanted: re.Pattern[bytes]) -> float:
        """Wait until this is written to the terminal, and read up to it; returns the time."""
        end = time.monotonic() + _PATIENCE_S
        while (found := wanted.search(self._unread)) is None:
            self._unread = self._unread[-_LONGEST:] + self._read(end)
        self._unread = self._unread[found.start() :]
        return time.perf_counter()

    def idle(self, seconds: float) -> None:
        """Read for so long, so that nobody waits for us."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._ours], [], [], left)[0]:
                os.read(self._ours, 65536)

    def read_to_the_end(self, seconds: float) -> None:
        """Read until the process has closed the terminal."""
        end = time.monotonic() + seconds
        while True:
            try:
                if not self._read(end):
                    return
            except OSError:  # how Linux says that nobody has the other end any more
                return

    def _read(self, end: float) -> bytes:
        if not select.select([self._ours], [], [], max(0.0, end - time.monotonic()))[0]:
            raise RuntimeError("the screen does not show what was expected")
        return os.read(self._ours, 65536)


def measure(report: Report, effort: Effort) -> None:
    """Add all rows of the group."""
    _start(report, effort)
    _keys(report, effort)
    _cost(report, effort)


def _start(report: Report, effort: Effort) -> None:
    painted, framed = [], []
    for at in range(effort.starts + effort.warm):
        effort.say(f"screen: start {at}")
        with Terminal(_TRAIN) as terminal:
            first = terminal.until(_PAINTED) - terminal.began
            second = terminal.until(_FRAME) - terminal.began
        if at >= effort.warm:
            painted.append(first)
            framed.append(second)
    of_painted = Spread.of(painted)
    report.rows += [
        Row("screen", "start to the first paint", of_painted, "s", targets=(at_most(of_painted, 0.7, "s"),)),
        Row("screen", "start to the first measurement on the screen", Spread.of(framed), "s"),
    ]


def _keys(report: Report, effort: Effort) -> None:
    effort.say("screen: keys")
    taken = []
    with Terminal(_FLAT_OUT) as terminal:
        terminal.until(_FRAME)
        terminal.idle(1.0)
        for at in range(5 if effort.quick else 40):
            terminal.idle(0.15 + 0.001 * (7 * at % 50))  # no fixed phase
            began = time.perf_counter()
            terminal.press(b" ")
            taken.append(terminal.until(_PAUSED) - began)
            terminal.press(b" ")
            terminal.until(_RUNNING)
    ordered = [1000 * s for s in sorted(taken)]
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    value = Spread(late, ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4], len(ordered))
    name = "space pressed to paused, 95th percentile"
    report.rows.append(Row("screen", name, value, "ms", targets=(at_most(value, 100, "ms"),)))


def _cost(report: Report, effort: Effort) -> None:
    """Add the CPU of the screen's process with a short history, and with one that default runs never have."""
    for every, history in ((_SELDOM, "short history"), (_OFTEN, "long history")):
        marks = _shown(effort, every)
        found = [{name: new[name] - old[name] for name in new} for old, new in pairwise(marks)]
        frame = Spread.of([1000 * w["cpu"] / max(1, w["frames"]) for w in found])
        core = Spread.of([100 * w["cpu"] / w["wall"] for w in found])
        held = every == _SELDOM
        report.rows += [
            Row("screen", f"{history}: measurements", Spread.of([m["measurements"] for m in marks]), ""),
            Row(
                "screen",
                f"{history}: frames drawn, training flat out",
                Spread.of([max(1, w["frames"]) / w["wall"] for w in found]),
                "/s",
            ),
            Row(
                "screen",
                f"{history}: CPU of a frame, to the terminal's bytes",
                frame,
                "ms",
                targets=(at_most(frame, 10, "ms"),) if held else (),
            ),
            Row(
                "screen",
                f"{history}: CPU of the screen's process",
                core,
                "% of a core",
                targets=(at_most(core, 25, "%"),) if held else (),
            ),
        ]


def _shown(effort: Effort, every: int) -> list[dict[str, float]]:
    """Return the marks of a process that shows a run, for some windows of time."""
    effort.say(f"screen: cost of frames, a measurement every {every} epochs")
    windows = 2 if effort.quick else effort.rounds
    with tempfile.TemporaryDirectory(prefix="ibtui-bench-") as folder:
        path = Path(folder, "marks.json")
        seconds = max(0.5, effort.share)
        arguments = ("-m", "tests.bench.counting", str(path), str(every), str(windows), str(seconds))
        with Terminal(arguments) as terminal:
            terminal.read_to_the_end(_PATIENCE_S + 3 * windows)
        marks: list[dict[str, float]] = json.loads(path.read_text())
    return marks
