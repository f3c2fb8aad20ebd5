"""What a worker is started for."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass

from ibtui.config import RunConfig, WatchOptions


@dataclass(frozen=True)
class Remains:
    """What is known of a run whose worker has died, besides its recording."""

    epoch: int
    """How far it had trained when last heard of."""
    saved: bool
    """Whether a file holds all of the recording."""


@dataclass(frozen=True)
class Job:
    """What a worker is started for; it crosses as one line of JSON on the standard input."""

    name: str
    config: RunConfig | None
    options: WatchOptions
    resume: str | None = None
    """A recording to go on with."""
    replay: str | None = None
    """A recording to play, in the place of training."""
    remains: Remains | None = None
    """It is what is left of a run, to be looked at and looked after."""
    forget: bool = False
    """That recording was written for the worker's sake: it is removed once read."""

    @property
    def recording(self) -> str | None:
        """The recording that the worker begins with."""
        return self.resume or self.replay

    def to_json(self) -> str:
        """One line."""
        values = asdict(self)
        values["config"] = self.config.to_json() if self.config else None
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` wrote."""
        values = json.loads(text)
        if values["config"]:
            values["config"] = RunConfig.from_json(values["config"])
        if values["remains"]:
            values["remains"] = Remains(**values["remains"])
        return cls(options=WatchOptions(**values.pop("options")), **values)


def new_job(
    config: RunConfig | None, options: WatchOptions, *, resume: str | None = None, replay: str | None = None
) -> Job:
    """A job with a name that no other worker has."""
    return Job(f"run-{os.getpid()}-{secrets.token_hex(2)}", config, options, resume=resume, replay=replay)
