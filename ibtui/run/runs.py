"""`ibtui ls`, `attach` and `stop`: runs that outlive their terminal."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibtui.errors import IbtuiError, UsageError, explain, printable
from ibtui.recording.paths import age_of
from ibtui.run import control, ended, loops, peers, places, wire
from ibtui.run.control import Where
from ibtui.run.ended import Ended
from ibtui.run.loops import Stream
from ibtui.run.protocol import Frame, Peek, Status, Stop
from ibtui.run.wire import Connection, OtherVersionError, WireError

_ANSWER_S = 5.0
_LEAVING_S = 0.5
"""Seconds for which a run may still count a screen that has been closed."""
_PAST_S = 24 * 3600.0
"""Seconds for which loops that have ended are listed."""
_STOP_S = 60.0
"""Seconds that a run may take to save itself."""


@dataclass(frozen=True)
class Run:
    """A worker that listens."""

    name: str
    status: Status | None
    """None: it does not say; `trouble` says why."""
    age_s: float
    """Negative where it is not known: the clock has been set back."""
    trouble: str = ""


def running() -> list[Run]:
    """The user's workers, oldest first. What workers that died have left behind is cleared away."""
    found: dict[str, Run] = {}
    places.sweep()
    for path in _files("*.sock"):
        with contextlib.suppress(OSError, EOFError):  # it has ended meanwhile, or is no socket of a run
            if stat.S_ISSOCK(path.lstat().st_mode) and (run := _run(path)) is not None:
                found[run.name] = run
    return sorted(found.values(), key=lambda run: (-run.age_s, run.name))


def _files(pattern: str) -> Iterator[Path]:
    for folder in places.folders():
        yield from folder.glob(pattern)


def _run(socket: Path) -> Run | None:
    name, age = socket.stem, age_of(socket)
    try:
        with wire.connect(name) as connection:
            status = _peek(connection, name)
        return Run(name, status, max(age, status.seconds))
    except ConnectionRefusedError:
        _clear(socket)
    except OtherVersionError as error:
        return Run(name, None, age, error.sentence)
    except TimeoutError as error:
        return Run(name, None, age, str(error).removeprefix(name).strip())
    except WireError as error:
        return Run(name, None, age, f"does not answer as a run does: {error}")
    except UsageError:  # not the name of a run
        pass
    return None


def _clear(socket: Path) -> None:
    """Remove what a worker has left that died without a word."""
    for path in (socket, socket.with_suffix(".log")):
        with contextlib.suppress(OSError):
            path.unlink()


def _peek(connection: Connection, name: str) -> Status:
    try:
        answer = connection.ask(Peek(), _ANSWER_S)
    except TimeoutError:
        raise TimeoutError(f"{name} (process {connection.process()}) does not answer") from None
    if not isinstance(answer, Frame):
        raise WireError("another answer than a status")
    return answer.status


def _peek_once_screens_have_left(connection: Connection, name: str) -> Status:
    end = time.monotonic() + _LEAVING_S
    while (status := _peek(connection, name)).screens and time.monotonic() < end:
        time.sleep(0.02)
    return status


def find(name: str | None) -> str:
    """Return the name of the run meant (None: the one detached run); `UsageError` for none, or several."""
    known = [run for run in running() if not (run.status is not None and run.status.loop)]
    names = [run.name for run in known]
    if name is None:
        detached = [run.name for run in known if run.status is not None and run.status.detached]
        if len(detached) == 1:
            return detached[0]
        if detached:
            raise UsageError(f"which one? {', '.join(detached)}")
        others = [f"{run.name} ({run.trouble or 'attached'})" for run in known]
        hint = f"; name it where you mean {' or '.join(others)}" if others else ""
        if watched := [loop.name for loop in control.live()]:
            hint += f"; a watched loop is only taken by its name: {', '.join(watched)}"
        raise UsageError(f"no detached run is there to choose{hint}")
    if os.path.isfile(name):
        raise UsageError(f"{printable(name)}: a file, and no run's name; {_shows_file(name)}")
    places.socket_path(name)
    if name not in names:
        if (end := ended.read(name)) is not None:
            raise UsageError(f"{name}: has ended at epoch {end.epoch:,}{_outcome(end)}")
        names += [loop.name for loop in control.live()]
        there = f"there is {', '.join(names)}" if names else "there is none"
        raise UsageError(f"{printable(name)}: no such run; {there}")
    return name


def _shows_file(path: str) -> str:
    """Return the command that shows a file that was named where a run should be."""
    for loop in control.live():
        if loop.stream is not None and loop.stream.exists() and os.path.samefile(loop.stream, path):
            return f"ibtui attach {loop.name} shows the loop that writes it"
    return f"ibtui replay {shlex.quote(printable(path))} shows it"


