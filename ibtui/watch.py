"""The live screen over a worker: one of our own, one that is there already, or one that plays a file."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from . import storage
from .config import Session
from .recording import Recording
from .ui.app import Outcome, run
from .worker import runtime
from .worker.client import Client, WorkerClient
from .worker.job import Job, new_job


class _Watched:
    """The workers that the screen has had, one after another, and what it is to do when one has died."""

    def __init__(self, client: WorkerClient, session: Session) -> None:
        self.clients = [client]
        self._session = session

    def rescue(self, recording: Recording) -> str:
        """Write the screen's mirror of a worker that has gone; returns the path."""
        return str(storage.save_new(recording, self._session.snapshot_dir, _rescued_name(recording)))

    def revive(self, recording: Recording) -> Client:
        """A new worker that goes on from the last checkpoint of one that has gone."""
        config = recording.config
        if config.ctx.startswith("gpu"):  # a card that failed once is not to be trusted with the rest
            config = replace(config, ctx="cpu", engine="fused")
        job: Job = new_job(config, replace(self._session, paused=False))
        kept = runtime.socket_path(job.name).with_suffix(".npz")
        storage.save(recording, kept, overwrite=True)
        client = WorkerClient(replace(job, resume=str(kept), forget_resume=True))
        self.clients.append(client)
        return client


def _rescued_name(recording: Recording) -> str:
    reached = recording.checkpoint.epoch if recording.checkpoint else 0
    return f"ibtui-{time.strftime('%Y%m%d-%H%M%S')}-epoch{reached}"


def watch(client: WorkerClient, session: Session) -> int:
    """Show a worker until the user leaves, then say in a line what there was; returns the exit status."""
    watched = _Watched(client, session)
    outcome = run(client, session, rescue=watched.rescue, revive=watched.revive)
    for each in watched.clients:
        each.wait()
    last = watched.clients[-1]
    try:
        print(summary(outcome, last.name if last.detached else None), flush=True)
    except OSError:  # the terminal has gone: Python would fail again, and say so, when it closes the stream
        os._exit(outcome.exit_status)
    return outcome.exit_status


def summary(outcome: Outcome, detached: str | None) -> str:
    """What the screen leaves behind; of a run that goes on without it, its name and what to do with it."""
    if detached is None:
        return outcome.summary
    return f"{outcome.summary}; goes on as {detached}: ibtui attach {detached}, ibtui stop {detached}"
