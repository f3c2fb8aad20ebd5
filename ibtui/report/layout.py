"""The figures of the terminal report: stacked curves, the plane beside the dimension, the scatters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ibtui.plot import palette
from ibtui.plot.labels import spread_apart
from ibtui.plot.ticks import ends, number, ticks
from ibtui.report.chart import Axis, Chart, charting
from ibtui.report.display import Display
from ibtui.report.panels import Curve, Panel, epoch_range
from ibtui.report.recorded import RecordedRun
from ibtui.run.protocol import Representation

Labels = list[tuple[float, str, int]]
"""The value that each stands beside, its text and its ink."""

_WIDE = 100
"""The least width at which two figures stand side by side."""
_STACK = 3
"""The number of axes above one another in one figure, at most."""
_STACK_ROWS = (5, 11)
"""Rows inside each of the stacked axes, at least and at most."""
_PLANE_ROWS = (8, 18)
_SCATTER_WIDTH = (16, 30)

_CLASSES, _SEVERAL = ("oO", "xX", "vV", "sS", "dD", "pP", "nN", "zZ"), "*#"
"""The characters of each class and of cells where classes meet, where there are no colours."""


def figures(runs: Sequence[RecordedRun], panels: Sequence[Panel], display: Display) -> Iterator[list[Text]]:
    """Draw the figures below one another; none is higher than the display."""
    yield _stack(panels[:_STACK], display)
    sizes, more = panels[_STACK : _STACK + 2], panels[_STACK + 2 :]
    yield _sizes_and_plane(sizes, panels[1], panels[2], display)
    for start in range(0, len(more), _STACK):
        yield _stack(more[start : start + _STACK], display)
    yield from _scatters(runs, display)


def cut(text: str, width: int) -> str:
    """Cut what is wider than so many cells."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 0))


def _clamped(value: float, bounds: tuple[int, int]) -> int:
    return int(max(bounds[0], min(value, bounds[1])))


def _stack(panels: Sequence[Panel], display: Display) -> list[Text]:
    """Draw axes above one another that share their epochs."""
    rows = _clamped((display.height - 3 - len(panels)) / len(panels), _STACK_ROWS)
    return _joined(panels, [rows] * len(panels), display.width, display)


def _joined(panels: Sequence[Panel], heights: Sequence[int], width: int, display: Display) -> list[Text]:
    """Draw charts whose frames join: the lower line of one is the upper line of the next."""
    gutter = max(_gutter(panel) for panel in panels)
    lines: list[Text] = []
    for at, (panel, rows) in enumerate(zip(panels, heights, strict=True)):
        last = at == len(panels) - 1
        lines += _curves(panel, epoch_range(panels), width, rows, gutter, display, at > 0, last)
    return lines


def _gutter(panel: Panel) -> int:
    """Return the columns that the newest values need, to the right of the axes."""
    texts = [_newest(c) for c in panel.curves] + [_ceiling(*c) for c in panel.ceilings]
    return max(map(len, texts)) + 1


def _newest(curve: Curve) -> str:
    spread = "" if curve.newest_spread is None or math.isnan(curve.newest) else number(curve.newest_spread)
    return f"{curve.label} {number(curve.newest)}" + (f" ±{spread}" if spread else "")


def _ceiling(name: str, level: float) -> str:
    return f"{name} {number(level)}" if level else name


