"""A terminal that takes two kilobytes a second."""

from __future__ import annotations

import contextlib
import signal
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from ibtui.recording import files
from ibtui.run import wire
from tests.faults.boxes import (
    ENDLESS,
    Lost,
    asked,
    children_of,
    folder,
    gone,
    rss_mb,
    sockets,
    wait_for,
    worst,
)
from tests.faults.line import Line
from tests.faults.trials import SPARSE

SLOW = 2000.0
SOON_S, PATIENCE_S = 2.0, 10.0
_PRESSES = 6


@dataclass
class _Shown:
    """Measured on one line."""

    speed: float
    """Epochs per second."""
    screen_mb: float
    worker_mb: float
    """Memory that was added meanwhile."""
    keys_s: list[float]
    ended_s: float
    saved: bool


def slow_line(seconds: int) -> list[Lost]:
    """Training flat out before a slow line for so many seconds in all, by turns with a fast one."""
    rounds = max(2, seconds // 60)
    slow, fast = [], []
    for _ in range(rounds):
        fast.append(_show(float("inf"), 0.3 * seconds / rounds))
        slow.append(_show(SLOW, seconds / rounds))
    share = statistics.median(s.speed / f.speed for s, f in zip(slow, fast, strict=True))
    grown = worst([s.screen_mb for s in slow]), worst([s.worker_mb for s in slow])
    keys = worst([s for one in slow for s in one.keys_s])
    ended, unsaved = worst([s.ended_s for s in slow]), sum(not one.saved for one in slow)
    return [
        Lost(
            f"A line that takes 2 kB/s, training flat out for {seconds} s in all, by turns with a fast one",
            rounds,
            f"{100 * share:.0f}% of the speed; screen {grown[0]:+.1f} MB, worker {grown[1]:+.1f} MB "
            f"at most; a key has its effect after {1000 * keys:.0f} ms at most; SIGTERM: all has ended "
            f"after {ended:.2f} s at most, {unsaved} snapshots missing",
            max(grown) < 10 and not unsaved,
            prompt=share > 0.8 and keys < 0.5 and ended < SOON_S,
        )
    ]


def _show(bytes_per_second: float, seconds: float) -> _Shown:
    with folder() as place:
        run = (*SPARSE, "--epochs", str(ENDLESS), "--epochs-per-second", "0", "--history-mb", "1")
        with Line(*run, "--snapshot-dir", str(place), bytes_per_second=bytes_per_second) as terminal:
            wait_for(sockets)
            with wire.connect(sockets()[0].stem) as line:
                wait_for(lambda: asked(line).epoch > 100_000)
                time.sleep(0.2 * seconds)  # until everything is there that is made when it is needed first
                pids = terminal.process.pid, children_of(terminal.process.pid)[0]
                before, epoch, began = [rss_mb(pid) for pid in pids], asked(line).epoch, time.monotonic()
                time.sleep(0.8 * seconds)  # the speed is that of so much time
                speed = (asked(line).epoch - epoch) / (time.monotonic() - began)
                screen, worker = (rss_mb(pid) - mb for pid, mb in zip(pids, before, strict=True))
                keys = [_press(terminal, line) for _ in range(_PRESSES)]
            ended = _end(terminal, pids[1])
        return _Shown(speed, screen, worker, keys, ended, _saved(place))


def _press(terminal: Line, line) -> float:
    """Seconds until the space bar has had its effect, as far as that is waited for."""
    state = asked(line).state
    began = time.monotonic()
    terminal.type(" ")
    with contextlib.suppress(AssertionError):
        wait_for(lambda: asked(line).state not in (state, "pausing"), PATIENCE_S)
    took = time.monotonic() - began
    time.sleep(0.2)  # as long as a user lets go of a key
    return took


def _end(terminal: Line, worker: int) -> float:
    began = time.monotonic()
    terminal.process.send_signal(signal.SIGTERM)
    wait_for(lambda: terminal.process.poll() is not None and gone(worker))
    assert terminal.process.returncode == 128 + signal.SIGTERM
    return time.monotonic() - began


def _saved(place: Path) -> bool:
    written = list(place.glob("*.npz"))
    return len(written) == 1 and len(files.load(written[0])) > 0
