"""What is saved, what would be lost, and the questions before that."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ibtui.errors import explain
from ibtui.recording import Recording
from ibtui.run.mirror import Lost
from ibtui.run.protocol import Resume, Save, Stop
from ibtui.run.snapshot import fallback_folders
from ibtui.ui.view import state_of

if TYPE_CHECKING:
    from ibtui.ui.app import IbtuiApp

Rescue = Callable[[Recording, str | None], str]
"""Writes a recording to a file or folder (None: where snapshots go), and returns the file's path."""


class Saving:
    """Has the worker save or, where there is none any more, writes what the screen holds.

    Parameters
    ----------
    app : IbtuiApp
    rescue : Rescue or None
        None: the screen itself can write nothing.
    """

    def __init__(self, app: IbtuiApp, rescue: Rescue | None) -> None:
        self._app, self._rescue = app, rescue
        self._earlier: tuple[str, ...] = ()
        self._rescued = False
        self._awaited: tuple[int, Callable[[], None], str | None] | None = None
        self._paused = False
        """Whether training was paused so that no more comes to be than is saved."""
        self._keeping = threading.Lock()

    @property
    def files(self) -> tuple[str, ...]:
        """What this worker, those before it and the screen itself have written, oldest first."""
        status = self._app.mirror.status
        return tuple(dict.fromkeys((*self._earlier, *(status.saved if status is not None else ()))))

    @property
    def unsaved(self) -> bool:
        """Whether there is history that no file holds."""
        status = self._app.mirror.status
        return status is not None and status.unsaved and not self._rescued

    @property
    def awaits(self) -> bool:
        """Whether the worker still has to say how a file has come out, before what was asked for is done."""
        return self._awaited is not None

    def save(self) -> None:
        """Write a snapshot; of a worker that has gone, what the screen knows of it."""
        if self._app.view.lost:
            self._write_mirror(None)
        else:
            self._app.send(Save())

    def save_before(self) -> None:
        """Write the history of the run before the last restart."""
        self._write(self._app.mirror.before, None)

    def unless_unsaved(
        self, question: str, verb: str, go: Callable[[], None], *, interrupt: bool = False
    ) -> None:
        """Do it, but where history is unsaved ask first."""
        if not self.unsaved:
            go()
            return
        from ibtui.ui.dialogs import Choice, Question

        def answered(answer: str | None) -> None:
            if answer == "save":
                self._save_then(go)
            elif answer == "discard":
                go()

        save = Choice("s", f"save and {verb}", "save")
        choices = [save, Choice(verb[0], f"{verb} without saving", "discard")]
        asked = Question(question, choices, self._app.view.marker, interrupt=interrupt)
        self._app.push_screen(asked, answered)

    def _save_then(self, go: Callable[[], None], path: str | None = None) -> None:
        """Save, and go on only when that is known to have worked; otherwise ask for another place.

        It may take a while, estimates that are still to be made included; nothing is trained meanwhile that
        would be lost.
        """
        app = self._app
        if app.view.lost:
            if not (trouble := self._write_mirror(path)):
                go()
            else:
                self._ask_for_place(trouble, go, path)
            return
        if state_of(app.view, app.mirror) == "running":
            app.action_pause()
            self._paused = True
        if app.send(asked := Save(path, secrets.randbits(62) + 1)):
            self._awaited = asked.ticket, go, path

    def resume(self) -> None:
        """The user has not left: have training go on if it was paused for that."""
        if self._paused:
            self._app.send(Resume())
            self._app.look(replace(self._app.view, pausing=False))
        self._paused = False

    def settle(self) -> None:
        """With each frame: has what is waited for been written, or was there trouble?"""
        status = self._app.mirror.status
        if self._awaited is None or status is None:
            return
        ticket, go, path = self._awaited
        trouble = dict(status.save_results).get(ticket)
        if trouble is None:
            return
        self._awaited = None
        if trouble:
            self._ask_for_place(trouble, go, path)
        else:
            go()

    def _ask_for_place(self, trouble: str, go: Callable[[], None], path: str | None) -> None:
        """Another place than that one, which is left to be mended where it was the user's."""
        from ibtui.ui.dialogs import Place

        others = (str(folder) for folder in fallback_folders() if f"{folder}/" not in f"{trouble}/")
        suggestion = path or next(others, "")

        def answered(path: str | None) -> None:
            if path:
                self._save_then(go, os.path.abspath(os.path.expanduser(path)))
            else:
                self.resume()

        self._app.push_screen(Place(trouble, suggestion, self._app.view.marker), answered)

    def _write_mirror(self, path: str | None) -> str:
        trouble = self._write(self._app.mirror.recording, path)
        self._rescued = self._rescued or not trouble
        return trouble

    def _write(self, recording: Recording | None, path: str | None) -> str:
        """Write what the screen itself knows, and say so; returns what went wrong."""
        if self._rescue is None or recording is None:
            self._app.tell("nothing is there that could be saved", "warning")
            return "nothing is there that could be saved"
        try:
            written = self._rescue(recording, path)
        except Exception as error:
            trouble = f"not saved{': ' + path if path else ''}: {explain(error)}"
            self._app.tell(trouble, "error")
            return trouble
        self._earlier = (*self.files, written)
        self._app.mirror.log.append(f"saved {written}")
        self._app.tell(f"saved {written}")
        return ""

    # When the worker changes, or all ends.

    def lose(self, lost: Lost) -> None:
        """The worker has gone, with whatever it was to write; or it has ended with everything saved."""
        self._awaited, self._paused = None, False
        if lost.saved is not None:
            self._earlier, self._rescued = (*self.files, *lost.saved), True

    def succeed(self, same_history: bool) -> None:
        """Another worker is about to take over: with the history that is on the screen, or one that grows."""
        self._earlier = self.files
        self._rescued = self._rescued and same_history

    def keep_all(self) -> None:
        """Nobody is there to be asked: have what is unsaved saved. From any thread, from two at once too."""
        app = self._app
        with self._keeping:
            lost = app.client.lost
            if lost is not None:  # its message may still wait
                self.lose(lost)
            if lost is None and not app.view.lost:
                if not app.detached:
                    app.client.send(Stop(save=True))
            elif self.unsaved and self._rescue is not None and app.mirror.recording is not None:
                with contextlib.suppress(Exception):
                    self._earlier = (*self.files, self._rescue(app.mirror.recording, None))
                    self._rescued = True
