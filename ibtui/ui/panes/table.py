"""The compact screen's numbers: a row per layer, then accuracy, loss and the newest line of the log."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.plot.raster import sparkline
from ibtui.plot.ticks import number
from ibtui.recording import Recording
from ibtui.ui.line import Piece, Run, fit, piece, spaced, strip
from ibtui.ui.panes.curves import DIMENSION, I_TY, I_XT, Quantity
from ibtui.ui.panes.log import newest
from ibtui.ui.panes.pane import Drawn
from ibtui.ui.panes.performance import diverged, loss
from ibtui.ui.strips import strips
from ibtui.ui.view import Array, View, cursor_row, excess, moment, page

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror

_OTHER_ROWS = 5
"""Two of headings, accuracy, loss, the log."""
_LEAST_LABEL = 3
_NUMBER = 7
"""The widest number that `ticks.number` writes."""


class Table(Drawn):
    """Newest value, chance level and sparkline of each layer's quantities."""

    def key(self, view: View, mirror: Mirror) -> Hashable:
        """Everything but the scatters."""
        recording, look = mirror.recording, mirror.look
        history = (recording.tick, id(recording)) if recording is not None else None
        shown = (view.layer, view.pane, view.size, view.unit, view.level, mirror.died, moment(view, mirror))
        return history, look and look.key, cursor_row(view, mirror), shown, mirror.log_end, len(mirror.log)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A row per layer, while they leave the scatters half of the screen."""
        mirror = self._given[1] if self._given is not None else None
        recording = mirror.recording if mirror is not None else None
        layers = len(recording.config.layers) if recording is not None else 4
        return min(layers + _OTHER_ROWS, max(_OTHER_ROWS + 1, viewport.height // 2))

    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """See `Drawn.paint`."""
        recording = mirror.recording
        if recording is None:
            return []
        columns = _columns(recording, width)
        layers = page(len(recording.config.layers), view.layer, height - _OTHER_ROWS)
        lines = [*_headings(recording, mirror, view, columns, width, styles)]
        lines += [_layer_row(layer, recording, mirror, view, columns, width, styles) for layer in layers]
        lines += [_performance(name, recording, mirror, view, width, styles) for name in ("accuracy", "loss")]
        return [*lines, _log(mirror, view, width, styles)]


def _label_width(recording: Recording) -> int:
    """Room for a mark, any layer's number and a blank."""
    return max(_LEAST_LABEL, 2 + len(str(len(recording.config.layers) - 1)))


