"""Sees to it that what was computed is on disk: snapshots, autosaves, a last save when the worker ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ibtui.recording import Checkpoint, Recording, files
from ibtui.run.estimating import SaveJob
from ibtui.run.fallback import reason, save_elsewhere
from ibtui.run.protocol import Save
from ibtui.run.state import RunState

SHARE_FOR_SAVING = 1 / 20
"""An autosave waits until it costs no more than this share of the time."""
RETRY_S = 60.0
"""After how long a detached run that is over tries again to save itself."""
_ESTIMATES_S = 0.5
"""What a worker that ends may spend on estimates that are still to be made; a file can do without."""


@dataclass(frozen=True)
class _Moment:
    """What a file is to hold: a run as it is at this moment."""

    run: int
    epoch: int
    """From which it can be gone on with."""
    upto: int
    """Nothing up to this epoch needs another file."""
    recording: Recording
    rows: int
    checkpoint: Checkpoint | None


class Keeper:
    """See the module. `save` is called by the source's thread, `tick` by one other, `finish` by the last.

    Parameters
    ----------
    session : RunState
    name : str
        The worker's, in the name of the autosave file.
    clock : callable
        Seconds, from any start.
    """

    def __init__(self, session: RunState, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._clock = session, clock
        self._interval = 60 * (session.options.autosave or 0.0)
        self._stem = f"ibtui-{name}-autosave"
        self._own: tuple[int, Path] | None = None
        self._busy = self._failing = False
        self._cost = 0.0
        self._done_at = clock()

    def save(self, asked: Save, checkpoint: Checkpoint | None = None) -> None:
        """Have the desk write a snapshot of this moment; the outcome becomes a notice."""
        moment, desk = self._moment(checkpoint), self._session.desk
        if moment is None or desk is None:
            self._session.settle(asked.ticket, "not saved: nothing has been measured yet")
        else:
            desk.save(_job(moment, lambda at: self._told(at, asked)))
        self._session.taken_care_of()

    def tick(self) -> None:
        """Begin an autosave if one is due. To be called once a second."""
        session = self._session
        if self._busy or session.desk is None or not session.unsaved:
            return
        over = session.status.state in ("finished", "failed", "dead")
        waited = self._clock() - self._done_at
        if self._interval:
            wait = max(self._interval, self._cost / SHARE_FOR_SAVING)
            due = waited >= wait or (over and not self._failing)
        else:
            due = session.detached and over and (not self._failing or waited >= RETRY_S)
        if due and (moment := self._moment()) is not None:
            self._busy = True
            session.desk.save(_job(moment, self._unasked))

    def finish(self, save: bool) -> None:
        """Write in the calling thread what is asked for and, with `save`, what no file holds."""
        session = self._session
        save = session.saves_asked > 0 or save
        if session.desk is None:
            return
        if save and session.unsaved:
            session.desk.settle(_ESTIMATES_S)
        for job in session.desk.close():
            job.do()
        if save and session.unsaved and (moment := self._moment()) is not None:
            self._at_last(moment)

    def _moment(self, checkpoint: Checkpoint | None = None) -> _Moment | None:
        session = self._session
        with session.standing_still():
            recording, status = session.recording, session.status
        if recording is None or not len(recording):
            return None
        # The checkpoint first: see `RunState.frame`.
        checkpoint = checkpoint or recording.checkpoint
        rows = len(recording)
        resumable = checkpoint is not None and status.source != "replay"
        epoch = checkpoint.epoch if checkpoint and resumable else int(recording.column("epoch")[rows - 1])
        # Of a run that has failed or died nobody can say more than that.
        upto = status.epoch if status.state in ("failed", "dead") else epoch
        return _Moment(status.run, epoch, upto, recording, rows, checkpoint)

    # In the desk's thread, or in the last one.

    def _told(self, at: _Moment, asked: Save) -> None:
        """A snapshot that was asked for."""
        path = asked.path
        try:
            if path is None:
                written = self._new(at, _stem(at))
            else:
                written = files.save_at(at.recording, path, _stem(at), rows=at.rows, checkpoint=at.checkpoint)
        except Exception as error:
            place = self._session.folder if path is None else path
            self._session.settle(asked.ticket, f"not saved: {place}: {reason(error)}")
            return
        self._kept(at, written, told=True, ticket=asked.ticket)

    def _unasked(self, at: _Moment) -> None:
        """An autosave, or a detached run that is over: told only where that changes something."""
        session = self._session
        began = self._clock()
        try:
            written = self._autosave(at) if self._interval else self._new(at, _stem(at))
        except Exception as error:
            if not self._failing:
                text = f"autosave failed, and is tried again: {session.folder}: {reason(error)}"
                print(text, flush=True)
                session.note(text, "error")
            self._failing = True
        else:
            self._kept(at, written, told=self._failing or not self._interval)
            self._failing = False
        finally:
            self._done_at = self._clock()
            self._cost = self._done_at - began
            self._busy = False

    def _autosave(self, at: _Moment) -> Path:
        """One file for each run, written anew each time; never one that was there before."""
        if self._own is not None and self._own[0] == at.run:
            files.save(at.recording, self._own[1], rows=at.rows, checkpoint=at.checkpoint, overwrite=True)
        else:
            self._own = at.run, self._new(at, self._stem)
        return self._own[1]

    def _at_last(self, at: _Moment) -> None:
        """The worker is about to end: if not where it should, then anywhere."""
        try:
            written: Path | None = self._new(at, _stem(at))
        except Exception as error:
            print(f"not saved: {self._session.folder}: {reason(error)}", flush=True)
            written = save_elsewhere(at.recording, _stem(at), rows=at.rows, checkpoint=at.checkpoint)
        if written is not None:
            self._kept(at, written)

    def _new(self, at: _Moment, stem: str) -> Path:
        folder = self._session.folder
        return files.save_new(at.recording, folder, stem, rows=at.rows, checkpoint=at.checkpoint)

    def _kept(self, at: _Moment, path: Path, *, told: bool = False, ticket: int = 0) -> None:
        """A file has been written: the status knows at once, whoever waits for it, and, if told, the user."""
        session = self._session
        with session.standing_still():
            known = str(path) in session.status.saved
            session.kept(path, at.run, at.upto)
            session.settle(ticket)
            if told:
                session.note(f"saved {path}")
        if not known:  # last: whoever reads this line may leave
            print(f"saved {path}", flush=True)


def _job(at: _Moment, write: Callable[[_Moment], None]) -> SaveJob:
    return SaveJob(at.recording, lambda: write(at))


def _stem(at: _Moment) -> str:
    return f"ibtui-{time.strftime('%Y%m%d-%H%M%S')}-epoch{at.epoch}"
