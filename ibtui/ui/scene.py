"""A scene, from which every widget is drawn: the user's view, the worker's mirror, the link's state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from ibtui import pace
from ibtui.core.information import Binning
from ibtui.core.names import WATCHED
from ibtui.plot.ticks import number, per_unit, unit_shown, value_text
from ibtui.quantities import FAMILIES, STANDARD, Array, Quantity
from ibtui.quantities.levels import Level, at_level, ceiling_at
from ibtui.recording import Recording
from ibtui.run.mirror import Mirror
from ibtui.run.protocol import Representation, Status
from ibtui.ui.line import Piece, piece
from ibtui.ui.link import LinkState
from ibtui.ui.view import View

_BEHIND = 0.8
"""Training that is slower than this share of its pace is held up by something else."""
_COMPILING = ("ibtui compiles its code, the first time only", "compiling, the first time only")
_CONSTANT = 1e-3
"""The spread of outputs, as a share of their axis, below which they are the same."""


@dataclass(frozen=True)
class Scene:
    """One frame's worth of knowledge, and what follows from it."""

    view: View
    mirror: Mirror
    link: LinkState = LinkState(worker="connected")  # noqa: RUF009 - it is frozen

    # The run.

    @property
    def recording(self) -> Recording | None:
        """The run's; before there is one, what it begins with."""
        mirror = self.mirror
        return mirror.preview if mirror.recording is None else mirror.recording

    @property
    def status(self) -> Status | None:
        """The worker's state; None before the first frame."""
        return self.mirror.status

    @property
    def representation(self) -> Representation | None:
        return self.mirror.representation

    @property
    def run_state(self) -> str:
        return self.link.of_run(self.mirror.status)

    @property
    def plays(self) -> bool:
        return self.mirror.status is not None and self.mirror.status.plays

    @property
    def space_does(self) -> str:
        """The word or two for the effect of the space key in this state; empty: it has none."""
        state = self.run_state
        if state in ("finished", "failed", "dead", "stopped"):
            return ""
        if self.plays:
            return "stop" if state == "running" else "play"
        return "pause" if state in ("starting", "running") else "go on"

    @property
    def loop(self) -> str:
        """The name of the watched loop that the run is; empty: it is none."""
        return self.mirror.status.loop if self.mirror.status is not None else ""

    @property
    def reference(self) -> Recording | None:
        """The run before, where it is to be drawn and can be compared."""
        before, now = self.mirror.reference, self.recording
        if before is None or now is None or not len(before) or self.view.reference == "hidden":
            return None
        widths = [[layer.width for layer in run.layers] for run in (before, now)]
        return before if widths[0] == widths[1] else None

    @property
    def reference_key(self) -> object:
        """Changes with what is drawn of the run before."""
        return None if self.reference is None else (self.reference.tick, id(self.reference))

    @property
    def layers(self) -> int:
        """The number of layers that are measured; 0 while it is not known."""
        return len(self.recording.layers) if self.recording is not None else 0

    @property
    def history(self) -> object:
        """Changes with the recording's measurements."""
        recording = self.recording
        return None if recording is None else (recording.tick, id(recording))

    @property
    def binning(self) -> Binning | None:
        """The binning asked for last."""
        status = self.mirror.status
        return self.link.binning or (status.binning if status is not None else None)

    @property
    def pace(self) -> float:
        """The pace asked for last."""
        return (self.status or Status()).pace if self.link.pace is None else self.link.pace

    @property
    def waiting(self) -> Piece:
        """The words of a pane that has no measurement to show yet."""
        compiling = self.recording is not None and self.run_state == "starting"
        return piece(*_COMPILING) if compiling else piece("no measurement yet")

    @property
    def seconds_left(self) -> float:
        """The time that training takes yet at its pace; 0 where nothing trains, or nobody knows."""
        status = self.mirror.status
        if status is None or self.plays or self.run_state != "running" or status.epoch >= status.epochs:
            return 0.0
        left, speed, limit = status.epochs - status.epoch, status.epochs_per_second, self.pace
        if status.story:
            bound = pace.seconds_of_story(status.epoch, status.epochs)
            # The speed is that of the last seconds, for which the pace may have been lower.
            begin = max(status.epoch - speed * pace.WINDOW_S, 0)
            slow = speed * pace.seconds_of_story(begin, status.epoch) < _BEHIND * (status.epoch - begin)
        else:
            bound = left / limit if limit > 0 else 0.0
            slow = not bound or (speed < _BEHIND * limit and not self.view.pacing)
        return left / speed if slow and speed > 0 else bound

    @property
    def constant_output(self) -> bool:
        """True where the net gives every input that is drawn the same output."""
        shown = self.mirror.representation
        if shown is None or not shown.points or len(shown.points[-1]) < 2:
            return False
        if self.recording is not None and self.recording.config.engine == WATCHED:
            return False  # its last layer need not be the output
        points, (left, right, low, high) = shown.points[-1], shown.ranges[-1]
        spread = np.ptp(points, axis=0) / (right - left, high - low)
        return bool((spread < _CONSTANT).all())

    # What is looked at.

    @property
    def cursor_row(self) -> int | None:
        """The measurement that curves mark: the one walked to or, unless it is the last, the one played."""
        recording, shown = self.recording, self.mirror.representation
        if recording is None or not len(recording):
            return None
        if self.view.row is not None:
            return min(self.view.row, len(recording) - 1)
        if self.plays and shown is not None:
            return None if shown.row == len(recording) - 1 else shown.row
        return None

    @property
    def when(self) -> Literal["then", "newest", "now"]:
        """A past measurement, the last one of a run that has gone on, or the run as it stands."""
        if self.cursor_row is not None:
            return "then"
        status, shown = self.mirror.status, self.mirror.representation
        stands = status is None or status.state not in ("running", "pausing")
        return (
            "now" if stands and (shown is None or status is None or shown.epoch == status.epoch) else "newest"
        )

    @property
    def unrecorded(self) -> Representation | None:
        """The representation of a run that stands after its last measurement; None at a measurement."""
        shown, recording = self.mirror.representation, self.recording
        if self.view.row is not None or shown is None or shown.row is not None or recording is None:
            return None
        measured = recording.column("epoch")
        return shown if len(measured) and shown.epoch > measured[-1] else None

    @property
    def measurements(self) -> int:
        return len(self.recording) if self.recording is not None else 0

    def row_after(self, by: int) -> int | None:
        """Return the row so many measurements on, or back where negative; None: the present."""
        count, here, shown = self.measurements, self.view.row, self.mirror.representation
        if not count or (here is None and by > 0):
            return None
        if here is None:  # the present, which may be the last measurement itself
            here = count - 1 if shown is None or shown.row == count - 1 else count
        return None if here + by >= count else max(0, here + by)

    def column(self, name: str) -> Array:
        """Return a column of the recording, and at its end what is looked at `unrecorded`."""
        assert self.recording is not None
        column, present = self.recording.column(name), self.unrecorded
        if present is None:
            return column
        value = present.epoch if name == "epoch" else present.values[name]
        return np.concatenate([column, np.asarray(value, column.dtype)[np.newaxis]])

    @property
    def last_epoch(self) -> float:
        """The last epoch that curves have room for: a little further than the run is, so that they fill it.

        It grows in steps of 1, 2, 5, 10, …, so that the curves stand still between two of them.
        """
        mirror, recording = self.mirror, self.recording
        if recording is None or not len(recording):
            return 1.0
        runs = [run for run in (recording, self.reference) if run is not None]
        newest = max(int(run.column("epoch")[-1]) for run in runs)
        newest = max(newest, mirror.status.epoch if mirror.status is not None else 0)
        every = recording.config.every
        least = max(newest, 10 * every if isinstance(every, int) else 10)
        power = 10 ** (len(str(least)) - 1)
        step = next(step for step in (1, 2, 5, 10) if step * power >= least)
        return float(min(step * power, max(recording.config.epochs, newest)))

    # Quantities.

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """The recording's quantities, or those of every run, by name."""
        return self.recording.quantities if self.recording is not None else standard()

    def quantity(self, name: str) -> Quantity:
        """Return the declaration of a quantity of the recording, or of every run."""
        return self.quantities.get(name) or standard()[name]

    @property
    def chosen_quantity(self) -> Quantity:
        """The quantity that the user has chosen, where the recording has it."""
        known = self.recording is not None and self.view.quantity in self.quantities
        return self.quantity(self.view.quantity if known else View.quantity)

    def ceiling(self, quantity: Quantity) -> float:
        """Return what a quantity cannot pass, as the view has it; NaN where that is not one number."""
        recording = self.recording
        if recording is None or level_of(quantity, self.view) == "excess":
            return math.nan
        if level_of(quantity, self.view) == "share":
            return 1.0
        if quantity.ceiling == "width":
            widths = {layer.width for layer in recording.layers}
            return float(widths.pop()) if len(widths) == 1 else math.nan
        return quantity.bound(recording.ceilings) / per_unit(quantity.unit, self.view.unit)

    def viewed(self, quantity: Quantity, values: Mapping[str, Array]) -> Array:
        """Return a quantity as the view has it, of the values that all quantities have."""
        ceilings = self.recording.ceilings if self.recording is not None else {}
        return as_viewed(quantity, values, ceilings, self.view)

    def recorded(self, quantity: Quantity) -> Array:
        """Return the recording's history as the view has it, with what is looked at `unrecorded`."""
        return self.viewed(quantity, {name: self.column(name) for name in _needed(quantity)})

    def faint(self, quantity: Quantity) -> Array | None:
        """Return what is drawn behind the curves of a quantity: chance levels, of an excess its ceilings."""
        level = level_of(quantity, self.view)
        if self.recording is None or not quantity.chance or level == "share":
            return None
        if level == "estimate":
            return in_unit(self.column(quantity.chance), quantity, self.view)
        values = {name: self.column(name) for name in _needed(quantity)}
        return in_unit(ceiling_at(quantity, values, self.recording.ceilings, level), quantity, self.view)

    def no_level(self, quantity: Quantity) -> str:
        """Say why a quantity has no values at the view's level, and which key leads on; empty if it has."""
        recording, level = self.recording, level_of(quantity, self.view)
        if (
            recording is None
            or level == "estimate"
            or not np.isnan(recorded(quantity, recording, self.view)).all()
        ):
            return ""
        if recording.binning.kind == "kde":
            why = "KDE has no chance level live"
        elif quantity.name == "i_xt" and recording.binning.identity:
            why = "no chance level: each sample is its own symbol of X"
        elif np.isnan(recording.column(quantity.chance)).all():
            why = "no chance level: each sample has a cell of its own"
        else:
            why = "no share: chance comes too close to the ceiling"
        return f"n/a: {why}. e{' twice' * (level == 'excess')}: as estimated"

    def texts(self, quantity: Quantity, layer: int) -> tuple[str, str] | None:
        """Return a quantity of a layer at the epoch looked at, and its chance level, or nothing of that."""
        shown = self.mirror.representation
        if shown is None or layer >= self.layers or quantity.name not in shown.values:
            return None
        of_layer = layer if quantity.per_layer else ()
        value = value_text(self.viewed(quantity, shown.values)[of_layer])
        if not quantity.chance:
            return value, ""
        return value, number(float(in_unit(shown.values[quantity.chance], quantity, self.view)[of_layer]))

    def choosable(self, always: frozenset[str]) -> tuple[str, ...]:
        """Return the quantities that can be chosen: all but those that are always shown, and chance levels.

        First come those of every run, of these first what no binning changes, then those asked for. What has
        no number, as bounds where values are binned, is left out.
        """
        if (recording := self.recording) is None:
            return ()
        hidden = always | {quantity.chance for quantity in self.quantities.values()}
        hidden |= {name for name in self.quantities if np.isnan(recording.column(name)).all()}
        rest = [quantity for name, quantity in self.quantities.items() if name not in hidden]
        return tuple(q.name for q in sorted(rest, key=lambda q: (q.name not in standard(), q.rebinned)))


