"""A client without a worker: plausible numbers, commands written down, pulls answered at once or on demand.

`python -m tests.ui.standin` shows the screen over one that trains by itself, to be looked at.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from textual.app import App
from textual.strip import Strip

from ibtui.config import RunConfig
from ibtui.core.dimension import dimension, participation_ratio
from ibtui.core.information import Binning
from ibtui.core.projection import project
from ibtui.data.samples import make_dataset
from ibtui.engines import kind_of
from ibtui.quantities import Measurement
from ibtui.quantities.meter import quantities
from ibtui.recording import Recording
from ibtui.run.client import Client
from ibtui.run.measuring import experiment_of
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import (
    Command,
    Detach,
    Frame,
    NewRun,
    Notice,
    Pause,
    Rebin,
    Representation,
    Restart,
    Resume,
    Save,
    SetPace,
    Status,
    Step,
    Stop,
)
from ibtui.run.representation import inputs_of

CEILINGS = {"h_x": 2.7636, "h_y": 0.69308}


def weights(config: RunConfig, epoch: int, seed: int) -> dict[str, np.ndarray]:
    """Weights that drift from one random net to another, more decided one."""
    rng = np.random.default_rng(seed)
    share = 1 - np.exp(-3 * epoch / max(config.epochs, 1))
    inputs, found = samples(config).inputs, {}
    for layer, width in enumerate(config.layers):
        first, last = rng.normal(size=(2, width, inputs)), 3 * rng.normal(size=(2, width, inputs))
        found[f"weight{layer}"] = ((1 - share) * first[0] + share * last[0]).astype(np.float32)
        found[f"bias{layer}"] = (share * rng.normal(size=width)).astype(np.float32)
        inputs = width
    return found


samples = functools.cache(make_dataset)


@functools.cache
def measurement(config: RunConfig, epoch: int, binning: Binning) -> Measurement:
    """Real activations and dimensions; information, accuracy and loss made up, but shaped as in a run.

    A test shares them with all others, so nothing can be written to them.
    """
    kept = weights(config, epoch, config.seed)
    activations = kind_of(config).activations(config, kept, samples(config).x)
    layers, depth = len(config.layers), np.arange(len(config.layers))
    share = 1 - np.exp(-4 * epoch / max(config.epochs, 1))
    fine = np.log(binning.t_bins + 1) / np.log(101)
    wobble = 0.03 * np.sin(epoch / 30 + depth)
    i_xt = fine * (2.6 - 0.3 * depth * share) + wobble
    i_ty = np.clip(fine * (0.35 + 0.3 * share * (depth + 1) / layers) + wobble, 0, 0.69)
    train = 0.5 + 0.48 * share
    values = {
        "i_xt": i_xt, "i_ty": i_ty, "chance_i_xt": 0.55 * i_xt, "chance_i_ty": 0.4 * i_ty,
        "i_xt_lower": np.full(layers, np.nan), "i_ty_lower": np.full(layers, np.nan),
        "occupancy": np.full(layers, 0.7), "outside": np.zeros(layers, np.int64),
        "dimension": [dimension(t) for t in activations],
        "participation_ratio": [participation_ratio(t) for t in activations],
        "saturation": np.full(layers, 0.01), "train_accuracy": train, "test_accuracy": train - 0.01,
        "train_loss": 0.7 - 0.5 * share, "test_loss": 0.72 - 0.49 * share, "moving_loss": 0.71 - 0.5 * share,
    }  # fmt: skip
    # What other packages measure besides.
    values |= {q.name: np.full(layers if q.per_layer else (), 0.25) for q in quantities(config.quantities)
               if q.name not in values}  # fmt: skip
    arrays = {name: np.asarray(value) for name, value in values.items()}
    for array in (*arrays.values(), *kept.values(), *activations):
        array.flags.writeable = False
    return Measurement(epoch, binning, arrays, kept, activations)


def strips(app: App[None]) -> list[Strip]:
    """The rows of the screen as they are now: Textual has no public way to them."""
    return app.screen._compositor.render_strips()


@dataclass
class FakeWorkers:
    """Gives the workers that a test has made, and writes nothing."""

    hold: Callable[..., Client] | None = None
    go_on: Callable[..., Client] | None = None
    begin_anew: Callable[[], Client | None] | None = None
    write: Callable[[Recording, str | None], str] | None = None

    def __post_init__(self) -> None:
        def none(*_: object) -> Any:
            raise OSError("there is none")

        self.hold, self.go_on, self.write = self.hold or none, self.go_on or none, self.write or none
        self.begin_anew = self.begin_anew or none


class StandIn:
    """A client without a worker.

    Parameters
    ----------
    config : RunConfig
    epochs : int
        How far the run is at first.
    answering : bool
        Answer pulls at once; otherwise `answer` does.
    """

    def __init__(
        self, config: RunConfig | None = None, epochs: int = 500, *, answering: bool = True, **status: Any
    ) -> None:
        self.config = config or RunConfig(every=10)
        self.dataset = samples(self.config)
        self.recording = self._new_recording()
        self.binning = self.recording.binning
        self.status = Status(
            run=0, state="running", epoch=0, epochs=self.config.epochs, epochs_per_second=212.0, pace=60.0,
            engine="gluon", device="cpu", why="", binning=self.binning, pending=0, unsaved=True,
            trains=True,
        )  # fmt: skip
        self.status = replace(self.status, **status)
        self.detached = self.status.detached
        self.lost: Lost | None = None
        self.commands: list[Command] = []
        self.pulls: list[tuple[int, int | None]] = []
        self.waiting: tuple[int, int, int | None, tuple[int, ...]] | None = None
        self.most_waiting = 0
        self.log: list[str] = ["engine: gluon on cpu", "2000 epochs, a measurement every 10"]
        self.notices: list[Notice] = []
        self.saving_works = True
        self.values: dict[str, Any] = {}
        """Values that representations have instead of what was measured."""
        self.between: int | None = None
        """The epoch at which it stands, where that is no measurement's: `values` are then of that epoch."""
        self.unready: dict[str, Any] = {}
        """Its status while it has no recording yet; empty: it has one."""
        self.answering, self.closed, self.started = answering, False, False
        self.obeying = True
        """Carry out commands as they are sent; otherwise `obey` does."""
        self._log_sent = 0
        self._lock = threading.RLock()
        self.train_to(epochs)

    def _new_recording(self) -> Recording:
        return Recording(experiment_of(self.config, self.dataset), dict(CEILINGS))

    @property
    def told(self) -> list[Command]:
        """The commands, whatever the tickets of those that save."""
        return [Save(c.path) if isinstance(c, Save) else c for c in self.commands]

    # Client.

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        self.arrived, self.started = arrived, True

    def pull(self, mirror: Mirror, row: int | None) -> None:
        with self._lock:
            self.pulls.append((mirror.run, row))
            self.most_waiting = max(self.most_waiting, 1 + (self.waiting is not None))
            tick = mirror.recording.tick if mirror.recording is not None else 0
            key = mirror.representation.key if mirror.representation is not None else ()
            self.waiting = (mirror.run, tick, row, key)
        if self.answering:
            self.answer()

    def send(self, command: Command) -> None:
        with self._lock:
            self.commands.append(command)
            self.detached = self.detached or isinstance(command, Detach)
            if self.obeying:
                self.obey(command)
            elif isinstance(command, Pause) and self.status.state == "running":
                self.status = replace(self.status, state="pausing")
            elif isinstance(command, Rebin):
                self.status = replace(self.status, binning=command.binning)

    def close(self) -> None:
        self.closed = True

    # The run.

    def train_to(self, epoch: int) -> None:
        """Measure on schedule up to an epoch."""
        with self._lock:
            done = self.recording.newest_epoch
            epoch = min(epoch, self.config.epochs)
            for due in filter(self.config.scheduled, range(done + 1, epoch + 1)):
                self.recording.append(measurement(self.config, due, self.binning))
            state = "finished" if epoch >= self.config.epochs else self.status.state
            self.status = replace(self.status, epoch=epoch, state=state, unsaved=True)

    def obey(self, command: Command) -> None:
        """Carry out a command: as it is sent, or, where it does not obey yet, when a test says so."""
        status = self.status
        match command:
            case Pause():
                self.status = replace(status, state="paused")
            case Resume():
                self.status = replace(status, state="running")
            case Step(count):
                self.train_to(status.epoch + count)
                self.status = replace(self.status, state="paused")
            case Detach():
                self.status = replace(status, detached=True)
            case SetPace(pace):
                self.status = replace(status, pace=pace)
            case Rebin(binning):
                self.binning = binning
                epochs = self.recording.column("epoch").copy()
                self.recording.rebin(binning, CEILINGS)
                for row, epoch in enumerate(epochs):
                    self.recording.estimate(
                        row, binning, measurement(self.config, int(epoch), binning).values
                    )
                self.status = replace(status, binning=binning)
            case Save(place, ticket):
                if self.saving_works or place is not None:
                    path = place or f"snapshots/ibtui-{len(status.saved) + 1}.npz"
                    saved = (*status.saved, path)
                    settled = (*status.save_results, (ticket, ""))
                    self.status = replace(
                        status, unsaved=False, saved=saved, saves=len(saved), save_results=settled
                    )
                    self.notices.append(Notice(f"saved {path}"))
                else:
                    trouble = "not saved: snapshots: No space left on device"
                    self.notices.append(Notice(trouble, "error"))
                    self.status = replace(status, save_results=(*status.save_results, (ticket, trouble)))
            case Restart(seed):
                self.config = replace(self.config, seed=self.config.seed if seed is None else seed)
                self.recording = self._new_recording()
                self.status = replace(status, run=status.run + 1, epoch=0, state="running")
                self.train_to(0)
            case Stop():
                self.closed = True

    def answer(self) -> None:
        """Answer the pull that waits."""
        with self._lock:
            assert self.waiting is not None
            (run, tick, row, key), self.waiting = self.waiting, None
            fresh = run != self.status.run
            new_run = self._new_run() if fresh else None
            update = self.recording.update_since(0 if fresh else tick)
            look = self.look(row) if len(self.recording) else None
            log, self._log_sent = tuple(self.log[self._log_sent :]), len(self.log)
            notices, self.notices = tuple(self.notices), []
            frame = Frame(
                self.status,
                new_run,
                update,
                look if look and look.key != key else None,
                log=log,
                notices=notices,
            )
            if self.unready:
                frame = self.unready_frame(log)
        self.arrived(frame)

    def unready_frame(self, log: tuple[str, ...]) -> Frame:
        """Return the frame of a worker that has no recording yet."""
        return Frame(replace(self.status, run=-1, **self.unready), log=log)

    def _new_run(self) -> NewRun:
        inputs = inputs_of(self.dataset)
        run = self.status.run
        return NewRun(run, self.recording.experiment, dict(CEILINGS), inputs=inputs, before=run - 1)

    def look(self, row: int | None) -> Representation:
        """One epoch as the worker would show it."""
        at = len(self.recording) - 1 if row is None else min(row, len(self.recording) - 1)
        activations = kind_of(self.config).activations(self.config, self.recording.kept(at), self.dataset.x)
        values = self.recording.values(at)
        i_ty = values["i_ty"]
        epoch, key = int(self.recording.column("epoch")[at]), (self.status.run, at, self.recording.tick)
        present = row is None and self.between is not None
        if present:
            epoch, key = self.between or 0, (self.status.run, -1, self.between or 0)
        return Representation(
            key=key, row=None if present else at, epoch=epoch,
            points=tuple(project(t) for t in activations), labels=self.dataset.y, samples=len(self.dataset.y),
            ranges=((-1.0, 1.0, -1.0, 1.0),) * len(activations),
            values=values | (self.values if present or self.between is None else {}),

            sensitivity=np.stack(
                [np.stack([0.5 * v, 0.8 * v, v], axis=1) for v in (i_ty, values["chance_i_ty"])]
            ),
        )  # fmt: skip

    def lose(self, reason: str = "the worker was killed by SIGKILL", log: tuple[str, ...] = ()) -> None:
        """The worker goes."""
        self.waiting = None
        self.answering = False
        self.lost = Lost(reason, log)
        self.arrived(self.lost)


class Training(StandIn):
    """One that trains by itself, in a thread, and answers a moment after it was asked."""

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        super().start(arrived)
        self.answering = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        progress = float(self.status.epoch)
        while not self.closed:
            time.sleep(0.004)  # as long as a stretch of epochs takes
            with self._lock:
                if self.status.state == "running":
                    progress = max(progress, self.status.epoch) + 0.004 * (self.status.pace or 1000)
                    if self.status.epoch == 0:
                        progress = 0.0 if progress > 100 else progress
                    self.train_to(int(progress))
                else:
                    progress = self.status.epoch
                waiting = self.waiting is not None
            if waiting:
                self.answer()


def main() -> None:
    """Show it: an epoch to begin with, and widths of layers, may be given."""
    import sys

    from ibtui.config import WatchOptions
    from ibtui.ui.app import run

    epoch = int(sys.argv[1]) if len(sys.argv) > 1 else 700
    layers = tuple(int(w) for w in sys.argv[2].split(",")) if len(sys.argv) > 2 else (2, 2, 2, 2)
    print(run(Training(RunConfig(layers=layers), epoch), WatchOptions()))


if __name__ == "__main__":
    main()
