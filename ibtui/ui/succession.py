"""A new worker takes over from one that has died or failed: what is on the screen stays until it can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ..recording import Recording
from ..worker.client import Client, Lost, Mirror
from ..worker.job import Remains
from ..worker.protocol import Frame, Stop

if TYPE_CHECKING:
    from .app import IbtuiApp

PULL_S = 1 / 20
"""How often a worker that gets ready is asked whether it is."""

Remain = Callable[[Recording, Remains], Client]
"""A client for a new worker, which holds what the mirror of one that has gone does."""
Revive = Callable[[Recording], Client]
"""A client for a new worker, which goes on where the mirror's checkpoint is."""


@dataclass
class _Successor:
    """A new worker, which takes over what is on the screen as soon as it has the history."""

    client: Client
    failing: str
    """What it means if it never does."""
    mirror: Mirror = field(default_factory=Mirror)


class Succession:
    """See the module.

    Parameters
    ----------
    app : IbtuiApp
    remain : Remain or None
    revive : Revive or None
        None: there is no such worker to be had.
    """

    def __init__(self, app: IbtuiApp, remain: Remain | None, revive: Revive | None) -> None:
        self._app, self._remain, self._revive = app, remain, revive
        self._successor: _Successor | None = None

    @property
    def under_way(self) -> bool:
        """Whether a worker is about to take over."""
        return self._successor is not None

    def hand_over(self) -> None:
        """Have a new worker hold the history of one that trained and died; it is tried once."""
        app = self._app
        status, recording = app.mirror.status, app.mirror.recording
        if status is None or status.source != "training" or recording is None or not len(recording):
            return
        if self._remain is not None and not self.under_way:
            remains = Remains(status.epoch, saved=not app.saving.unsaved)
            self._call(partial(self._remain, recording, remains), "no worker could take the history over")

    def revive(self) -> None:
        """Have a new worker go on from the last checkpoint."""
        app, recording = self._app, self._app.mirror.recording
        if self._revive is None or recording is None:
            app.tell("this run cannot be continued from here", "warning")
        elif not app.view.continuing:
            self._call(partial(self._revive, recording), "cannot be continued")
            if self.under_way:
                app.look(replace(app.view, row=None, continuing="starting"))

    def hears(self, client: Client, news: Frame | Lost) -> bool:
        """Take in what comes from a worker that is about to take over; False where it is from another."""
        if self._successor is None or client is not self._successor.client:
            return False
        self._hear(self._successor, news)
        return True

    def close(self) -> None:
        """A worker that was only to take over is not needed any more."""
        if self._successor is not None:
            self._successor.client.send(Stop(save=False))
            self._successor.client.close()

    def _call(self, make: Callable[[], Client], failing: str) -> None:
        """Start a worker that is to take over, in the place of any other that is about to."""
        self._call_off()
        try:
            client = make()
            client.start(partial(self._app.forward, client))
        except Exception as error:
            self._app.tell(f"{failing}: {error}", "error")
            return
        self._successor = _Successor(client, failing)
        self._pull(self._successor)

    def _call_off(self, reason: str | None = None) -> None:
        """The worker that was to take over is not to, or cannot."""
        successor, self._successor = self._successor, None
        if successor is not None:
            _dismiss(successor.client)
            if reason is not None:
                self._app.tell(f"{successor.failing}: {reason}", "error")
            self._app.look(replace(self._app.view, continuing=""))

    def _pull(self, successor: _Successor) -> None:
        if successor is self._successor:
            successor.client.pull(successor.mirror, self._app.view.row)

    def _hear(self, successor: _Successor, news: Frame | Lost) -> None:
        app = self._app
        if isinstance(news, Lost):
            app.mirror.log.extend(news.log)
            self._call_off(news.reason)
            return
        for notice in successor.mirror.take(news):
            app.tell(notice.text, notice.severity)
        if successor.mirror.recording is not None and len(successor.mirror.recording):
            self._take_over(successor)
        elif news.status.state == "failed":
            self._call_off(news.status.message)
        else:
            if app.view.continuing and news.status.message:
                app.look(replace(app.view, continuing=news.status.message))
            app.set_timer(PULL_S, partial(self._pull, successor))

    def _take_over(self, successor: _Successor) -> None:
        """The new worker has the history: from now on the screen is its."""
        app, before, mirror = self._app, self._app.mirror, successor.mirror
        before.log.extend(mirror.log)
        mirror.log, mirror.before = before.log, before.before
        assert mirror.status is not None
        remains = mirror.status.source == "remains"
        if remains:
            mirror.died = before.died
        if not app.view.lost:
            _dismiss(app.client)
        app.saving.succeed(same_history=remains)
        self._successor = None
        app.turn_to(successor.client, mirror)


def _dismiss(client: Client) -> None:
    """End a worker whose history is elsewhere."""
    client.send(Stop(save=False))
    threading.Thread(target=client.close, daemon=True).start()  # it may take a while
