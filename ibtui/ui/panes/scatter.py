"""A layer's representation: its samples on the plane, coloured by class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.style import Style

from ibtui.plot import palette
from ibtui.plot.plots import scatter_plot
from ibtui.plot.ticks import number
from ibtui.ui.line import Piece, piece
from ibtui.ui.panes.pane import Drawing, Pane, message
from ibtui.ui.view import SATURATED, View

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror
    from ibtui.run.protocol import Representation

SIZES = {"dimension": "dim", "participation_ratio": "pr"}


class Scatter(Pane):
    """One layer's scatter, or the density of its classes."""

    def __init__(self, layer: int) -> None:
        super().__init__("scatter", layer)
        self._layer = layer

    def content_key(self, view: View, mirror: Mirror) -> Hashable:
        """A scatter shows one look, in one of two ways."""
        return mirror.look and mirror.look.key, id(mirror.look), view.samples, view.size, view.lost

    def draw(self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]) -> Drawing:
        """See `Pane.draw`."""
        look, layer = mirror.look, self._layer
        name = piece(f"layer {layer}", f"{layer}", ink=palette.of_layer(layer), rank=2)
        if look is None or layer >= len(look.points):
            waiting = "no activations: the worker has gone" if view.lost else "no measurement yet"
            return Drawing([name], message([waiting], view, width, height, styles))
        points = look.points[layer]
        title = [name, *_title(look, layer, view)]
        if not np.isfinite(points).any():
            return Drawing(title, message(["no finite activations"], view, width, height, styles))
        dense = view.samples == "density"
        cells = scatter_plot(
            points, look.labels, look.ranges[layer], width, height, view.marker, density=dense
        )
        return Drawing(title, cells, _note(mirror, look, layer, view))


def _title(look: Representation, layer: int, view: View) -> list[Piece]:
    values = {name: float(look.values[name][layer]) for name in (view.size, "saturation", "outside")}
    size = number(values[view.size])
    title = [piece(f"{SIZES[view.size]} {size}", size)]
    if values["saturation"] > SATURATED:
        share = f"{100 * values['saturation']:.0f}%"
        title.append(piece(f"saturated {share}", f"sat {share}", ink=palette.WARN, rank=3))
    if values["outside"] > 0:
        count = f"{values['outside']:,.0f}"
        title.append(piece(f"{count} outside", f"{count} out", ink=palette.WARN, rank=4))
    return title


def _note(mirror: Mirror, look: Representation, layer: int, view: View) -> list[Piece]:
    note = []
    if mirror.recording is not None and (units := mirror.recording.config.layers[layer]) > 2:
        note.append(piece(f"first 2 components of {units} units", f"{units} units", ink=palette.DIM, rank=1))
    if len(look.labels) < look.samples:
        shown = f"{len(look.labels):,} of {look.samples:,}"
        note.append(piece(f"{shown} samples", shown, ink=palette.DIM, rank=2))
    if view.samples == "density":
        note.append(piece("density", ink=palette.DIM, rank=3))
    return note
