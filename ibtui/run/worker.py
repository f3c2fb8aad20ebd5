"""The worker process: a source in the main thread, and a server for the screens beside it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Protocol

from ibtui.errors import IbtuiError
from ibtui.run.job import Job
from ibtui.run.log import LogFile, Output
from ibtui.run.protocol import Save, Stop
from ibtui.run.saver import Keeper
from ibtui.run.server import Server
from ibtui.run.state import RunState

END_S = 0.7
"""How long the source may take to end by itself; then the worker is ended from outside of it."""


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
    threading.Thread(target=worker.server.run, name="server", daemon=True).start()
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
    """Sees to it that the process ends, and what happens before."""

    def __init__(self, session: RunState, keeper: Keeper, name: str) -> None:
        self.save_first = False
        self._session, self._keeper = session, keeper
        self._leaving = threading.Lock()
        self.server = Server(session, name, self.end, keeper.tick)

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
                    self.server.close()
                finally:
                    os._exit(status)