def _curves(
    panel: Panel,
    x: tuple[float, float],
    width: int,
    rows: int,
    gutter: int,
    display: Display,
    joined: bool,
    bottom: bool,
) -> list[Text]:
    """Draw one panel of curves, with its newest values in a gutter on the right."""
    title = panel.title + (f"  {panel.unit}" if panel.unit else "")
    width -= gutter
    along = Axis(*x, ticks(*x, _clamped((width - 6) / 10, (2, 9))), shown=bottom)
    with charting(width, rows, along, _upward(panel, rows), display) as chart:
        for _, level in panel.ceilings:
            chart.dashes(level, palette.CEILING)
        for curve in panel.curves:
            if curve.chance is not None:
                chart.dots(curve.epochs, curve.chance, _faint(curve))
        if not display.plain:
            for curve in panel.curves:
                for epochs, values in curve.runs:
                    chart.line(epochs, values, _faint(curve), _letter(curve))
        for curve in reversed(panel.curves):  # the first on top
            if curve.dotted and display.plain:
                chart.dots(curve.epochs, curve.values, curve.ink)
            else:
                chart.line(curve.epochs, curve.values, curve.ink, _letter(curve))
        if display.plain and display.marker != "ascii":
            _number_curves(chart, panel)
        lines = chart.lines(title, joined)
    labels: Labels = [(level, _ceiling(name, level), palette.CEILING) for name, level in panel.ceilings]
    labels += [(c.newest, _newest(c), c.ink) for c in panel.curves]
    beside = _beside(labels, panel.low, panel.high, rows)
    for at, line in enumerate(lines):
        text, ink = beside.get(at - 1, ("", palette.NONE))
        line.append_text(display.line((f" {text}"[:gutter].ljust(gutter), ink)))
    return lines


