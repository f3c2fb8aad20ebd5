"""Pulls the next frame when the last is drawn, and no sooner than it can be of use."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from textual.app import App

from ibtui.run.protocol import Frame
from ibtui.ui.link import Link
from ibtui.ui.terminal import behind

FRAME_S = 1 / 20
"""The least time between two pulls."""
IDLE_S = 1 / 10
"""The same while nothing changes."""
PROMPT_S = 1 / 100
"""The same after a command, until its effect can be seen."""
EFFECT_S = 0.15
"""The time that a command is given for that."""
_MOST_SHARE = 0.25
"""The share of a processor that drawing may take while training just goes on."""


class Puller:
    """Pulls frames over a link in an app's event loop."""

    def __init__(self, app: App[Any], link: Link) -> None:
        self._app, self._link = app, link
        self._pulled = self._commanded = -math.inf
        self._moving = False
        self._cost = 0.0
        """Seconds of a processor that the last picture took."""
        self._timer: asyncio.TimerHandle | None = None

    def heard(self, frame: Frame) -> None:
        """Pull the next frame in time, now that this one has come."""
        news = frame.update is not None or frame.representation is not None
        self._moving = news or frame.status.state == "running"
        began = time.thread_time()
        self._app.call_after_refresh(self._drawn, began)
        # A key does what is right by what is known, however late that is shown.
        if self._period == PROMPT_S or behind(self._app):
            self._pull_later()
        else:
            self._app.call_after_refresh(self._pull_later)

    def _drawn(self, began: float) -> None:
        self._cost = (self._cost + time.thread_time() - began) / 2

    def commanded(self) -> None:
        """Look for the effect of a command."""
        self._commanded = time.monotonic()
        self.hurry()

    def hurry(self) -> None:
        """Pull now, if that was only waiting for its turn."""
        if self._timer is not None:
            self._timer.cancel()
            self.pull()

    @property
    def _period(self) -> float:
        obeying = self._link.state.pausing or time.monotonic() - self._commanded < EFFECT_S
        if obeying:
            return PROMPT_S
        return max(FRAME_S, min(self._cost / _MOST_SHARE, IDLE_S)) if self._moving else IDLE_S

    def pull(self) -> None:
        """Pull a frame, if there is a worker that owes none."""
        self._timer = None
        if self._app.is_running and self._link.ready:
            self._pulled = time.monotonic()
            self._link.pull()

    def _pull_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        left = self._pulled + self._period - time.monotonic()
        # Not a timer of Textual's: one that is over before its task begins to wait is never called.
        self._timer = asyncio.get_running_loop().call_later(max(0.001, left), self.pull)
