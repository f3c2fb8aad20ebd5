"""The worker process: a source in the main thread, and a thread for each screen that is connected."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from ibtui.errors import IbtuiError, UsageError
from ibtui.run import places
from ibtui.run.fallback import clean_folder
from ibtui.run.job import Job
from ibtui.run.log import LogFile, Output
from ibtui.run.protocol import GREETING, Done, Peek, Pull, Save, Stop
from ibtui.run.saver import Keeper
from ibtui.run.state import RunState

FIRST_SCREEN_S = 60.0
"""A worker to which no screen comes in this time ends."""
END_S = 0.7
"""How long the source may take to end by itself; then the worker is ended from outside of it."""
_ROUND_S = 1.0
"""How often the door looks after everything else that time brings."""


class Source(Protocol):
    """What a worker shows: training, a recording that is played, or what is left of a run."""

    def prepare(self) -> None:
        """Import and compile what is needed, and begin the session's first run."""

    def serve(self) -> bool:
        """Go on, and obey, until told to stop; returns whether to save first."""

    def close(self) -> None:
        """Let go of what it holds."""


def main() -> int:
    """Run a worker for the job on the standard input; returns its exit status."""
    sys.stdout, sys.stderr = Output(1), Output(2)
    job = Job.from_json(sys.stdin.readline())
    session = RunState(job.options, LogFile(1))
    keeper = Keeper(session, job.name)
    worker = Worker(session, keeper, job.name)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: worker.end(save=True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=worker.welcome, name="door", daemon=True).start()
    status = 1
    try:
        source = _source(session, keeper, job)
        source.prepare()
        if job.forget and job.recording is not None:
            Path(job.recording).unlink(missing_ok=True)
        worker.save_first = source.serve() or worker.save_first
        source.close()
        status = 0
    except IbtuiError as error:
        session.update(state="failed", message=str(error))
        worker.wait_to_be_told()
        status = error.exit_status
    except BaseException as error:
        traceback.print_exc()
        session.update(state="failed", message=f"{type(error).__name__}: {error}")
        worker.wait_to_be_told()
    finally:
        worker.leave(status)
    return status


def _source(session: RunState, keeper: Keeper, job: Job) -> Source:
    if job.remains is not None:
        from ibtui.run.remains import RemainsSource

        return RemainsSource(session, keeper, job)
    if job.replay is not None:
        from ibtui.run.replay import ReplaySource

        return ReplaySource(session, keeper, job.replay)
    from ibtui.run.training import TrainingSource

    return TrainingSource(session, keeper, job)


class Worker:
    """The worker's door: lets screens in, answers them, and sees to it that the process ends."""

    def __init__(self, session: RunState, keeper: Keeper, name: str) -> None:
        self.save_first = False
        self._session, self._keeper, self._name = session, keeper, name
        self._began = time.time()
        self._listener: socket.socket | None = None
        self._path: Path | None = None
        self._screens = 0
        self._alone_since = time.monotonic()
        self._lock = threading.Lock()
        self._leaving, self._door = threading.Lock(), threading.Lock()
        self._listen()

    def welcome(self) -> None:
        """Let screens in, for ever, and look after the rest once in a while."""
        threading.Thread(target=self._clean, name="cleaner", daemon=True).start()
        rounds = 0.0
        while True:
            self._let_in()
            if time.monotonic() - rounds >= _ROUND_S:
                rounds = time.monotonic()
                try:
                    self._look_after()
                except Exception:
                    traceback.print_exc()

    def _clean(self) -> None:
        """Remove what others have left. A folder on the network may take seconds; nobody waits for it."""
        with contextlib.suppress(Exception):
            places.sweep()
            clean_folder(self._session.folder)
            clean_folder(places.folder(), "run-")

    def _let_in(self) -> None:
        """Whoever knocks within a round."""
        try:
            assert self._listener is not None
            connection = places.accept(self._listener)
            if connection is not None:
                threading.Thread(target=self._attend, args=(connection,), daemon=True).start()
        except TimeoutError:
            pass
        except (OSError, RuntimeError, AssertionError):  # no file or thread is left to be had, for now
            time.sleep(_ROUND_S / 10)

    def _look_after(self) -> None:
        self._session.log.cut()
        self._keeper.tick()
        with contextlib.suppress(OSError, UsageError), self._door:
            if not self._session.ended.is_set():
                self._session.log.renew(places.log_path(self._name))
                if not places.socket_path(self._name).exists():
                    self._listen()
        alone = self._screens == 0 and not self._session.detached
        if alone and time.monotonic() - self._alone_since > FIRST_SCREEN_S:
            self.end(save=True)

    def _listen(self) -> None:
        """Open the door; again where the runtime folder has been removed, as it is after the last logout."""
        before, path = self._path, places.socket_path(self._name)
        listener = places.listen(self._name)
        listener.settimeout(_ROUND_S)
        if self._listener is not None:
            self._listener.close()
        self._listener, self._path = listener, path
        if before is not None and before != path:
            with contextlib.suppress(OSError):
                before.unlink()
        with contextlib.suppress(OSError):
            os.utime(self._path, (self._began, self._began))  # a run's age

    def _attend(self, connection: Connection) -> None:
        """Answer whoever is at the other end until it goes. One that pulls frames is a screen."""
        is_screen = told_to_stop = False
        try:
            connection.send_bytes(GREETING)
            while True:
                request = connection.recv()
                if isinstance(request, Pull):
                    if not is_screen:
                        is_screen = True
                        self._count(1)
                    connection.send(self._session.frame(request))
                elif isinstance(request, Peek):
                    connection.send(self._session.where())
                elif isinstance(request, Stop):
                    told_to_stop = True
                    try:
                        connection.send(Done())
                    finally:  # also where nobody waits for the answer
                        self.end(save=request.save)
                else:
                    self._session.obey(request)
                    connection.send(Done())
        except (EOFError, OSError):
            pass
        except Exception:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                connection.close()
            if is_screen and self._count(-1) == 0 and not told_to_stop and not self._session.detached:
                self.end(save=True)

    def _count(self, change: int) -> int:
        with self._lock:
            self._screens += change
            self._alone_since = time.monotonic()
            return self._screens

    def end(self, save: bool) -> None:
        """Have the source stop; if it is too busy to, end the process without it."""
        self.save_first = self.save_first or save
        self._session.commands.put(Stop(save))
        threading.Thread(target=self._insist, daemon=True).start()

    def _insist(self) -> None:
        if not self._session.ended.wait(END_S):
            self.leave(0)

    def wait_to_be_told(self) -> None:
        """Nothing can go on, but the history is there, and screens may ask for it or have it saved."""
        while not isinstance(command := self._session.commands.get(), Stop):
            if isinstance(command, Save):
                self._keeper.save(command)
        self.save_first = self.save_first or command.save

    def leave(self, status: int) -> None:
        """Save what is to be saved, and end the process at once: no library's clean-up may hang it.

        Where all went well the log says so: a worker that is killed over its last save leaves no such line.
        """
        with self._leaving:
            try:
                self._session.ended.set()
                self._keeper.finish(self.save_first)
                if status == 0:
                    print("ended", flush=True)
            except BaseException:
                traceback.print_exc()
            finally:
                try:
                    with self._door:
                        if self._path is not None:
                            self._path.unlink(missing_ok=True)
                        os._exit(status)
                finally:
                    os._exit(status)
