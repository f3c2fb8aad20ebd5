"""The compact screen's numbers: a row per layer, then accuracy, loss and the newest line of the log."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.plot.axes import FRAME
from ibtui.plot.raster import sparkline
from ibtui.plot.ticks import number
from ibtui.quantities import Array, Quantity
from ibtui.ui.classes import class_pieces
from ibtui.ui.drawn import Drawn
from ibtui.ui.glyphs import spelled
from ibtui.ui.line import Piece, Span, Styles, fit, piece, spaced, strip
from ibtui.ui.logged import last_line
from ibtui.ui.panes.performance import diverged, written
from ibtui.ui.panes.run import CONSTANT
from ibtui.ui.scene import Scene, recorded, unit_of
from ibtui.ui.segments import strips
from ibtui.ui.view import page

_OTHER_ROWS = 5
"""Two of headings, accuracy, loss, the log."""
_LEAST_LABEL = 3
_NUMBER = 7
"""The widest number that `ticks.number` writes."""
_BOTH = 2 * (_NUMBER + 1)
"""The room for an estimate and its chance level."""


HELP = {
    "Table": "On small screens: of each layer the newest value, its chance level, and bars from the first "
    "epoch to the last.",
}

_Column = tuple[str, Quantity, int]
"""The pane that shows a quantity, the quantity, and the width of its column."""


class Table(Drawn):
    """Newest value, chance level and sparkline of each layer's quantities."""

    def key(self, scene: Scene) -> Hashable:
        view, mirror, shown = scene.view, scene.mirror, scene.representation
        chosen = (view.layer, view.pane, view.quantity, view.unit, view.level, mirror.died, scene.when)
        log = mirror.log_end, len(mirror.log)
        return scene.history, shown and shown.key, scene.cursor_row, chosen, log, scene.constant_output

    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        if scene.recording is None:
            return []
        columns = _columns(scene, width)
        layers = page(scene.layers, scene.view.layer, height - _OTHER_ROWS)
        lines = _headings(scene, columns, layers, width, styles)
        lines += [_layer_row(layer, scene, columns, width, styles) for layer in layers]
        lines += [_performance(name, scene, width, styles) for name in ("accuracy", "loss")]
        return [*lines, _log(scene, width, styles)]


