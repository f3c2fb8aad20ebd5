"""The figures of the terminal report: stacked curves, the plane beside the dimension, the scatters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ibtui.plot import palette
from ibtui.plot.labels import spread_apart
from ibtui.plot.raster import class_glyph, scatter
from ibtui.plot.ticks import ends, number, ticks
from ibtui.quantities import Array
from ibtui.report.chart import Axis, Chart, charting
from ibtui.report.display import Display
from ibtui.report.epochs import EpochAxis
from ibtui.report.panels import Curve, Panel, Settings
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

_NO_VALUE = "n/a"
"""Stands in a panel none of whose curves has a value."""
_STEP = 8
"""Cells of each step of the colour scale, at most."""


def figures(
    runs: Sequence[RecordedRun], panels: Sequence[Panel], settings: Settings, display: Display
) -> Iterator[list[Text]]:
    """Draw the figures below one another; none is higher than the display."""
    along = EpochAxis.of(panels, settings.axis)
    yield _stack(panels[:_STACK], along, display)
    sizes, more = panels[_STACK : _STACK + 2], panels[_STACK + 2 :]
    coloured = settings.plane_colour == "epoch" and not display.plain
    yield _sizes_and_plane(sizes, panels[1], panels[2], along, coloured, display)
    for start in range(0, len(more), _STACK):
        yield _stack(more[start : start + _STACK], along, display)
    yield from _scatters(runs, display)


def cut(text: str, width: int) -> str:
    """Cut what is wider than so many cells."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 0))


def _clamped(value: float, bounds: tuple[int, int]) -> int:
    return int(max(bounds[0], min(value, bounds[1])))


def _stack(panels: Sequence[Panel], along: EpochAxis, display: Display) -> list[Text]:
    """Draw axes above one another that share their epochs."""
    rows = _clamped((display.height - 3 - len(panels)) / len(panels), _STACK_ROWS)
    return _joined(panels, [rows] * len(panels), display.width, along, display)


def _joined(
    panels: Sequence[Panel], heights: Sequence[int], width: int, along: EpochAxis, display: Display
) -> list[Text]:
    """Draw charts whose frames join: the lower line of one is the upper line of the next."""
    gutter = max(_gutter(panel) for panel in panels)
    lines: list[Text] = []
    for at, (panel, rows) in enumerate(zip(panels, heights, strict=True)):
        last = at == len(panels) - 1
        lines += _curves(panel, along, width, rows, gutter, display, at > 0, last)
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
    along: EpochAxis,
    width: int,
    rows: int,
    gutter: int,
    display: Display,
    joined: bool,
    bottom: bool,
) -> list[Text]:
    """Draw one panel of curves, with its newest values in a gutter on the right."""
    width -= gutter
    x = Axis(*along.ends, along.ticks(width - 6), shown=bottom)
    with charting(width, rows, x, _upward(panel, rows), display) as chart:
        for _, level in panel.ceilings:
            chart.dashes(level, palette.CEILING)
        for curve in panel.curves:
            if curve.faint is not None:
                chart.dots(along.at(curve.epochs), curve.faint, _faint(curve))
        if not display.plain:
            for curve in panel.curves:
                for epochs, values in curve.runs:
                    chart.line(along.at(epochs), values, _faint(curve), _letter(curve))
        for curve in reversed(panel.curves):  # the first on top
            if curve.dotted and display.plain:
                chart.dots(along.at(curve.epochs), curve.values, curve.ink)
            else:
                chart.line(along.at(curve.epochs), curve.values, curve.ink, _letter(curve))
        if display.plain and display.marker != "ascii":
            _number_curves(chart, panel, along)
        if panel.empty:
            chart.text(sum(along.ends) / 2, (panel.low + panel.high) / 2, _NO_VALUE, palette.DIM)
        lines = chart.lines(_title(panel, chart), joined)
    labels: Labels = [(level, _ceiling(name, level), palette.CEILING) for name, level in panel.ceilings]
    labels += [(c.newest, _newest(c), c.ink) for c in panel.curves]
    beside = _beside(labels, panel.low, panel.high, rows)
    for at, line in enumerate(lines):
        text, ink = beside.get(at - 1, ("", palette.NONE))
        line.append_text(display.line((f" {text}"[:gutter].ljust(gutter), ink)))
    return lines


def _title(panel: Panel, chart: Chart) -> str:
    """Return the title with the estimator in as many words as there is room for."""
    titles = [
        ", ".join(filter(None, (panel.heading, words))) for words in (panel.estimation, panel.estimator)
    ]
    return next((title for title in titles if len(title) + 4 <= chart.columns), panel.heading)


