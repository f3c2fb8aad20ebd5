"""The orders with which workers are started."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass

from ibtui.config import RunConfig, WatchOptions


@dataclass(frozen=True)
class DeadRun:
    """A run whose worker has died, as far as its screen knows it besides the recording."""

    epoch: int
    """The epoch it had reached when last heard of."""
    saved: bool
    """True if a file holds all of the recording."""


@dataclass(frozen=True)
class Job:
    """The order with which a worker is started: one line of JSON on its standard input."""

    name: str
    config: RunConfig | None
    options: WatchOptions
    resume: str | None = None
    replay: str | None = None
    """A recording to play instead of training."""
    watch: str | None = None
    """The stream of a watched loop to follow instead of training."""
    dead: DeadRun | None = None
    """Set if that recording is of a run whose worker has died: it is to be looked at and saved."""
    temporary: bool = False
    """True if the recording was written for this worker alone, which removes it once read."""

    @property
    def recording(self) -> str | None:
        """The recording that the worker begins with."""
        return self.resume or self.replay

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        import msgspec  # only here: a screen that starts a worker does not wait for it

        # By Python's json, for msgspec's reads no surrogates, which paths may hold.
        return msgspec.convert(json.loads(text), cls)


def new_job(
    config: RunConfig | None,
    options: WatchOptions,
    *,
    resume: str | None = None,
    replay: str | None = None,
    watch: str | None = None,
) -> Job:
    """Make a job with a name that no other worker has."""
    name = f"run-{os.getpid()}-{secrets.token_hex(2)}"
    return Job(name, config, options, resume=resume, replay=replay, watch=watch)
