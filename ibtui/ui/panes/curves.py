"""Curves of one quantity over epochs, one for each layer: the base of the panes of curves."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from ibtui.core.kde import MOST_KDE
from ibtui.plot import palette
from ibtui.plot.curves import Series, curve_plot
from ibtui.plot.glyphs import layer_mark, marked
from ibtui.quantities import Array, Quantity
from ibtui.quantities.levels import LEAST_SHARE
from ibtui.recording import Recording
from ibtui.ui.line import Piece, Styles, piece
from ibtui.ui.panes.pane import Drawing, Pane, message
from ibtui.ui.scene import Scene, level_of, name_of, recorded, unit_of
from ibtui.ui.view import View


class Curves(Pane):
    """A quantity's curves, its chance levels and its ceiling."""

    def quantity(self, scene: Scene) -> Quantity:
        """Return the quantity that is drawn: the one that the pane declares."""
        return scene.quantity(self.declared.quantities[0])

    def remark(self, scene: Scene) -> Sequence[Piece]:
        """Return what the title says besides."""
        return ()

    def aside(self, scene: Scene) -> Sequence[Piece]:
        """Return what the note says besides."""
        return ()

    def content_key(self, scene: Scene) -> Hashable:
        view, shown = scene.view, scene.representation
        return (
            scene.history, scene.reference_key, shown and shown.key, scene.cursor_row,
            view.layer, self.quantity(scene).name, view.unit, view.level, view.scale,
        )  # fmt: skip

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        recording, quantity, view = scene.recording, self.quantity(scene), scene.view
        title = [*_title(quantity, view), *self.remark(scene)]
        if recording is None or not len(recording):
            return Drawing(title, message(scene.waiting, view, width, height, styles))
        if text := scene.no_level(quantity):
            return Drawing(title, message(text, view, width, height, styles))
        series = _series(quantity, recording, scene)
        looks = scene.reference_key, quantity.name, view.layer, view.unit, view.level, view.scale
        row, epochs = scene.cursor_row, scene.column("epoch")
        cells = curve_plot(
            epochs, series, width, height, view.marker,
            y_low=_lowest(quantity, series, view), x_high=scene.last_epoch,
            cursor=None if row is None else float(epochs[row]), unit=unit_of(quantity, view),
            scale=view.scale, sketch=self.sketch(scene, *looks),
        )  # fmt: skip
        return Drawing(title, cells, [*_note(quantity, scene), *self.aside(scene), *reference_words(scene)])


def reference_words(scene: Scene) -> list[Piece]:
    """Name the run that is drawn grey by its seed."""
    before = scene.reference
    return (
        [] if before is None else [piece(f"grey: seed {before.config.seed}", ink=palette.REFERENCE, rank=2)]
    )


def kernel_samples(scene: Scene) -> list[Piece]:
    """Say of how many samples information is, where kernels take some of those measured."""
    recording = scene.recording
    if recording is None or recording.binning.kind != "kde" or len(recording.dataset.x) <= MOST_KDE:
        return []
    samples = len(recording.dataset.x)
    words = f"{MOST_KDE:,} of {samples:,} samples", f"{MOST_KDE} of {samples}", f"of {MOST_KDE}"
    return [piece(*words, ink=palette.DIM, rank=1)]


def _title(quantity: Quantity, view: View) -> list[Piece]:
    unit = unit_of(quantity, view)
    return [piece(name_of(quantity, view)), *([piece(unit, ink=palette.DIM)] if unit else [])]


def _lowest(quantity: Quantity, series: Sequence[Series], view: View) -> float | None:
    """Return where the axis begins: an excess may be below what the quantity itself cannot be."""
    if quantity.low is None or level_of(quantity, view) == "estimate":
        return quantity.low
    arrays = [np.asarray(one.values, np.float64) for one in series]
    lows = [values.min(initial=quantity.low, where=np.isfinite(values)) for values in arrays]
    least = LEAST_SHARE if level_of(quantity, view) == "share" else -np.inf
    return float(max(min(lows, default=quantity.low), least))


def _series(quantity: Quantity, recording: Recording, scene: Scene) -> list[Series]:
    """List the last run's curves, the ceiling, chance levels, estimates; the chosen layer's in front."""
    view, before = scene.view, scene.reference
    series: list[Series] = []
    if before is not None and quantity.name in before.quantities:
        past = before.column("epoch")
        series += [
            Series(values, palette.REFERENCE, "", "reference", past)
            for values in _lines(recorded(quantity, before, view))
        ]
    values = scene.recorded(quantity)
    if np.isfinite(ceiling := scene.ceiling(quantity)):
        level = np.full(len(values), ceiling)
        label = "" if level_of(quantity, view) == "share" else quantity.ceiling_label
        series.append(Series(level, palette.CEILING, label, "ceiling"))
    if not quantity.per_layer:
        return [*series, Series(values, palette.TRAIN)]
    if (faint := scene.faint(quantity)) is not None:
        series += [Series(line, palette.of_chance(i), "", "chance") for i, line in enumerate(_lines(faint))]
    front = sorted(range(values.shape[1]), key=lambda layer: layer == view.layer)
    return series + [
        Series(values[:, i], palette.of_layer(i), marked(i, view.marker), mark=layer_mark(i, view.marker))
        for i in front
    ]


def _lines(values: Array) -> Array:
    """Return a row for each curve."""
    return values.T if values.ndim == 2 else values[np.newaxis]


def _note(quantity: Quantity, scene: Scene) -> list[Piece]:
    layer = scene.view.layer
    value, chance = scene.texts(quantity, layer) or ("", "")
    if not value:
        return []
    if not quantity.per_layer:
        return [piece(value)]
    name = piece(f"layer {layer}", f"{layer}", ink=palette.of_layer(layer), rank=1)
    if chance and level_of(quantity, scene.view) != "estimate":
        return [name, piece(value), piece(f"chance {chance} {scene.view.unit}", ink=palette.DIM, rank=1)]
    level = [piece(f"chance {chance}", ink=palette.DIM, rank=1)] if chance else []
    return [name, piece(value), *level]
