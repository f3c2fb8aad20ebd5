"""The inputs that are measured, coloured by class: the picture before the first layer's."""

from __future__ import annotations

from collections.abc import Hashable

from ibtui.plot import palette
from ibtui.plot.scatter import scatter_plot
from ibtui.recording import Recording
from ibtui.ui.classes import class_pieces
from ibtui.ui.line import Piece, Styles, piece
from ibtui.ui.panes.pane import Drawing, Pane, message, pane
from ibtui.ui.scene import Scene


@pane(
    row=0,
    order=-1,
    compact=False,
    help={
        "Input": "The samples that are measured, as the net is given them; of more than two inputs, their "
        "first two principal components. Below are the classes, in their "
        "colours; from the third class on, a class is drawn by a letter, a capital where a cell holds four "
        "samples or more. From the 27th class on, letters repeat.",
    },
)
class Input(Pane):
    """The scatter of the inputs, or the density of their classes."""

    def content_key(self, scene: Scene) -> Hashable:
        return scene.mirror.run, id(scene.mirror.inputs), scene.view.points

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        inputs, recording, view = scene.mirror.inputs, scene.recording, scene.view
        if inputs is None or recording is None:
            return Drawing([piece("input")], message("no samples yet", view, width, height, styles))
        cells = scatter_plot(
            inputs.points, inputs.labels, inputs.axes, width, height, view.marker,
            density=view.points == "density",
        )  # fmt: skip
        return Drawing([piece("input"), *_title(recording)], cells, class_pieces(recording, view.marker))


def _title(recording: Recording) -> list[Piece]:
    """Say which samples are measured, and of how many inputs they are."""
    data, part = recording.dataset, recording.config.measure_on
    long, short = {
        "train": (" training samples", " train"), "held-out": (" held out", " held out"), "all": ("", ""),
    }[part]  # fmt: skip
    count, whole = f"{len(data.x):,}", recording.measured_of
    if len(data.x) < whole:
        words = [f"{count} of {whole:,}{long}", f"{count} of {whole:,}{short}", f"{count} of {whole:,}"]
    else:
        words = [f"{count}{long}", f"{count}{short}"] if long else [f"all {count}"]
    pieces = [piece(*words, ink=palette.DIM, rank=1)]
    if data.inputs > 2:
        pieces.append(piece(f"2 of {data.inputs} PCs", ink=palette.DIM, rank=2))
    return pieces
