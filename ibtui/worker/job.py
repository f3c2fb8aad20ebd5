"""What a worker is started for."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass

from ..config import RunConfig
from ..config import Session as Options


@dataclass(frozen=True)
class Job:
    """What a worker is started for; it crosses as one line of JSON on the standard input."""

    name: str
    config: RunConfig | None
    options: Options
    resume: str | None = None
    """A recording to go on with."""
    forget_resume: bool = False
    """That recording was written for the worker's sake: it is removed once read."""
    replay: str | None = None
    """A recording to play, in the place of training."""

    def to_json(self) -> str:
        """One line."""
        values = asdict(self)
        values["config"] = self.config.to_json() if self.config else None
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` wrote."""
        values = json.loads(text)
        config = RunConfig.from_json(values.pop("config")) if values["config"] else values.pop("config")
        return cls(config=config, options=Options(**values.pop("options")), **values)


def new_job(
    config: RunConfig | None, options: Options, *, resume: str | None = None, replay: str | None = None
) -> Job:
    """A job with a name that no other worker has."""
    return Job(f"run-{os.getpid()}-{secrets.token_hex(2)}", config, options, resume=resume, replay=replay)
