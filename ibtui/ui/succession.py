"""A new worker takes over from one that has died or failed: what is on the screen stays until it can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ibtui.recording import Recording
from ibtui.run.client import Client
from ibtui.run.job import Remains
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import Frame, Stop

if TYPE_CHECKING:
    from ibtui.ui.app import IbtuiApp

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
    holding: bool
    """Whether it is to hold the history as it is; otherwise to go on from it."""
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
            self._call(partial(self._remain, recording, remains), holding=True)

    def revive(self) -> None:
        """Have a new worker go on from the last checkpoint."""
        app, recording, status = self._app, self._app.mirror.recording, self._app.mirror.status
        if self._revive is None or recording is None or status is None or status.source == "replay":
            app.tell("this run cannot be continued from here", "warning")
        elif not app.view.continuing:
            self._call(partial(self._revive, recording), holding=False)
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

    def _call(self, make: Callable[[], Client], holding: bool) -> None:
        """Start a worker that is to take over, in the place of any other that is about to."""
        if self._successor is not None:
            _dismiss(self._successor.client)
            self._successor = None
        try:
            client = make()
            client.start(partial(self._app.forward, client))
        except Exception as error:
            self._fail(str(error), holding)
            return
        self._successor = _Successor(client, holding)
        self._pull(self._successor)

    def _fail(self, reason: str, holding: bool) -> None:
        """The worker that was to take over cannot; a history that none goes on with is still to be held."""
        app = self._app
        if self._successor is not None:
            _dismiss(self._successor.client)
            self._successor = None
        failing = "no worker could take the history over" if holding else "cannot be continued"
        app.tell(f"{failing}: {reason}", "error")
        app.look(replace(app.view, continuing=""))
        if not holding and app.view.lost:
            self.hand_over()

    def _pull(self, successor: _Successor) -> None:
        if successor is self._successor:
            successor.client.pull(successor.mirror, self._app.view.row)

    def _hear(self, successor: _Successor, news: Frame | Lost) -> None:
        app = self._app
        if isinstance(news, Lost):
            app.mirror.log.extend(news.log)
            self._fail(news.reason, successor.holding)
            return
        for notice in successor.mirror.take(news):
            app.tell(notice.text, notice.severity)
        ready = successor.mirror.recording is not None and len(successor.mirror.recording)
        if ready and not app.saving.awaits:  # a file that is waited for is the old one's to write
            self._take_over(successor)
        elif news.status.state == "failed":
            self._fail(news.status.message, successor.holding)
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
        old = None if app.view.lost else app.client
        app.saving.succeed(same_history=remains)
        self._successor = None
        app.turn_to(successor.client, mirror)
        if old is not None:  # last: at no moment are both told to discard what they have
            _dismiss(old)


def _dismiss(client: Client) -> None:
    """End a worker whose history is elsewhere."""
    client.send(Stop(save=False))
    threading.Thread(target=client.close, daemon=True).start()  # it may take a while
