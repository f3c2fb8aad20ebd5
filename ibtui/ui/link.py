"""The link between a screen and its worker: what is connected, what was asked for, what is not saved.

The link owns the client, the mirror of what came over it, the commands whose effect cannot be seen yet, the
handover to a new worker and the saving before something ends. It knows no terminal: it tells its `Screen`.
Three small machines, whose states stand in `LinkState`:

    worker     starting ──first frame──► connected ──it has gone──► lost
                   └──────────────────it has gone───────────────────▲

    handover   (none) ──a run's worker has gone──► holding          a new worker is to hold the history
               (none), holding ──continue──► continuing             a new worker is to train on
               holding, continuing ──it has the history──► (none)   it is the worker now: connected
               holding ──it fails──► (none)
               continuing ──it fails──► holding where the worker is lost, else (none)

    saving     (none) ──save_then──► writing ──written──► (none)    what was to come afterwards is done
               writing ──trouble──► asking ──another place──► writing
               asking ──no place──► (none)                          training, paused for it, goes on
               writing ──the worker has gone──► (none)

While a file is being written no new worker takes over: the file is the old one's to write.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol

from ibtui.core.information import Binning
from ibtui.errors import UsageError, explain
from ibtui.recording import Recording
from ibtui.run.client import Client
from ibtui.run.job import DeadRun
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import (
    Command,
    Detach,
    Frame,
    Pause,
    Rebin,
    Restart,
    Resume,
    Save,
    SetPace,
    Status,
    Stop,
)
from ibtui.run.snapshot import Snapshot, fallback_folders

PULL_S = 1 / 20
"""Seconds between two questions to a worker that gets ready."""
SILENT_S = 2.0
"""From here on a worker that owes an answer is said to be silent."""
NOTHING = "nothing is there that could be saved"


@dataclass(frozen=True)
class LinkState:
    """The states of the three machines, and what was asked for; see the module."""

    worker: Literal["starting", "connected", "lost"] = "starting"
    handover: Literal["", "holding", "continuing"] = ""
    saving: Literal["", "writing", "asking"] = ""
    progress: str = ""
    """The step at which the new worker is that is to train on; empty where there is none."""
    pausing: bool = False
    """A pause was asked for, and the worker does not yet say that it stands."""
    binning: Binning | None = None
    """A binning that was asked for, until the worker confirms it."""
    pace: float | None = None
    """A pace that was asked for, until the worker confirms it."""
    stopped: bool = False
    """True where `ibtui stop` has ended the worker that trained: the run is not dead, but stopped."""
    silent: int = 0
    """Seconds for which the worker has owed an answer; 0 while that is nothing unusual."""

    @property
    def lost(self) -> bool:
        """True where the worker has gone, and what the mirror holds is in no other process."""
        return self.worker == "lost"

    def of_run(self, status: Status | None) -> str:
        """Return the run's state as it is to be shown: the worker's own, or what the screen knows better."""
        if self.lost or (status is not None and status.state == "dead"):
            return "stopped" if self.stopped else "dead"
        if status is None:
            return "starting"
        return "pausing" if self.pausing and status.state == "running" else status.state

    def confirmed(self, status: Status, known: LinkState) -> LinkState:
        """Return the state without what was asked for and is now so; of a pause and a binning, or is refused.

        `known` is the state when this frame was asked for: the frame answers the pause and the binning in it.
        """
        return replace(
            self,
            worker="connected",
            pausing=self.pausing and not known.pausing and status.state == "running",
            binning=None if self.binning in (known.binning, status.binning) else self.binning,
            pace=None if self.pace == status.pace else self.pace,
            silent=0,
        )


class Workers(Protocol):
    """Makes new workers for a link, and writes files where there is none."""

    def hold(self, recording: Recording, dead: DeadRun) -> Client:
        """Make a worker that holds what the mirror of one that has gone does."""

    def go_on(self, recording: Recording) -> Client:
        """Make a worker that trains on from the recording's checkpoint."""

    def begin_anew(self) -> Client | None:
        """Make a worker for a run that could not begin, on the CPU; None if its settings are not known."""

    def write(self, recording: Recording, place: str | None) -> str:
        """Write a recording to a file or folder (None: where snapshots go), and return the file's path."""


