"""The report as one figure of a paper: PNG, SVG or PDF by matplotlib, the same bytes for the same runs."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ibtui.errors import UsageError
from ibtui.plot import palette
from ibtui.plot.ticks import number
from ibtui.report import figures
from ibtui.report.figures import Curve, Panel, Settings
from ibtui.report.runs import Run, differing
from ibtui.run.protocol import Representation

Array = np.ndarray[Any, Any]
Axes: TypeAlias = Any
"""matplotlib's, which is an extra: types must be in order without it."""

DPI = 200
MOST_SCATTERS = 400
"""In one figure."""

# Inches. A journal's two columns are 7.2 wide.
_WIDTH = 7.2
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.48, 0.34, 0.42, 0.30
_BETWEEN = 0.86
"""Between the two columns of axes: the labels of both sides."""
_PANEL, _GAP = 1.28, 0.16
_BEFORE_SCATTERS = 0.72
_BAND_GAP = 0.34
"""Between two rows of epochs: room for their headings."""
_ACROSS = 6
_NOTE = 0.115
"""A line of the footnote."""

_GREY, _PALE = "#6e6e6e", "#b9b9b9"
_MANY = 500
"""Measurements, from which on lines are thinner."""
_MARKS = "osD^vPX*"
_CLASS_MARKS = "o^sDvPX*"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 7.0,
    "axes.labelsize": 7.0,
    "axes.labelpad": 2.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.0,
    "mathtext.fontset": "dejavusans",
    "svg.hashsalt": "ibtui",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
_UNDATED: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "ibtui"},
    "pdf": {"CreationDate": None, "Creator": "ibtui", "Producer": "ibtui"},
}


def draw(
    runs: Sequence[Run], panels: Sequence[Panel], settings: Settings, notes: Sequence[str], kind: str
) -> bytes:
    """The figure as a file's contents.

    Parameters
    ----------
    runs : sequence of Run
    panels : sequence of Panel
        From `figures.panels`.
    settings : Settings
    notes : sequence of str
        Go below the figure.
    kind : {"png", "svg", "pdf"}

    Raises
    ------
    UsageError
        There would be too many scatters to draw.
    """
    import matplotlib

    count = len(runs[0].config.layers) * sum(len(run.looks) for run in runs)
    if count > MOST_SCATTERS:
        raise UsageError(f"--at: {count} scatters in one figure; it has room for {MOST_SCATTERS}")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        contents = io.BytesIO()
        made = _figure(runs, panels, settings, notes)
        made.savefig(contents, format=kind, dpi=DPI, metadata=_UNDATED[kind])
        return contents.getvalue()


def _bands(runs: Sequence[Run]) -> list[list[tuple[Run, Representation]]]:
    """The columns of scatters, an epoch of a run each, in bands; a run is only broken where it must be."""
    bands: list[list[tuple[Run, Representation]]] = []
    for run in runs:
        columns = [(run, look) for look in run.looks]
        if bands and len(bands[-1]) + len(columns) <= _ACROSS:
            bands[-1] += columns
            continue
        across = math.ceil(len(columns) / math.ceil(len(columns) / _ACROSS))
        bands += [columns[start : start + across] for start in range(0, len(columns), across)]
    return bands


@dataclass(frozen=True)
class _Grid:
    """How scatters stand: close together where all have the same axes, else with room for ticks."""

    shared: bool
    gap_across: float
    gap_down: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> _Grid:
        ranges = {ranges for run in runs for look in run.looks for ranges in look.ranges}
        return cls(True, 0.17, 0.17) if len(ranges) == 1 else cls(False, 0.30, 0.29)

    @property
    def size(self) -> float:
        """Width and height of a scatter."""
        return (_WIDTH - _LEFT - 0.10 - (_ACROSS - 1) * self.gap_across) / _ACROSS

    @property
    def down(self) -> float:
        """From one layer to the next."""
        return self.size + self.gap_down