def _upward(panel: Panel, rows: int) -> Axis:
    return Axis(panel.low, panel.high, ticks(panel.low, panel.high, max(2, rows // 2)), margin=4)


def _faint(curve: Curve) -> int:
    return palette.DIM if curve.layer is None else palette.of_chance(curve.layer)


def _letter(curve: Curve) -> str:
    """Return the character that draws a curve in ASCII."""
    return "*" if curve.layer is None else str(curve.layer % 10)


def _number_curves(chart: Chart, panel: Panel) -> None:
    """Write layers' numbers on their curves, since colours cannot say which is which."""
    count = len(panel.curves)
    for at, curve in enumerate(panel.curves):
        if curve.layer is None or not len(curve.epochs):
            continue
        for part in range(3):
            target = chart.x.low + (chart.x.high - chart.x.low) * (part + (at + 0.5) / count) / 3
            nearest = int(np.argmin(np.abs(curve.epochs - target)))
            chart.text(float(curve.epochs[nearest]), float(curve.values[nearest]), curve.label, curve.ink)


def _beside(labels: Labels, low: float, high: float, rows: int) -> dict[int, tuple[str, int]]:
    """Put labels at the rows nearest to their values, one to a row."""
    scale = (rows - 1) / ((high - low) or 1.0)
    # Rounded, so that curves that end together stay in their own order.
    wanted = [round((high - value) * scale, 1) for value, _, _ in labels]
    placed = spread_apart(wanted, 1.0, 0.0, rows - 1.0)
    return {
        math.floor(position + 0.5): (text, ink)
        for position, (_, text, ink) in zip(placed, labels, strict=True)
        if position is not None
    }


def _sizes_and_plane(sizes: Sequence[Panel], across: Panel, up: Panel, display: Display) -> list[Text]:
    """Draw dimension and a further panel and the information plane, side by side where there is room."""
    if display.width >= _WIDE:
        left = display.width // 2 - 1
        rows = _clamped(display.height - 4, _PLANE_ROWS)
        heights = [rows] if len(sizes) == 1 else [rows // 2 - 1, rows - rows // 2]
        curves = _joined(sizes, heights, left, display)
        plane = _plane(across, up, display.width - left - 2, len(curves) - 3, display)
        return [Text.assemble(a, "  ", b) for a, b in zip(curves, plane, strict=True)]
    rows = _clamped((display.height - 4) * 0.5, _PLANE_ROWS)
    lines: list[Text] = []
    for panel in sizes:
        lines += [*_joined([panel], [rows], display.width, display), Text()]
    return lines + _plane(across, up, display.width, _clamped(display.height - 4, _PLANE_ROWS), display)


def _plane(across: Panel, up: Panel, width: int, rows: int, display: Display) -> list[Text]:
    """Draw the information plane: a trajectory for each layer, the newest point marked by its number."""
    title = "information plane"
    chances = "  × chance" if across.curves[0].chance is not None else ""
    for more in (f"  {up.title} against {across.title}  {up.unit}", chances):
        title += more if len(title) + len(more) + 10 <= width else ""
    x = Axis(across.low, across.high, ticks(across.low, across.high, _clamped((width - 6) / 8, (2, 7))))
    with charting(width, rows, x, _upward(up, rows), display) as chart:
        for name, level in up.ceilings:
            chart.dashes(level, palette.CEILING)
            chart.text(across.low, level, name, palette.CEILING, "left")
        for name, level in across.ceilings:
            chart.upright(level, palette.CEILING)
            chart.text(level, up.low, name, palette.CEILING, "left" if level == 0 else "right")
        pairs = list(zip(across.curves, up.curves, strict=True))
        if not display.plain:
            for a, b in pairs:
                for (_, across_values), (_, up_values) in zip(a.runs, b.runs, strict=True):
                    chart.trail(across_values, up_values, _faint(a), _letter(a))
        for a, b in pairs:
            chart.trail(a.values, b.values, a.ink, _letter(a))
        for a, b in pairs:
            if a.chance is not None and b.chance is not None and len(a.chance):
                chart.text(float(a.chance[-1]), float(b.chance[-1]), "×", _faint(a))
        for a, b in pairs:
            chart.text(a.newest, b.newest, a.label, palette.TRAIN)
        return chart.lines(title)


def _scatters(runs: Sequence[RecordedRun], display: Display) -> Iterator[list[Text]]:
    """Draw the layers at each epoch chosen: a row of scatters, or more where they don't fit."""
    drawn = 0
    for run in runs:
        layers = len(run.layers)
        across = max(1, min(layers, display.width // _SCATTER_WIDTH[0]))
        width = _clamped(display.width // across, _SCATTER_WIDTH)
        rows = _clamped((width - 4) * 0.4, (5, max(5, display.height - 4))) // 2 * 2 + 1
        for shown in run.representations:
            first = display.line((f"epoch {shown.epoch:,}", palette.TEXT))
            if len(runs) > 1:
                first.append_text(display.line(("  " + cut(run.name, display.width - 20), palette.DIM)))
            if not drawn:
                first.append_text(_class_key(shown, display, display.width - first.cell_len))
            block, drawn = [first], drawn + 1
            for start in range(0, layers, across):
                some = [
                    _scatter(shown, layer, width, rows, display)
                    for layer in range(start, min(start + across, layers))
                ]
                block += [Text().join(lines) for lines in zip(*some, strict=True)]
            yield block


def _class_key(shown: Representation, display: Display, room: int) -> Text:
    """Say which character or colour is which class, as far as there is room."""
    key = [
        (f"  {_CLASSES[c % len(_CLASSES)] if display.lettered else 'class'} {c}", palette.of_class(c))
        for c in np.unique(shown.labels).tolist()[: palette.CYCLE]
    ]
    key.append((f"  {_SEVERAL} several" if display.lettered else "  several", palette.MIXED))
    if display.lettered:
        key[0] = (f"  class{key[0][0][1:]}", key[0][1])
        key.append(("  the latter: four samples or more", palette.DIM))
    while sum(len(text) for text, _ in key) > room:
        key.pop()
    return display.line(*key)


def _scatter(shown: Representation, layer: int, width: int, rows: int, display: Display) -> list[Text]:
    left, right, low, high = shown.ranges[layer]
    size = number(float(shown.values["dimension"][layer]))
    x, y = Axis(left, right, ends(left, right)), Axis(low, high, ends(low, high))
    with charting(width, rows, x, y, display) as chart:
        chart.samples(shown.points[layer], shown.labels)
        titles = (f"layer {layer}  dim {size}", f"{layer}  dim {size}", f"{layer}  {size}", f"{layer}")
        return chart.lines(next((t for t in titles if len(t) + 4 <= chart.columns), ""))
