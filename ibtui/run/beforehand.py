"""The picture of a run before its engine is there: epoch 0, from the initial weights, by NumPy.

It is on the screen while engines are imported and code is compiled. Nothing of it is recorded: the run itself
measures epoch 0 again, to the same numbers.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

from ibtui.config import RunConfig
from ibtui.data.samples import Dataset
from ibtui.engines import kind_of
from ibtui.quantities import Array
from ibtui.recording import Checkpoint, Experiment, Recording
from ibtui.run import representation
from ibtui.run.measuring import check_fits, experiment_of, measure, meter_of
from ibtui.run.protocol import Key, Preview, Representation

_KEYS: tuple[Key, Key] = (-1, -1, 0), (-1, -1, 1)
"""The key of the picture without numbers, and that of the one with them."""
_MOST_ACTIVATIONS = 200_000
"""From here on a measurement may take long enough to be missed, and is not taken twice."""


class Beforehand:
    """Makes the pictures, and gives each to `show_beforehand`. What goes wrong is the run's own to say."""

    def __init__(self, show_beforehand: Callable[[Preview, Representation], None]) -> None:
        self._show = show_beforehand
        self._experiment: Experiment | None = None

    def show(self, config: RunConfig, dataset: Dataset) -> None:
        """Show the layers of the initial net."""
        try:
            check_fits(config, dataset)
            self._experiment = experiment = experiment_of(config, dataset)
            activations = self._activations(experiment)
            shown = representation.beforehand(dataset, experiment.layers, activations, _KEYS[0])
            self._give(Recording(experiment), shown)
        except Exception:
            self._experiment = None
            traceback.print_exc()

    def show_numbers(self) -> None:
        """Show its first measurement, too: code that is not kept from earlier runs is compiled for that."""
        experiment = self._experiment
        if experiment is None or self._units(experiment) > _MOST_ACTIVATIONS:
            return
        try:
            recording = Recording(experiment)
            meter = meter_of(recording)
            recording.ceilings = meter.ceilings
            start = Checkpoint(
                0, kind_of(experiment.config).initial(experiment.config, experiment.dataset.inputs)
            )
            recording.append(measure(recording, start, meter))
            self._give(recording, representation.of_row(recording, 0, meter, _KEYS[1]))
        except Exception:
            traceback.print_exc()

    def _units(self, experiment: Experiment) -> int:
        return len(experiment.dataset.x) * sum(layer.width for layer in experiment.layers)

    def _activations(self, experiment: Experiment) -> Sequence[Array]:
        config, dataset = experiment.config, experiment.dataset
        kind = kind_of(config)
        state = kind.initial(config, dataset.inputs)
        kept = {name: state[name] for name in experiment.kept}
        return kind.activations(config, kept, dataset.x)

    def _give(self, recording: Recording, shown: Representation) -> None:
        experiment = recording.experiment
        inputs = representation.inputs_of(experiment.dataset)
        self._show(Preview(experiment, recording.ceilings, inputs, recording.update_since(0)), shown)
