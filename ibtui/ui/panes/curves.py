"""Curves over epochs: one of I(X;T), I(T;Y) and dimension, a curve per layer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from rich.style import Style

from ibtui.plot import palette
from ibtui.plot.plots import Series, curve_plot
from ibtui.plot.ticks import number
from ibtui.recording import Recording
from ibtui.ui.line import Piece, piece
from ibtui.ui.panes.pane import Drawing, Pane, message
from ibtui.ui.view import NATS_PER_BIT, Array, View, between, cursor_row, excess, horizon, with_present

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror
    from ibtui.run.protocol import Representation

SENSITIVITY_BINS = (10, 30, 100)
"""The bins of `Representation.sensitivity`."""


@dataclass(frozen=True)
class Quantity:
    """What a pane of curves shows."""

    name: Literal["i_xt", "i_ty", "dimension"]
    title: str
    ceiling_name: str
    """What cannot be passed, in a word."""

    @property
    def is_information(self) -> bool:
        """Whether it has a unit, a chance level and an entropy for its ceiling."""
        return self.name != "dimension"

    def column(self, view: View) -> str:
        """The name of its column in a recording."""
        return self.name if self.is_information else view.size

    def values(self, recording: Recording, view: View, present: Representation | None = None) -> Array:
        """As the view has it, shape (measurements, layers); see `with_present`."""
        if not self.is_information:
            return with_present(recording, self.column(view), present)
        names = (self.name, f"chance_{self.name}")
        return excess({name: with_present(recording, name, present) for name in names}, self.name, view)

    def ceiling(self, recording: Recording, view: View) -> float:
        """What its value cannot pass, as the view has it; NaN where there is nothing of the kind."""
        if not self.is_information:
            return float(max(recording.config.layers))
        if view.level == "excess":
            return float("nan")
        ceiling = recording.ceilings["h_x" if self.name == "i_xt" else "h_y"]
        return ceiling / NATS_PER_BIT if view.unit == "bits" else ceiling


I_XT = Quantity("i_xt", "I(X;T)", "H(X)")
I_TY = Quantity("i_ty", "I(T;Y)", "H(Y)")
DIMENSION = Quantity("dimension", "dimension", "width")


class Curves(Pane):
    """The curves of a quantity, its chance levels and its ceiling."""

    may_lag: ClassVar[bool] = True

    def __init__(self, quantity: Quantity) -> None:
        super().__init__(quantity.name)
        self._quantity = quantity

    def content_key(self, view: View, mirror: Mirror) -> Hashable:
        """Curves change with the history, and their note with the look."""
        recording, look = mirror.recording, mirror.look
        history = (recording.tick, id(recording), id(mirror.before)) if recording is not None else None
        return (
            history, look and look.key, cursor_row(view, mirror),
            view.layer, view.size, view.unit, view.level,
        )  # fmt: skip

    def draw(self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]) -> Drawing:
        """See `Pane.draw`."""
        recording, quantity = mirror.recording, self._quantity
        title = [*_title(quantity, view), *_sensitivity(quantity, mirror, view)]
        if recording is None or not len(recording):
            return Drawing(title, message(["no measurement yet"], view, width, height, styles))
        present = between(view, mirror)
        series = _series(quantity, recording, mirror.before, view, present)
        row = cursor_row(view, mirror)
        epochs = with_present(recording, "epoch", present)
        cells = curve_plot(
            epochs,
            series,
            width,
            height,
            view.marker,
            y_low=_lowest(quantity, series, view),
            x_high=horizon(mirror),
            cursor=None if row is None else float(epochs[row]),
            unit=view.unit if quantity.is_information else "",
        )
        return Drawing(title, cells, _note(quantity, mirror, view))


def _title(quantity: Quantity, view: View) -> list[Piece]:
    if not quantity.is_information:
        return [piece("dimension" if view.size == "dimension" else "participation ratio")]
    name = f"{quantity.title} − chance" if view.level == "excess" else quantity.title
    return [piece(name), piece(view.unit, ink=palette.DIM)]


def _sensitivity(quantity: Quantity, mirror: Mirror, view: View) -> list[Piece]:
    """How much the chosen layer's I(T;Y) is a matter of the number of bins."""
    look = mirror.look
    known = look is not None and look.sensitivity is not None and view.layer < len(look.points)
    if not known or quantity.name != "i_ty":
        return []
    assert look is not None and look.sensitivity is not None
    scale = NATS_PER_BIT if view.unit == "bits" else 1.0
    estimates, chances = look.sensitivity[:, view.layer] / scale
    values = [number(float(v)) for v in (estimates - chances if view.level == "excess" else estimates)]
    counts = [str(bins) for bins in SENSITIVITY_BINS]
    said, bins = " ".join(values), "·".join(counts)
    tight = " ".join(value.removeprefix("0") for value in values)
    variants = (f"{said} at {' '.join(counts)} bins", f"{said} at {bins}", f"{bins}: {tight}")
    return [piece(*variants, ink=palette.of_layer(view.layer), rank=2)]


def _lowest(quantity: Quantity, series: Sequence[Series], view: View) -> float:
    """Information starts at 0 unless an excess is below it, dimension at 1."""
    if not quantity.is_information:
        return 1.0
    if view.level == "estimate":
        return 0.0
    lows = [values.min(initial=0.0, where=np.isfinite(values)) for values in map(_values, series)]
    return float(min(lows, default=0.0))


def _values(one: Series) -> Array:
    return np.asarray(one.values, np.float64)


def _series(
    quantity: Quantity,
    recording: Recording,
    before: Recording | None,
    view: View,
    present: Representation | None,
) -> list[Series]:
    """The last run's curves, the ceiling, chance levels, estimates; of the layers the chosen one in front."""
    series: list[Series] = []
    if before is not None and len(before) and before.config.layers == recording.config.layers:
        past = before.column("epoch")
        lines = quantity.values(before, view).T
        series += [Series(values, palette.PAST, "", "background", past) for values in lines]
    ceiling = quantity.ceiling(recording, view)
    if np.isfinite(ceiling):
        level = np.full(len(recording) + (present is not None), ceiling)
        series.append(Series(level, palette.CEILING, quantity.ceiling_name, "ceiling"))
    layers = range(len(recording.config.layers))
    if quantity.is_information and view.level == "estimate":
        scale = NATS_PER_BIT if view.unit == "bits" else 1.0
        chances = with_present(recording, f"chance_{quantity.name}", present) / scale
        series += [Series(chances[:, i], palette.of_chance(i), "", "chance") for i in layers]
    values = quantity.values(recording, view, present)
    front = sorted(layers, key=lambda layer: layer == view.layer)
    return series + [Series(values[:, i], palette.of_layer(i), str(i), "estimate") for i in front]


def _note(quantity: Quantity, mirror: Mirror, view: View) -> list[Piece]:
    """The chosen layer's numbers where the user looks."""
    look, layer = mirror.look, view.layer
    if look is None or layer >= len(look.points):
        return []
    name = piece(f"layer {layer}", f"{layer}", ink=palette.of_layer(layer), rank=1)
    if not quantity.is_information:
        return [name, piece(number(float(look.values[view.size][layer])))]
    scale = NATS_PER_BIT if view.unit == "bits" else 1.0
    value = float(excess(look.values, quantity.name, view)[layer])
    chance = float(look.values[f"chance_{quantity.name}"][layer]) / scale
    said = f"{number(value)} over {number(chance)}" if view.level == "excess" else number(value)
    note = [name, piece(said)]
    if view.level == "estimate":
        note.append(piece(f"chance {number(chance)}", ink=palette.DIM, rank=1))
    return note
