"""The information plane: I(X;T) against I(T;Y), a trajectory per layer."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from ibtui.plot import palette
from ibtui.plot.plane import plane_plot
from ibtui.plot.ticks import number
from ibtui.ui.glyphs import spelled
from ibtui.ui.line import Styles, piece
from ibtui.ui.panes.curves import kernel_samples, reference_words
from ibtui.ui.panes.pane import Drawing, Hotkey, Pane, message, pane
from ibtui.ui.scene import Scene, in_unit, name_of, recorded, unit_of

_LEVELS = {"estimate": "", "excess": "− chance", "share": "shares"}


@pane(
    row=1,
    order=2,
    compact=False,
    hotkey=Hotkey("i", "plane", "The information plane, large, and back."),
    quantities=("i_xt", "i_ty"),
    help={
        "Information plane": "I(X;T) against I(T;Y), a trajectory per layer; its number stands at the "
        "newest point, or at the epoch shown: then a circle (○) is where the layer is now. by "
        "epoch: coloured by epochs instead, in ASCII lettered; the legend below says which.",
    },
)
class Plane(Pane):
    """The trajectories, coloured by layer or by epoch."""

    def content_key(self, scene: Scene) -> Hashable:
        view, present = scene.view, scene.unrecorded
        where = scene.cursor_row, present and present.key
        return scene.history, scene.reference_key, where, view.layer, view.unit, view.level, view.plane_colour

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        recording, view = scene.recording, scene.view
        title = [
            piece("information plane", "plane"),
            piece(unit_of(scene.quantity("i_xt"), view), ink=palette.DIM, rank=3),
            piece(_LEVELS[view.level], ink=palette.DIM, rank=1),
            piece(f"by {view.plane_colour}", ink=palette.DIM, rank=6 if view.plane_colour == "layer" else 1),
            *kernel_samples(scene),
            *reference_words(scene),
        ]
        if recording is None or not len(recording):
            return Drawing(title, message(scene.waiting, view, width, height, styles))
        across, up = scene.quantity("i_xt"), scene.quantity("i_ty")
        i_xt, i_ty = (scene.recorded(quantity) for quantity in (across, up))
        if view.level != "estimate" and np.isnan(i_xt).all():
            text = scene.no_level(across)
            return Drawing(title, message(text, view, width, height, styles))
        row = scene.cursor_row
        at = i_xt[-1 if row is None else row], i_ty[-1 if row is None else row]
        chance_x, chance_y = (in_unit(scene.column(q.chance), q, view) for q in (across, up))
        before = scene.reference
        behind = None if before is None else tuple(recorded(q, before, view) for q in (across, up))
        names = [spelled(name_of(quantity, view), view.marker) for quantity in (across, up)]
        cells = plane_plot(
            i_xt, i_ty, width, height, view.marker,
            h_x=scene.ceiling(across), h_y=scene.ceiling(up), unit=unit_of(across, view),
            names=(names[0], names[1]), colour_by=view.plane_colour, epochs=scene.column("epoch"),
            chance=(chance_x, chance_y) if view.level == "estimate" else None,
            at=None if row is None else at,
            reference=behind,  # type: ignore[arg-type]
            sketch=self.sketch(scene, scene.reference_key, view.unit, view.level),
        )  # fmt: skip
        x, y = (number(float(values[view.layer])) for values in at)
        note = [
            piece(f"layer {view.layer}", str(view.layer), ink=palette.of_layer(view.layer), rank=1),
            piece(f"I(X;T) {x}", x),
            piece(f"I(T;Y) {y}", y),
        ]
        return Drawing(title, cells, note)
