"""Steps an engine epoch by epoch, measures on schedule and appends to a Recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ibtui.config import RunConfig
from ibtui.data.samples import Dataset, make_dataset
from ibtui.engines import kind_of
from ibtui.engines.choose import Choice, choose, create_engine
from ibtui.errors import EngineError
from ibtui.quantities import Measurement
from ibtui.recording import Change, Checkpoint, resolved
from ibtui.recording.machine import difference
from ibtui.run.machine import this_machine
from ibtui.run.measuring import check_fits, estimate_pending, measure, meter_of, new_recording
from ibtui.run.resuming import resume


class Trainer:
    """One run of an engine, and its recording. Lives in one thread.

    The recording's configuration carries the engine and device that were chosen, and the number of samples
    that there are: some datasets have one of their own. A recording to resume from is gone on with from its
    checkpoint, and its whole history is taken over. `made` is called with the samples of a new run, `chosen`
    before the engine is made: both may take a while.

    Raises
    ------
    UsageError
        This machine, or the recording, does not allow it.
    EngineError
        The engine cannot be made after all.
    """

    def __init__(
        self,
        config: RunConfig,
        history_bytes: int,
        resume_from: str | None = None,
        chosen: Callable[[Choice], None] = lambda choice: None,
        made: Callable[[RunConfig, Dataset], None] = lambda config, dataset: None,
    ) -> None:
        resumed = resume(resume_from, config.epochs, history_bytes) if resume_from is not None else None
        if resumed is None:
            dataset = make_dataset(config)
            config = replace(config, samples=dataset.samples)
            made(config, dataset)
        else:
            dataset = resumed.dataset
        self.choice = choice = choose(config, dataset.inputs)
        self.config = replace(config, engine=choice.engine, ctx=choice.ctx)
        check_fits(self.config, dataset)
        chosen(choice)
        if resumed is None:
            resumed = new_recording(self.config, dataset, history_bytes)
        self.recording = resumed
        self.recording.config = self.config = resolved(self.config, resumed.layers, resumed.dataset)
        self.meter = meter_of(self.recording)
        start = self.recording.checkpoint or self._beginning()
        self.epoch = start.epoch
        self.engine = create_engine(choice, self.config, *dataset.training, start.state)
        self.recording.checkpoint = start
        self.machine = this_machine(choice)
        self.warnings = tuple(filter(None, (choice.warning, self._moved(), self.recording.forewarning())))
        """Lines that the user should know to begin with."""

    def _moved(self) -> str:
        """Note the machine in the recording; say how it differs from the one that the run was begun on."""
        recording = self.recording
        before, recording.machine = recording.machine, self.machine
        if not (differs := difference(before, self.machine)):
            return ""
        recording.changes.append(Change(self.epoch, "machine", differs))
        return f"resumed where the last bits may come out otherwise than where it was recorded: {differs}"

    def _beginning(self) -> Checkpoint:
        return Checkpoint(0, kind_of(self.config).initial(self.config, self.recording.dataset.inputs))

    @property
    def finished(self) -> bool:
        """True when all epochs are trained and the last measurement is taken."""
        return self.epoch >= self.config.epochs and not self._due

    @property
    def _due(self) -> bool:
        return self.config.scheduled(self.epoch) and self.recording.newest_epoch < self.epoch

    def train(self, epochs: int) -> None:
        """Train so many epochs, or as many as are left, taking every measurement that is due on the way."""
        target = min(self.epoch + epochs, self.config.epochs)
        self.measure_if_due()
        while self.epoch < target:
            stop = min(target, self.config.next_scheduled(self.epoch))
            self.engine.train(self.epoch, stop)
            self.epoch = stop
            self.measure_if_due()

    def measure_if_due(self) -> None:
        """Append the measurement of this epoch if the schedule has one and it is not taken yet."""
        if self._due:
            self.recording.checkpoint = self.checkpoint()
            self.recording.append(measure(self.recording, self.recording.checkpoint, self.meter))

    def measure(self) -> Measurement:
        """Measure the present state. Only scheduled measurements enter the recording."""
        return measure(self.recording, self.checkpoint(), self.meter)

    def estimate(self) -> None:
        """Make the estimates that wait for it, since a measurement has needed wider ranges."""
        estimate_pending(self.recording, self.meter)

    def checkpoint(self) -> Checkpoint:
        """Return the state from which a run goes on exactly; `EngineError` where it is not as declared."""
        state, arrays = self.engine.state(), {}
        for name, spec in self.recording.experiment.checkpoint.items():
            array = np.asarray(state[name], spec.dtype) if name in state else None
            if array is None or array.shape != spec.shape:
                found = "nothing" if array is None else array.shape
                raise EngineError(f"the engine {self.engine.name} gives {found} for {name}, not {spec.shape}")
            arrays[name] = array
        return Checkpoint(self.epoch, arrays)

    def restart(self, seed: int) -> None:
        """Begin again from scratch with this seed, in a new recording; nothing is compiled again."""
        old = self.recording
        self.config = replace(old.config, seed=seed)
        self.recording = new_recording(self.config, old.dataset, old.history_bytes)
        self.recording.machine = self.machine
        self.recording.checkpoint = start = self._beginning()
        self.epoch = 0
        self.engine.load(start.state, seed)

    def close(self) -> None:
        self.engine.close()