def _upward(panel: Panel, rows: int) -> Axis:
    return Axis(panel.low, panel.high, ticks(panel.low, panel.high, max(2, rows // 2)), margin=4)


def _faint(curve: Curve) -> int:
    return palette.DIM if curve.layer is None else palette.of_chance(curve.layer)


def _letter(curve: Curve) -> str:
    """Return the character that draws a curve in ASCII."""
    return "*" if curve.layer is None else str(curve.layer % 10)


def _number_curves(chart: Chart, panel: Panel, along: EpochAxis) -> None:
    """Write layers' numbers on their curves, since colours cannot say which is which."""
    count = len(panel.curves)
    for at, curve in enumerate(panel.curves):
        if curve.layer is None or not len(curve.epochs):
            continue
        for part in range(3):
            target = chart.x.low + (chart.x.high - chart.x.low) * (part + (at + 0.5) / count) / 3
            places = along.at(curve.epochs)
            nearest = int(np.argmin(np.abs(places - target)))
            chart.text(float(places[nearest]), float(curve.values[nearest]), curve.label, curve.ink)


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


def _sizes_and_plane(
    sizes: Sequence[Panel], across: Panel, up: Panel, along: EpochAxis, coloured: bool, display: Display
) -> list[Text]:
    """Draw dimension and a further panel and the information plane, side by side where there is room.

    `coloured`: the colours of the plane are those of epochs, which a scale below it tells.
    """
    ages = along if coloured else None
    if display.width >= _WIDE:
        left = display.width // 2 - 1
        rows = _clamped(display.height - 4, _PLANE_ROWS)
        heights = [rows] if len(sizes) == 1 else [rows // 2 - 1, rows - rows // 2]
        curves = _joined(sizes, heights, left, along, display)
        plane = _plane(across, up, ages, display.width - left - 2, len(curves), display)
        return [Text.assemble(a, "  ", b) for a, b in zip(curves, plane, strict=True)]
    rows = _clamped((display.height - 4) * 0.5, _PLANE_ROWS)
    lines: list[Text] = []
    for panel in sizes:
        lines += [*_joined([panel], [rows], display.width, along, display), Text()]
    height = _clamped(display.height - 4, _PLANE_ROWS) + 3
    return lines + _plane(across, up, ages, display.width, height, display)


def _plane(
    across: Panel, up: Panel, ages: EpochAxis | None, width: int, height: int, display: Display
) -> list[Text]:
    """Draw the information plane: a trajectory for each layer, the newest point marked by its number.

    `ages`: colours are those of epochs; without, those of layers. `height`: lines in all.
    """
    rows = height - 3 - bool(ages)
    x = Axis(across.low, across.high, ticks(across.low, across.high, _clamped((width - 6) / 8, (2, 7))))
    with charting(width, rows, x, _upward(up, rows), display) as chart:
        for name, level in up.ceilings:
            chart.dashes(level, palette.CEILING)
            if level:  # where the chance level is 0, the key is enough
                chart.text(across.low, level, name, palette.CEILING, "left")
        for name, level in across.ceilings:
            chart.upright(level, palette.CEILING)
            if level:
                chart.text(level, up.low, name, palette.CEILING, "right")
        pairs = list(zip(across.curves, up.curves, strict=True))
        if not display.plain:
            for a, b in pairs:
                for (_, across_values), (_, up_values) in zip(a.runs, b.runs, strict=True):
                    chart.trail(across_values, up_values, palette.DIM if ages else _faint(a), _letter(a))
        for a, b in pairs:
            _draw_trajectory(chart, a, b, ages)
        for a, b in pairs:
            if a.faint is not None and b.faint is not None and len(a.faint):
                mark = _FAINT_MARKS[across.faint]
                chart.text(float(a.faint[-1]), float(b.faint[-1]), mark, _faint(a))
        for a, b in pairs:
            chart.text(a.newest, b.newest, a.label, palette.TRAIN)
        if across.empty or up.empty:
            middle = (across.low + across.high) / 2, (up.low + up.high) / 2
            chart.text(*middle, _NO_VALUE, palette.DIM)
        lines = chart.lines(_plane_title(across, up, chart))
    return lines + ([_colour_scale(ages, width, display)] if ages else [])


_FAINT_MARKS = {"chance": "×", "ceiling": "+"}


def _plane_title(across: Panel, up: Panel, chart: Chart) -> str:
    """Return a title that names as much of axes, estimator and marks as there is room for."""
    against, unit = f"{up.title} against {across.title}", up.unit
    marks = f"{_FAINT_MARKS[across.faint]} {across.faint}" if across.faint else ""
    full, brief = across.estimation, across.estimator
    choices = [
        (against, unit, full, marks), (against, unit, brief, marks), (unit, full, marks),
        (unit, brief, marks), (unit, marks), (marks,),
    ]  # fmt: skip
    titles = [", ".join(filter(None, ("information plane", *words))) for words in choices]
    return next((title for title in titles if len(title) + 4 <= chart.columns), "information plane")


def _draw_trajectory(chart: Chart, across: Curve, up: Curve, ages: EpochAxis | None) -> None:
    """Draw a layer's way through the plane, in its own ink or a stretch for each step of the epochs'."""
    if ages is None or not len(across.epochs):
        chart.trail(across.values, up.values, across.ink, _letter(across))
        return
    steps = ages.steps(across.epochs)
    for start, stop in _stretches(steps):
        part = slice(start, stop + 1)  # to the first point of the next, so that there is no gap
        ink = palette.EPOCH + int(steps[start])
        chart.trail(across.values[part], up.values[part], ink, _letter(across))


def _stretches(steps: Array) -> list[tuple[int, int]]:
    """Return where stretches of equal values start and stop."""
    bounds = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    return list(pairwise(bounds))


def _colour_scale(ages: EpochAxis, width: int, display: Display) -> Text:
    """Write which colours are which epochs: the first and the last, and the steps between."""
    first, last = f"epoch {ages.first:,.0f} ", f" {ages.last:,.0f}{', log' if ages.scale == 'log' else ''}"
    step = _clamped((width - len(first) - len(last)) / palette.CYCLE, (1, _STEP))
    cells = [("█" * step, palette.EPOCH + at) for at in range(palette.CYCLE)]
    line = display.line((first, palette.DIM), *cells, (last, palette.DIM))
    line.truncate(width, pad=True)
    return line


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
                first.append_text(_class_key(run, shown, display, display.width - first.cell_len))
            block, drawn = [first], drawn + 1
            for start in range(0, layers, across):
                some = [
                    _scatter(shown, layer, width, rows, display)
                    for layer in range(start, min(start + across, layers))
                ]
                block += [Text().join(lines) for lines in zip(*some, strict=True)]
            yield block


def _class_key(run: RecordedRun, shown: Representation, display: Display, room: int) -> Text:
    """Say which character or colour is which class, as far as there is room, and of how many classes."""
    found = np.unique(shown.labels).tolist()
    names = [
        (f"  {_character(label, display)} {run.class_name(label)}", palette.of_class(label))
        for label in found
    ]
    names[0] = (f"  class{names[0][0][1:]}", names[0][1])
    several = (f"  {_characters([0, 1])} several" if display.lettered else "  several", palette.MIXED)
    latter = [("  the latter: four samples or more", palette.DIM)] if display.lettered else []
    count = (f"  of {len(found)}", palette.DIM)
    keys = [[*names, several, *latter], [*names, several]]
    keys += [[*names[:few], count, several] for few in range(len(names) - 1, 0, -1)]
    return display.line(*next((key for key in keys if sum(len(text) for text, _ in key) <= room), []))


def _character(label: int, display: Display) -> str:
    return _characters([label]) if display.lettered else class_glyph(label, display.marker)


def _characters(classes: Sequence[int]) -> str:
    """Return what a cell shows, without colours, of few samples of these classes, and of many."""
    spots = [np.repeat(classes, count) for count in (1, 4)]
    cells = [scatter(np.zeros((len(s), 2)), s, (-1, 1, -1, 1), 1, 1, "ascii") for s in spots]
    return "".join(str(cell.chars[0, 0]) for cell in cells)


def _scatter(shown: Representation, layer: int, width: int, rows: int, display: Display) -> list[Text]:
    left, right, low, high = shown.ranges[layer]
    size = number(float(shown.values["dimension"][layer]))
    x, y = Axis(left, right, ends(left, right)), Axis(low, high, ends(low, high))
    with charting(width, rows, x, y, display) as chart:
        chart.samples(shown.points[layer], shown.labels)
        titles = (f"layer {layer}  dim {size}", f"{layer}  dim {size}", f"{layer}  {size}", f"{layer}")
        return chart.lines(next((t for t in titles if len(t) + 4 <= chart.columns), ""))