class _Page:
    """A figure measured in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure: Any = Figure(figsize=(width, height))
        FigureCanvasAgg(self.figure)
        self.width, self.height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose frame is this rectangle."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """Words that begin here."""
        self.figure.text(left / self.width, 1 - top / self.height, text, **style)


def _figure(runs: Sequence[Run], panels: Sequence[Panel], settings: Settings, notes: Sequence[str]) -> Any:
    """Curves on the left, the information plane and the dimension on the right, the layers below."""
    column = (_WIDTH - _LEFT - _BETWEEN - _RIGHT) / 2
    rows = 3 if len(panels) == 4 else 4
    curves_end = _TOP + rows * _PANEL + (rows - 1) * _GAP
    bands, grid = _bands(runs), _Grid.of(runs)
    band = len(runs[0].config.layers) * grid.down + _BAND_GAP
    scatters = curves_end + _BEFORE_SCATTERS
    scatters_end = scatters + len(bands) * band - _BAND_GAP
    footnote = _footnote(runs, settings, notes)
    page = _Page(_WIDTH, scatters_end + _BOTTOM + _NOTE * len(footnote))

    def top(row: int) -> float:
        return _TOP + row * (_PANEL + _GAP)

    _draw_key(page, panels[1], len(runs))
    letters = iter("abcdefg")
    right = _LEFT + column + _BETWEEN
    x = figures.epoch_range(panels)
    for row, panel in enumerate(panels[:3]):
        _draw_curves(page.axes(_LEFT, top(row), column, _PANEL), panel, x, next(letters), row == rows - 1)
    plane = page.axes(right, _TOP, column, (rows - 1) * _PANEL + (rows - 2) * _GAP - 0.26)
    _draw_plane(plane, panels[1], panels[2], next(letters))
    for left, panel in zip((right,) if rows == 3 else (_LEFT, right), panels[3:], strict=True):
        _draw_curves(page.axes(left, top(rows - 1), column, _PANEL), panel, x, next(letters), True)

    letter = next(letters)
    for at, columns in enumerate(bands):
        first = _draw_band(page, columns, scatters + at * band, grid, len(runs) > 1)
        if at == 0:
            _letter(first, letter, "")
    _draw_class_key(page, runs, scatters_end)
    for line, text in enumerate(footnote):
        page.text(_LEFT, scatters_end + 0.20 + line * _NOTE, text, fontsize=5.8, color=_GREY, va="top")
    return page.figure


def _footnote(runs: Sequence[Run], settings: Settings, notes: Sequence[str]) -> list[str]:
    """What one must know to read the figure, in lines that fit."""
    c = runs[0].config
    changing = differing(runs)
    names = [run.name for run in runs]
    sources = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    facts = [sources]
    facts.append(f"layers {'-'.join(map(str, c.layers))} {c.activation}")
    settings_shown = {"lr": f"lr {c.lr:g}", "batch_size": f"batch {c.batch_size}", "seed": f"seed {c.seed}"}
    facts += [text for name, text in settings_shown.items() if name not in changing]
    facts.append(f"{runs[0].samples} samples")
    facts.append(f"{c.binning} binning, T {c.t_bins}, X {c.x_bins}")
    if len(runs) > 1:
        facts.append(f"mean and standard deviation (n − 1) over {len(runs)} runs; thin: each run")
    if settings.excess:
        facts.append("information less its chance level")
    else:
        facts.append("crosses: chance levels at the end")
    if any(width > 2 for width in c.layers):
        facts.append("layers wider than two: first two principal components")
    lines = [""]
    for fact in [*facts, *notes]:
        joined = f"{lines[-1]} · {fact}" if lines[-1] else fact
        if len(joined) <= 150:
            lines[-1] = joined
        else:
            lines += [fact[start : start + 150] for start in range(0, len(fact), 150)]
    return [line.replace("$", r"\$") for line in lines if line]


@lru_cache(maxsize=1)
def _colours() -> list[str]:
    """The screen's colours on paper, by ink; where an ink has none, nearly black."""
    colours = [style.color for style in palette.styles("truecolor")]
    return [colour.get_truecolor().hex if colour is not None else "#202020" for colour in colours]


def _colour(ink: int) -> str:
    return _colours()[ink]


