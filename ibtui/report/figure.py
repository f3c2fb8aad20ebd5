"""The report as one figure of a paper: PNG, SVG or PDF by matplotlib, the same bytes for the same runs."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, TypeVar

from ibtui.core.names import WATCHED
from ibtui.errors import UsageError
from ibtui.plot import palette
from ibtui.report.axes import (
    DASHED,
    DOTTED,
    GREY,
    Axes,
    class_style,
    colour_of,
    draw_ages,
    draw_curves,
    draw_plane,
    draw_scatter,
    layer_mark,
    write_letter,
)  # fmt: skip
from ibtui.report.epochs import EpochAxis
from ibtui.report.panels import Panel, Settings
from ibtui.report.recorded import RecordedRun, differing, shared_quantities
from ibtui.report.words import LEVELS, chance_in_words, estimation_of, samples_in_words
from ibtui.run.protocol import Representation

T = TypeVar("T")

DPI = 200
MOST_SCATTERS = 400
"""The most of them in one figure."""

# Inches. A journal's two columns are 7.2 wide.
_WIDTH = 7.2
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.48, 0.34, 0.42, 0.30
_CLASS_KEY, _CHARACTER = 0.22, 0.055
"""The width of a class's mark in the key, with what is around it, and of a character of its name."""
_BETWEEN = 0.86
"""Between the two columns of axes: the labels of both sides."""
_PANEL, _GAP = 1.28, 0.16
_AGES = 0.36
"""The room that the colours of epochs take of the plane's width."""
_BEFORE_SCATTERS = 0.72
_BAND_GAP = 0.34
"""Between two rows of epochs: room for their headings."""
_ACROSS, _LEAST_ACROSS = 6, 4
"""The most scatters beside each other, and the fewest that are drawn as large as the width allows."""
_NAMES = 100
"""Characters of a heading across the whole page."""
_NOTE = 0.115
"""A line of the footnote."""

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 7.0, "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 7.0, "axes.labelsize": 7.0, "axes.labelpad": 2.5,
    "xtick.labelsize": 6.5, "xtick.major.size": 2.5, "xtick.major.width": 0.6, "xtick.major.pad": 2.0,
    "ytick.labelsize": 6.5, "ytick.major.size": 2.5, "ytick.major.width": 0.6, "ytick.major.pad": 2.0,
    "lines.linewidth": 1.0,
    "svg.hashsalt": "ibtui", "svg.fonttype": "path", "pdf.fonttype": 42,
}  # fmt: skip
_UNDATED: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "ibtui"},
    "pdf": {"CreationDate": None, "Creator": "ibtui", "Producer": "ibtui"},
}


def draw_figure(
    runs: Sequence[RecordedRun], panels: Sequence[Panel], settings: Settings, notes: Sequence[str], kind: str
) -> bytes:
    """Return a figure as a file of this kind, the notes below it; `UsageError` for too many scatters."""
    os.environ.pop("MPLBACKEND", None)  # a shell in Jupyter sets one that is not here; none is used
    import matplotlib

    count = len(runs[0].layers) * sum(len(run.representations) for run in runs)
    if count > MOST_SCATTERS:
        raise UsageError(f"--at: {count} scatters in one figure; it has room for {MOST_SCATTERS}")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        contents = io.BytesIO()
        made = _figure(runs, panels, settings, notes)
        made.savefig(contents, format=kind, dpi=DPI, metadata=_UNDATED[kind])
        return contents.getvalue()


@dataclass(frozen=True)
class _Band:
    """Scatters in rows and columns, with what is written at their edges."""

    rows: Sequence[Sequence[tuple[RecordedRun, Representation, int]]]
    """In each place a run, an epoch of it, and a layer."""
    headings: Sequence[str]
    """Above the columns, from the left; there may be fewer."""
    by_row: bool
    """True where a row is a layer, named at its left; else each scatter has its layer's name above it."""


