"""The worker process: a source in the main thread, and a server for the screens beside it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from ibtui.console import tell_warnings
from ibtui.errors import IbtuiError, explain
from ibtui.run import ended, places
from ibtui.run.ended import Ended
from ibtui.run.job import Job
from ibtui.run.log import LogFile, Output
from ibtui.run.protocol import Save, Stop
from ibtui.run.server import Server
from ibtui.run.source import Source
from ibtui.run.state import RunState
from ibtui.run.worker_saver import WorkerSaver

END_S = 0.7
"""Seconds that the source may take to end by itself; then the worker is ended from outside of it."""


def main(job: Job) -> int:
    """Run a worker for a job; return its exit status."""
    sys.stdout, sys.stderr = Output(1), Output(2)
    tell_warnings()
    state = RunState(job.options, LogFile(1))
    worker = Worker(state, WorkerSaver(state, job.name), job.name)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: worker.end(save=True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=worker.server.run, name="server", daemon=True).start()
    if job.recording is None and not job.options.detach:
        threading.Thread(target=worker.outlive_nobody, name="starter", daemon=True).start()
    status = 1
    try:
        status = worker.run(job)
    finally:
        worker.leave(status)
    return status


def _source(state: RunState, saver: WorkerSaver, job: Job) -> Source:
    """Make the source that a job asks for; what it does not need is not imported."""
    if job.replay is not None:
        from ibtui.run.playback import Playback

        return Playback(state, saver, job)
    if job.watch is not None:
        from ibtui.run.watched import Watched

        return Watched(state, saver, job)
    from ibtui.run.training import Training

    return Training(state, saver, job)


class Worker:
    """Runs a source, and sees to it that the process ends, saved and with its end written."""

    def __init__(self, state: RunState, saver: WorkerSaver, name: str) -> None:
        self.save_first = False
        """True if what is unsaved is to be saved before the end."""
        self._state, self._saver, self._name = state, saver, name
        self._leaving = threading.Lock()
        self._forsaken = False
        """True where nobody knows of the run, nor will."""
        self.server = Server(state, name, self.end, saver.tick)

    def run(self, job: Job) -> int:
        """Run the job's source until told to stop; return the exit status."""
        state = self._state
        try:
            source = _source(state, self._saver, job)
            state.update(trains=source.trains, plays=source.plays)
            source.prepare()
            if job.temporary and job.recording is not None:
                Path(job.recording).unlink(missing_ok=True)
            self.save_first = source.serve() or self.save_first
            source.close()
            return 0
        except BaseException as error:
            if not isinstance(error, IbtuiError):
                traceback.print_exc()
            state.update(state="failed", message=explain(error))
            self.wait_to_be_told()
            return error.exit_status if isinstance(error, IbtuiError) else 1

    def end(self, save: bool) -> None:
        """Have the source stop; if it is too busy to, end the process without it."""
        self.save_first = self.save_first or save
        self._state.commands.put(Stop(save))
        threading.Thread(target=self._insist, daemon=True).start()

    def outlive_nobody(self) -> None:
        """Wait for whoever started this to go; if no screen has looked by then, end and leave nothing."""
        while sys.stdin.buffer.read(1):
            pass
        if not self._state.seen:
            self._forsaken = True
            self.end(save=False)

    def _insist(self) -> None:
        if not self._state.ended.wait(END_S):
            self.leave(0)

    def wait_to_be_told(self) -> None:
        """Wait for the end. Nothing can go on, but screens may ask for the history or have it saved."""
        while not isinstance(command := self._state.commands.get(), Stop):
            if isinstance(command, Save):
                self._saver.save(command)
        self.save_first = self.save_first or command.save

    def leave(self, status: int) -> None:
        """Save what is to be saved, and end the process at once: no library's clean-up may hang it.

        The end is written only after the last save: a worker that is killed over that leaves none.
        """
        with self._leaving:
            try:
                self._state.ended.set()
                if not self._forsaken:
                    unsaved, now = self._save(), self._state.reached()
                    error = now.message if now.state == "failed" else ""
                    end = Ended(now.epoch, now.saved, unsaved, error, status, self._state.stopped_by)
                    ended.write(self._name, end)
                    print("ended", flush=True)
            except BaseException:
                traceback.print_exc()
            finally:
                try:
                    self.server.close()
                    if self._forsaken:
                        places.clear(self._name)
                finally:
                    os._exit(status)

    def _save(self) -> str:
        """Save what is to be saved; return why history is in no file, if it is not."""
        try:
            return self._saver.finish(self.save_first)
        except BaseException as error:
            traceback.print_exc()
            return explain(error)
