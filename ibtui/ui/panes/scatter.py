"""A layer's representation: its samples on the plane, coloured by class."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from ibtui.core.names import WATCHED
from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.plot.scatter import scatter_plot
from ibtui.plot.ticks import percent, value_text
from ibtui.run.protocol import Representation
from ibtui.ui.classes import class_pieces
from ibtui.ui.line import Piece, Styles, piece
from ibtui.ui.panes.pane import Drawing, Pane, message, pane
from ibtui.ui.scene import Scene

SATURATED = 0.05
"""From this share of saturated activations on, a scatter's title says so."""


@pane(
    row=0,
    per_layer=True,
    help={
        "Scatters": "A point per sample, coloured by class; its place is what the layer makes of it. Layers "
        "wider than two are drawn by their first two principal components. Layers are counted from 0. In "
        "the title: the chosen quantity, here dim, the dimension (key d).",
        "Saturated": f"The share of activations exactly at an end of the range, shown above {SATURATED:.0%}.",
        "Zero, dead": "The share of a ReLU's activations that are 0; in a dead layer, all of them.",
        "Density": "The more samples, the fuller the shade: its colour is that of the class with two thirds "
        "of them or more.",
    },
)
class Scatter(Pane):
    """One layer's scatter, or the density of its classes."""

    def content_key(self, scene: Scene) -> Hashable:
        shown = scene.representation
        return shown and shown.key, id(shown), scene.view.points, scene.chosen_quantity.name, scene.link.lost

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        shown, layer, view = scene.representation, self.of_layer or 0, scene.view
        name = piece(f"layer {layer}", f"{layer}", ink=palette.of_layer(layer), rank=2)
        if shown is None or layer >= len(shown.points):
            waiting = "no activations: the worker has gone" if scene.link.lost else "no measurement yet"
            if shown is not None and not shown.points:
                waiting = "the activations are not stored, and their engine is not installed"
                if scene.recording is not None and scene.recording.config.engine == WATCHED:
                    waiting = "scalars alone: no activations were stored here"
            return Drawing([name], message(waiting, view, width, height, styles))
        points = shown.points[layer]
        title = [name, *_name(scene, layer), *_title(shown, layer, scene)]
        if not np.isfinite(points).any():
            return Drawing(title, message("no finite activations", view, width, height, styles))
        dense = view.points == "density"
        cells = scatter_plot(
            points, shown.labels, shown.ranges[layer], width, height, view.marker, density=dense
        )
        return Drawing(
            title, cells, [*_note(shown, layer, scene), *self._shown_of(scene), *self._class_names(scene)]
        )

    def _shown_of(self, scene: Scene) -> list[Piece]:
        """Say in the last scatter how many are shown where there is no room for all."""
        if not self.page or self.of_layer != self.page[-1]:
            return []
        few = f"{len(self.page)} of {scene.layers}"
        return [piece(f"{few} layers" if len(self.page) < 10 else few, ink=palette.DIM)]

    def _class_names(self, scene: Scene) -> list[Piece]:
        """Name the classes where nothing else on the screen does."""
        if not self.legend or scene.recording is None:
            return []
        return class_pieces(scene.recording, scene.view.marker)


def _name(scene: Scene, layer: int) -> list[Piece]:
    """Return a layer's own name, where it is not just its number; of a long one what there is room for."""
    known = printable(scene.recording.layers[layer].name) if scene.recording is not None else ""
    if not known or known == str(layer):
        return []
    if known.isdecimal():  # as of a Sequential's children: no second number of the layer
        return [piece(f"module {known}", f"'{known}'", ink=palette.DIM, rank=5)]
    shorter = [f"…{known[-room:]}" if "." in known else f"{known[:room]}…" for room in range(12, 3, -1)]
    fitting = (short for short in shorter if len(short) < len(known))
    return [piece(known, *fitting, ink=palette.DIM, rank=5)]


def _title(shown: Representation, layer: int, scene: Scene) -> list[Piece]:
    title, quantity = [], scene.chosen_quantity
    if quantity.per_layer and quantity.name in shown.values:
        value = value_text(scene.viewed(quantity, shown.values)[layer])
        title.append(piece(f"{quantity.brief} {value}", value))
    saturated, outside = (
        float(shown.values[name][layer]) if name in shown.values else 0.0
        for name in ("saturation", "outside")
    )
    if saturated > SATURATED:
        share = percent(saturated)
        title.append(piece(f"saturated {share}", f"sat {share}", ink=palette.WARN, rank=3))
    title += _zeros(shown, layer, scene)
    if outside > 0:
        count = f"{outside:,.0f}"
        title.append(piece(f"{count} outside", f"{count} out", ink=palette.WARN, rank=4))
    return title


def _zeros(shown: Representation, layer: int, scene: Scene) -> list[Piece]:
    """Say how many activations a ReLU has made 0; a layer where that is all is dead."""
    recording, zeros = scene.recording, shown.zeros
    if recording is None or zeros is None or recording.layers[layer].activation != "relu":
        return []
    if zeros[layer] >= 1:
        return [piece("dead", ink=palette.WARN, rank=3)]
    share = f"zero {percent(zeros[layer])}"
    return [piece(share, ink=palette.DIM, rank=3)] if zeros[layer] > SATURATED else []


def _note(shown: Representation, layer: int, scene: Scene) -> list[Piece]:
    note = []
    if scene.recording is not None and (units := scene.recording.layers[layer].width) > 2:
        of = scene.recording.layers[layer].units
        count = f"{units} of {of:,}" if of > units else f"{units}"
        words = [f"first 2 components of {count} units", f"{count} units"]
        note.append(piece(*words, *[count] * (of > units), ink=palette.DIM, rank=1))
    if len(shown.labels) < shown.samples:
        count = f"{len(shown.labels):,} of {shown.samples:,}"
        note.append(piece(f"{count} samples", ink=palette.DIM, rank=2))
    if scene.view.points == "density":
        note.append(piece("density", ink=palette.DIM, rank=3))
    return note