@cache
def standard() -> Mapping[str, Quantity]:
    """Return the quantities of every run, by name."""
    return {quantity.name: quantity for name in STANDARD for quantity in FAMILIES[name].quantities}


def in_unit(values: Array, quantity: Quantity, view: View) -> Array:
    """Return a quantity's values in the unit of the view."""
    scale = per_unit(quantity.unit, view.unit)
    return values if scale == 1 else values / scale


def level_of(quantity: Quantity, view: View) -> Level:
    """Return the level at which the view has a quantity: without a chance level there is but its value."""
    return view.level if quantity.chance else "estimate"


def as_viewed(
    quantity: Quantity, values: Mapping[str, Array], ceilings: Mapping[str, float], view: View
) -> Array:
    """Return a quantity as the view has it: at its level and, but for a share, in its unit."""
    data = at_level(quantity, values, ceilings, view.level)
    return data if level_of(quantity, view) == "share" else in_unit(data, quantity, view)


def recorded(quantity: Quantity, recording: Recording, view: View) -> Array:
    """Return a quantity's history as the view has it: of shape (measurements, layers)."""
    values = {name: recording.column(name) for name in _needed(quantity)}
    return as_viewed(quantity, values, recording.ceilings, view)


def unit_of(quantity: Quantity, view: View) -> str:
    """Return the unit in which the view has a quantity."""
    return "" if level_of(quantity, view) == "share" else unit_shown(quantity.unit, view.unit)


_NAMES: Mapping[Level, str] = {"estimate": "{}", "excess": "{} − chance", "share": "share of {}"}


def name_of(quantity: Quantity, view: View) -> str:
    """Return the name of a quantity as the view has it."""
    return _NAMES[level_of(quantity, view)].format(quantity.label)


def _needed(quantity: Quantity) -> tuple[str, ...]:
    return (quantity.name, quantity.chance) if quantity.chance else (quantity.name,)
