"""The user's choices of what to look at: one frozen `View`, and pure functions that change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ibtui.core.information import Binning
from ibtui.plot.dots import Marker
from ibtui.plot.ticks import EpochScale, Unit
from ibtui.quantities.levels import Level

Layout = Literal["full", "compact", "small", "tiny"]

FULL = (100, 30)
COMPACT = (80, 24)
SMALL = (40, 12)
"""The least width and height of the layouts; on a smaller screen nothing makes sense."""
HUGE = (200, 60)
"""From this size on a full screen has a large plane."""

ROOMY = 32
"""From this height on a compact screen has room for a row of curves, too."""

T_BINS = (2, 3, 5, 10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10_000)
T_WIDTHS = (5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.07, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
NOISES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5)
"""Widths of bins, and variances of the noise, that the keys for fewer and for more bins go through."""
X_BINS = (*range(1, 11), 12, 15, 20, 30, 50, 70, 100, 200, 500, 1000)
PACES = (1, 2, 5, 10, 20, 30, 60, 120, 250, 500, 1000)
"""Epochs per second that + and - go through; past the last there is no limit, which is 0."""


@dataclass(frozen=True)
class View:
    """The user's choices."""

    row: int | None = None
    """The measurement looked at; None: the present."""
    layer: int = 0
    arrangement: Literal["overview", "plane", "curves"] = "overview"
    """The panes that lie beside each other."""
    hidden: frozenset[str] = frozenset()
    """The ids of panes that are not shown; see `ibtui.ui.layouts`."""
    pane: str = "scatter"
    """The pane chosen; with "scatter", that of the layer chosen."""
    enlarged: bool = False
    """True where the chosen pane has the whole screen."""
    pacing: bool = False
    """True for a moment after the pace was changed, which the status line then says before all else."""
    log_back: int = 0
    """The pages of the log before the last one that the large run pane is turned back by."""
    quantity: str = "dimension"
    """The quantity of the third pane of curves, of the table's last column and of the scatters' titles."""
    unit: Unit = "nats"
    level: Level = "estimate"
    """Information as estimated, in excess of its chance level, or as a share of what is beyond that."""
    scale: EpochScale = "log"
    """The scale of the epochs, along which curves run."""
    points: Literal["samples", "density"] = "samples"
    """A scatter's points: the samples, or the density of their classes."""
    reference: Literal["shown", "hidden"] = "shown"
    """The run before the last restart, drawn grey behind this one."""
    plane_colour: Literal["layer", "epoch"] = "layer"
    marker: Marker = "braille"


CHOICES = {name: get_args(kind) for name, kind in get_type_hints(View).items() if get_origin(kind) is Literal}


def cycled(view: View, name: str, choices: Sequence[str] = ()) -> View:
    """Return the view with the next of a field's choices; those in `CHOICES` need not be given."""
    changed: dict[str, Any] = {name: following(choices or CHOICES[name], getattr(view, name))}
    return replace(view, **changed)


def following(choices: Sequence[str], present: str) -> str:
    """Return the choice after the present one, round in a circle."""
    at = choices.index(present) if present in choices else -1
    return choices[(at + 1) % len(choices)]


def stepped(ladder: tuple[int, ...], value: float, by: int) -> int:
    """Return the next rung above (by 1) or below (by -1) a value, which may be between two; the ends stay."""
    if by > 0:
        return next((rung for rung in ladder if rung > value), ladder[-1])
    return next((rung for rung in reversed(ladder) if rung < value), ladder[0])


def finer(binning: Binning, by: int) -> Binning:
    """Return a binning that divides T more finely (by 1) or more coarsely (by -1)."""
    if binning.kind == "width":
        return replace(binning, t_width=_along(T_WIDTHS, binning.t_width, by))
    if binning.kind == "kde":
        return replace(binning, noise=_along(NOISES, binning.noise, by))
    return replace(binning, t_bins=stepped(T_BINS, binning.t_bins, by))


def _along(ladder: tuple[float, ...], value: float, by: int) -> float:
    """Do as `stepped` does on a ladder that descends."""
    if by > 0:
        return next((rung for rung in ladder if rung < value * (1 - 1e-9)), ladder[-1])
    return next((rung for rung in reversed(ladder) if rung > value * (1 + 1e-9)), ladder[0])


def next_pace(pace: float, by: int) -> int:
    """Return the next pace; above the highest there is none, which 0 stands for."""
    if by > 0:
        return 0 if pace == 0 or pace >= PACES[-1] else stepped(PACES, pace, by)
    return PACES[-1] if pace == 0 else stepped(PACES, pace, by)


def next_pane(view: View, by: int, layers: int, names: Sequence[str]) -> View:
    """Choose the pane before or after the chosen one in the order of `names`; scatters are one per layer."""
    places = [
        (name, layer)
        for name in names
        for layer in (range(layers) if name == "scatter" else [view.layer])
        if name != "scatter" or f"scatter{layer}" not in view.hidden
    ]
    if not places:
        return view
    here = (view.pane, view.layer)
    at = places.index(here) if here in places else 0
    pane, layer = places[(at + by) % len(places)]
    if pane == "scatter" and view.pane != "scatter":
        layer = 0 if by > 0 else layers - 1
    return replace(view, pane=pane, layer=layer)


def layout_for(width: int, height: int) -> Layout:
    """Return the layout that a screen has room for."""
    if width >= FULL[0] and height >= FULL[1]:
        return "full"
    if width >= COMPACT[0] and height >= COMPACT[1]:
        return "compact"
    return "small" if width >= SMALL[0] and height >= SMALL[1] else "tiny"


def page(count: int, chosen: int, room: int) -> range:
    """Return the items shown where `room` fit of `count`: the page that holds the chosen one."""
    room = max(1, min(room, count))
    first = min(chosen // room * room, count - room)
    return range(max(0, first), max(0, first) + room)
