"""What is being looked at: one frozen `View`, pure functions that change it, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ibtui.core.information import Binning
from ibtui.plot.dots import Marker
from ibtui.recording import Recording
from ibtui.run.protocol import Status

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror
    from ibtui.run.protocol import Representation

Array = np.ndarray[Any, Any]
Layout = Literal["full", "compact", "small"]
PaneName = Literal["scatter", "i_xt", "i_ty", "plane", "dimension", "performance", "log"]

FULL = (100, 30)
COMPACT = (80, 24)
"""The least width and height of the two layouts."""

PANES: tuple[PaneName, ...] = get_args(PaneName)
COMPACT_PANES: tuple[PaneName, ...] = ("scatter", "i_xt", "i_ty", "dimension", "performance", "log")
"""The panes that are on a compact screen, most of them as columns of its table; all can be enlarged."""

ROOMY = 32
"""From this height on a compact screen has room for a row of curves, too."""

T_BINS = (2, 3, 5, 10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10_000)
X_BINS = (*range(1, 11), 12, 15, 20, 30, 50, 70, 100, 200, 500, 1000)
PACES = (1, 2, 5, 10, 20, 30, 60, 120, 250, 500, 1000)
"""Epochs per second that + and - go through; past the last there is no limit, which is 0."""

NATS_PER_BIT = float(np.log(2))
SATURATED = 0.05
"""From this share of saturated activations on, a scatter's title says so."""


@dataclass(frozen=True)
class View:
    """What the user looks at, and how."""

    row: int | None = None
    """The measurement looked at; None: the present."""
    layer: int = 0
    pane: PaneName = "scatter"
    """The pane chosen; with "scatter", that of the layer chosen."""
    enlarged: bool = False
    """Whether the chosen pane has the whole screen."""
    size: Literal["dimension", "participation_ratio"] = "dimension"
    unit: Literal["nats", "bits"] = "nats"
    level: Literal["estimate", "excess"] = "estimate"
    """Information as estimated, or in excess of its chance level."""
    samples: Literal["scatter", "density"] = "scatter"
    plane_colour: Literal["layer", "epoch"] = "layer"
    marker: Marker = "braille"
    pausing: bool = False
    """A pause was asked for, and the worker does not yet say that it stands."""
    binning: Binning | None = None
    """A binning that was asked for, until the worker confirms it."""
    pace: float | None = None
    """A pace that was asked for, until the worker confirms it."""
    silent: int = 0
    """Seconds for which the worker has owed an answer; 0 while that is nothing unusual."""
    lost: bool = False
    """Whether the worker has gone, and what the mirror holds is in no other process."""
    continuing: str = ""
    """What a new worker does that is to continue the run; empty where there is none."""


CHOICES: Mapping[str, tuple[str, ...]] = {
    "size": ("dimension", "participation_ratio"),
    "unit": ("nats", "bits"),
    "level": ("estimate", "excess"),
    "samples": ("scatter", "density"),
    "plane_colour": ("layer", "epoch"),
    "marker": ("braille", "block", "ascii"),
}


def cycled(view: View, name: str) -> View:
    """The next of a field's choices."""
    changed: dict[str, Any] = {name: following(CHOICES[name], getattr(view, name))}
    return replace(view, **changed)


def following(choices: tuple[str, ...], present: str, by: int = 1) -> str:
    """The choice `by` places after the present one, round in a circle."""
    return choices[(choices.index(present) + by) % len(choices)]


def stepped(ladder: tuple[int, ...], value: float, by: int) -> int:
    """The next rung above (by 1) or below (by -1) a value, which may be between two; the ends stay."""
    if by > 0:
        return next((rung for rung in ladder if rung > value), ladder[-1])
    return next((rung for rung in reversed(ladder) if rung < value), ladder[0])


def next_pace(pace: float, by: int) -> int:
    """The next pace; above the highest there is none, which 0 stands for."""
    if by > 0:
        return 0 if pace == 0 or pace >= PACES[-1] else stepped(PACES, pace, by)
    return PACES[-1] if pace == 0 else stepped(PACES, pace, by)


def next_pane(view: View, by: int, layers: int, layout: Layout) -> View:
    """The pane before or after the chosen one: first a scatter per layer, then the others."""
    names = COMPACT_PANES if layout == "compact" and not view.enlarged else PANES
    places: list[tuple[PaneName, int]] = [("scatter", layer) for layer in range(layers)]
    places += [(name, view.layer) for name in names if name != "scatter"]
    here = (view.pane, view.layer)
    at = places.index(here) if here in places else 0
    pane, layer = places[(at + by) % len(places)]
    if pane == "scatter" and view.pane != "scatter":
        layer = 0 if by > 0 else layers - 1
    return replace(view, pane=pane, layer=layer)


