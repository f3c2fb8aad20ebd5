"""The screen's side of a worker: its process, and a thread that sends requests and gets the answers."""

from __future__ import annotations

import contextlib
import enum
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from ibtui.console import Signals
from ibtui.errors import IbtuiError, UsageError, explain, printable
from ibtui.recording import Recording, files
from ibtui.run import ended, log, places, wire
from ibtui.run.job import Job
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.process import start_worker
from ibtui.run.protocol import Answer, Command, Detach, Frame, Leave, Notice, Pull, Restart, Save, Step, Stop
from ibtui.run.wire import Connection, WireError


class Client(Protocol):
    """The part of a worker that the screen needs. Nothing in here blocks."""

    lost: Lost | None
    """The reason for the worker's end, or None while it runs. Set before `arrived` is called."""

    @property
    def detached(self) -> bool:
        """True once Detach was sent: closing the screen no longer ends the run."""

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        """Begin; `arrived` is called in the client's own thread with each frame, and once when it is lost."""

    def send(self, command: Command) -> None:
        """Have a command carried out, in the order of sending."""

    def pull(self, mirror: Mirror, row: int | None) -> None:
        """Ask for the next frame, looking at a measurement (None: the present). One at a time."""

    def close(self) -> None:
        """Let go of the worker; unless it was told `Detach`, that ends it."""


@dataclass
class Patience:
    """Seconds that a client waits."""

    start: float = 120.0
    """For a new worker to open its socket."""
    end: float = 2.0
    """For a worker to end."""
    save: float = 60.0
    """For one to end that has a history to save first."""
    tell: float = 30.0
    """For a worker to be told that it is to go on, once the screen is closed."""
    broken: float = 5.0
    """A connection that breaks sooner is not made anew once more."""


_DONE = {Step: "the step was made", Restart: "the run was restarted", Save: "a snapshot was written"}
"""Commands that must not be carried out twice, and what each does. All others may be sent again."""


class _Fate(enum.Enum):
    """The worker's future when its screen closes, as far as it was told."""

    ENDS = enum.auto()
    """It ends with the screen, as it does by itself when the connection ends."""
    LEAVING = enum.auto()
    """It was told to go on, and has not answered yet."""
    GOES_ON = enum.auto()
    SAVES = enum.auto()
    """It was told to save and to end."""
    DISCARDS = enum.auto()
    """It was told to end without saving."""


_DETACHED = (_Fate.LEAVING, _Fate.GOES_ON)
_STOPPED = (_Fate.SAVES, _Fate.DISCARDS)