class Screen(Protocol):
    """The listener of a link. All but `forward` is called in the screen's own thread."""

    @property
    def row(self) -> int | None:
        """The measurement looked at; None: the present."""

    def forward(self, client: Client, news: Frame | Lost) -> None:
        """Have `Link.hear` called with this, in the screen's own thread; called in a client's."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something in so many seconds."""

    def draw(self) -> None:
        """Draw what has changed of the mirror or the link's state."""

    def sent(self) -> None:
        """Expect the effect of a command soon."""

    def restarted(self) -> None:
        """Look at the present: the measurement looked at was another run's."""

    def tell(self, text: str, severity: str = "information") -> None:
        """Tell the user once."""

    def bell(self) -> None:
        """Call the user's attention: the worker has gone."""

    def ask_for_place(self, trouble: str, suggestion: str, answer: Callable[[str], None]) -> None:
        """Ask where else a file is to be written; the answer is empty where it is not to be."""


@dataclass
class _Successor:
    """A new worker, which takes over what is on the screen as soon as it has the history."""

    client: Client
    mirror: Mirror = field(default_factory=Mirror)


@dataclass(frozen=True)
class _Awaited:
    """A file that the worker writes before something is done."""

    ticket: int
    done: Callable[[], object]
    path: str | None


class Link:
    """The connection of a screen to its worker, at first that of `client`; see the module.

    Without `workers` none can take over, and the screen itself can write nothing.
    """

    def __init__(
        self,
        client: Client,
        screen: Screen,
        workers: Workers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.mirror, self.state = client, Mirror(), LinkState()
        self._screen, self._workers, self._clock = screen, workers, clock
        self._successor: _Successor | None = None
        self._pulled: float | None = None
        self._known = self.state
        """The state when the last frame was asked for."""
        self._awaited: _Awaited | None = None
        self._earlier: tuple[str, ...] = ()
        self._written = False
        """True where a file that the worker knows nothing of holds all of the history."""
        self._paused_to_save = False
        self._left = False
        """True once it has been said what is to be saved: no worker that may hold more takes over then."""
        self._keeping = threading.Lock()

    def _enter(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self._screen.draw()

    # Frames: one at a time.

    def start(self) -> None:
        try:
            self.client.start(partial(self._screen.forward, self.client))
        except Exception as error:
            self._lose(Lost(f"the worker cannot be started: {error}"))

    @property
    def ready(self) -> bool:
        """True where a frame can be asked for: there is a worker, and it owes none."""
        return self._pulled is None and not self.state.lost

    def pull(self) -> None:
        if self.ready:
            self._pulled, self._known = self._clock(), self.state
            self.client.pull(self.mirror, self._screen.row)

    def hear(self, client: Client, news: Frame | Lost) -> None:
        """Take in what a client has brought; one that was replaced is not listened to."""
        if self._left:
            return
        if self._successor is not None and client is self._successor.client:
            self._hear_successor(self._successor, news)
        elif client is self.client:
            self._pulled = None
            if isinstance(news, Lost):
                self._lose(news)
            else:
                self._hear_frame(news)

    def _hear_frame(self, frame: Frame) -> None:
        self._take_in(self.mirror, frame)
        self.state = self.state.confirmed(frame.status, self._known)
        if frame.new_run is not None and not frame.new_run.continues:
            self._screen.restarted()
        self._hear_of_file(frame.status)
        self._screen.draw()

    def _take_in(self, mirror: Mirror, frame: Frame) -> None:
        for notice in mirror.apply(frame):
            self._screen.tell(notice.text, notice.severity)

    def listen(self) -> None:
        """Notice that the worker has owed an answer for long; to be called once a second."""
        owed = self._clock() - self._pulled if self._pulled is not None else 0.0
        silent = int(owed) if owed >= SILENT_S and self.mirror.status is not None else 0
        if silent != self.state.silent:
            self._enter(silent=silent)

    def _lose(self, lost: Lost) -> None:
        """Say that the worker has gone, with the end of its log, and have another one hold the history."""
        mirror = self.mirror
        mirror.log.extend(unseen(mirror.log, lost.log))
        if mirror.died is not None:
            self._screen.tell(f"the worker that held the history has gone, too: {lost.reason}", "error")
        mirror.died = mirror.died or lost
        self.state = replace(self.state, stopped=mirror.died.stopped)
        self._lose_files(lost)
        self._enter(worker="lost", saving="", pausing=False, binning=None, pace=None, silent=0)
        self._screen.bell()
        self._hold()

    # Commands.

    @property
    def detached(self) -> bool:
        return self.client.detached and not self.state.lost

    def allows(self, command: Command) -> bool:
        """Return whether there is a worker that could carry out a command; else the user is told why not."""
        replayed = self.mirror.status is not None and self.mirror.status.plays
        if self._successor is not None and not isinstance(command, Save):
            why = "a new worker is about to take over: a moment"
        elif self.state.lost:
            why = "no worker is left" + ("" if replayed else ": c continues from the last checkpoint")
        elif self.mirror.died is not None and not isinstance(command, Rebin | Save):
            gone = "the run was stopped" if self.state.stopped else "the worker has died"
            why = f"{gone}: c continues from the last checkpoint"
        else:
            return True
        self._screen.tell(why, "warning")
        return False

    def send(self, command: Command) -> bool:
        """Have the worker carry out a command; returns False where there is none that could."""
        if not self.allows(command):
            return False
        self.client.send(command)
        self._screen.sent()
        match command:
            case Pause():
                self._enter(pausing=True)
            case Resume():
                self._enter(pausing=False)
            case Rebin(binning):
                self._enter(binning=binning)
            case SetPace(pace):
                self._enter(pace=float(pace))
            case Restart():
                self._screen.restarted()
                self._enter(pausing=False)
                self._resume()
            case Detach():
                self._screen.tell(
                    "detached: the run goes on when this screen is left; ibtui attach brings it back"
                )
        return True

    # The handover to a new worker.

    def _hold(self) -> None:
        """Have a new worker hold the history of one that trained and has gone; it is tried once."""
        status, recording = self.mirror.status, self.mirror.recording
        if status is None or not status.trains or recording is None or not len(recording):
            return
        if self._workers is not None and self._successor is None:
            dead = DeadRun(status.epoch, saved=not self.unsaved)
            self._hand_over("holding", partial(self._workers.hold, recording, dead))

    def go_on(self) -> None:
        """Have a new worker train on from the last checkpoint of one that died or failed, or begin anew."""
        recording, status = self.mirror.recording, self.mirror.status
        if self.state.of_run(status) not in ("dead", "stopped", "failed"):
            self._screen.tell("nothing to continue: the worker has not crashed")
        elif self._workers is None or status is None or status.plays or status.loop:
            self._screen.tell("this run cannot be continued from here", "warning")
        elif self.state.handover != "continuing":
            workers = self._workers
            make = workers.begin_anew if recording is None else partial(workers.go_on, recording)
            self._hand_over("continuing", make)
            if self._successor is not None:
                self._screen.restarted()
                self._enter(progress="starting")

    def _hand_over(
        self, purpose: Literal["holding", "continuing"], make: Callable[[], Client | None]
    ) -> None:
        """Start a worker that is to take over, in the place of any other that is about to."""
        self._dismiss_successor()
        self.state = replace(self.state, handover=purpose)
        try:
            client = make()
            if client is None:
                raise UsageError("it was begun elsewhere")
            client.start(partial(self._screen.forward, client))
        except Exception as error:
            self._fail(str(error))
            return
        self._successor = _Successor(client)
        self._pull_successor(self._successor)

    def _dismiss_successor(self) -> None:
        if self._successor is not None:
            _dismiss(self._successor.client)
            self._successor = None

    def _fail(self, why: str) -> None:
        """Give up a new worker that cannot take over; a history that none goes on with is to be held."""
        self._dismiss_successor()
        continuing = self.state.handover == "continuing"
        failing = "cannot be continued" if continuing else "no worker could take the history over"
        self._screen.tell(f"{failing}: {why}", "error")
        self._enter(handover="", progress="")
        if continuing and self.state.lost:
            self._hold()

    def _pull_successor(self, successor: _Successor) -> None:
        if successor is self._successor:
            successor.client.pull(successor.mirror, self._screen.row)

    def _hear_successor(self, successor: _Successor, news: Frame | Lost) -> None:
        if isinstance(news, Lost):
            self.mirror.log.extend(news.log)
            self._fail(news.reason)
            return
        self._take_in(successor.mirror, news)
        ready = successor.mirror.recording is not None and len(successor.mirror.recording)
        if ready and self._awaited is None:
            self._take_over(successor)
        elif news.status.state == "failed":
            self._fail(news.status.message)
        else:
            if self.state.progress and news.status.message:
                self._enter(progress=news.status.message)
            self._screen.later(PULL_S, partial(self._pull_successor, successor))

    def _take_over(self, successor: _Successor) -> None:
        """Make the new worker, which has the history, the screen's."""
        before, mirror = self.mirror, successor.mirror
        before.log.extend(mirror.log)
        mirror.log, mirror.reference = before.log, before.reference
        assert mirror.status is not None
        held = self.state.handover == "holding"
        if held:
            mirror.died = before.died
        old = None if self.state.lost else self.client
        self._earlier, self._written = self.files, self._written and held
        self._successor, self._pulled = None, None
        self.client, self.mirror = successor.client, mirror
        stopped = self.state.stopped and held
        state = replace(self.state, handover="", progress="", stopped=stopped, pace=None)
        self.state = state.confirmed(mirror.status, known=self.state)
        self._screen.draw()
        if old is not None:  # last: at no moment are both told to discard what they have
            _dismiss(old)

    # Saving.

    @property
    def files(self) -> tuple[str, ...]:
        """The files that this worker, those before it and the screen itself have written, oldest first."""
        status = self.mirror.status
        return tuple(dict.fromkeys((*self._earlier, *(status.saved if status is not None else ()))))

    @property
    def unsaved(self) -> bool:
        """True where there is history that no file holds."""
        status = self.mirror.status
        return status is not None and status.unsaved and not self._written

    def save(self) -> None:
        """Write a snapshot; of a worker that has gone, what the screen knows of it."""
        if self.state.lost:
            self._write_mirror(None)
        else:
            self.send(Save())

    def save_reference(self) -> None:
        self._write(self.mirror.reference, None)

    def save_then(self, done: Callable[[], object], path: str | None = None) -> None:
        """Save, and go on only when that is known to have worked; otherwise ask for another place.

        It may take a while, estimates that are still to be made included; nothing is trained meanwhile that
        would be lost.
        """
        if self.state.lost:
            if trouble := self._write_mirror(path):
                self._ask_for_place(trouble, done, path)
            else:
                self.state = replace(self.state, saving="")
                done()
            return
        if self.state.of_run(self.mirror.status) == "running":
            self._paused_to_save = self.send(Pause())
        if self.send(asked := Save(path, secrets.randbits(62) + 1)):
            self._awaited = _Awaited(asked.ticket, done, path)
            self._enter(saving="writing")

    def _hear_of_file(self, status: Status) -> None:
        """Go on where the file that is waited for has been written, or could not be."""
        if self._awaited is None:
            return
        awaited, trouble = self._awaited, dict(status.save_results).get(self._awaited.ticket)
        if trouble is None:
            return
        self._awaited = None
        self.state = replace(self.state, saving="")
        if trouble:
            self._ask_for_place(trouble, awaited.done, awaited.path)
        else:
            awaited.done()

    def _ask_for_place(self, trouble: str, done: Callable[[], object], path: str | None) -> None:
        """Ask for another place than that one, which is left to be mended where it was the user's."""
        others = (str(folder) for folder in fallback_folders() if f"{folder}/" not in f"{trouble}/")

        def answered(place: str) -> None:
            if place:
                self.save_then(done, os.path.abspath(os.path.expanduser(place)))
            else:
                self.state = replace(self.state, saving="")
                self._resume()

        self.state = replace(self.state, saving="asking")
        self._screen.ask_for_place(trouble, path or next(others, ""), answered)

    def _resume(self) -> None:
        """Have training go on where it was paused to save before something that is not to be after all."""
        if self._paused_to_save:
            self.send(Resume())
        self._paused_to_save = False

    def _write_mirror(self, path: str | None) -> str:
        trouble = self._write(self.mirror.recording, path)
        self._written = self._written or not trouble
        return trouble

    def _write(self, recording: Recording | None, path: str | None) -> str:
        """Write what the screen itself knows, and say so; returns what went wrong."""
        if self._workers is None or recording is None:
            self._screen.tell(NOTHING, "warning")
            return NOTHING
        try:
            written = self._workers.write(recording, path)
        except Exception as error:
            trouble = f"not saved{': ' + path if path else ''}: {explain(error)}"
            self._screen.tell(trouble, "error")
            return trouble
        self._earlier = (*self.files, written)
        said = Snapshot.of(recording).saved_as(written)
        self.mirror.log.append(said)
        self._screen.tell(said)
        return ""

    def _lose_files(self, lost: Lost) -> None:
        """Forget what the worker was to write; one that ended in order has left nothing unsaved."""
        self._awaited, self._paused_to_save = None, False
        if lost.saved is not None:
            self._earlier, self._written = (*self.files, *lost.saved), True

    # The end.

    def leave(self) -> None:
        """Tell the worker to end, as the user has chosen; a detached one goes on."""
        self._left = True
        if not self.state.lost and not self.detached:
            # The user who has not seen a history cannot have chosen to drop it.
            self.client.send(Stop(save=self.mirror.recording is None))

    def keep_all(self) -> None:
        """Have what is unsaved saved, for nobody is there to be asked. From any thread, or two at once."""
        with self._keeping:
            self._left = True
            lost = self.client.lost
            if lost is not None:  # its message may still wait
                self._lose_files(lost)
            if lost is None and not self.state.lost:
                if not self.detached:
                    self.client.send(Stop(save=True))
            elif self.unsaved and self._workers is not None and self.mirror.recording is not None:
                with contextlib.suppress(Exception):
                    self._earlier = (*self.files, self._workers.write(self.mirror.recording, None))
                    self._written = True

    def close(self) -> None:
        """Let go of the worker, and of one that was only to take over."""
        if self._successor is not None:
            self._successor.client.send(Stop(save=False))
            self._successor.client.close()
        self.client.close()


def _dismiss(client: Client) -> None:
    """End a worker whose history another one has."""
    client.send(Stop(save=False))
    threading.Thread(target=client.close, daemon=True).start()  # it may take a while


def unseen(known: Iterable[str], tail: Sequence[str]) -> Sequence[str]:
    """Return what of the end of a log is not at the end of the known lines already."""
    lines = list(known)
    overlaps = (n for n in range(min(len(lines), len(tail)), 0, -1) if lines[-n:] == list(tail[:n]))
    return tail[next(overlaps, 0) :]