def walked(view: View, mirror: Mirror, by: int) -> View:
    """So many measurements on, or back where negative; past the last one is the present again."""
    count = len(mirror.recording) if mirror.recording is not None else 0
    if not count or (view.row is None and by > 0):
        return replace(view, row=None)
    here = view.row
    if here is None:  # the present, which may be the last measurement itself
        here = count - 1 if mirror.look is None or mirror.look.row == count - 1 else count
    return replace(view, row=None if here + by >= count else max(0, here + by))


def layout_for(width: int, height: int) -> Layout:
    """Which layout a screen has room for."""
    for layout, (least_width, least_height) in (("full", FULL), ("compact", COMPACT)):
        if width >= least_width and height >= least_height:
            return layout  # type: ignore[return-value]
    return "small"


def page(count: int, chosen: int, room: int) -> range:
    """The items shown where `room` fit of `count`: the page that holds the chosen one."""
    room = max(1, min(room, count))
    first = min(chosen // room * room, count - room)
    return range(max(0, first), max(0, first) + room)


def cursor_row(view: View, mirror: Mirror) -> int | None:
    """The measurement that curves mark: the one walked to; in a replay, the one played, but for the last."""
    if mirror.recording is None or not len(mirror.recording):
        return None
    if view.row is not None:
        return min(view.row, len(mirror.recording) - 1)
    if replaying(mirror) and mirror.look is not None:
        at_the_end = mirror.look.row == len(mirror.recording) - 1
        return None if at_the_end else mirror.look.row
    return None


def moment(view: View, mirror: Mirror) -> Literal["then", "newest", "now"]:
    """What is looked at: a past measurement, the last one of a run that has gone on, the run as it stands."""
    if cursor_row(view, mirror) is not None:
        return "then"
    status, look = mirror.status, mirror.look
    stands = status is None or status.state not in ("running", "pausing")
    return "now" if stands and (look is None or status is None or look.epoch == status.epoch) else "newest"


def between(view: View, mirror: Mirror) -> Representation | None:
    """What is looked at where it is no measurement: the weights of a run that stands between two."""
    look, recording = mirror.look, mirror.recording
    if view.row is not None or look is None or look.row is not None or recording is None:
        return None
    measured = recording.column("epoch")
    return look if len(measured) and look.epoch > measured[-1] else None


def with_present(recording: Recording, name: str, present: Representation | None) -> Array:
    """A column of a recording, and what is looked at `between` its last measurement and the next."""
    column = recording.column(name)
    if present is None:
        return column
    value = present.epoch if name == "epoch" else present.values[name]
    return np.concatenate([column, np.asarray(value, column.dtype)[np.newaxis]])


def horizon(mirror: Mirror) -> float:
    """Up to which epoch curves have room: a little further than the run is, so that they fill the pane.

    It grows in steps of 1, 2, 5, 10, …, so that the curves stand still between two of them.
    """
    recording = mirror.recording
    if recording is None or not len(recording):
        return 1.0
    runs = [run for run in (recording, mirror.before) if run is not None and len(run)]
    newest = max(int(run.column("epoch")[-1]) for run in runs)
    newest = max(newest, mirror.status.epoch if mirror.status is not None else 0)
    least = max(newest, 10 * recording.config.every)
    power = 10 ** (len(str(least)) - 1)
    step = next(step for step in (1, 2, 5, 10) if step * power >= least)
    return float(min(step * power, max(recording.config.epochs, newest)))


def replaying(mirror: Mirror) -> bool:
    """Whether the worker plays a recording."""
    return mirror.status is not None and mirror.status.source == "replay"


def state_of(view: View, mirror: Mirror) -> str:
    """The state to show: the worker's own, or what the screen knows better."""
    if view.lost:
        return "dead"
    if mirror.status is None:
        return "starting"
    return "pausing" if view.pausing and mirror.status.state == "running" else mirror.status.state


def confirmed(view: View, status: Status) -> View:
    """The view without what was asked for and is now so."""
    return replace(
        view,
        pausing=view.pausing and status.state == "running",
        binning=None if view.binning == status.binning else view.binning,
        pace=None if view.pace == status.pace else view.pace,
        silent=0,
    )


def binning_of(view: View, status: Status) -> Binning:
    """The binning asked for last."""
    return view.binning or status.binning


def pace_of(view: View, status: Status) -> float:
    """The pace asked for last."""
    return status.pace if view.pace is None else view.pace


def excess(values: Mapping[str, Array], name: str, view: View) -> Array:
    """I(X;T) or I(T;Y) as the view has it: in its unit, and less its chance level where that is asked for."""
    data = values[name] - values[f"chance_{name}"] if view.level == "excess" else values[name]
    return data / NATS_PER_BIT if view.unit == "bits" else data