def _draw_key(page: _Page, panel: Panel, runs: int) -> None:
    """One key for all curves."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = panel.curves[: palette.CYCLE]
    handles: list[Any] = [
        Line2D([], [], color=_colour(c.ink), marker=_mark(c), markersize=3, label=f"layer {c.label}")
        for c in shown
    ]
    if runs > 1:
        handles.append(Patch(color=_GREY, alpha=0.25, linewidth=0, label="mean ± s.d."))
    if panel.curves[0].chance is not None:
        handles.append(Line2D([], [], color=_GREY, linestyle=(0, (1, 1.4)), linewidth=1.0, label="chance"))
    dashed = "chance" if panel.curves[0].chance is None else "ceiling"
    handles.append(Line2D([], [], color=_PALE, linestyle=(0, (5, 2)), linewidth=0.8, label=dashed))
    page.figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=((_LEFT - 0.08) / page.width, 1 - 0.04 / page.height),
        ncols=len(handles),
        frameon=False,
        fontsize=6.5,
        handletextpad=0.5,
        borderpad=0.2,
        handlelength=1.8 if len(handles) < 9 else 1.2,
        columnspacing=1.2 if len(handles) < 9 else 0.6,
    )


def _draw_class_key(page: _Page, runs: Sequence[Run], top: float) -> None:
    from matplotlib.lines import Line2D

    classes = np.unique(np.concatenate([look.labels for run in runs for look in run.looks])).tolist()
    handles = [
        Line2D(
            [],
            [],
            color=_colour(palette.of_class(c)),
            marker=_CLASS_MARKS[c % len(_CLASS_MARKS)],
            linestyle="",
            markersize=3,
            markeredgewidth=0,
            label=f"class {c}",
        )
        for c in classes[: palette.CYCLE]
    ]
    page.figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1, 1 - (top - 0.02) / page.height),
        frameon=False,
        ncols=len(handles),
        fontsize=6.5,
        handletextpad=0.1,
        columnspacing=0.8,
        borderpad=0.1,
    )


def _mark(curve: Curve) -> str:
    return _MARKS[(curve.layer or 0) % len(_MARKS)]


def _letter(axes: Axes, letter: str, title: str, left: float = -0.44) -> None:
    """The panel's letter and title above its upper left corner."""
    width, height = _inches(axes)
    axes.text(
        left / width, 1 + 0.03 / height, letter, transform=axes.transAxes, weight="bold", size=8, va="bottom"
    )
    if title:
        axes.set_title(title, loc="left", pad=2.5)


def _inches(axes: Axes) -> tuple[float, float]:
    """Width and height of a frame."""
    box, (width, height) = axes.get_position(), axes.figure.get_size_inches()
    return box.width * width, box.height * height


_MATHS = {"I(X;T)": r"$I(X;T)$", "I(T;Y)": r"$I(T;Y)$", "H(X)": r"$H(X)$", "H(Y)": r"$H(Y)$"}


def _maths(text: str) -> str:
    for plain, set_ in _MATHS.items():
        text = text.replace(plain, set_)
    return text


def _axis_label(panel: Panel) -> str:
    return _maths(panel.title) + (f" ({panel.unit})" if panel.unit else "")


def _draw_curves(axes: Axes, panel: Panel, x: tuple[float, float], letter: str, bottom: bool) -> None:
    """One panel over epochs, its curves named at their ends."""
    for _, level in panel.ceilings:
        axes.axhline(level, color=_PALE, linestyle=(0, (5, 2)), linewidth=0.8, zorder=1)
    for curve in reversed(panel.curves):
        colour = _colour(curve.ink)
        if curve.chance is not None:
            axes.plot(
                curve.epochs, curve.chance, color=colour, linestyle=(0, (1, 1.4)), linewidth=1.0, alpha=0.75
            )
        for epochs, values in curve.runs:
            axes.plot(epochs, values, color=colour, linewidth=0.4, alpha=0.4)
        if curve.spread is not None:
            low, high = curve.values - curve.spread, curve.values + curve.spread
            axes.fill_between(curve.epochs, low, high, color=colour, alpha=0.16, linewidth=0)
        marks: dict[str, Any] = {}
        if curve.layer is not None:
            marks = {"marker": _mark(curve), "markersize": 2.6}
            marks["markevery"] = _places(curve, len(panel.curves))
        dashes = (0, (2.5, 1.2)) if curve.label == "held out" else "-"
        axes.plot(
            curve.epochs,
            curve.values,
            color=colour,
            linestyle=dashes,
            zorder=3,
            linewidth=1.0 if len(curve.epochs) <= _MANY else 0.6,
            **marks,
        )
    axes.set_xlim(*x)
    room = 0.04 * (panel.high - panel.low)
    axes.set_ylim(
        panel.low - (room if panel.low > 0 else 0), panel.high + (room if not panel.ceilings else 0)
    )
    axes.set_ylabel(_axis_label(panel))
    if bottom:
        axes.set_xlabel("epoch")
    else:
        axes.tick_params(labelbottom=False)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="y", nbins=5)
    axes.locator_params(axis="x", nbins=5)
    _name_ends(axes, panel)
    _letter(axes, letter, "")


