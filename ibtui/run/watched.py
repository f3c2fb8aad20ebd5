"""The source that follows a watched loop: measurements come from its stream, commands go to its socket."""

from __future__ import annotations

import contextlib
import math
import os
import time
import traceback

from ibtui.errors import explain
from ibtui.recording.streams import Recorder, Row, Stream
from ibtui.run import control, effects, loops
from ibtui.run.control import Control, Where
from ibtui.run.job import Job
from ibtui.run.protocol import Command, Pause, Restart, Resume, Save, SetPace, Step
from ibtui.run.source import Source
from ibtui.run.state import RunState
from ibtui.run.worker_saver import WorkerSaver

_LOOK_S = 0.05
"""Seconds between two looks at the file and at the loop."""
_ASK_S = 0.15
"""Seconds between two questions to the loop, whose interpreter has to answer them."""
_REACH_S = 2.0
"""Seconds between two attempts to connect to a loop that lives and cannot be reached."""
_SLICE_S = 0.1
"""Seconds for which measurements that have come are worked off, before commands are looked at."""
_EVER = 2**62
"""An epoch beyond all: of a watched loop, everything is in its stream."""
_REFUSED = {
    Restart: "restart: the loop is your own program's; start it there again",
    SetPace: "pace: the loop is your own program's, and goes as fast as it does",
}


