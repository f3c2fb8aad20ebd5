"""The worker process: a source in the main thread, and a thread for each screen that is connected."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from ..errors import IbtuiError
from . import runtime
from .job import Job
from .protocol import GREETING, Done, Peek, Pull, Stop
from .session import Session

FIRST_SCREEN_S = 60.0
"""A worker to which no screen comes in this time ends."""
END_S = 0.7
"""How long the source may take to end by itself; then the worker is ended from outside of it."""


class Source(Protocol):
    """What a worker shows: training, or a recording that is played."""

    def prepare(self) -> None:
        """Import and compile what is needed, and begin the session's first run."""

    def serve(self) -> bool:
        """Go on, and obey, until told to stop; returns whether to save first."""

    def close(self) -> None:
        """Let go of what it holds."""


def main() -> int:
    """Run a worker for the job on the standard input; returns its exit status."""
    job = Job.from_json(sys.stdin.readline())
    session = Session(job.options, runtime.log_path(job.name))
    listener = runtime.listen(job.name)
    worker = Worker(session, listener)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: worker.end(save=True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=worker.welcome, name="door", daemon=True).start()
    status = 1
    try:
        source = _source(session, job)
        source.prepare()
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


def _source(session: Session, job: Job) -> Source:
    if job.replay is not None:
        from .replay import ReplaySource

        return ReplaySource(session, job.replay)
    from .training import TrainingSource

    return TrainingSource(session, job)


class Worker:
    """The worker's door: lets screens in, answers them, and sees to it that the process ends."""

    def __init__(self, session: Session, listener: socket.socket) -> None:
        self.save_first = False
        self._session = session
        self._listener = listener
        self._path = Path(listener.getsockname())
        self._screens = 0
        self._lock = threading.Lock()
        self._leaving = threading.Lock()

    def welcome(self) -> None:
        """Let screens in, for ever."""
        self._listener.settimeout(FIRST_SCREEN_S)
        while True:
            try:
                connection = runtime.accept(self._listener)
            except TimeoutError:
                if self._screens == 0 and not self._session.detached:
                    self.end(save=True)
                    return
                continue
            except OSError:
                return
            if connection is not None:
                threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

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
                    connection.send(Done())
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
        """Nothing can go on, but the history is there and screens may ask for it."""
        while not isinstance(self._session.commands.get(), Stop):
            pass

    def leave(self, status: int) -> None:
        """Save if that is wanted, and end the process at once: no library's clean-up may hang it."""
        with self._leaving:
            self._session.ended.set()
            try:
                if self.save_first:
                    self._session.save_at_once()
            except Exception:
                traceback.print_exc()
            self._path.unlink(missing_ok=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