def _bands(runs: Sequence[RecordedRun]) -> list[_Band]:
    """Return the scatters in bands: an epoch is a column of layers or, where that leaves less white, rows."""
    columns = [(run, shown) for run in runs for shown in run.representations]
    layers = range(len(runs[0].layers))
    parts = min((_parts(runs, most) for most in range(1, _ACROSS + 1)), key=len)
    if len(_even(layers)[0]) <= max(map(len, parts), default=0):
        return [
            _Band(
                [[(run, shown, layer) for run, shown in part] for layer in layers],
                [_heading(run, shown, "\n", len(runs) > 1, _NAMES // len(part)) for run, shown in part],
                by_row=True,
            )
            for part in parts
        ]
    return [
        _Band(
            [[(run, shown, layer) for layer in row] for row in _even(layers)],
            [_heading(run, shown, ", ", len(runs) > 1)],
            by_row=False,
        )
        for run, shown in columns
    ]


def _parts(runs: Sequence[RecordedRun], most: int) -> list[list[tuple[RecordedRun, Representation]]]:
    """Return the epochs of runs in parts of so many at most; a run is split only if it must be."""
    parts: list[list[tuple[RecordedRun, Representation]]] = []
    for run in runs:
        columns = [(run, shown) for shown in run.representations]
        if parts and len(parts[-1]) + len(columns) <= most:
            parts[-1] += columns
        elif columns:
            parts += map(list, _even(columns))
    return parts


def _even(items: Sequence[T]) -> list[Sequence[T]]:
    """Divide items into as few parts as fit across, of nearly the same size."""
    across = math.ceil(len(items) / math.ceil(len(items) / _ACROSS))
    return [items[start : start + across] for start in range(0, len(items), across)]


def _heading(run: RecordedRun, shown: Representation, between: str, named: bool, length: int = 60) -> str:
    heading = f"epoch {shown.epoch:,}"
    return f"{_ending(run.name, min(length, 21))}{between}{heading}".replace("$", r"\$") if named else heading


@dataclass(frozen=True)
class _Grid:
    """The distances between scatters: small where all have the same axes, else with room for ticks."""

    across: int
    """The number of scatters that fill the width."""
    shared: bool
    gap_across: float
    gap_down: float

    @classmethod
    def of(cls, runs: Sequence[RecordedRun], bands: Sequence[_Band]) -> _Grid:
        ranges = {ranges for run in runs for shown in run.representations for ranges in shown.ranges}
        across = max([_LEAST_ACROSS, *(len(row) for band in bands for row in band.rows)])
        return cls(across, True, 0.17, 0.17) if len(ranges) == 1 else cls(across, False, 0.30, 0.29)

    @property
    def size(self) -> float:
        """The width and height of a scatter."""
        return (_WIDTH - _LEFT - 0.10 - (self.across - 1) * self.gap_across) / self.across

    @property
    def down(self) -> float:
        """The distance from one row to the next."""
        return self.size + self.gap_down

    def height(self, band: _Band) -> float:
        """Return the height of a band, with the room below it."""
        return len(band.rows) * self.down + _BAND_GAP


class _Page:
    """A figure measured in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure: Any = Figure(figsize=(width, height))
        FigureCanvasAgg(self.figure)
        self.width, self.height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes whose frame is this rectangle."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """Write words that begin here."""
        self.figure.text(left / self.width, 1 - top / self.height, text, **style)

    def key(self, handles: Sequence[Any], corner: str, place: tuple[float, float], **style: Any) -> None:
        """Draw a key in one row, one of its corners at this place."""
        anchor = place[0] / self.width, 1 - place[1] / self.height
        style |= {"ncols": len(handles), "frameon": False, "fontsize": 6.5}
        self.figure.legend(handles=handles, loc=corner, bbox_to_anchor=anchor, **style)


def _figure(
    runs: Sequence[RecordedRun], panels: Sequence[Panel], settings: Settings, notes: Sequence[str]
) -> Any:
    """Draw curves on the left, the information plane and the dimension on the right, the layers below.

    Panels beyond the dimension go below these, two in a row.
    """
    column = (_WIDTH - _LEFT - _BETWEEN - _RIGHT) / 2
    sizes = panels[3:]
    beside = 3 if len(sizes) > 1 else 2  # rows beside the plane
    places, used = [], [3, beside]
    for panel in sizes:  # names of curves that are not of layers have room between the columns alone
        side = int(used[0] > used[1] and panel.curves[0].layer is not None)
        places.append((side, used[side]))
        used[side] += 1
    rows = max(used)
    curves_end = _TOP + rows * _PANEL + (rows - 1) * _GAP
    bands = _bands(runs)
    grid = _Grid.of(runs, bands)
    scatters = curves_end + _BEFORE_SCATTERS
    scatters_end = scatters + sum(map(grid.height, bands)) - _BAND_GAP
    footnote = _footnote(runs, panels, settings, notes)
    page = _Page(_WIDTH, scatters_end + _BOTTOM + _NOTE * len(footnote))

    def top(row: int) -> float:
        return _TOP + row * (_PANEL + _GAP)

    _draw_key(page, panels[1], panels[2], len(runs))
    along = EpochAxis.of(panels, settings.axis)
    ages = along if settings.plane_colour == "epoch" else None
    letters = iter(ascii_lowercase)
    right = _LEFT + column + _BETWEEN
    for row, panel in enumerate(panels[:3]):
        axes = page.axes(_LEFT, top(row), column, _PANEL)
        draw_curves(axes, panel, along, next(letters), row + 1 == used[0])
    height = beside * _PANEL + (beside - 1) * _GAP - 0.26
    plane = page.axes(right, _TOP, column - (_AGES if ages else 0), height)
    draw_plane(plane, panels[1], panels[2], ages, next(letters))
    if ages is not None:
        draw_ages(page.axes(right + column, _TOP + 0.12, 0.07, height / 2), ages)
    for panel, (side, row) in zip(sizes, places, strict=True):
        axes = page.axes((_LEFT, right)[side], top(row), column, _PANEL)
        draw_curves(axes, panel, along, next(letters), row + 1 == used[side])

    letter, start = next(letters), scatters
    for band in bands:
        first = _draw_band(page, band, start, grid)
        if start == scatters:
            write_letter(first, letter)
        start += grid.height(band)
    if bands:
        _draw_class_key(page, runs, scatters_end)
    for line, text in enumerate(footnote):
        page.text(_LEFT, scatters_end + 0.20 + line * _NOTE, text, fontsize=5.8, color=GREY, va="top")
    return page.figure


def _footnote(
    runs: Sequence[RecordedRun], panels: Sequence[Panel], settings: Settings, notes: Sequence[str]
) -> list[str]:
    """Return what one must know to read the figure, in lines that fit."""
    c = runs[0].config
    changing = differing(runs)
    names = [run.name for run in runs]
    sources = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    facts = [sources]
    layers = runs[0].layers_in_words if c.engine == WATCHED else f"layers {'-'.join(runs[0].widths)}"
    facts.append(f"{layers} {runs[0].activations}".rstrip())
    settings_shown = {
        "data": f"data {c.data}",
        "lr": f"{c.optimizer} lr {c.lr:g}",
        "batch_size": f"batch {c.batch_size}",
        "seed": f"seed {c.seed}",
        "data_seed": f"data seed {c.data_seed}",
    }
    if c.engine == WATCHED:
        settings_shown = {}
    facts += [text for name, text in settings_shown.items() if name not in changing]
    facts.append(f"measured: {samples_in_words(runs[0])}")
    unit = "" if settings.level == "share" else f"information in {settings.units}, "
    facts.append(unit + estimation_of(runs))
    if settings.level != "estimate":
        facts.append(LEVELS[settings.level])
    facts += chance_in_words(runs, [q for q in shared_quantities(runs) if q.chance])
    if len(runs) > 1:
        facts.append(f"mean and standard deviation (n − 1) over {len(runs)} runs; thin: each run")
    if panels[1].faint and panels[2].faint:
        marks = {"chance": "crosses: chance levels at the end", "ceiling": "plus signs: ceilings at the end"}
        facts.append(marks[panels[1].faint])
    if any(run.representations for run in runs) and any(layer.width > 2 for layer in runs[0].layers):
        facts.append("layers wider than two: first two principal components")
    lines = [""]
    for fact in [*facts, *notes]:
        joined = f"{lines[-1]} · {fact}" if lines[-1] else fact
        if len(joined) <= 150:
            lines[-1] = joined
        else:
            lines += [fact[start : start + 150] for start in range(0, len(fact), 150)]
    return [line.replace("$", r"\$") for line in lines if line]


def _draw_key(page: _Page, panel: Panel, up: Panel, runs: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=colour_of(c.ink), marker=layer_mark(c), markersize=3, label=f"layer {c.label}")
        for c in panel.curves[: palette.CYCLE]
    ]
    if runs > 1:
        handles.append(Patch(color=GREY, alpha=0.25, linewidth=0, label="mean ± s.d."))
    if faint := panel.faint or up.faint:
        handles.append(Line2D([], [], color=GREY, label=faint, **DOTTED))
    handles.append(Line2D([], [], label=panel.dashed, **DASHED))
    page.key(
        handles, "upper left", (_LEFT - 0.08, 0.04), handletextpad=0.5, borderpad=0.2,
        handlelength=1.8 if len(handles) < 9 else 1.2, columnspacing=1.2 if len(handles) < 9 else 0.6,
    )  # fmt: skip


def _draw_class_key(page: _Page, runs: Sequence[RecordedRun], top: float) -> None:
    from matplotlib.lines import Line2D

    classes = {
        label: f"class {run.class_name(label)}".replace("$", r"\$")
        for run in runs
        for shown in run.representations
        for label in shown.labels.tolist()
    }
    mark: dict[str, Any] = {"linestyle": "", "markersize": 3, "markeredgewidth": 0}
    handles: list[Line2D] = []
    room = _WIDTH - _LEFT
    for label, name in sorted(classes.items()):
        room -= _CLASS_KEY + _CHARACTER * len(name)
        if room < 0 and handles:
            handles[-1] = Line2D([], [], label=f"of {len(classes)}", linestyle="")
            break
        handles.append(Line2D([], [], label=name, **class_style(label), **mark))
    place = _WIDTH, top - 0.02
    page.key(handles, "upper right", place, handletextpad=0.1, borderpad=0.1, columnspacing=0.8)


def _draw_band(page: _Page, band: _Band, top: float, grid: _Grid) -> Axes:
    """Draw the scatters of a band; return the first."""
    made = []
    for row, cells in enumerate(band.rows):
        below = band.rows[row + 1] if row + 1 < len(band.rows) else ()
        for column, (_, shown, layer) in enumerate(cells):
            left = _LEFT + column * (grid.size + grid.gap_across)
            axes = page.axes(left, top + row * grid.down, grid.size, grid.size)
            made.append(axes)
            draw_scatter(axes, shown, layer)
            axes.tick_params(
                labelleft=not grid.shared or column == 0, labelbottom=not grid.shared or column >= len(below)
            )
            name: dict[str, Any] = {"color": colour_of(palette.of_layer(layer))}
            if not band.by_row:
                axes.set_title(f"layer {layer}", loc="left", pad=2, fontsize=6.5, **name)
            elif column == 0:
                axes.set_ylabel(f"layer {layer}", labelpad=1, **name)
    for column, heading in enumerate(band.headings):
        left = _LEFT + column * (grid.size + grid.gap_across)
        above = 0.11 if band.by_row else 0.17
        page.text(left, top - above, heading, fontsize=6.5, linespacing=1.1, va="bottom")
    return made[0]


def _ending(name: str, length: int) -> str:
    name = name.rsplit("/", 1)[-1]
    return name if len(name) <= length else f"…{name[1 - length :]}"
