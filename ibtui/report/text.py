"""The report as lines of text: which runs these are, the newest numbers, and the figures below them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from ibtui.core.names import WATCHED
from ibtui.plot import palette
from ibtui.plot.ticks import number
from ibtui.quantities import Quantity
from ibtui.report.display import Display
from ibtui.report.layout import cut, figures
from ibtui.report.panels import Curve, Panel, Settings, layer_panel
from ibtui.report.recorded import RecordedRun, deciding, differing, shared_quantities
from ibtui.report.words import (
    LEVELS,
    chance_in_words,
    estimation_in_words,
    estimation_of,
    samples_in_words,
)
from ibtui.settings import shown


def report_lines(
    runs: Sequence[RecordedRun],
    drawn: Sequence[Panel],
    settings: Settings,
    notes: Sequence[str],
    display: Display,
) -> list[str]:
    """Write the report of what `panels` gave, in lines no wider than the display, with colour codes."""
    lines = [*_header(runs, notes, display), Text(), *_numbers(runs, drawn, settings, display), Text()]
    lines.append(_key(runs, drawn, display))
    for at, block in enumerate(figures(runs, drawn, settings, display)):
        lines += [Text(), *block] if at else block
    return display.encoded(lines)


def _header(runs: Sequence[RecordedRun], notes: Sequence[str], display: Display) -> list[Text]:
    changing = [name for name in differing(runs) if name not in ("epochs", "every")]
    lines: list[Text] = []
    for run in runs:
        count, first, last = len(run.epochs), int(run.epochs[0]), int(run.epochs[-1])
        facts = f"{count:,} measurement{'s'[: count > 1]}, epochs {first:,} to {last:,}"
        own = [f"{name.replace('_', ' ')} {shown(getattr(run.config, name))}" for name in changing]
        lines += _flow([facts, *own], display, head=run.name)
    run, c = runs[0], runs[0].config
    common = {
        "layers": run.layers_in_words, "activation": run.activations,
        "lr": f"{c.optimizer} lr {c.lr:g}",
        "batch_size": f"batch {c.batch_size}", "seed": f"seed {c.seed}",
        "data_seed": f"data seed {c.data_seed}",
        "data" if "data" in changing else "grid": f"grid {c.grid}" if c.data == "grid" else f"data {c.data}",
        "samples": f"measured: {samples_in_words(run)}",
    }  # fmt: skip
    if c.engine == WATCHED:  # what else there is to say, its program knows
        common = {name: common[name] for name in ("layers", "activation", "samples") if common[name]}
    estimation, then = estimation_of(runs), estimation_in_words(run.recorded, run.layers, run.tops)
    if deciding(c) != deciding(run.recorded):
        estimation += f"; recorded with {then}"
    lines += _flow([*(text for name, text in common.items() if name not in changing), estimation], display)
    for note in notes:
        lines += _flow([note], display, head="note:", ink=palette.WARN)
    return lines


def _flow(items: Sequence[str], display: Display, head: str = "", ink: int = palette.TEXT) -> list[Text]:
    """Write items one after another in as many lines as they need, a dot between two on the same line.

    One that is longer than a line is broken between words.
    """
    width = display.width
    head = cut(head, width)
    line, begin, begun = display.line((head, ink)), "  " if head else "", False
    lines: list[Text] = []
    for item in items:
        words = [item] if cell_len(item) <= width - 2 else item.split(" ")
        for place, word in enumerate(cut(word, width - 2) for word in words):
            space = (" " if place else " · ") if begun else begin
            if line.cell_len + len(space) + cell_len(word) > width:
                lines.append(line)
                line, space = Text(), (begin := "  ")
            line.append_text(display.line((space + word, palette.DIM)))
            begun = True
    return [*lines, line]


def _numbers(
    runs: Sequence[RecordedRun], drawn: Sequence[Panel], settings: Settings, display: Display
) -> list[Text]:
    """Write the newest numbers, a row for each layer, as many columns as there is room for."""
    epochs = drawn[0].curves[0].epochs
    if not len(epochs):
        return [display.line(("the runs have no epoch in common: there is no mean", palette.WARN))]
    curves = drawn[1].curves
    heads = [(f"epoch {int(epochs[-1]):,}", palette.TEXT), *((f"layer {c.label}", c.ink) for c in curves)]
    used = max(len(head) for head, _ in heads)
    lines = [display.line((head.ljust(used), ink)) for head, ink in heads]
    columns = _columns(runs, settings)
    sizes = [[max(len(name), *map(len, cells)) + 2 for name in names] for names, cells in columns]
    short = used + sum(size for size, _ in sizes) > display.width
    for (names, cells), fitting in zip(columns, sizes, strict=True):
        name, size = names[short], fitting[short]
        if used + size > display.width:
            break
        used += size
        ink = palette.DIM if name in ("chance", "ceiling") else palette.TEXT
        lines[0].append_text(display.line((name.rjust(size), palette.DIM)))
        for line, cell in zip(lines[1:], cells, strict=True):
            line.append_text(display.line((cell.rjust(size), ink)))
    ceilings = [f"{name} {number(v)}" for panel in drawn[1:3] for name, v in panel.ceilings if v]
    facts = [] if settings.level == "share" else [f"information in {settings.units}"]
    if settings.level != "estimate":
        facts.append(LEVELS[settings.level])
    if ceilings:
        facts.append(f"ceilings {', '.join(ceilings)}")
    if len(runs) > 1:
        facts.append(f"mean ± standard deviation over {len(runs)} runs")
    facts += chance_in_words(runs, [q for q in shared_quantities(runs) if q.chance])
    if any(" of " in cell for _, cells in columns for cell in cells):
        facts.append("no mean where only some of the runs have a value")
    return [*lines, *_flow(facts, display)]


def _columns(runs: Sequence[RecordedRun], settings: Settings) -> list[tuple[tuple[str, str], list[str]]]:
    """Return, for all quantities of layers, a long and a short heading and the newest values."""
    known = shared_quantities(runs)
    chances = {quantity.chance for quantity in known}
    shown = [q for q in known if q.per_layer and q.name not in chances]
    # What only tells how well the bins suit comes last: it is the first to have no room.
    shown.sort(key=lambda q: q.rebinned and not q.chance)
    columns = []
    for quantity in shown:
        panel = layer_panel(runs, quantity, settings)
        if panel.empty and not quantity.chance:
            continue  # such as the lower bounds of an estimate that has none
        if settings.level != "estimate" and quantity.unit and not quantity.chance:
            continue  # lower bounds have no chance level, and would stand beside what is less its own
        titles = (panel.title, quantity.label if quantity.chance else quantity.brief)
        if quantity.dtype == "int64":
            columns.append((titles, _counts(runs, quantity, panel)))
            continue
        columns.append((titles, [_value(curve, len(runs)) for curve in panel.curves]))
        if levels := [number(float(c.faint[-1])) for c in panel.curves if c.faint is not None]:
            columns.append(((panel.faint, panel.faint), levels))
    return columns


def _counts(runs: Sequence[RecordedRun], quantity: Quantity, panel: Panel) -> list[str]:
    epoch = panel.curves[0].epochs[-1]
    counts = sum(run.columns[quantity.name][np.searchsorted(run.epochs, epoch)] for run in runs)
    return [f"{count:,}" for count in np.asarray(counts).tolist()]


def _value(curve: Curve, runs: int) -> str:
    """Return a mean and its spread; where there is none, how many of the runs have a value."""
    spread = curve.newest_spread
    if math.isnan(curve.newest):
        newest = (values[np.searchsorted(epochs, curve.epochs[-1])] for epochs, values in curve.runs)
        having = sum(not math.isnan(value) for value in newest)
        return f"{having} of {runs}" if having else number(math.nan)
    return number(curve.newest) + ("" if spread is None or math.isnan(spread) else f" ± {number(spread)}")


def _key(runs: Sequence[RecordedRun], drawn: Sequence[Panel], display: Display) -> Text:
    """Say what the lines of the curves mean; the two lines of accuracy are named at their ends."""
    curves = drawn[1].curves
    line = display.line(("layer", palette.TEXT), *((f" {c.label}", c.ink) for c in curves[: palette.CYCLE]))
    line.append(" …   " if len(curves) > palette.CYCLE else "   ")
    names = {"chance": "chance level", "ceiling": "ceiling"}
    words = [f"╌╌╌╌ {names[drawn[1].dashed]}"]
    if faint := drawn[1].faint or drawn[2].faint:
        words.insert(0, f"···· {names[faint]}")
    if len(runs) > 1:
        words.insert(0, "mean over runs" if display.plain else "bright: mean over runs, faint: each run")
    line.append_text(display.line((cut("   ".join(words), display.width - line.cell_len), palette.DIM)))
    return line
