"""`ibtui ls`, `attach` and `stop`: runs that outlive their terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .errors import IbtuiError, UsageError, printable
from .worker import runtime
from .worker.client import greeted
from .worker.protocol import Peek, Status, Stop

_STOP_S = 10.0


@dataclass(frozen=True)
class Run:
    """A worker that answers."""

    name: str
    status: Status
    age_s: float


def running() -> list[Run]:
    """The user's workers, oldest first. What workers that died have left behind is cleared away."""
    found = []
    for path in sorted(runtime.folder().glob("*.sock")):
        try:
            status = _ask(path.stem)
            found.append(Run(path.stem, status, time.time() - path.stat().st_mtime))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            path.with_suffix(".log").unlink(missing_ok=True)
        except (OSError, EOFError, UsageError):
            continue
    return sorted(found, key=lambda run: -run.age_s)


def _ask(name: str) -> Status:
    with greeted(name) as connection:
        connection.send(Peek())
        status = connection.recv()
    assert isinstance(status, Status)
    return status


def find(name: str | None) -> str:
    """The name of the one run that is meant; `UsageError` where that is not one."""
    names = [run.name for run in running()]
    if name is None:
        if len(names) == 1:
            return names[0]
        raise UsageError("no run is there to choose" if not names else f"which one? {', '.join(names)}")
    runtime.socket_path(name)
    if name not in names:
        there = f"there is {', '.join(names)}" if names else "there is none"
        raise UsageError(f"{printable(name)}: no such run; {there}")
    return name


def list_runs() -> int:
    """Print a line per run: name, state, epoch, device and age."""
    runs = running()
    for run in runs:
        s = run.status
        where = f"{s.device} {s.engine}".strip() or "-"
        print(
            f"{run.name}  {s.state}  epoch {s.epoch:,} of {s.epochs:,}  {where}  {_age(run.age_s)}"
            f"  {'detached' if s.detached else 'attached'}"
        )
    if not runs:
        print("no runs")
    return 0


def _age(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{int(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def stop_run(name: str | None) -> int:
    """End a run, having it saved first, and say where."""
    name = find(name)
    socket: Path = runtime.socket_path(name)
    try:
        with greeted(name) as connection:
            connection.send(Peek())
            before: Status = connection.recv()
            connection.send(Stop(save=True))
            connection.recv()
    except (OSError, EOFError) as error:
        raise IbtuiError(f"{name}: does not answer: {error}") from error
    end = time.monotonic() + _STOP_S
    while socket.exists():
        if time.monotonic() > end:
            raise IbtuiError(f"{name}: was told to stop, and has not ended in {_STOP_S:.0f} s")
        time.sleep(0.02)
    tail = [line for line in runtime.log_tail(name) if line.startswith("saved ")]
    runtime.log_path(name).unlink(missing_ok=True)
    unsaved = before.unsaved
    print(f"stopped {name} at epoch {before.epoch:,}" + (f"; {tail[-1]}" if unsaved and tail else ""))
    return 0