class WorkerClient:
    """A worker process of our own, started for a job, or one that is there already, by its name.

    A recording that is `handed` to it is the one that the job names: it is still to be written there.
    `process` is the job's worker where it is started already; `connect` makes a connection to the worker of a
    name.
    """

    def __init__(
        self,
        job: Job | None = None,
        name: str | None = None,
        handed: Recording | None = None,
        process: subprocess.Popen[bytes] | None = None,
        patience: Patience | None = None,
        connect: Callable[[str], Connection] = wire.connect,
    ) -> None:
        self.job, self._handed = job, handed
        self._patience, self._reach = patience or Patience(), connect
        self.name = job.name if job is not None else name or ""
        self.lost: Lost | None = None
        self.saved: tuple[str, ...] = ()
        """After `wait`, the files that the worker says to have written."""
        self.failed = False
        """After `wait`, True where the worker was to save what it had, and is not known to have."""
        self.process = process
        """The worker's, where it is one of our own that has been started."""
        self._connection: Connection | None = None
        self._connected_at = 0.0
        self._requests: queue.SimpleQueue[Command | Pull | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._mirror: Mirror | None = None
        """The mirror that the next frame must fit."""
        self._fate = _Fate.GOES_ON if job is None or job.options.detach else _Fate.ENDS
        self._save_sent = False
        self._parting = False
        """True while a watched loop is still to be told what becomes of it without this screen."""
        self._doubtful: list[Command | Pull] = []
        """Commands whose answer did not come; the next frame says so."""
        self._deciding = threading.Lock()
        """Held while the fate changes."""
        self._closing, self._starting = threading.Event(), threading.RLock()

    @property
    def detached(self) -> bool:
        return self._fate in _DETACHED

    @property
    def goes_on(self) -> bool:
        """True where the worker outlives the screen."""
        there = self.lost is None if self.process is None else self.process.poll() is None
        return self.detached and there

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        with self._starting:
            if self._handed is None:
                self._spawn()
            self._thread = threading.Thread(target=self._talk, args=(arrived,), name="client", daemon=True)
            self._thread.start()

    def spawn(self, signals: Signals) -> None:
        """Start the worker without a thread to talk to it, and wait until it listens.

        One that does not come to that, or is not waited for, is told to end: nobody would know its name.
        Signals break off the waiting, by `Interrupted`, and nothing afterwards. `IbtuiError` says that it
        ended, or does not answer.
        """
        assert self.job is not None
        self.process = start_worker(self.job)
        try:
            signals.break_off_at(1)
            self._connect().close()
            signals.break_off_at(0)
        except BaseException as error:
            why = self._reason(error) if isinstance(error, (OSError, EOFError)) else ""
            self.process.terminate()
            if not why:
                raise
            tail = "; ".join(map(printable, log.tail(self.name, 1)))
            raise IbtuiError(f"{why}{tail and ': '}{tail}") from error

    def send(self, command: Command) -> None:
        if isinstance(command, Stop):
            self._decide(_Fate.SAVES if command.save else _Fate.DISCARDS)
        elif isinstance(command, Detach):
            self._decide(_Fate.LEAVING, where=(_Fate.ENDS,))
        self._save_sent = self._save_sent or isinstance(command, Save)
        self._parting = self._parting or isinstance(command, Leave)
        self._requests.put(command)

    def _decide(self, fate: _Fate, where: tuple[_Fate, ...] = tuple(_Fate)) -> bool:
        """Change the fate where it is one of these; returns whether it was."""
        with self._deciding:
            decided = self._fate in where
            if decided:
                self._fate = fate
            return decided

    def pull(self, mirror: Mirror, row: int | None) -> None:
        self._mirror = mirror
        tick = mirror.recording.tick if mirror.recording is not None else 0
        reached = mirror.checkpoint.epoch if mirror.checkpoint is not None else -1
        log, notices, reference = mirror.log_end, mirror.notices, mirror.reference_tick
        drawn, net = mirror.drawn, mirror.net
        self._requests.put(Pull(mirror.run, tick, row, drawn, reached, log, notices, net, reference))

    def close(self) -> None:
        """Let go of the worker. Returns when all was said, two seconds later at most.

        It takes longer only where the worker still has to hear that it, or a watched loop, is to go on.
        """
        with self._starting:
            self._closing.set()
        self._requests.put(None)
        if self._thread is not None:
            telling = self._parting or self._fate is _Fate.LEAVING
            self._thread.join(self._patience.tell if telling else self._patience.end)
        if self._connection is not None:
            self._connection.hang_up()
            if self._thread is not None:
                self._thread.join(self._patience.end)  # it closes the connection
        untold = self._decide(_Fate.SAVES, where=(_Fate.LEAVING,))
        if self.process is not None and (untold or (self._connection is None and not self.goes_on)):
            # It could not be told, and would wait for a screen that never comes.
            self.process.kill() if self._fate is _Fate.DISCARDS else self.process.terminate()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the worker to end, longer where it may have something to write; else it is killed.

        Nothing of one that has ended is left in the runtime folder.
        """
        if self.job is None or self.goes_on:
            return
        if self.process is not None:
            nothing_to_write = self._fate is _Fate.DISCARDS and not self._save_sent
            try:
                self.process.wait(
                    seconds or (self._patience.end if nothing_to_write else self._patience.save)
                )
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        end = ended.read(self.name)
        self.saved = end.saved if end is not None else ()
        self.failed = self._fate is _Fate.SAVES and (end is None or bool(end.unsaved))
        places.clear(self.name)

    # In the client's thread.

    def _talk(self, arrived: Callable[[Frame | Lost], None]) -> None:
        try:
            if self._handed is not None:
                self._hand_over(self._handed)
            self._connection = self._connect()
            while (request := self._requests.get()) is not None:
                answer = self._answer(request)
                if isinstance(request, Leave):
                    self._parting = False
                elif isinstance(request, Detach):
                    self._decide(_Fate.GOES_ON, where=(_Fate.LEAVING,))
                if isinstance(answer, Frame):
                    arrived(self._doubted(answer))
            self._connection.close()
        except Exception as error:  # also what is no message, or does not fit into the memory
            if self._connection is not None:
                self._connection.close()
            if not (self._fate in _STOPPED or self._closing.is_set()):
                self.lost = self._lost(error)
                arrived(self.lost)

    def _answer(self, request: Command | Pull) -> Answer | None:
        """Return the answer; None where the connection broke, and the request must not be sent again."""
        while True:
            assert self._connection is not None
            try:
                return self._checked(self._connection.ask(request))
            except Exception:
                self._connection.close()
                broken_soon = time.monotonic() - self._connected_at < self._patience.broken
                if not self.goes_on or self._closing.is_set() or broken_soon:
                    raise
                # A detached run need not have died with the connection. If it has, this fails at once.
                self._connection = self._connected()
                if type(request) in _DONE:
                    self._doubtful.append(request)
                    return None

    def _checked(self, answer: Answer) -> Answer:
        if isinstance(answer, Frame) and self._mirror is not None:
            try:
                self._mirror.check(answer)
            except ValueError as error:
                raise WireError(str(error)) from error
        return answer

    def _doubted(self, frame: Frame) -> Frame:
        """The frame, which says of each command in doubt that it may have been carried out or not."""
        for command in self._doubtful:
            text = f"the connection broke: whether {_DONE[type(command)]} is not known"
            ticket = command.ticket if isinstance(command, Save) else 0
            if ticket:  # somebody waits, and asks the user
                results = {ticket: text} | dict(frame.status.save_results)
                status = replace(frame.status, save_results=tuple(results.items()))
                frame = msgspec.structs.replace(frame, status=status)
            else:
                frame = msgspec.structs.replace(frame, notices=(*frame.notices, Notice(text, "warning")))
        self._doubtful = []
        return frame

    def _hand_over(self, recording: Recording) -> None:
        """Start the worker, once the recording that it is to begin with is written: that takes a while."""
        assert self.job is not None and self.job.recording is not None
        files.save(recording, self.job.recording, overwrite=True)
        self._handed = None
        self._spawn()
        if self.process is None:
            places.clear(self.name)

    def _spawn(self) -> None:
        """Start the worker, unless there is one, or none is wanted, or we have been left meanwhile."""
        with self._starting:
            if self.job is not None and self.process is None and not self._closing.is_set():
                self.process = start_worker(self.job)

    def _connect(self) -> Connection:
        """Return a connection to the worker, which may be about to start."""
        end = time.monotonic() + self._patience.start
        while True:
            try:
                return self._connected()
            except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
                dead = self.process is None or self.process.poll() is not None
                left = self._closing.is_set() and self._fate is not _Fate.LEAVING
                if dead or left or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _connected(self) -> Connection:
        connection = self._reach(self.name)
        self._connected_at = time.monotonic()
        return connection

    def _lost(self, error: Exception) -> Lost:
        why, end = self._reason(error), ended.read(self.name)
        saved = end.saved if end is not None and not end.unsaved else None
        stopped = end is not None and bool(end.stopped_by) and not end.error
        if end is not None and stopped:
            why = f"stopped by {end.stopped_by}"
        return Lost(why, log.tail(self.name), saved, stopped)

    def _reason(self, error: Exception) -> str:
        """Say how the worker ended, as far as can be known."""
        if isinstance(error, WireError):  # it is alive, and ends with this connection
            return f"the worker's answer cannot be read: {error}"
        if isinstance(error, UsageError):
            return str(error)
        if self.detached and self._connection is not None and self._answers():
            return f"the connection breaks again and again; the run goes on: ibtui attach {self.name}"
        if self.process is None:
            return f"the connection to {self.name} has ended" if self.job is None else explain(error)
        try:
            status = self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return f"the worker (pid {self.process.pid}) does not answer: {explain(error)}"
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"the worker was killed by {signal.Signals(-status).name}"
        return f"the worker ended with exit status {status}" if status else "the worker was told to end"

    def _answers(self) -> bool:
        try:
            self._reach(self.name).close()
        except (OSError, EOFError, IbtuiError):
            return False
        return True
