"""`ibtui ls`, `attach` and `stop`: runs that outlive their terminal."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from ibtui.errors import IbtuiError, UsageError, printable
from ibtui.run import places
from ibtui.run.client import greeted
from ibtui.run.protocol import Peek, Status, Stop

_ANSWER_S = 5.0
_STOP_S = 60.0
"""How long a run may take to save itself."""


@dataclass(frozen=True)
class Run:
    """A worker that listens."""

    name: str
    status: Status | None
    """None: it does not answer; `trouble` says why."""
    age_s: float
    trouble: str = ""


def running() -> list[Run]:
    """The user's workers, oldest first. What workers that died have left behind is cleared away."""
    found = []
    places.sweep()
    for path in sorted(places.folder().glob("*.sock")):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is no socket of a run
            if not stat.S_ISSOCK(path.lstat().st_mode):
                continue
            age = time.time() - path.stat().st_mtime
            try:
                found.append(Run(path.stem, _ask(path.stem), age))
            except ConnectionRefusedError:
                _clear(path)
            except TimeoutError as error:
                found.append(Run(path.stem, None, age, str(error)))
            except UsageError as error:
                if path.stem in str(error):  # another version's; the name of a run it is
                    found.append(Run(path.stem, None, age, str(error)))
            except EOFError:
                continue
    return sorted(found, key=lambda run: -run.age_s)


def _clear(socket: Path) -> None:
    """Remove what a worker has left that died without a word."""
    for path in (socket, socket.with_suffix(".log")):
        with contextlib.suppress(OSError):
            path.unlink()


def _ask(name: str) -> Status:
    with greeted(name) as connection:
        return _peek(connection, name)


def _peek(connection: Connection, name: str) -> Status:
    connection.send(Peek())
    if not connection.poll(_ANSWER_S):
        raise TimeoutError(f"{name} (process {places.peer_process(connection)}) does not answer")
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
    places.socket_path(name)
    if name not in names:
        there = f"there is {', '.join(names)}" if names else "there is none"
        raise UsageError(f"{printable(name)}: no such run; {there}")
    return name


def find_detached(name: str | None) -> str:
    """The name of the one run that is meant, if it is one that a second screen may leave as it likes.

    Raises
    ------
    UsageError
        There is no such run, or it belongs to the screen that started it, and ends with that one's q or ours.
    """
    name = find(name)
    for run in running():
        if run.name == name and run.status is not None and not run.status.detached:
            raise UsageError(f"{name}: belongs to the screen that started it; D in that one detaches it")
    return name


def list_runs() -> int:
    """Print a line per run: name, state, epoch, device and age."""
    runs = running()
    for run in runs:
        if (s := run.status) is None:
            print(f"{run.name}  {run.trouble.removeprefix(run.name).strip()}  {_age(run.age_s)}")
            continue
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
    """End a run, having it saved first, and say where. Several at once may stop the same run.

    Its log stays for a day, for screens that want to know how it ended.

    Raises
    ------
    IbtuiError
        It could not be saved, it does not end, or it died: its log does not say that it ended in order.
    """
    name = find(name)
    with _log(name) as log:  # open from now on: the run's own screen removes it, or `ls`
        before, told_before = None, len(_lines(log))
        try:
            with greeted(name) as connection:
                before = _peek(connection, name)
                connection.send(Stop(save=True))
                connection.poll(_ANSWER_S)
        except TimeoutError as error:
            raise IbtuiError(str(error)) from error
        except (OSError, EOFError):  # somebody else was faster
            pass
        _wait_for_the_end(name)
        lines = _lines(log)
    if before is None and not lines:
        raise UsageError(f"{name}: no such run any more")
    if "ended" not in lines and (before is None or before.run >= 0):  # one that never began has nothing
        raise IbtuiError(_DIED.format(name))
    if before is not None and not before.unsaved and len(lines) >= told_before:  # else it has been cut
        lines = lines[told_before:]  # what was written before is no news
    saved = next((line for line in reversed(lines) if line.startswith(("saved ", "not saved"))), "")
    reached = f" at epoch {before.epoch:,}" if before is not None else ""
    if saved.startswith("not saved"):
        raise IbtuiError(f"stopped {name}{reached}; {printable(saved)}")
    print(f"stopped {name}{reached}" + (f"; {printable(saved)}" if saved else ""))
    return 0


def _log(name: str) -> BinaryIO:
    try:
        return open(places.log_path(name), "rb")
    except FileNotFoundError:
        return io.BytesIO()


def _lines(log: BinaryIO) -> list[str]:
    log.seek(0)
    return log.read().decode("utf-8", "replace").split("\n")[:-1]


_DIED = "{}: died while it was told to stop"


def _wait_for_the_end(name: str) -> None:
    socket, end = places.socket_path(name), time.monotonic() + _STOP_S
    while os.path.lexists(socket):
        try:
            places.connect(name).close()
        except ConnectionRefusedError:
            _clear(socket)
            raise IbtuiError(_DIED.format(name)) from None
        except OSError:
            pass
        if time.monotonic() > end:
            raise IbtuiError(f"{name}: was told to stop, and has not ended in {_STOP_S:.0f} s")
        time.sleep(0.05)
