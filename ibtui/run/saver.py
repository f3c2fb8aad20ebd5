"""The one rule by which runs are saved, of `--record` and of the worker: when, how, and what is in files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ibtui.run.snapshot import Outcome, Snapshot, save_last

SHARE_FOR_SAVING = 1 / 20
"""An autosave waits until it costs no more than this share of the time."""
RETRY_S = 60.0
"""Seconds until the end of a run that has no autosave interval is tried again to be saved."""
MOST_FILES = 1000
"""Names of files that are remembered."""


class Saver:
    """Decides when to write, writes, and knows up to where some file holds the run. For any thread."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval_s = interval_s
        """Seconds between two autosaves; 0: only a run that is over is saved unasked."""
        self.files: tuple[str, ...] = ()
        """The files that were written, oldest first; of very many, the newest."""
        self.writes = 0
        self._clock, self._ended_at = clock, clock()
        self._cost_s = 0.0
        self._failing = False
        self._held: tuple[int, int] | None = None
        self._lock = threading.Lock()

    @property
    def held(self) -> tuple[int, int] | None:
        """The run, counting restarts, and the epoch up to which some file holds it; None: not at all."""
        return self._held

    def hold(self, run: int, epoch: int) -> None:
        with self._lock:
            self._held = max(self._held or (run, epoch), (run, epoch))

    def due(self, over: bool = False) -> bool:
        """Return whether to autosave; a run that is over is saved at once, and again if that fails."""
        if over and not self._failing:
            return True
        wait = max(self.interval_s or RETRY_S, self._cost_s / SHARE_FOR_SAVING)
        return (over or self.interval_s > 0) and self._clock() - self._ended_at >= wait

    def autosave(self, snapshot: Snapshot, write: Callable[[], Path]) -> Outcome:
        """Write a file unasked. If that fails, it is tried again when it is due again."""
        began, failed_before = self._clock(), self._failing
        try:
            path = self.write(snapshot, write)
        except Exception as error:
            self._failing = True
            return Outcome(None, error, news=not failed_before)
        else:
            self._failing = False
            return Outcome(path, None, news=failed_before)
        finally:
            self._ended_at = self._clock()
            self._cost_s = self._ended_at - began

    def write(self, snapshot: Snapshot, write: Callable[[], Path]) -> Path:
        """Write a file, and remember what it holds."""
        path = write()
        self._remember(snapshot, path)
        return path

    def finish(self, snapshot: Snapshot, write: Callable[[], Path]) -> Outcome:
        """Write the end of a run: where it belongs or, failing that, wherever it can be written."""
        outcome = save_last(snapshot, write)
        if outcome.path is not None:
            self._remember(snapshot, outcome.path)
        return outcome

    def _remember(self, snapshot: Snapshot, path: Path) -> None:
        self.hold(snapshot.run, snapshot.reached)
        with self._lock:
            others = tuple(name for name in self.files if name != str(path))
            self.files = (*others, str(path))[-MOST_FILES:]
            self.writes += 1