def find_watched(name: str | None) -> str | None:
    """Return the stream of the watched loop meant: the live one of a name, or the newest that has ended.

    None where it is no loop that is meant: another run has the name or, without one, it is not the one loop.
    """
    alive = control.live()
    if name is None:
        detached = [run for run in running() if run.status is not None and run.status.detached]
        others = len(detached) + len(alive)
        return _stream_of(alive[0]) if len(alive) == 1 == others else None
    for loop in alive:
        if loop.name == name:
            return _stream_of(loop)
    if any(run.name == name for run in running()):
        return None
    known = loops.streams(name) if loops.is_name(name) else []
    return str(known[0].path) if known else None


def _stream_of(loop: Where) -> str:
    if loop.stream is None:
        raise UsageError(f"{loop.name}: the loop has written nothing yet, or writes no more")
    return str(loop.stream)


def find_detached(name: str | None) -> str:
    """Return the name of a run as `find` does, if it is one that a second screen may leave as it likes.

    Others are refused in the same way: another version's, and one that belongs to the screen that started it,
    and ends with that one's q or ours.
    """
    if name is None and len(known := running()) == 1:
        name = known[0].name  # also one that is refused: it has its own reason
    name = find(name)
    with contextlib.suppress(OSError, EOFError, WireError), wire.connect(name) as connection:
        if not _peek(connection, name).detached:
            raise UsageError(f"{name}: belongs to the screen that started it; D in that one detaches it")
    return name


def list_runs() -> int:
    """Print a line for each run: name, state, epoch, device and age; and for those that have ended."""
    alive = control.live()
    lines = [_line(run) for run in running() if not (run.status is not None and run.status.loop)]
    lines += [_loop_line(loop) for loop in alive]
    silent = set(loops.sockets()) - {loop.name for loop in alive}  # those that have gone are removed by now
    for stream in loops.streams():
        if not _is_of(stream, alive):
            lines.append(_stream_line(stream, lives=stream.name in silent))
            silent.discard(stream.name)  # older ones of its name have ended
    lines += [_past(path) for path in sorted(_files("*.end"), key=age_of, reverse=True)]
    print("\n".join(filter(None, lines)) or "no runs")
    return 0


def _line(run: Run) -> str:
    if (s := run.status) is None:
        return f"{run.name}  {run.trouble}  {_age(run.age_s)}"
    where = f"{s.device} {s.engine}".strip() or "-"
    return (
        f"{run.name}  {printable(s.state)}  epoch {s.epoch:,} of {s.epochs:,}  {printable(where)}"
        f"  {_age(run.age_s)}  {'detached' if s.detached else 'attached'}{_screens(s)}"
    )


def _loop_line(loop: Where) -> str:
    of = f" of {loop.epochs:,}" if loop.epochs else ""
    others = loop.screens - 1  # this command's connection is one
    screens = f", {others} screen{'s' if others > 1 else ''}" if others > 0 else ""
    stream = printable(str(loop.stream)) if loop.stream is not None else "no stream"
    where = f"{loop.name}  {loop.state}  epoch {loop.epoch:,}{of}"
    return f"{where}  watched loop, pid {loop.pid}{screens}  {stream}"


def _stream_line(stream: Stream, *, lives: bool) -> str:
    """Return the line of a loop that does not answer, or has ended within a day; empty where before that."""
    if lives:
        return f"{stream.name}  does not answer  watched loop  {printable(str(stream.path))}"
    if (age := age_of(stream.path)) > _PAST_S:
        return ""
    return f"{stream.name}  ended  watched loop  {_age(age, ' ago')}  {printable(str(stream.path))}"


def _is_of(stream: Stream, alive: Sequence[Where]) -> bool:
    return any(loop.stream == stream.path for loop in alive)


def _screens(status: Status) -> str:
    """Say how many screens a run has; nothing of none, and of the one that a run belongs to."""
    if status.screens <= (not status.detached):
        return ""
    return f", {status.screens} screen{'s' if status.screens > 1 else ''}"


def _past(path: Path) -> str:
    """Return the line of a run that has ended; empty where it has not."""
    if path.with_suffix(".sock").exists() or (end := ended.read(path.stem)) is None:
        return ""
    how = "failed" if end.error else "ended"
    return f"{path.stem}  {how}  epoch {end.epoch:,}{_outcome(end)}  {_age(age_of(path), ' ago')}"


