"""The screen's side of a worker: one thread that owns the connection."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from ibtui.errors import IbtuiError, UsageError, printable
from ibtui.recording import Recording, files
from ibtui.run import log, places
from ibtui.run.fallback import reason
from ibtui.run.job import Job
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import (
    GREETING,
    Command,
    Detach,
    Frame,
    Notice,
    Pull,
    Restart,
    Save,
    Step,
    Stop,
)
from ibtui.signals import Signals


class Client(Protocol):
    """What the screen needs of a worker. Nothing in here blocks."""

    detached: bool
    """Whether it outlives the screen, from the moment on that it is told to."""
    lost: Lost | None
    """How it has gone, from before that arrives."""

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        """Begin; `arrived` is called in the client's own thread with each frame, and once when it is lost."""

    def send(self, command: Command) -> None:
        """Have a command carried out, in the order of sending."""

    def pull(self, mirror: Mirror, row: int | None) -> None:
        """Ask for the next frame, looking at a measurement (None: the present). One at a time."""

    def close(self) -> None:
        """Let go of the worker; unless it was told `Detach`, that ends it."""


START_S = 120.0
"""How long a new worker may take to open its socket."""
END_S = 2.0
"""How long a worker may take to end."""
SAVE_S = 60.0
"""How long one may take that has a history to save first."""
TELL_S = 30.0
"""How long a screen that is left may wait to tell one that it is to go on."""
GREETING_S = 5.0
"""How long a worker that listens may take to say so."""
BROKEN_S = 5.0
"""A connection that breaks sooner is not made anew once more."""


_DONE = {
    Step: "the step was made",
    Restart: "the run was restarted",
    Save: "a snapshot was written",
}
"""Commands that are not to be carried out twice, and what each does. Of all others once more is no more."""


