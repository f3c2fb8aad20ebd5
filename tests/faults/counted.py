"""The live screen over a worker that trains to its end, and tells what that has cost so far.

`python -m tests.faults.counted FILE CONFIG HISTORY_MB`: see `long`, which starts it. CONFIG is JSON, and FILE
takes a line of JSON for each mark.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import ibtui.ui
from ibtui.config import RunConfig, WatchOptions
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.protocol import Stop
from ibtui.ui.app import Arrived, IbtuiApp
from tests.faults.boxes import rss_mb

MARK_S = 0.2
PACE = 4000.0
"""Epochs per second: what the fastest machine does would be over before enough frames were counted."""


@dataclass(frozen=True)
class Mark:
    """The state and the cost of a screen and its worker at one time."""

    epoch: int
    rows: int
    frames: int
    screen_cpu_s: float
    screen_mb: float
    worker_mb: float


class CountingApp(IbtuiApp):
    """The app, which leaves when the run has finished."""

    CSS_PATH = str(Path(ibtui.ui.__file__).with_name("app.tcss"))

    def __init__(self, path: str, client: WorkerClient, session: WatchOptions) -> None:
        super().__init__(client, session)
        self._file = open(path, "w", buffering=1)  # noqa: SIM115 - it is closed with the process
        self._worker, self._frames = client, 0

    def on_mount(self) -> None:
        """Textual calls the app's own handler too."""
        self.set_interval(MARK_S, self._mark)

    def on_arrived(self, message: Arrived) -> None:
        """A frame more."""
        self._frames += 1

    def _mark(self) -> None:
        status, recording = self.mirror.status, self.mirror.recording
        if status is None or recording is None:
            return
        own = os.getpid()
        mark = Mark(
            status.epoch, len(recording), self._frames, time.process_time(), rss_mb(own),
            rss_mb(self._worker.process.pid),
        )  # fmt: skip
        self._file.write(json.dumps(asdict(mark)) + "\n")
        if status.state in ("finished", "failed") or self.link.state.lost:
            self._worker.send(Stop(save=False))
            self.exit()


def main(path: str, config: str, history_mb: str) -> None:
    session = WatchOptions(epochs_per_second=PACE, history_mb=int(history_mb))
    client = WorkerClient(new_job(RunConfig.from_json(config), session))
    app = CountingApp(path, client, session)
    app.run()
    app.link.close()
    client.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