def _age(seconds: float, ago: str = "") -> str:
    minutes = int(seconds // 60)
    if seconds <= -1:
        return "age unknown: the clock was set back"
    if minutes < 1:
        return f"{max(0, int(seconds))} s{ago}"
    return (f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min") + ago


def _outcome(end: Ended, known: Collection[str] = ()) -> str:
    """Say why the run failed, where it did, and which file holds it (`known`: held it before), or none."""
    failed = f"; it had failed: {printable(end.error)}" if end.error else ""
    if end.unsaved:
        return f"{failed}; not saved: {printable(end.unsaved)}"
    if not end.saved:
        return failed
    file = end.saved[-1]
    return f"{failed}; {'had been saved:' if file in known else 'saved'} {printable(file)}"


def _who() -> str:
    """Say who stops a run: this process, and its terminal."""
    terminal = "no terminal"
    for stream in (0, 1, 2):
        with contextlib.suppress(OSError):
            terminal = os.ttyname(stream)
            break
    return f"`ibtui stop` (pid {os.getpid()}, {terminal})"


def _agreed(name: str) -> bool:
    """Ask the user whether a run that a screen shows is to be ended."""
    shown = f"{name}: a screen is attached to it"
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{shown}; ibtui stop {name} --yes ends it all the same")
    print(f"{shown}; end the run? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def stop_run(name: str | None, *, yes: bool = False) -> int:
    """End a run, having it saved first, and say where. Several at once may stop the same run.

    How it ended stays known for a day, also to screens that show it. The name is as for `find`. Where a
    screen shows the run the user is asked, unless `yes`; `UsageError` where nobody can be. `IbtuiError`
    where it could not be saved, does not end, or died: it has not said how it ended. Return the exit status:
    1 where the user was asked, and it is not to be ended.
    """
    if name is not None and (path := loops.sockets().get(name)) is not None and _stop_loop(name, path):
        return 0
    name = find(name)
    before, other_version = None, False
    try:
        with wire.connect(name) as connection:
            before = _peek(connection, name) if yes else _peek_once_screens_have_left(connection, name)
            if not yes and (before.screens or not before.detached) and not _agreed(name):
                print(f"{name} goes on")
                return 1
            with contextlib.suppress(TimeoutError):
                connection.ask(Stop(save=True, by=_who()), _ANSWER_S)
    except OtherVersionError as error:
        other_version = True
        _terminate(name, error.process)
    except TimeoutError as error:
        raise IbtuiError(str(error)) from error
    except (OSError, EOFError, WireError):  # somebody else was faster
        pass
    end = _wait_for_the_end(name)
    if end is None:
        _no_word(name, before, other_version)
        print(f"stopped {name}" + ("; its version does not say what it saved" if other_version else ""))
        return 0
    known = set(before.saved) if before is not None else set()
    told = f"stopped {name} at epoch {end.epoch:,}{_outcome(end, known)}"
    if end.unsaved:
        raise IbtuiError(told)
    print(told)
    return 0


def _stop_loop(name: str, path: Path) -> bool:
    """Ask a watched loop to end; return False where none listens there any more."""
    try:
        answer = control.stop(name, path)
    except ConnectionRefusedError:
        peers.remove(path)
        return False
    except OSError as error:
        raise IbtuiError(f"{name}: cannot be reached: {explain(error)}") from error
    if answer is None:
        print(f"{name} has been asked to end, and has not answered yet")
    elif answer.refused:
        raise UsageError(f"{name}: {answer.refused}")
    elif answer.state == "ended":
        print(f"stopped {name} at epoch {answer.epoch:,}")
    else:
        print(f"{name} ends after this epoch, its {answer.epoch:,}th")
    return True


def _no_word(name: str, before: Status | None, other_version: bool) -> None:
    """Raise, unless a run that does not say how it ended has nothing to say."""
    if other_version:  # 0.1 does not say
        return
    if before is None:
        raise UsageError(f"{name}: no such run any more")
    if before.run >= 0:
        raise IbtuiError(_DIED.format(name))


def _terminate(name: str, process: int | None) -> None:
    """Have a worker save and end that would not understand us."""
    if process is None:
        raise IbtuiError(
            f"{name}: another version's, and its process is not known; stop it with that version"
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)


_DIED = "{}: died while it was told to stop"


def _wait_for_the_end(name: str) -> Ended | None:
    socket, limit, end = places.socket_path(name), time.monotonic() + _STOP_S, None
    while os.path.lexists(socket):
        end = ended.read(name) or end  # its own screen may remove it at once
        try:
            wire.reach(name).close()
        except ConnectionRefusedError:
            _clear(socket)
            if ended.read(name) is None:
                raise IbtuiError(_DIED.format(name)) from None
        except OSError:
            pass
        if time.monotonic() > limit:
            raise IbtuiError(f"{name}: was told to stop, and has not ended in {_STOP_S:.0f} s")
        time.sleep(0.01)
    return ended.read(name) or end