class WorkerClient:
    """A worker process of our own, or one that is there already.

    Parameters
    ----------
    job : Job, optional
        Start a worker for this.
    name : str, optional
        Connect to the worker of this name.
    handed : Recording, optional
        The recording that the job names: it is still to be written there.
    """

    def __init__(
        self, job: Job | None = None, name: str | None = None, handed: Recording | None = None
    ) -> None:
        self._job, self._handed = job, handed
        self.name = job.name if job is not None else name or ""
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._requests: queue.SimpleQueue[Command | Pull | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = self._discarding = self._saving = False
        self._doubtful: list[Command | Pull] = []
        self._untold = False
        """Whether it is to outlive us, and has not heard so."""
        self.lost: Lost | None = None
        self.saved: tuple[str, ...] = ()
        """After `wait`, the files that the worker is known by its log to have written."""
        self.failed = False
        """After `wait`, whether the worker was to save what it had, and is not known to have."""
        self._closing, self._starting = threading.Event(), threading.RLock()
        self.detached = job is None or job.options.detach

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        """See `Client.start`."""
        with self._starting:
            if self._handed is None:
                self._spawn()
            self._thread = threading.Thread(target=self._talk, args=(arrived,), name="client", daemon=True)
            self._thread.start()

    def spawn(self, signals: Signals) -> None:
        """Start the worker without a thread to talk to it, and wait until it listens.

        One that does not come to that, or is not waited for, is told to end: nobody would know its name.

        Parameters
        ----------
        signals : Signals
            What arrives breaks off the waiting, and nothing afterwards.

        Raises
        ------
        IbtuiError
            It ended instead, or does not answer.
        Interrupted
        """
        assert self._job is not None
        self._process = _spawn(self._job)
        try:
            signals.break_off_at(1)
            self._connect().close()
            signals.break_off_at(0)
        except BaseException as error:
            why = self._reason(error) if isinstance(error, (OSError, EOFError)) else ""
            self._process.terminate()
            if not why:
                raise
            tail = "; ".join(map(printable, log.tail(self.name, 1)))
            raise IbtuiError(f"{why}{tail and ': '}{tail}") from error

    def send(self, command: Command) -> None:
        """See `Client.send`."""
        if isinstance(command, Stop):
            self._stopping, self._discarding, self._untold = True, not command.save, False
        self._saving = self._saving or isinstance(command, Save)
        if isinstance(command, Detach) and not self.detached:
            self.detached = self._untold = True
        self._requests.put(command)

    def pull(self, mirror: Mirror, row: int | None) -> None:
        """See `Client.pull`."""
        tick = mirror.recording.tick if mirror.recording is not None else 0
        key = mirror.look.key if mirror.look is not None else ()
        reached = mirror.checkpoint.epoch if mirror.checkpoint is not None else -1
        self._requests.put(Pull(mirror.run, tick, row, key, reached, mirror.log_end, mirror.notices))

    def close(self) -> None:
        """See `Client.close`. Returns when all was said, two seconds later at most.

        It takes longer only where the worker still has to hear that it is to go on.
        """
        with self._starting:
            self._closing.set()
        self._requests.put(None)
        if self._thread is not None:
            self._thread.join(TELL_S if self._untold else END_S)
        if self._connection is not None:
            places.hang_up(self._connection)
            if self._thread is not None:
                self._thread.join(END_S)  # it closes the connection
        self._stopping = self._stopping or self._untold  # nor will it go on, then
        if self._process is not None and (self._untold or (self._connection is None and not self.goes_on)):
            # It could not be told, and would wait for a screen that never comes.
            self._process.kill() if self._discarding else self._process.terminate()

    @property
    def goes_on(self) -> bool:
        """Whether the worker outlives the screen."""
        there = self.lost is None if self._process is None else self._process.poll() is None
        return self.detached and not self._stopping and there

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the worker to end, longer where it may have something to write; else it is killed.

        Nothing of one that has ended is left in the runtime folder.
        """
        if self._job is None or self.goes_on:
            return
        if self._process is not None:
            try:
                nothing_to_write = self._discarding and not self._saving
                self._process.wait(seconds or (END_S if nothing_to_write else SAVE_S))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        tail = log.tail(self.name)
        self.saved = _files_named(tail)
        self.failed = self._stopping and not self._discarding and not self._saved_at_last(tail)
        places.clear(self.name)

    def _saved_at_last(self, tail: Sequence[str]) -> bool:
        """Whether the last words of a worker that was told to save say that nothing is unsaved."""
        ended = self._process is not None and self._process.returncode >= 0
        # One whose run had failed ends with a status of its own, and says no more than what it saved.
        return _in_order(tail) or (ended and any(line.startswith("saved ") for line in tail[-1:]))

    def _talk(self, arrived: Callable[[Frame | Lost], None]) -> None:
        try:
            if self._handed is not None:
                self._hand_over(self._handed)
            self._connection, connected = self._connect(), time.monotonic()
            request = self._requests.get()
            while request is not None:
                try:
                    answer = self._ask(request)
                except Exception:
                    if not self.goes_on or self._closing.is_set() or time.monotonic() - connected < BROKEN_S:
                        raise
                    # A detached run need not have died with the connection. If it has, this fails at once.
                    self._connection, connected = greeted(self.name), time.monotonic()
                    if type(request) not in _DONE:
                        continue
                    self._doubtful.append(request)
                    answer = None
                if isinstance(answer, Frame):
                    arrived(self._doubted(answer))
                self._untold = self._untold and not isinstance(request, Detach)
                request = self._requests.get()
            self._connection.close()
        except Exception as error:  # also what cannot be unpickled, or does not fit into the memory
            if not (self._stopping or self._closing.is_set()):
                why, tail = self._reason(error), log.tail(self.name)
                files = _files_named(tail) if _in_order(tail) else None
                self.lost = Lost(why, tail, files)
                arrived(self.lost)

    def _doubted(self, frame: Frame) -> Frame:
        """The frame, which says of each command that it may have been carried out or not."""
        for command in self._doubtful:
            text = f"the connection broke: whether {_DONE[type(command)]} is not known"
            ticket = command.ticket if isinstance(command, Save) else 0
            if ticket:  # somebody waits, and asks the user
                settled = {ticket: text} | dict(frame.status.settled)
                frame = replace(frame, status=replace(frame.status, settled=tuple(settled.items())))
            else:
                frame = replace(frame, notices=(*frame.notices, Notice(text, "warning")))
        self._doubtful = []
        return frame

    def _ask(self, request: Command | Pull) -> object:
        """The answer; where none comes the connection is closed."""
        assert self._connection is not None
        try:
            self._connection.send(request)
            return self._connection.recv()
        except BaseException:
            self._connection.close()
            raise

    def _hand_over(self, recording: Recording) -> None:
        """Start the worker, once the recording that it is to begin with is written: that takes a while."""
        assert self._job is not None and self._job.recording is not None
        files.save(recording, self._job.recording, overwrite=True)
        self._handed = None
        self._spawn()
        if self._process is None:
            places.clear(self.name)

    def _spawn(self) -> None:
        """Start the worker, if there is to be one and we have not been left meanwhile."""
        with self._starting:
            if self._job is not None and not self._closing.is_set():
                self._process = _spawn(self._job)

    def _connect(self) -> Connection:
        end = time.monotonic() + START_S
        while True:
            try:
                return greeted(self.name)
            except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
                dead = self._process is None or self._process.poll() is not None
                if dead or (self._closing.is_set() and not self._untold) or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _reason(self, error: Exception) -> str:
        """How the worker ended, as far as can be known."""
        if isinstance(error, UsageError):
            return str(error)
        if self.detached and self._connection is not None and self._answers():
            return f"the connection breaks again and again; the run goes on: ibtui attach {self.name}"
        if self._process is None:
            return f"the connection to {self.name} has ended" if self._job is None else reason(error)
        try:
            status = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return f"the worker (pid {self._process.pid}) does not answer: {error or type(error).__name__}"
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"the worker was killed by {signal.Signals(-status).name}"
        return f"the worker ended with exit status {status}" if status else "the worker was told to end"

    def _answers(self) -> bool:
        try:
            greeted(self.name).close()
        except (OSError, EOFError, UsageError):
            return False
        return True


def _files_named(log: Iterable[str]) -> tuple[str, ...]:
    """The files that a worker says in its log to have written."""
    return tuple(line.removeprefix("saved ") for line in log if line.startswith("saved "))


def _in_order(log: Sequence[str]) -> bool:
    """Whether a worker ended when it was told to, and nothing of its run is unsaved: its last words say so.

    A log that is not there any more says nothing. Better to save twice than never.
    """
    *_, before, last = ("", "", *log)
    return last == "ended" and not before.startswith("not saved")


def greeted(name: str) -> Connection:
    """A connection to a worker that speaks our version of the protocol.

    Raises
    ------
    OSError
        None listens there, it is another user's, or it does not greet us.
    UsageError
        It is another version's.
    """
    connection = places.connect(name)
    try:
        if not connection.poll(GREETING_S):
            raise TimeoutError(f"{name} does not answer")
        version = connection.recv_bytes(64)
        if version != GREETING:
            raise UsageError(f"{name} was started by another version of ibtui; use that one")
    except BaseException:
        connection.close()
        raise
    return connection


_ROOT = str(Path(__file__).resolve().parents[2])
_MAIN = "import sys; sys.path = [p for p in sys.path if p] + [{!r}]; from ibtui.run import __main__"
"""Runs the worker. With -m, a file of the user's named queue.py or token.py would be taken for a library."""


def _spawn(job: Job) -> subprocess.Popen[bytes]:
    """A worker, in a session of its own: no signal of the terminal reaches it, nor its output the screen."""
    with open(places.log_path(job.name), "a+b") as log:  # the worker reads it too
        process = subprocess.Popen(
            [sys.executable, "-c", _MAIN.format(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(job.to_json().encode() + b"\n")
    return process
