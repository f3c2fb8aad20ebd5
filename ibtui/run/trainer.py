"""Steps an engine epoch by epoch, measures on schedule and appends to a Recording."""

from __future__ import annotations

from dataclasses import replace

from ibtui.config import RunConfig
from ibtui.core.seeding import initial_parameters
from ibtui.engines.choose import Choice, create_engine
from ibtui.quantities.meter import Meter, make_dataset, new_recording
from ibtui.recording import Checkpoint, Measurement, Parameters, Recording


class Trainer:
    """One run of an engine, and its recording. Lives in one thread.

    Parameters
    ----------
    config : RunConfig
        What to train; the recording's carries the engine and device that `choice` resolved.
    choice : Choice
        Which engine, on which device.
    history_bytes : int
        See `Recording`.
    resumed : Recording, optional
        The run to go on with, from its checkpoint; its whole history is taken over.
    """

    def __init__(
        self, config: RunConfig, choice: Choice, history_bytes: int, resumed: Recording | None = None
    ) -> None:
        self.config = replace(config, engine=choice.engine, ctx=choice.ctx)
        if resumed is None:
            self.recording = new_recording(self.config, make_dataset(config), history_bytes)
        else:
            self.recording = resumed
            self.recording.config = self.config
        dataset = self.recording.dataset
        self.meter = Meter(dataset, config.activation, self.recording.binning)
        start = self.recording.checkpoint or self._beginning()
        self.epoch = start.epoch
        self.engine = create_engine(
            choice, self.config, dataset.x, dataset.y, start.parameters, start.moving_loss
        )
        self.recording.checkpoint = start

    def _beginning(self) -> Checkpoint:
        c, inputs = self.config, self.recording.dataset.x.shape[1]
        parameters = initial_parameters(c.layers, inputs=inputs, sigma=c.init_sigma, seed=c.seed)
        return Checkpoint(0, parameters, float("nan"))

    @property
    def finished(self) -> bool:
        """All epochs are trained, and the last measurement is taken."""
        return self.epoch >= self.config.epochs and not self._due

    @property
    def _due(self) -> bool:
        scheduled = self.epoch % self.config.every == 0 or self.epoch == self.config.epochs
        measured = self.recording.column("epoch")
        return scheduled and (not len(measured) or int(measured[-1]) < self.epoch)

    def train(self, epochs: int) -> None:
        """Train so many epochs, or as many as are left, taking every measurement that is due on the way."""
        target = min(self.epoch + epochs, self.config.epochs)
        self.measure_if_due()
        while self.epoch < target:
            stop = min(target, (self.epoch // self.config.every + 1) * self.config.every)
            self.engine.train(self.epoch, stop)
            self.epoch = stop
            self.measure_if_due()

    def measure_if_due(self) -> None:
        """Append the measurement of this epoch, where the schedule has one and it is not taken yet."""
        if self._due:
            self.recording.append(self.measure())

    def measure(self) -> Measurement:
        """The present weights, measured. Only scheduled measurements enter the recording."""
        self.meter.binning = self.recording.binning
        return self.meter.measure(self.epoch, self._checkpoint().parameters, self.engine.moving_loss)

    def _checkpoint(self) -> Checkpoint:
        self.recording.checkpoint = self.checkpoint()
        return self.recording.checkpoint

    def checkpoint(self) -> Checkpoint:
        """The present state, from which a run goes on exactly."""
        return Checkpoint(self.epoch, self.engine.parameters(), self.engine.moving_loss)

    def restart(self, seed: int) -> None:
        """Begin again from scratch with this seed, in a new recording; nothing is compiled again."""
        old = self.recording
        self.config = replace(
            self.config,
            seed=seed,
            binning=old.config.binning,
            x_bins=old.config.x_bins,
            t_bins=old.config.t_bins,
        )
        self.recording = new_recording(self.config, old.dataset, old.history_bytes)
        start = self._beginning()
        self.recording.checkpoint = start
        self.epoch = 0
        self.engine.load(start.parameters, start.moving_loss, seed)

    def close(self) -> None:
        """Release the engine's device."""
        self.engine.close()


__all__ = ["Parameters", "Trainer"]
