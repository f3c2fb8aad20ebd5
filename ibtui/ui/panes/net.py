"""The net itself: what it answers over the plane of its inputs, and each layer's weights."""

from __future__ import annotations

from collections.abc import Hashable

from textual.strip import Strip

from ibtui.core.names import WATCHED
from ibtui.plot import palette
from ibtui.plot.boundary import boundary_plot, signs, weights_rows
from ibtui.plot.canvas import Cells
from ibtui.plot.dots import Marker
from ibtui.quantities import Array
from ibtui.run.protocol import NetPicture
from ibtui.ui.classes import class_of
from ibtui.ui.line import Piece, Span, Styles, fit, piece, strip
from ibtui.ui.panes.pane import Drawing, Hotkey, Pane, message, pane
from ibtui.ui.scene import Scene
from ibtui.ui.segments import segments

_WEIGHTS_SHARE = 0.42
"""The largest share of the width that weights take from the plane."""
_LEAST = 14
"""Cells of width below which there is no room for weights beside the plane."""


@pane(
    row=2,
    order=2,
    compact=False,
    least=(160, 50),
    hotkey=Hotkey("n", "net", "The net's answers and weights, large, and back."),
    help={
        "Net": "Where there are two inputs, their plane in the colour of the class that the net answers, "
        "stronger where it is surer: where colours meet is the decision boundary. Of more than two classes, "
        "each region has the character and the name of its class. Some samples lie over it. In ASCII, or "
        "without colours, small characters are answers, however sure, and capitals are samples. "
        "Beside it are the weights of each layer, a row to a unit: numbers, or marks that are filled where "
        "a weight is positive and of strokes where it is negative. +12 inputs: so many more have no room.",
    },
)
class Net(Pane):
    """The decision boundary, and the weights beside it."""

    def content_key(self, scene: Scene) -> Hashable:
        shown = scene.representation
        return shown and shown.key, id(shown and shown.net), id(scene.mirror.inputs), scene.link.lost

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        shown, inputs, view = scene.representation, scene.mirror.inputs, scene.view
        title = [piece("net"), *([piece(f"epoch {shown.epoch:,}", ink=palette.DIM, rank=1)] if shown else [])]
        if shown is None or shown.net is None or inputs is None:
            waiting = "no picture: the worker has gone" if scene.link.lost else scene.waiting
            return Drawing(title, message(waiting, view, width, height, styles))
        picture, plane = shown.net, _marker(view.marker, styles)
        if picture.classes is None and not picture.weights:
            watched = scene.recording is not None and scene.recording.config.engine == WATCHED
            weights = "its weights are your own program's" if watched else "this engine shows no weights"
            return Drawing(title, message(weights, view, width, height, styles))
        if picture.classes is None:
            said = message(
                f"no plane: the net has {_inputs(scene)} inputs, not 2", view, width, height, styles
            )
            said = [row for row in said if row.text.strip()]
            beside = _fitting(_weights(picture, scene, width), height - len(said), view.marker)
            body = [*said, *(strip(row, width, styles) for row in beside)]
            return Drawing(title, body[:height], _note(picture, beside, plane, scene))
        beside = _weights(picture, scene, int(_WEIGHTS_SHARE * width)) if width >= _LEAST else []
        beside = _fitting(beside, height, view.marker)
        room = _length(beside)
        left = width - room - 2 if room else width
        assert picture.sure is not None
        cells = boundary_plot(
            picture.classes, picture.sure, inputs.points, inputs.labels, inputs.axes, left, height,
            plane, tags=_tags(picture.classes, plane, scene), toned=palette.toned(styles),
        )  # fmt: skip
        return Drawing(
            title, _joined(cells, beside, width, height, styles), _note(picture, beside, plane, scene)
        )


def _marker(marker: Marker, styles: Styles) -> Marker:
    """Return the marker for the plane: without colours, characters alone tell classes apart."""
    return marker if palette.coloured(styles) else "ascii"


def _tags(classes: Array, plane: Marker, scene: Scene) -> list[str]:
    """Return what is written into the regions of each class; the colours of two tell enough."""
    if scene.recording is None:
        return []
    count = max(int(classes.max()) + 1, scene.recording.dataset.classes)
    found = (class_of(scene.recording, label, plane) for label in range(count))
    return [f"{glyph} {name}" for glyph, name, _ in found] if count > 2 or plane == "ascii" else []


def _weights(picture: NetPicture, scene: Scene, width: int) -> list[list[Span]]:
    """List the rows of all matrices, each layer's first one with its number."""
    rows: list[list[Span]] = []
    for layer, weight in enumerate(picture.weights):
        label = f"{layer} "
        found = weights_rows(weight, max(width - len(label), 1), scene.view.marker)
        for place, spans in enumerate(found):
            number = label if place == 0 else " " * len(label)
            rows.append([(number, palette.of_layer(layer)), *spans])
        rows.append([])
    return rows[:-1]


def _length(rows: list[list[Span]]) -> int:
    return max((sum(len(text) for text, _ in row) for row in rows), default=0)


def _fitting(rows: list[list[Span]], height: int, marker: Marker) -> list[list[Span]]:
    """Return the rows that fit; where not all do, the last one says how many of the weights' are left out."""
    if len(rows) <= height:
        return rows
    shown = rows[: max(height - 1, 0)]
    left_out = sum(1 for row in rows[len(shown) :] if row)
    words = piece(f"+{left_out} row{'s' * (left_out > 1)}", f"+{left_out}", "…", ink=palette.DIM)
    return [*shown, fit([words], _length(rows), 0, marker)][: max(height, 0)]


def _inputs(scene: Scene) -> int:
    return scene.recording.dataset.inputs if scene.recording is not None else 0


def _joined(cells: Cells, beside: list[list[Span]], width: int, height: int, styles: Styles) -> list[Strip]:
    drawn = segments(cells, styles)
    rows = [*beside[:height], *[[]] * (height - len(beside))]
    left = cells.width
    return [
        Strip.join(
            [Strip(row, left), strip([("  ", palette.TEXT), *spans] if spans else [], width - left, styles)]
        )
        for row, spans in zip(drawn, rows, strict=True)
    ]


def _note(picture: NetPicture, beside: list[list[Span]], plane: Marker, scene: Scene) -> list[Piece]:
    """Say what colours are, and what marks stand for weights, where there are any."""
    positive, negative = signs(scene.view.marker)
    by = "small characters" if plane == "ascii" else "colour"
    classes = [piece(f"{by}: its answer", ink=palette.DIM, rank=1)] if picture.classes is not None else []
    weights = [row[1][0] for row in beside if len(row) > 1]
    marked = any(not any(char.isdigit() for char in text) for text in weights)
    said = f"weights: {positive} +, {negative} −" if marked else "weights of layers 0, 1, …"
    return [*classes, *([piece(said, "weights", ink=palette.DIM, rank=2)] if weights else [])]
