"""The report as lines of text: the newest numbers, and the figures one below another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rich.style
from rich.cells import cell_len, set_cell_size

from ibtui.plot import palette
from ibtui.plot.ticks import number, ticks
from ibtui.report import figures
from ibtui.report.figures import Curve, Panel
from ibtui.report.plot import CLASSES, SEVERAL, Axis, Line, Plot, Style, plotting
from ibtui.report.runs import Run, differing
from ibtui.run.protocol import Representation

Array = np.ndarray[Any, Any]
Labels = list[tuple[float, str, int]]

LEAST_WIDTH = 40
_WIDE = 100
"""From here on two figures stand side by side."""
_STACK_ROWS = (5, 11)
"""Rows inside each of the stacked axes, at least and at most."""
_PLANE_ROWS = (8, 18)
_SCATTER_WIDTH = (16, 30)
_ASCII = str.maketrans("┌┐└┘├┤┬┴┼─│·╌╎×±−", "+++++++++-|.-:x~-")


def render(
    runs: Sequence[Run], panels: Sequence[Panel], unit: str, notes: Sequence[str], style: Style
) -> list[str]:
    """The whole report.

    Parameters
    ----------
    runs : sequence of Run
    panels : sequence of Panel
        From `figures.panels`.
    unit : str
        Of information.
    notes : sequence of str
        What the reader should know of the numbers.
    style : Style

    Returns
    -------
    list of str
        Lines, none wider than the style's width; with colour codes unless its colours are "none".
    """
    lines = [*_header(runs, notes, style), [], *_numbers(runs, panels, unit, style), []]
    lines += _key(runs, panels, style)
    lines += _stack(panels[:3], style)
    lines += [[], *_sizes_and_plane(panels, style)]
    for block in _scatters(runs, style):
        lines += [[], *block]
    inks = palette.styles(style.colours)
    return [_encoded(line, inks, style) for line in lines]


def _encoded(line: Line, inks: Sequence[rich.style.Style], style: Style) -> str:
    """The line with the colour codes of its inks."""
    if style.plain:
        return _transcribed("".join(part for part, _ in line), style).rstrip()
    return "".join(inks[ink].render(_transcribed(part, style)) for part, ink in line)


def _transcribed(text: str, style: Style) -> str:
    if style.marker != "ascii":
        return text
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


# Text.


def _header(runs: Sequence[Run], notes: Sequence[str], style: Style) -> list[Line]:
    """Which runs these are, and what they have in common."""
    changing = [name for name in differing(runs) if name not in ("epochs", "every")]
    lines: list[Line] = []
    for run in runs:
        count, first, last = len(run.epochs), int(run.epochs[0]), int(run.epochs[-1])
        facts = f"{count:,} measurement{'s'[: count > 1]}, epochs {first:,} to {last:,}"
        own = [f"{name.replace('_', ' ')} {_shown(getattr(run.config, name))}" for name in changing]
        lines += _flow([facts, *own], style.width, head=run.name)
    c = runs[0].config
    common = [
        f"layers {_shown(c.layers)}", c.activation, f"lr {c.lr:g}", f"batch {c.batch_size}", f"seed {c.seed}",
        f"data seed {c.data_seed}", f"grid {c.grid}", f"{runs[0].samples} samples measured",
    ]  # fmt: skip
    of = ("layers", "activation", "lr", "batch_size", "seed", "data_seed", "grid", "samples")
    kept = [text for text, name in zip(common, of, strict=True) if name not in changing]
    lines += _flow([*kept, _binning(runs[0])], style.width)
    for note in notes:
        lines += _flow([note], style.width, head="note:", ink=palette.WARN)
    return lines


def _binning(run: Run) -> str:
    now, then = run.config, run.recorded
    text = f"{now.binning} binning, T {now.t_bins}, X {now.x_bins}"
    if (now.binning, now.t_bins, now.x_bins) == (then.binning, then.t_bins, then.x_bins):
        return text
    return f"{text}; recorded with {then.binning}, T {then.t_bins}, X {then.x_bins}"


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"


def _flow(items: Sequence[str], width: int, head: str = "", ink: int = palette.TEXT) -> list[Line]:
    """Items one after another in as many lines as they need; one that is longer is broken between words."""
    words: list[str] = []
    for at, item in enumerate(items):
        text = item if at == len(items) - 1 else f"{item} ·"
        words += [text] if cell_len(text) <= width - 2 else text.split(" ")
    line: Line = [(_cut(head, width), ink)] if head else []
    used = cell_len(line[0][0]) if head else 0
    lines: list[Line] = []
    for word in words:
        word = _cut(word, width - 2)
        space = " " * min(used, 2 if len(line) == 1 and head else 1)
        if used + len(space) + cell_len(word) > width:
            lines.append(line)
            line, used, space, head = [], 2, "  ", ""
        else:
            used += len(space)
        line.append((space + word, palette.DIM))
        used += cell_len(word)
    return [*lines, line]


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 0))


def _value(value: float, spread: float | None, having: int, runs: int) -> str:
    """A mean and its spread; where there is none, how many of the runs have a value."""
    if math.isnan(value) and having:
        return f"{having} of {runs}"
    return number(value) if spread is None or math.isnan(value) else f"{number(value)} ± {number(spread)}"


def _numbers(runs: Sequence[Run], panels: Sequence[Panel], unit: str, style: Style) -> list[Line]:
    """The newest numbers, a row for each layer, as many columns as there is room for."""
    of = {panel.key: panel for panel in panels}
    several = len(runs) > 1
    epochs = panels[0].curves[0].epochs
    if not len(epochs):
        return [[("the runs have no epoch in common: there is no mean", palette.WARN)]]
    columns: list[tuple[str, list[str]]] = []
    rows = [int(np.searchsorted(run.epochs, epochs[-1])) for run in runs]

    def newest(key: str) -> Array:
        """Of each run and layer."""
        return np.array([run.columns[key][row] for run, row in zip(runs, rows, strict=True)], float)

    def cells(key: str, means: Sequence[float], spreads: Sequence[float | None]) -> list[str]:
        having = (~np.isnan(newest(key))).sum(axis=0).tolist()
        return [_value(*of_layer, len(runs)) for of_layer in zip(means, spreads, having, strict=True)]

    for key in ("i_xt", "i_ty"):
        curves = of[key].curves
        shown = cells(key, [c.newest for c in curves], [c.newest_spread for c in curves])
        columns.append((of[key].title, shown))
        if curves[0].chance is not None:
            columns.append(("chance", [number(float(c.chance[-1])) for c in curves]))  # type: ignore[index]
    wide = style.width >= _WIDE
    names = {
        "dimension": ("dimension", "dim"),
        "participation_ratio": ("participation", "p.r."),
        "saturation": ("saturation", "sat."),
        "occupancy": ("occupancy", "occ."),
        "outside": ("outside", "out."),
    }
    for key, (long, short) in names.items():
        table = newest(key)
        if key == "outside":
            shown = [f"{v:,.0f}" for v in table.sum(axis=0)]
        else:
            with np.errstate(invalid="ignore"):
                mean = table.mean(axis=0).tolist()
                spread = table.std(axis=0, ddof=1).tolist() if several else [None] * len(mean)
            shown = cells(key, mean, spread)
        columns.append((long if wide else short, shown))
    some = any(" of " in text for _, column in columns for text in column)
    heads = [f"epoch {int(epochs[-1]):,}", *(f"layer {c.label}" for c in of["i_xt"].curves)]
    inks = [palette.TEXT, *(c.ink for c in of["i_xt"].curves)]
    used = max(map(len, heads))
    lines: list[Line] = [[(head.ljust(used), ink)] for head, ink in zip(heads, inks, strict=True)]
    for name, shown in columns:
        size = max(len(name), *map(len, shown)) + 2
        if used + size > style.width:
            break
        used += size
        dim = name == "chance"
        lines[0].append((name.rjust(size), palette.DIM))
        for line, cell in zip(lines[1:], shown, strict=True):
            line.append((cell.rjust(size), palette.DIM if dim else palette.TEXT))
    ceilings = [f"{n} {number(v)}" for p in (of["i_xt"], of["i_ty"]) for n, v in p.ceilings if v]
    facts = [f"information in {unit}"]
    if ceilings:
        facts.append(f"ceilings {', '.join(ceilings)}")
    if several:
        facts.append(f"mean ± standard deviation over {len(runs)} runs")
    if some:
        facts.append("no mean where only some of the runs have a value")
    return [*lines, *_flow(facts, style.width)]


def _key(runs: Sequence[Run], panels: Sequence[Panel], style: Style) -> list[Line]:
    """What the lines of the curves mean."""
    layers = Line()
    for curve in panels[1].curves[: palette.CYCLE]:
        layers.append((f" {curve.label}", curve.ink))
    more = " …" if len(panels[1].curves) > palette.CYCLE else ""
    dashed = "chance level" if panels[1].ceilings[:1] == (("chance", 0.0),) else "ceiling"
    words = ["···· chance level" if panels[1].curves[0].chance is not None else "", f"╌╌╌╌ {dashed}"]
    if len(runs) > 1:
        words = ["bright: mean over runs, faint: each run" if not style.plain else "mean over runs", *words]
    # The key of accuracy's two lines is at their ends.
    text = "   ".join(word for word in words if word)
    line = [("layer", palette.TEXT), *layers, (more + "   ", palette.TEXT), (text, palette.DIM)]
    if sum(cell_len(part) for part, _ in line) > style.width:
        line = [*line[:-1], (_cut(text, style.width - sum(cell_len(p) for p, _ in line[:-1])), palette.DIM)]
    return [line]


# Figures.


def _clamped(value: float, bounds: tuple[int, int]) -> int:
    return int(max(bounds[0], min(value, bounds[1])))


def _stack(panels: Sequence[Panel], style: Style) -> list[Line]:
    """Axes above one another that share their epochs."""
    rows = _clamped((style.height - 3 - len(panels)) / len(panels), _STACK_ROWS)
    x = figures.epoch_range(panels)
    gutter = max(_gutter(panel) for panel in panels)
    lines: list[Line] = []
    for at, panel in enumerate(panels):
        last = at == len(panels) - 1
        lines += _curves(panel, x, style.width - gutter, rows, gutter, style, at == 0, last)
    return lines


def _gutter(panel: Panel) -> int:
    """Columns for the newest values, to the right of the axes."""
    texts = [_end(c) for c in panel.curves] + [_ceiling(*c) for c in panel.ceilings]
    return max(map(len, texts)) + 1


def _end(curve: Curve) -> str:
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
    style: Style,
    top: bool = True,
    bottom: bool = True,
) -> list[Line]:
    """One panel of curves, with its newest values in a gutter on the right; each line width + gutter wide."""
    title = panel.title + (f"  {panel.unit}" if panel.unit else "")
    along = Axis(*x, ticks(*x, _clamped((width - 6) / 10, (2, 9))), shown=bottom)
    with plotting(width, rows, along, _upward(panel, rows), style) as plot:
        for _, level in panel.ceilings:
            plot.dashes(level, palette.CEILING)
        for curve in panel.curves:
            if curve.chance is not None:
                plot.dots(curve.epochs, curve.chance, _faint(curve))
        if not style.plain:
            for curve in panel.curves:
                for epochs, values in curve.runs:
                    plot.line(epochs, values, _faint(curve), _letter(curve))
        for curve in reversed(panel.curves):  # the first on top
            if curve.label == "held out" and style.plain:
                plot.dots(curve.epochs, curve.values, curve.ink)
            else:
                plot.line(curve.epochs, curve.values, curve.ink, _letter(curve))
        if style.plain and style.marker != "ascii":
            _number_curves(plot, panel)
        lines = plot.lines(title, top)
    labels: Labels = [(level, _ceiling(name, level), palette.CEILING) for name, level in panel.ceilings]
    labels += [(c.newest, _end(c), c.ink) for c in panel.curves]
    ends = _beside(labels, panel.low, panel.high, rows)
    for at, line in enumerate(lines):
        text, ink = ends.get(at - 1, ("", palette.NONE))
        line.append((f" {text}"[:gutter].ljust(gutter), ink))
    return lines


def _upward(panel: Panel, rows: int) -> Axis:
    return Axis(panel.low, panel.high, ticks(panel.low, panel.high, max(2, rows // 2)), margin=4)


def _faint(curve: Curve) -> int:
    return palette.DIM if curve.layer is None else palette.of_chance(curve.layer)


def _letter(curve: Curve) -> str:
    """A character for the curve, where it has no dots."""
    return "*" if curve.layer is None else str(curve.layer % 10)


def _number_curves(plot: Plot, panel: Panel) -> None:
    """Layers' numbers on their curves, since colours cannot say which is which."""
    count = len(panel.curves)
    for at, curve in enumerate(panel.curves):
        if curve.layer is None or not len(curve.epochs):
            continue
        for part in range(3):
            target = plot.x.low + (plot.x.high - plot.x.low) * (part + (at + 0.5) / count) / 3
            nearest = int(np.argmin(np.abs(curve.epochs - target)))
            plot.text(float(curve.epochs[nearest]), float(curve.values[nearest]), curve.label, curve.ink)


