"""The live screen over a worker that trains flat out, counting its own frames and CPU time.

`python -m tests.bench.counting FILE.json EVERY WINDOWS SECONDS`: `screen` starts it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import ibtui.ui
from ibtui.config import WatchOptions
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.protocol import Stop
from ibtui.ui.app import Arrived, IbtuiApp
from tests.bench.watching import FLAT_OUT

_WARM_S = 3.0


class CountingApp(IbtuiApp):
    """The app, and a mark of frames, CPU, wall time and history at the end of each window."""

    CSS_PATH = str(Path(ibtui.ui.__file__).with_name("app.tcss"))

    def __init__(self, every: int, windows: int, seconds: float) -> None:
        session = WatchOptions(epochs_per_second=0.0, history_mb=64)
        super().__init__(WorkerClient(new_job(replace(FLAT_OUT, every=every), session)), session)
        self.marks: list[dict[str, float]] = []
        self._windows, self._seconds, self._frames = windows, seconds, 0

    def on_mount(self) -> None:
        """Begin when everything is warm."""
        self.set_timer(_WARM_S, self._begin)

    def on_arrived(self, message: Arrived) -> None:
        """Count a frame; Textual calls the app's own handler too."""
        self._frames += 1

    def _begin(self) -> None:
        self._mark()
        self.set_interval(self._seconds, self._mark)

    def _mark(self) -> None:
        recording = self.mirror.recording
        self.marks.append(
            {
                "frames": self._frames,
                "cpu": time.process_time(),
                "wall": time.perf_counter(),
                "measurements": len(recording) if recording is not None else 0,
            }
        )
        if len(self.marks) > self._windows:
            self.link.client.send(Stop(save=False))
            self.exit()


def main(path: str, every: str, windows: str, seconds: str) -> None:
    """Show, then write the marks."""
    app = CountingApp(int(every), int(windows), float(seconds))
    app.run()
    app.link.close()
    Path(path).write_text(json.dumps(app.marks))


if __name__ == "__main__":
    main(*sys.argv[1:])
