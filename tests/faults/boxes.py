"""Shared by the trials: a run in a process of its own, an uninterrupted run to compare with, a full disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ibtui.config import RunConfig
from ibtui.recording import Recording, files
from ibtui.run import places
from ibtui.run.protocol import Frame, Peek, Status
from ibtui.run.trainer import Trainer
from ibtui.run.wire import Connection

LONG_S = 120.0
ENDLESS = 100_000_000
FUSED = ("--engine", "fused", "--ctx", "cpu", "--samples", "200", "--every", "500")


@dataclass
class Lost:
    """The outcome of a trial: the number of faults brought about, and what they cost."""

    fault: str
    tried: int
    lost: str
    holds: bool
    """True if that is no more than was promised."""
    prompt: bool = True
    """True if it was as fast as was promised. That depends on the machine, so no test asserts it."""


def ibtui(*arguments: str, **options) -> subprocess.Popen[str]:
    """The command, its output piped; it obeys signals that this process, under nohup, may ignore."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    options = {"preexec_fn": _heed} | options
    return subprocess.Popen([sys.executable, "-m", "ibtui", *arguments], text=True, **options)


def _heed() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for(what, seconds: float = LONG_S) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("did not come about")
        time.sleep(0.005)  # what other processes do to files comes about without an event


def uninterrupted(like: Recording, epochs: int) -> Recording:
    """One run of so many epochs with a recording's configuration."""
    return run_of(replace(like.config, epochs=epochs))


def run_of(config: RunConfig) -> Recording:
    """A run of the fused engine, from its first epoch to its last."""
    trainer = Trainer(config, 1 << 28)
    trainer.train(config.epochs)
    trainer.estimate()
    return trainer.recording


def gone_on_with(path: Path, epochs: int) -> Recording:
    """A file gone on with to so many epochs."""
    trainer = Trainer(replace(files.load(path).config, epochs=epochs), 1 << 28, str(path))
    trainer.measure_if_due()
    trainer.train(epochs)
    trainer.estimate()
    return trainer.recording


def equal(a: Recording, b: Recording) -> bool:
    """Return whether two recordings say the same, to the bit."""
    return len(a) == len(b) > 0 and all(a.column(n).tobytes() == b.column(n).tobytes() for n in a.names)


def resumes_exactly(path: Path, more: int = 700) -> bool:
    """Return whether a file, gone on with, becomes what a run without an interruption is."""
    recording = files.load(path)
    assert recording.checkpoint is not None
    total = max(recording.checkpoint.epoch, int(recording.column("epoch")[-1])) + more
    return equal(gone_on_with(path, total), uninterrupted(recording, total))


def temporaries(folder: Path) -> list[str]:
    """Files that somebody was writing."""
    return [name for name in os.listdir(folder) if name.endswith(files.TEMPORARY)]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one trial; also the home, where what cannot be written elsewhere goes."""
    place = Path(tempfile.mkdtemp(prefix="ibtui-fault-"))
    before = os.environ.get("HOME")
    home = place / "home"
    home.mkdir()
    os.environ["HOME"] = str(home)
    try:
        yield place
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before
        shutil.rmtree(place, ignore_errors=True)


def small_disk_command(place: Path, kilobytes: int) -> list[str]:
    """Return a command to run a shell's line with a small file system at `place`; empty: not allowed."""
    mount = f'mount -t tmpfs -o size={kilobytes}k none "{place}" && exec sh -c "$0"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return command if done.returncode == 0 else []


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [
        int(word)
        for thread in Path(f"/proc/{pid}/task").iterdir()  # any thread may have started one
        for word in (thread / "children").read_text().split()
    ]


def gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def rss_mb(pid: int) -> float:
    """The memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sockets() -> list[Path]:
    """Return the sockets on which workers listen, or listened."""
    return list(places.folder().glob("*.sock"))


def tidy() -> None:
    """Leave nothing of a trial to the next."""
    for stale in places.folder().iterdir():
        stale.unlink()


def asked(line: Connection) -> Status:
    """A worker's status, past its screen."""
    answer = line.ask(Peek())
    assert isinstance(answer, Frame)
    return answer.status


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Send a signal, and take in what is left."""
    process.send_signal(number)
    process.communicate(timeout=LONG_S)


def example(troubles: Sequence[str]) -> str:
    """One of the things that went wrong, for a row of the table; nothing of none."""
    return f" ({troubles[0]})" if troubles else ""


def worst(values: list[float] | np.ndarray) -> float:
    """The greatest; 0 of none."""
    return float(max(values, default=0.0))
