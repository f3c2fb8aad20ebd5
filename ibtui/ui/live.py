"""The live screen over a worker: one of our own, one that is there already, or one that plays a file."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ibtui.config import RunConfig, WatchOptions
from ibtui.recording import Recording
from ibtui.run import places
from ibtui.run.client import Client, WorkerClient
from ibtui.run.job import DeadRun, Job, new_job
from ibtui.run.snapshot import Snapshot, save_last
from ibtui.ui.app import run
from ibtui.ui.summary import Farewell

_TELL_S = 0.5
"""Time for a terminal to take the last line."""


class LiveWorkers:
    """The workers that a screen has had, one after another; makes those that take over, and writes files."""

    def __init__(self, client: WorkerClient, options: WatchOptions) -> None:
        self.clients = [client]
        self._options = options

    def write(self, recording: Recording, place: str | None) -> str:
        """Write a recording to this place, or to where snapshots go or, failing that, wherever it can be."""
        snapshot = Snapshot.of(recording)
        if place is not None:
            return str(snapshot.save_at(place))
        folder = Path(self._options.snapshot_dir).absolute()
        outcome = save_last(snapshot, lambda: snapshot.save_new(folder))
        if outcome.path is None:
            assert outcome.error is not None
            raise outcome.error
        return str(outcome.path)

    def hold(self, recording: Recording, dead: DeadRun) -> Client:
        job = new_job(None, replace(self._options, detach=False))
        path = str(places.recording_path(job.name))
        return self._handed(replace(job, replay=path, dead=dead), recording)

    def go_on(self, recording: Recording) -> Client:
        job = new_job(_without_gpu(recording.config), replace(self._options, paused=False))
        return self._handed(replace(job, resume=str(places.recording_path(job.name))), recording)

    def begin_anew(self) -> Client | None:
        job = self.clients[-1].job
        if job is None or job.config is None or job.temporary:
            return None
        again = new_job(_without_gpu(job.config), job.options, resume=job.resume)
        self.clients.append(WorkerClient(again))
        return self.clients[-1]

    def _handed(self, job: Job, recording: Recording) -> Client:
        """Make a worker that begins with a recording of the screen's."""
        client = WorkerClient(replace(job, temporary=True), handed=recording)
        self.clients.append(client)
        return client


def _without_gpu(config: RunConfig) -> RunConfig:
    """Return the configuration for the CPU: a card that failed once is not to be trusted with the rest."""
    return replace(config, ctx="cpu", engine="fused") if config.ctx.startswith("gpu") else config


def show_live(client: WorkerClient, options: WatchOptions, heard: Callable[[], int] = int) -> int:
    """Show a worker until the user leaves, then say in a line what there was; returns the exit status.

    `heard` returns the exit status that a signal has asked for while there was no screen yet; 0: none has.
    """
    workers = LiveWorkers(client, options)
    outcome = run(client, options, workers, heard)
    goes_on = [each.name for each in workers.clients if each.goes_on]
    for each in workers.clients:
        each.wait()
    saved = [*outcome.saved, *(path for each in workers.clients for path in each.saved)]
    if outcome.unsaved is not None and any(each.failed for each in workers.clients):
        with contextlib.suppress(Exception):  # no place is left then
            saved.append(workers.write(outcome.unsaved, None))
    outcome = replace(outcome, saved=tuple(dict.fromkeys(saved)))
    if not _told(summary(outcome, goes_on[-1] if goes_on else None)):
        os._exit(outcome.exit_status)  # Python would fail again, and say so, when it closes the stream
    return outcome.exit_status


def _told(text: str) -> bool:
    """Print it; returns False where the terminal does not take it, which may have gone."""
    told = threading.Event()

    def tell() -> None:
        with contextlib.suppress(OSError):
            print(text, flush=True)
            told.set()

    threading.Thread(target=tell, daemon=True).start()
    return told.wait(_TELL_S)


def summary(outcome: Farewell, detached: str | None) -> str:
    """Return the line that the screen leaves behind; of a run that goes on, also how to come back to it."""
    if detached is None:
        return outcome.summary
    return f"{outcome.summary}; goes on as {detached}: ibtui attach {detached}, ibtui stop {detached}"