def table_rows(layers: int, height: int) -> int:
    """Return the height of the table on a screen of so many rows: of many layers it has a page."""
    return min((layers or 4) + _OTHER_ROWS, max(_OTHER_ROWS + 1, height // 2))


def _label_width(scene: Scene) -> int:
    """Return the room for a mark, any layer's number and a blank."""
    return max(_LEAST_LABEL, 2 + len(str(scene.layers - 1)))


def _columns(scene: Scene, width: int) -> list[_Column]:
    """Divide the width; what is left over goes to the first ones."""
    room = width - _label_width(scene)
    shown = {name: scene.quantity(name) for name in ("i_xt", "i_ty")} | {"quantity": scene.chosen_quantity}
    return [(name, shown[name], (room + 2 - i) // 3) for i, name in enumerate(shown)]


def _headings(
    scene: Scene, columns: Sequence[_Column], shown: range, width: int, styles: Styles
) -> list[Strip]:
    view = scene.view
    names: list[Span] = [(" " * _label_width(scene), palette.TEXT)]
    legend: list[Span] = [(" " * _label_width(scene), palette.TEXT)]
    few = len(shown) < scene.layers
    for pane, quantity, room in columns:
        ceiling, unit = scene.ceiling(quantity), unit_of(quantity, view)
        # The chosen pane is marked, for Enter enlarges it.
        title = [piece(f"[{quantity.label}]" if view.pane == pane else quantity.label)]
        if unit:
            title.append(piece(unit, ink=palette.DIM))
        if not np.isnan(ceiling):
            title.append(piece(f"of {number(ceiling)}", ink=palette.DIM, rank=1))
        names += _cell(title, room, scene)
        if not quantity.chance:
            said: list[str] = [scene.when, *(["whole net"] if not quantity.per_layer else [])]
        else:
            both = ["value".ljust(_NUMBER), "chance"] if room > _BOTH else ["value"]
            said = {"excess": ["− chance"], "share": ["share"]}.get(view.level, both)
        pieces = [piece(text, ink=palette.DIM) for text in said]
        if few and pane == "quantity":
            count = f"{len(shown)} of {scene.layers}"
            pieces.append(
                piece(f"layers {shown[0]} to {shown[-1]} of {scene.layers}", f"{count} layers", count)
            )
        legend += _cell(pieces, room, scene)
    return [strip(names, width, styles), strip(legend, width, styles)]


def _cell(pieces: Sequence[Piece], room: int, scene: Scene) -> list[Span]:
    spans = spaced(fit(pieces, room - 1, 1, scene.view.marker), 1)
    used = sum(len(text) for text, _ in spans)
    return [*spans, (" " * (room - used), palette.TEXT)]


def _layer_row(layer: int, scene: Scene, columns: Sequence[_Column], width: int, styles: Styles) -> Strip:
    assert scene.recording is not None
    ink = palette.of_layer(layer)
    mark = ">" if layer == scene.view.layer else " "
    label = f"{mark}{layer}".ljust(_label_width(scene))
    parts = [strip([(label, ink)], len(label), styles)]
    for _, quantity, room in columns:
        if not quantity.per_layer and layer > 0:  # its one value stands in the first row
            parts.append(strip([], room, styles))
            continue
        spans = _values(quantity, layer, scene)[: 2 if room > _BOTH else 1]
        used = sum(len(text) for text, _ in spans)
        values, drawn = recorded(quantity, scene.recording, scene.view), palette.TRAIN
        if quantity.per_layer:
            values, drawn = values[:, layer], ink
        top = scene.ceiling(quantity)
        line = _spark(values, room - used - 1, quantity.low, top, scene, drawn, styles)
        parts.append(_joined([strip(spans, used, styles), line], room, styles))
    return _joined(parts, width, styles)


def _joined(parts: Sequence[Strip], width: int, styles: Styles) -> Strip:
    return Strip.join(parts).adjust_cell_length(width, styles[palette.TEXT])


def _values(quantity: Quantity, layer: int, scene: Scene) -> list[Span]:
    """Return a quantity of a layer and, if it has one, its chance level, at the epoch looked at."""
    has_level = quantity.chance and scene.view.level == "estimate"
    levels = [palette.TEXT, palette.DIM] if has_level else [palette.TEXT]
    texts = scene.texts(quantity, layer) or ("n/a", "n/a")
    return [(text.ljust(_NUMBER + 1), ink) for text, ink in zip(texts, levels, strict=False)]


def _spark(
    values: Array, room: int, low: float | None, high: float, scene: Scene, ink: int, styles: Styles
) -> Strip:
    """Draw a sparkline from `low`, or its least value, to `high`, or its greatest."""
    finite = values[np.isfinite(values)]
    if room <= 0 or not len(finite):
        return strip([], max(0, room), styles)
    least = float(finite.min())
    low, high = least if low is None else min(low, least), float(np.fmax(high, finite.max()))
    cells, row = sparkline(values, room, low, high, scene.view.marker, ink), scene.cursor_row
    if row is not None:  # the measurement shown
        at = row if len(values) <= room else row * room // len(values)
        cells.chars[0, at], cells.ink[0, at] = FRAME[scene.view.marker][0], palette.CURSOR
    return strips(cells, styles)[0]


def _performance(name: str, scene: Scene, width: int, styles: Styles) -> Strip:
    assert scene.recording is not None
    title = f"[{name}]" if scene.view.pane == "performance" else name
    parts = [strip([(f" {title.ljust(11)}", palette.TEXT)], 12, styles)]
    warning = fit(diverged(scene) if name == "loss" else [], 24, 0, scene.view.marker)
    room = (width - 12 - sum(len(text) + 1 for text, _ in warning)) // 2
    for half, label, ink in (("train", "train", palette.TRAIN), ("test", "held out", palette.HELD_OUT)):
        text = f"{label} {written(scene, half, name)} "
        values = scene.recording.column(f"{half}_{name}")
        top = 1.0 if name == "accuracy" else float("nan")
        line = _spark(values, room - len(text) - 2, 0.0, top, scene, ink, styles)
        parts.append(_joined([strip([(text, ink)], len(text), styles), line], room, styles))
    parts.append(strip(warning, width - 12 - 2 * room, styles))
    return _joined(parts, width, styles)


def _log(scene: Scene, width: int, styles: Styles) -> Strip:
    """Write the last line of the log and, at its right end, the classes with their colours."""
    assert scene.recording is not None
    title, mirror = "[log]" if scene.view.pane == "run" else "log", scene.mirror
    if mirror.died is not None:
        said = printable(mirror.died.reason), palette.TEXT if scene.link.stopped else palette.WARN
    elif scene.constant_output:
        said = CONSTANT, palette.WARN
    else:
        said = last_line(mirror.log), palette.DIM
    marker = scene.view.marker
    left: list[Span] = [(f" {title.ljust(11)}", palette.TEXT), (spelled(said[0], marker), said[1])]
    room = width - sum(cell_len(text) for text, _ in left) - 2
    right = spaced(fit(class_pieces(scene.recording, marker), room, 2, marker), 2)
    gap = room + 1 - sum(len(text) for text, _ in right)
    return strip([*left, (" " * max(gap, 0), palette.TEXT), *right], width, styles)
