"""The worker's saving: snapshots that are asked for, autosaves, and a last file when the worker ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ibtui.errors import explain
from ibtui.recording import Checkpoint
from ibtui.run.estimating import FileJob
from ibtui.run.protocol import Save
from ibtui.run.snapshot import Snapshot
from ibtui.run.state import RunState

_ESTIMATES_S = 0.5
"""Seconds that a worker that ends may spend on estimates that are still to be made; a file can do without."""


class WorkerSaver:
    """Has the history's thread write files, and says how that came out.

    `save` is called by the source's thread, `tick` by one other, `finish` by the one that ends the worker.
    The worker's name is in that of the autosave file.
    """

    def __init__(self, state: RunState, name: str) -> None:
        self._state = state
        self._stem = f"ibtui-{name}-autosave"
        self._own: tuple[int, Path] | None = None
        """The run that is written to the autosave file, and that file."""
        self._busy = False

    def save(self, asked: Save, checkpoint: Checkpoint | None = None) -> None:
        """Have the run written as it is now; the outcome becomes a notice."""
        snapshot = self._state.snapshot(checkpoint)
        if snapshot is None:
            self._state.answer(asked.ticket, "not saved: nothing has been measured yet")
        else:
            self._queue(snapshot, lambda: self._write_asked(snapshot, asked))
        self._state.save_begun()

    def tick(self) -> None:
        """Begin an autosave if one is due. To be called once a second."""
        state, status = self._state, self._state.status
        if self._busy or not state.unsaved or not (state.saver.interval_s or status.detached):
            return
        over = status.state in ("finished", "failed", "dead")
        if state.saver.due(over) and (snapshot := state.snapshot()) is not None:
            self._busy = True
            self._queue(snapshot, lambda: self._autosave(snapshot))

    def finish(self, save: bool) -> str:
        """Write in the calling thread what was asked for and, with `save`, what no file holds.

        Return why history is in no file; empty if nothing is unsaved.
        """
        state = self._state
        save = state.saves_waiting > 0 or save
        if save and state.unsaved:
            state.history.wait_until_idle(_ESTIMATES_S)
        for job in state.history.close():
            job.do()
        if not (state.unsaved or state.saves_waiting):
            return ""
        return self._write_last() if save else "it was not to be saved"

    def _queue(self, snapshot: Snapshot, write: Callable[[], None]) -> None:
        self._state.history.write(FileJob(snapshot.recording, write))

    # In the history's thread, or in the one that ends the worker.

    def _write_asked(self, snapshot: Snapshot, asked: Save) -> None:
        state, place = self._state, asked.path

        def write() -> Path:
            return snapshot.save_new(state.folder) if place is None else snapshot.save_at(place)

        try:
            path = state.saver.write(snapshot, write)
        except Exception as error:
            state.answer(asked.ticket, f"not saved: {place or state.folder}: {explain(error)}")
        else:
            with state.unchanging():
                state.answer(asked.ticket)
                state.note(snapshot.saved_as(path))
            print(snapshot.saved_as(path), flush=True)

    def _autosave(self, snapshot: Snapshot) -> None:
        """Save unasked; the user is told only what changes something."""
        state = self._state
        own_file, known = state.saver.interval_s > 0, state.saver.files
        try:
            outcome = state.saver.autosave(snapshot, lambda: self._write_unasked(snapshot, own_file))
        finally:
            self._busy = False
        if outcome.error is not None and outcome.news:
            text = f"autosave failed, and is tried again: {state.folder}: {explain(outcome.error)}"
            print(text, flush=True)
            state.note(text, "error")
        elif outcome.path is not None and (outcome.news or not own_file):
            state.note(snapshot.saved_as(outcome.path))
            print(snapshot.saved_as(outcome.path), flush=True)
        elif outcome.path is not None and str(outcome.path) not in known:
            print(snapshot.saved_as(outcome.path), flush=True)

    def _write_unasked(self, snapshot: Snapshot, own_file: bool) -> Path:
        """Write the run's own file anew, which is never one that was there before, or else a new one."""
        if not own_file:
            return snapshot.save_new(self._state.folder)
        if self._own is not None and self._own[0] == snapshot.run:
            return snapshot.save(self._own[1], overwrite=True)
        path = snapshot.save_new(self._state.folder, self._stem)
        self._own = snapshot.run, path
        return path

    def _write_last(self) -> str:
        """Write the end of the run; return why that could be done nowhere."""
        state = self._state
        snapshot = state.snapshot()
        if snapshot is None:
            return ""
        outcome = state.saver.finish(snapshot, lambda: snapshot.save_new(state.folder))
        trouble = f"{state.folder}: {explain(outcome.error)}" if outcome.error is not None else ""
        if trouble:
            print(f"not saved: {trouble}", flush=True)
        if outcome.path is not None:
            print(snapshot.saved_as(outcome.path), flush=True)
        return "" if outcome.path is not None else trouble