def _columns(recording: Recording, width: int) -> list[tuple[Quantity, int]]:
    """The quantities and their widths; what is left over goes to the first ones."""
    room = width - _label_width(recording)
    return [(quantity, (room + 2 - i) // 3) for i, quantity in enumerate((I_XT, I_TY, DIMENSION))]


def _headings(
    recording: Recording,
    mirror: Mirror,
    view: View,
    columns: list[tuple[Quantity, int]],
    width: int,
    styles: Sequence[Style],
) -> list[Strip]:
    names: list[Run] = [(" " * _label_width(recording), palette.TEXT)]
    legend: list[Run] = [(" " * _label_width(recording), palette.TEXT)]
    for quantity, room in columns:
        ceiling = quantity.ceiling(recording, view)
        bound = [] if np.isnan(ceiling) else [piece(f"of {number(ceiling)}", ink=palette.DIM, rank=1)]
        name = quantity.title
        if not quantity.is_information:
            name = "dimension" if view.size == "dimension" else "participation ratio"
        # The chosen pane is marked, for Enter enlarges it.
        title = f"[{name}]" if view.pane == quantity.name else name
        unit = [piece(view.unit, ink=palette.DIM)] if quantity.is_information else []
        names += _cell([piece(title), *unit, *bound], room, view)
        if not quantity.is_information:
            said = [piece(moment(view, mirror))]
        elif view.level == "excess":
            said = [piece("over chance")]
        else:
            said = [piece("value".ljust(_NUMBER)), piece("chance")]
        legend += _cell([piece(p.variants[0], ink=palette.DIM) for p in said], room, view)
    return [strip(names, width, styles), strip(legend, width, styles)]


def _cell(pieces: Sequence[Piece], room: int, view: View) -> list[Run]:
    """Pieces in a column, filled up with blanks."""
    runs = spaced(fit(pieces, room - 1, 1, view.marker), 1)
    used = sum(len(text) for text, _ in runs)
    return [*runs, (" " * (room - used), palette.TEXT)]


def _layer_row(
    layer: int,
    recording: Recording,
    mirror: Mirror,
    view: View,
    columns: list[tuple[Quantity, int]],
    width: int,
    styles: Sequence[Style],
) -> Strip:
    ink = palette.of_layer(layer)
    mark = ">" if layer == view.layer else " "
    label = f"{mark}{layer}".ljust(_label_width(recording))
    parts = [strip([(label, ink)], len(label), styles)]
    for quantity, room in columns:
        runs: list[Run] = [(_value(quantity, layer, mirror, view).ljust(_NUMBER + 1), palette.TEXT)]
        if quantity.is_information and view.level == "estimate":
            chance = _value(quantity, layer, mirror, view, chance=True)
            runs.append((chance.ljust(_NUMBER + 1), palette.DIM))
        used = sum(len(text) for text, _ in runs)
        values = quantity.values(recording, view)[:, layer]
        ceiling = quantity.ceiling(recording, view)
        low = 0.0 if quantity.is_information else 1.0
        line = _spark(values, room - used - 1, low, ceiling, view, ink, styles)
        parts.append(_joined([strip(runs, used, styles), line], room, styles))
    return _joined(parts, width, styles)


def _joined(parts: Sequence[Strip], width: int, styles: Sequence[Style]) -> Strip:
    return Strip.join(parts).adjust_cell_length(width, styles[palette.TEXT])


def _value(quantity: Quantity, layer: int, mirror: Mirror, view: View, *, chance: bool = False) -> str:
    look = mirror.look
    if look is None or layer >= len(look.points):
        return "n/a"
    if not quantity.is_information:
        return number(float(look.values[view.size][layer]))
    values = look.values
    if chance:
        values = values | {quantity.name: values[f"chance_{quantity.name}"]}
    return number(float(excess(values, quantity.name, view)[layer]))


def _spark(
    values: Array, room: int, low: float, high: float, view: View, ink: int, styles: Sequence[Style]
) -> Strip:
    """A sparkline from `low`, or its least value, to `high`, or its greatest."""
    finite = values[np.isfinite(values)]
    if room <= 0 or not len(finite):
        return strip([], max(0, room), styles)
    low, high = min(low, float(finite.min())), float(np.fmax(high, finite.max()))
    return strips(sparkline(values, room, low, high, view.marker, ink), styles)[0]


def _performance(
    name: str, recording: Recording, mirror: Mirror, view: View, width: int, styles: Sequence[Style]
) -> Strip:
    title = f"[{name}]" if view.pane == "performance" else name
    parts = [strip([(f" {title.ljust(11)}", palette.TEXT)], 12, styles)]
    said = diverged(recording) if name == "loss" else []
    warning = fit(said, 24, 0, view.marker)
    room = (width - 12 - sum(len(text) + 1 for text, _ in warning)) // 2
    look = mirror.look
    for half, label, ink in (("train", "train", palette.TRAIN), ("test", "held out", palette.HELD_OUT)):
        value = float(look.values[f"{half}_{name}"]) if look is not None else float("nan")
        text = f"{label} {loss(value) if name == 'loss' else number(value)} "
        values = recording.column(f"{half}_{name}")
        top = 1.0 if name == "accuracy" else float("nan")
        line = _spark(values, room - len(text) - 2, 0.0, top, view, ink, styles)
        parts.append(_joined([strip([(text, ink)], len(text), styles), line], room, styles))
    parts.append(strip(warning, width - 12 - 2 * room, styles))
    return _joined(parts, width, styles)


def _log(mirror: Mirror, view: View, width: int, styles: Sequence[Style]) -> Strip:
    title = "[log]" if view.pane == "log" else "log"
    if mirror.died is not None:
        said = printable(mirror.died.reason), palette.WARN
    else:
        said = newest(mirror.log), palette.DIM
    return strip([(f" {title.ljust(11)}", palette.TEXT), said], width, styles)