def _beside(labels: Labels, low: float, high: float, rows: int) -> dict[int, tuple[str, int]]:
    """Labels at the rows nearest to their values, one to a row."""
    scale = (rows - 1) / ((high - low) or 1.0)
    # Rounded, so that curves that end together stay in their own order.
    wanted = [round((high - value) * scale, 1) for value, _, _ in labels]
    placed = figures.spread_apart(wanted, 1.0, 0.0, rows - 1.0)
    return {
        math.floor(position + 0.5): (text, ink)
        for position, (_, text, ink) in zip(placed, labels, strict=True)
        if position is not None
    }


def _sizes_and_plane(panels: Sequence[Panel], style: Style) -> list[Line]:
    """Dimension (and participation ratio) and the information plane, side by side where there is room."""
    sizes, x = panels[3:], figures.epoch_range(panels)
    gutter = max(_gutter(panel) for panel in sizes)
    if style.width >= _WIDE:
        left = style.width // 2 - 1
        rows = _clamped(style.height - 4, _PLANE_ROWS)
        heights = [rows] if len(sizes) == 1 else [(rows - 2) // 2, rows - 2 - (rows - 2) // 2 + 1]
        blocks: list[Line] = []
        for at, (panel, height) in enumerate(zip(sizes, heights, strict=True)):
            last = at == len(sizes) - 1
            blocks += _curves(panel, x, left - gutter, height, gutter, style, at == 0, last)
        plane = _plane(panels[1], panels[2], style.width - left - 2, len(blocks) - 3, style)
        return [[*a, ("  ", palette.NONE), *b] for a, b in zip(blocks, plane, strict=True)]
    rows = _clamped((style.height - 4) * 0.5, _PLANE_ROWS)
    lines: list[Line] = []
    for panel in sizes:
        lines += [*_curves(panel, x, style.width - gutter, rows, gutter, style), []]
    return lines + _plane(panels[1], panels[2], style.width, _clamped(style.height - 4, _PLANE_ROWS), style)


def _plane(across: Panel, up: Panel, width: int, rows: int, style: Style) -> list[Line]:
    """The information plane: a trajectory for each layer, the newest point marked by the layer's number."""
    title = "information plane"
    chances = "  × chance" if across.curves[0].chance is not None else ""
    for more in (f"  {up.title} against {across.title}  {up.unit}", chances):
        title += more if len(title) + len(more) + 10 <= width else ""
    x = Axis(across.low, across.high, ticks(across.low, across.high, _clamped((width - 6) / 8, (2, 7))))
    with plotting(width, rows, x, _upward(up, rows), style) as plot:
        for name, level in up.ceilings:
            plot.dashes(level, palette.CEILING)
            plot.text(across.low, level, name, palette.CEILING, "left")
        for name, level in across.ceilings:
            plot.upright(level, palette.CEILING)
            plot.text(level, up.low, name, palette.CEILING, "left" if level == 0 else "right")
        pairs = list(zip(across.curves, up.curves, strict=True))
        if not style.plain:
            for a, b in pairs:
                for (_, across_values), (_, up_values) in zip(a.runs, b.runs, strict=True):
                    plot.trail(across_values, up_values, _faint(a), _letter(a))
        for a, b in pairs:
            plot.trail(a.values, b.values, a.ink, _letter(a))
        for a, b in pairs:
            if a.chance is not None and b.chance is not None and len(a.chance):
                plot.text(float(a.chance[-1]), float(b.chance[-1]), "×", _faint(a))
        for a, b in pairs:
            plot.text(a.newest, b.newest, a.label, palette.TRAIN)
        return plot.lines(title, True)


def _scatters(runs: Sequence[Run], style: Style) -> Iterator[list[Line]]:
    """The layers at each epoch chosen: a row of scatters, or more where they don't fit."""
    for run in runs:
        layers = len(run.config.layers)
        across = max(1, min(layers, style.width // _SCATTER_WIDTH[0]))
        width = _clamped(style.width // across, _SCATTER_WIDTH)
        rows = _clamped((width - 4) * 0.4, (5, max(5, style.height - 4))) // 2 * 2 + 1
        for look in run.looks:
            first: Line = [(f"epoch {look.epoch:,}", palette.TEXT)]
            if len(runs) > 1:
                first += [("  " + _cut(run.name, style.width - 20), palette.DIM)]
            if look is runs[0].looks[0]:
                first += _class_key(look, style, style.width - sum(cell_len(part) for part, _ in first))
            block = [first]
            for start in range(0, layers, across):
                some = [
                    _scatter(look, layer, width, rows, style)
                    for layer in range(start, min(start + across, layers))
                ]
                block += [[part for line in lines for part in line] for lines in zip(*some, strict=True)]
            yield block


def _class_key(look: Representation, style: Style, room: int) -> Line:
    """Which character or colour is which class, as far as there is room."""
    key = [
        (f"  {CLASSES[c] if style.lettered else 'class'} {c}", palette.of_class(c))
        for c in np.unique(look.labels).tolist()[: palette.CYCLE]
    ]
    key.append((f"  {SEVERAL} several" if style.lettered else "  several", palette.MIXED))
    if style.lettered:
        key[0] = (f"  class{key[0][0][1:]}", key[0][1])
        key.append(("  the latter: four samples or more", palette.DIM))
    while sum(len(text) for text, _ in key) > room:
        key.pop()
    return key


def _scatter(look: Representation, layer: int, width: int, rows: int, style: Style) -> list[Line]:
    left, right, low, high = look.ranges[layer]
    size = number(float(look.values["dimension"][layer]))
    x, y = Axis(left, right, figures.ends(left, right)), Axis(low, high, figures.ends(low, high))
    with plotting(width, rows, x, y, style) as plot:
        plot.samples(look.points[layer], look.labels)
        titles = (f"layer {layer}  dim {size}", f"{layer}  dim {size}", f"{layer}  {size}", f"{layer}")
        return plot.lines(next((t for t in titles if len(t) + 4 <= plot.columns), ""), True)