class Watched(Source):
    """Follows the stream of a loop, live or ended, and passes on what its screen asks of it."""

    trains, plays = False, False
    accepts = frozenset({Pause, Resume, Step, Save, Restart, SetPace})

    def __init__(self, state: RunState, saver: WorkerSaver, job: Job) -> None:
        assert job.watch is not None
        super().__init__(state, saver)
        state.leave_loop = self._leave_loop
        self._left = False
        """True once the last thing was said to the loop: what waits from before would undo it."""
        self._stream = Stream(job.watch)
        self._history_bytes = state.options.history_mb << 20
        self._recorder: Recorder | None = None
        self._waiting: list[Row] = []
        """Measurements that have been read and not been worked off, the newest first."""
        self._control: Control | None = None
        self._told = False
        """True once it was said that the stream is damaged."""
        self._reached = -math.inf
        """The time of the last attempt to connect."""
        self._where: Where | None = None
        self._shown: int | None = None
        self._stood: int | None = None
        """The epoch at which the loop was last said to be paused; None once it goes on."""
        """The epoch of a present state that is shown."""
        self._asked = -math.inf
        """The time at which the loop was asked last where it stands."""

    def prepare(self) -> None:
        """Read what is there, and show the newest of it; the past follows."""
        state = self._state
        state.update(message="reading the stream")
        self._read()
        if (begun := self._stream.begun) is not None:
            state.update(loop=begun.name or "loop", device=begun.name, engine=f"pid {begun.pid}")
            self._reach()
        self._advance()
        with contextlib.suppress(OSError):
            os.nice(5)  # code is compiled; from here on the loop goes first

    def _patience(self) -> float | None:
        if self._waiting:
            return 0.0
        return None if self._state.status.state == "finished" else _LOOK_S

    def _advance(self) -> None:
        try:
            self._read()
            self._listen()
            self._work_off()
            self._report()
        except Exception as error:  # such as a stranger's file: what came before it stays
            if self._recorder is None:
                raise
            traceback.print_exc()
            self._waiting = []
            self._stream.ended = self._stream.ended or explain(error)
            self._state.note(explain(error), "error")
            self._report()

    def _read(self) -> None:
        """Take in what has been appended; begin the recording as soon as the layers are known."""
        new = list(self._stream.rows())
        if (damage := self._stream.damage) and not self._told:
            self._told = True
            self._state.note(f"the stream is {damage}", "warning")
        self._waiting = [*reversed(new), *self._waiting]
        if self._recorder is None and self._stream.net is not None and self._waiting:
            names = [name for row in reversed(self._waiting) for name in row.scalars]
            self._recorder = Recorder(self._stream, names, self._history_bytes)
            self._begin(continues=False)
            for note in self._stream.net.notes:
                self._state.note(note)
                print(note, flush=True)
            if len(self._waiting) > 1:  # until the past has been worked off, the present
                self._show(self._waiting[0])

    def _begin(self, *, continues: bool) -> None:
        assert self._recorder is not None
        state, recording = self._state, self._recorder.recording
        state.begin(recording, continues=continues, message="measuring")
        state.saver.hold(state.status.run, _EVER)

    def _work_off(self) -> None:
        """Measure what waits, the oldest first, for as long as a look may take."""
        recorder, state = self._recorder, self._state
        end = time.monotonic() + _SLICE_S
        worked = False
        while recorder is not None and self._waiting:
            row = self._waiting.pop()
            if recorder.renew(row) is not None:
                self._begin(continues=True)
            recorder.append(row)
            worked = True
            if time.monotonic() > end:
                break
        if worked:
            state.history.wake()
            if not self._waiting:
                self._unshow()
        if recorder is not None and recorder.renew() is not None:  # another number of epochs is planned
            self._begin(continues=True)

    def _show(self, row: Row) -> None:
        """Show a row that is not recorded, or not yet."""
        assert self._recorder is not None
        if row.activations is not None and self._shown != row.epoch:
            self._shown = row.epoch
            self._state.set_present(self._recorder.measure(row))

    def _unshow(self) -> None:
        if self._shown is not None:
            self._shown = None
            self._state.set_present(None)

    def _listen(self) -> None:
        """Take in where the loop says that it stands, and ask again."""
        if self._control is None and time.monotonic() - self._reached > _REACH_S:
            self._reach()
        if self._control is None:
            return
        for where in self._control.answers():
            self._where = where
            if where.refused:
                self._state.pausing = False
                self._state.note(where.refused, "warning")
        if self._control.gone:
            self._control.close()
            self._control = None
            self._state.pausing = False  # a loop forgets what was asked over a connection that ends
        elif time.monotonic() - self._asked > _ASK_S:
            self._asked = time.monotonic()
            self._control.ask_where()

    def _reach(self) -> None:
        """Connect to the loop, if it lives; its socket may have been away, as after a logout."""
        begun, self._reached = self._stream.begun, time.monotonic()
        if begun is None or self._stream.ended is not None:
            return
        if loops.is_alive(begun.pid, begun.host, begun.started):
            self._control = control.reach(begun.name, begun.pid)

    def _report(self) -> None:
        """Tell screens where the loop stands."""
        state, stream, where = self._state, self._stream, self._where
        now, message = self._now(where)
        epoch = max(stream.newest, where.epoch if where is not None else 0, 0)
        if now != "running" and now != "pausing":
            state.speed.forget()
        elif where is not None or self._control is None:  # not yet: it stands further than its stream says
            state.speed.mark(epoch)
        present = stream.present
        if now == "paused" and not self._waiting and present is not None and present.epoch > stream.newest:
            if self._recorder is not None and present.epoch == epoch:
                self._show(present)
        elif not self._waiting:
            self._unshow()
        if self._waiting and self._recorder is not None:
            message = message or f"{len(self._waiting):,} measurements are still to be read"
        if self._recorder is None and now in ("running", "paused"):
            now, message = "starting", "the loop has not measured anything yet"
        self._tell(now, epoch)
        state.update(state=now, message=message, epoch=epoch, epochs=stream.planned or 0)

    def _tell(self, now: str, epoch: int) -> None:
        """Leave a line in the log of where the loop stands, and of that it goes on."""
        if now == "paused" and self._stood != epoch:
            self._stood = epoch
            effects.tell(f"paused at epoch {epoch:,}")
        elif now == "running" and self._stood is not None:
            effects.tell(f"goes on from epoch {self._stood:,}")
            self._stood = None

    def _now(self, where: Where | None) -> tuple[str, str]:
        """Return the run's state, and what is to be said of it."""
        begun, ended = self._stream.begun, self._stream.ended
        if ended is not None:
            return "finished", f"it ended with {ended}" if ended else ""
        if self._control is not None:
            waits = where is not None and where.state in ("paused", "pausing")
            return where.state if where is not None and waits else "running", ""
        pid = begun.pid if begun is not None else 0
        if begun is None or not loops.is_alive(begun.pid, begun.host, begun.started):
            return "dead", f"the loop has gone (pid {pid})"
        return "running", ""

    def _rebinned(self) -> None:
        self._shown, shown = None, self._shown
        if shown is not None and self._stream.present is not None and self._stream.present.epoch == shown:
            self._show(self._stream.present)

    def _obey(self, command: Command) -> None:
        match command:
            case Save():
                self._saver.save(command)
            case Pause():
                self._ask("pause")
            case Resume():
                self._ask("go on")
            case Step(epochs):
                self._ask("step", epochs=max(1, epochs))
            case _:
                self._state.note(_REFUSED[type(command)], "warning")

    def _ask(self, word: str, **more: int) -> None:
        if self._left:
            return
        if self._control is None:
            self._reach()
        if self._control is None:
            self._state.pausing = False
            self._state.note("the loop does not hear: it has ended, or cannot be reached", "warning")
            return
        self._control.send(word, **more)
        self._listen()

    def _leave_loop(self, stays: bool) -> None:
        """Say the last thing that a screen has to say, over a connection of its own. From any thread."""
        self._left, begun = True, self._stream.begun
        if begun is not None and (loop := control.reach(begun.name, begun.pid)) is not None:
            with loop:
                loop.send("stay" if stays else "go on")
                loop.wait()  # it has been heard then; one that is busy hears it later

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
