"""The representations of one run that screens are sent: drawn once for all of them."""

from __future__ import annotations

import threading
import traceback
from dataclasses import replace
from functools import cached_property

from ibtui.errors import EngineError
from ibtui.quantities import Measurement
from ibtui.recording import Recording
from ibtui.run import representation
from ibtui.run.measuring import meter_of
from ibtui.run.net_picture import of_net
from ibtui.run.protocol import Inputs, Key, NetPicture, Representation


class DrawnRow:
    """Draws measurements of a recording, and keeps the newest drawn; the source never waits for it."""

    def __init__(self, recording: Recording, run: int) -> None:
        self._recording, self._run = recording, run
        self._meter = meter_of(recording)
        self._drawing = threading.Lock()
        self._newest: Representation | None = None
        self._undrawable: tuple[int, ...] = ()
        self._last_row = -1
        self._net: tuple[Key, int, NetPicture] | None = None

    @cached_property
    def inputs(self) -> Inputs:
        """The run's measured inputs."""
        return representation.inputs_of(self._recording.dataset)

    def draw(
        self,
        row: int | None,
        present: Measurement | int | None,
        serial: int,
        net: int = 0,
        rows: int | None = None,
    ) -> Representation | None:
        """Draw the measurement that a screen looks at (None: the present); None if that cannot be done.

        With `net`, so many points to an axis, there is a picture of the net, too. Only the first `rows`
        measurements are known, where that is said.
        """
        if row is None and isinstance(present, Measurement):
            return self._draw((self._run, -1, serial), present, net)
        rows = len(self._recording) if rows is None else rows
        if not rows:
            return None
        row = present if row is None and isinstance(present, int) else row
        row = rows - 1 if row is None else min(max(row, 0), rows - 1)
        return self._draw((self._run, row, self._recording.stamp(row)), row, net)

    def _draw(self, key: Key, what: Measurement | int, net: int) -> Representation | None:
        with self._drawing:
            shown = self._drawn(key, what)
            if shown is None or not net:
                return shown
            if self._net is None or self._net[:2] != (key, net):
                self._net = key, net, self._picture(what, net)
            return replace(shown, net=self._net[2])

    def _picture(self, what: Measurement | int, net: int) -> NetPicture:
        try:
            kept = what.kept if isinstance(what, Measurement) else self._recording.kept(what)
            return of_net(self._recording, kept, self.inputs.axes, net)
        except Exception as error:  # as where the engine is not installed: the rest is there all the same
            if not isinstance(error, EngineError):
                traceback.print_exc()
            return NetPicture()

    def _drawn(self, key: Key, what: Measurement | int) -> Representation | None:
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
