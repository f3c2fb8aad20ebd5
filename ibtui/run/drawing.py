"""The representations of one run that screens are sent: drawn once for all of them."""

from __future__ import annotations

import threading
import traceback
from functools import cached_property

from ibtui.errors import EngineError
from ibtui.quantities import Measurement
from ibtui.recording import Recording
from ibtui.run import representation
from ibtui.run.measuring import meter_of
from ibtui.run.protocol import Inputs, Key, Representation


class DrawnRow:
    """Draws measurements of a recording, and keeps the newest drawn; the source never waits for it."""

    def __init__(self, recording: Recording, run: int) -> None:
        self._recording, self._run = recording, run
        self._meter = meter_of(recording)
        self._drawing = threading.Lock()
        self._newest: Representation | None = None
        self._undrawable: tuple[int, ...] = ()
        self._last_row = -1

    @cached_property
    def inputs(self) -> Inputs:
        """The run's measured inputs."""
        return representation.inputs_of(self._recording.dataset)

    def draw(self, row: int | None, present: Measurement | int | None, serial: int) -> Representation | None:
        """Draw the measurement that a screen looks at (None: the present); None if that cannot be done."""
        if row is None and isinstance(present, Measurement):
            return self._draw((self._run, -1, serial), present)
        if not (rows := len(self._recording)):
            return None
        row = present if row is None and isinstance(present, int) else row
        row = rows - 1 if row is None else min(max(row, 0), rows - 1)
        return self._draw((self._run, row, self._recording.stamp(row)), row)

    def _draw(self, key: Key, what: Measurement | int) -> Representation | None:
        with self._drawing:
            if self._newest is not None and self._newest.key == key:
                return self._newest
            if self._undrawable == key:
                return None
            try:
                self._meter.binning = self._recording.binning
                if isinstance(what, Measurement):
                    self._newest = representation.of_measurement(what, self._meter, key)
                else:
                    self._newest = self._draw_row(what, key)
            except Exception:  # such as a lack of memory; the history still goes out
                traceback.print_exc()
                self._undrawable = key
                return None
            return self._newest

    def _draw_row(self, row: int, key: Key) -> Representation:
        try:
            return representation.of_row(self._recording, row, self._meter, key)
        except EngineError:
            return representation.numbers_of_row(self._recording, row, key)

    def skipped(self, row: int) -> int:
        """Count the measurements passed over since the last one that was sent as the present."""
        with self._drawing:
            passed = max(0, row - self._last_row - 1) if self._last_row >= 0 else 0
            self._last_row = max(row, self._last_row)
            return passed
