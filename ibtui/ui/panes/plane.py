"""The information plane: I(X;T) against I(T;Y), a trajectory per layer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style

from ibtui.plot import palette
from ibtui.plot.plane import Sketch, plane_plot
from ibtui.plot.ticks import number
from ibtui.ui.line import piece
from ibtui.ui.panes.curves import I_TY, I_XT
from ibtui.ui.panes.pane import Drawing, Pane, message
from ibtui.ui.view import NATS_PER_BIT, Array, View, between, cursor_row, excess

if TYPE_CHECKING:
    from ibtui.recording import Recording
    from ibtui.run.mirror import Mirror


class Plane(Pane):
    """The trajectories, coloured by layer or by epoch."""

    may_lag: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("plane")
        self._sketched: tuple[Recording, int, Hashable] | None = None
        self._sketch = Sketch()

    def content_key(self, view: View, mirror: Mirror) -> Hashable:
        """Trajectories change with the history, numbers with a look between two measurements."""
        recording, present = mirror.recording, between(view, mirror)
        history = (recording.tick, id(recording)) if recording is not None else None
        where = cursor_row(view, mirror), present and present.key
        return history, where, view.layer, view.unit, view.level, view.plane_colour

    def draw(self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]) -> Drawing:
        """See `Pane.draw`."""
        recording = mirror.recording
        title = [
            piece("information plane", "plane"),
            piece(view.unit, ink=palette.DIM, rank=1),
            piece("over chance", ink=palette.DIM, rank=2) if view.level == "excess" else piece(""),
            piece(f"by {view.plane_colour}", ink=palette.DIM, rank=3),
        ]
        if recording is None or not len(recording):
            return Drawing(title, message(["no measurement yet"], view, width, height, styles))
        i_xt, i_ty = I_XT.values(recording, view), I_TY.values(recording, view)
        row, present = cursor_row(view, mirror), between(view, mirror)
        at = i_xt[-1 if row is None else row], i_ty[-1 if row is None else row]
        if present is not None:
            at = excess(present.values, "i_xt", view), excess(present.values, "i_ty", view)
        cells = plane_plot(
            i_xt,
            i_ty,
            width,
            height,
            view.marker,
            h_x=I_XT.ceiling(recording, view),
            h_y=I_TY.ceiling(recording, view),
            chance=_chance(recording.column("chance_i_xt"), recording.column("chance_i_ty"), view),
            colour_by=view.plane_colour,
            at=None if row is None and present is None else at,
            unit=view.unit,
            sketch=self._sketch_of(recording, view),
        )
        x, y = (number(float(values[view.layer])) for values in at)
        note = [
            piece(f"layer {view.layer}", str(view.layer), ink=palette.of_layer(view.layer), rank=1),
            piece(f"I(X;T) {x}", x),
            piece(f"I(T;Y) {y}", y),
        ]
        return Drawing(title, cells, note)

    def _sketch_of(self, recording: Recording, view: View) -> Sketch:
        """What has been drawn, where only rows were added since: else it is begun again."""
        values = view.unit, view.level
        if self._sketched is not None:
            before, tick, shown = self._sketched
            same = before is recording and shown == values
            if not same or recording.first_changed(tick) < self._sketch.rows:
                self._sketch = Sketch()
        self._sketched = recording, recording.tick, values
        return self._sketch


def _chance(chance_i_xt: Array, chance_i_ty: Array, view: View) -> tuple[Array, Array] | None:
    if view.level == "excess":
        return None
    scale = NATS_PER_BIT if view.unit == "bits" else 1.0
    return chance_i_xt / scale, chance_i_ty / scale