def _places(curve: Curve, count: int) -> list[int]:
    """A few measurements to put a mark on; every layer has its own."""
    if not len(curve.epochs) or curve.layer is None:
        return []
    first, last = curve.epochs[0], curve.epochs[-1]
    wanted = first + (last - first) * (np.arange(5) + (curve.layer % count + 0.5) / count) / 5
    return sorted({int(np.argmin(np.abs(curve.epochs - epoch))) for epoch in wanted})


def _name_ends(axes: Axes, panel: Panel) -> None:
    """The names of curves and ceilings beside their right ends, none on another."""
    low, high = axes.get_ylim()
    _, height = _inches(axes)
    names = [(_maths(name), level, _GREY) for name, level in dict(reversed(panel.ceilings)).items()]
    names += [(c.label, c.newest, _colour(c.ink)) for c in panel.curves]
    gap = 0.095 * (high - low) / height
    places = figures.spread_apart([round(-v, 6) for _, v, _ in names], gap, -high, -low)
    for place, (name, _, colour) in zip(places, names, strict=True):
        if place is not None:
            axes.annotate(
                name,
                (1, -place),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                va="center",
                textcoords="offset points",
                color=colour,
                fontsize=6.5,
                annotation_clip=False,
            )


def _draw_plane(axes: Axes, across: Panel, up: Panel, letter: str) -> None:
    """The information plane: trajectories, faint at the beginning, and where they have arrived."""
    for _, level in across.ceilings:
        axes.axvline(level, color=_PALE, linestyle=(0, (5, 2)), linewidth=0.8, zorder=1)
    for _, level in up.ceilings:
        axes.axhline(level, color=_PALE, linestyle=(0, (5, 2)), linewidth=0.8, zorder=1)
    for a, b in zip(across.curves, up.curves, strict=True):
        for (_, x), (_, y) in zip(a.runs, b.runs, strict=True):
            axes.plot(x, y, color=_colour(a.ink), linewidth=0.3, alpha=0.25)
        _draw_trajectory(axes, a, b)
    axes.set_xlim(across.low, across.high)
    axes.set_ylim(up.low, up.high)
    axes.set_xlabel(_axis_label(across))
    axes.set_ylabel(_axis_label(up))
    axes.locator_params(nbins=6)
    for name, level in _named(up).items():
        axes.annotate(
            _maths(name),
            (1, level),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            color=_GREY,
            textcoords="offset points",
            fontsize=6.5,
            va="center",
            annotation_clip=False,
        )
    for name, level in _named(across).items():
        axes.annotate(
            _maths(name),
            (level, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            color=_GREY,
            textcoords="offset points",
            fontsize=6.5,
            ha="center",
            annotation_clip=False,
        )
    _letter(axes, letter, "information plane")


def _named(panel: Panel) -> dict[str, float]:
    """The ceilings to be named beside the plane; where the chance level is 0, the key is enough."""
    return {name: level for name, level in reversed(panel.ceilings) if level}


def _draw_trajectory(axes: Axes, across: Curve, up: Curve) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    colour = _colour(across.ink)
    points = np.column_stack([across.values, up.values])
    segments = np.stack([points[:-1], points[1:]], axis=1)
    if len(segments):
        shade = np.linspace(0.62, 0.0, len(segments))[:, np.newaxis]  # from pale to the layer's own colour
        colours = np.array(to_rgb(colour)) * (1 - shade) + shade
        axes.add_collection(LineCollection(list(segments), colors=colours, linewidths=0.7, capstyle="round"))
    if not (math.isfinite(across.newest) and math.isfinite(up.newest)):
        return
    if across.chance is not None and up.chance is not None:
        axes.plot(across.chance[-1:], up.chance[-1:], marker="x", markersize=3.5, color=colour, zorder=4)
    if across.newest_spread is not None:
        axes.errorbar(
            [across.newest],
            [up.newest],
            xerr=[across.newest_spread],
            yerr=[up.newest_spread],
            color=colour,
            elinewidth=0.7,
            capsize=1.5,
            capthick=0.7,
            zorder=4,
        )
    axes.plot(
        [across.newest],
        [up.newest],
        marker=_mark(across),
        markersize=5.5,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=6,
        clip_on=False,
    )


def _draw_band(
    page: _Page, columns: Sequence[tuple[Run, Representation]], top: float, grid: _Grid, named: bool
) -> Axes:
    """Scatters: a column for each epoch of a run, a row for each layer; returns the first."""
    layers = range(len(columns[0][0].config.layers))
    made = []
    for layer in layers:
        for column, (run, look) in enumerate(columns):
            left = _LEFT + column * (grid.size + grid.gap_across)
            axes = page.axes(left, top + layer * grid.down, grid.size, grid.size)
            made.append(axes)
            _draw_scatter(axes, look, layer)
            axes.tick_params(
                labelleft=not grid.shared or column == 0, labelbottom=not grid.shared or layer == layers[-1]
            )
            if column == 0:
                colour = _colour(palette.of_layer(layer))
                axes.set_ylabel(f"layer {layer}", labelpad=1, color=colour)
            if layer == 0:
                heading = f"epoch {look.epoch:,}"
                if named:
                    heading = f"{_ending(run.name, 21)}\n{heading}".replace("$", r"\$")
                axes.set_title(heading, loc="left", pad=8, fontsize=6.5, linespacing=1.1)
    return made[0]


def _ending(name: str, length: int) -> str:
    name = name.rsplit("/", 1)[-1]
    return name if len(name) <= length else f"…{name[1 - length :]}"


def _draw_scatter(axes: Axes, look: Representation, layer: int) -> None:
    left, right, low, high = look.ranges[layer]
    points = look.points[layer]
    kept = np.isfinite(points).all(axis=1)
    if not kept.any():
        axes.text(
            0.5, 0.5, figures.NOT_FINITE[0], transform=axes.transAxes, ha="center", va="center",
            fontsize=5.2, color=_GREY,
        )  # fmt: skip
    for label in np.unique(look.labels).tolist():
        some = kept & (look.labels == label)
        axes.scatter(
            points[some, 0],
            points[some, 1],
            s=2.4,
            c=_colour(palette.of_class(label)),
            alpha=0.75,
            marker=_CLASS_MARKS[label % len(_CLASS_MARKS)],
            linewidths=0,
            rasterized=len(points) > 1000,
            clip_on=False,
        )
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(_PALE)
    for set_limits, set_ticks, (a, b) in (
        (axes.set_xlim, axes.set_xticks, (left, right)),
        (axes.set_ylim, axes.set_yticks, (low, high)),
    ):
        margin = 0.06 * (b - a)
        set_limits(a - margin, b + margin)
        ends = figures.ends(a, b) if kept.any() else []
        set_ticks([value for value, _ in ends], [text for _, text in ends])
    axes.tick_params(length=1.5, pad=1.5, labelsize=5, color=_PALE, labelcolor=_GREY)
    axes.text(
        1,
        1 + 0.02 / _inches(axes)[1],
        f"dim {number(float(look.values['dimension'][layer]))}",
        ha="right",
        va="bottom",
        transform=axes.transAxes,
        fontsize=5.2,
        color=_GREY,
    )
