"""The axes of the report's figure: curves, the information plane and scatters, drawn by matplotlib."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from ibtui.plot import palette
from ibtui.plot.labels import spread_apart
from ibtui.plot.raster import class_glyph
from ibtui.plot.ticks import ends, number
from ibtui.quantities import Array
from ibtui.report.epochs import EpochAxis
from ibtui.report.panels import Curve, Panel
from ibtui.report.recorded import NOT_FINITE
from ibtui.run.protocol import Representation

Axes: TypeAlias = Any
"""matplotlib's, which is an extra: types must be in order without it."""

GREY = "#6e6e6e"
DASHED: dict[str, Any] = {"color": "#b9b9b9", "linestyle": (0, (5, 2)), "linewidth": 0.8}
DOTTED: dict[str, Any] = {"linestyle": (0, (1, 1.4)), "linewidth": 1.0}
FAINT_MARKS = {"chance": "x", "ceiling": "+", "": ""}
"""The marks of the plane's faint lines at their ends."""
_COLUMN = 0.062
"""Inches that a character of a tick's label takes."""
_SPARSE = 0.7
"""Part of the ticks that a linear axis of the terminal would have."""
_PLACES = [(x, y) for y in (6, -7, 14, -15, 22) for x in (4, -5, 12)]
"""The places of a layer's number beside its end, in points; the first that is free is taken."""
_BESIDE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6.5, "annotation_clip": False}
"""A name beside the axes."""
_LAYER_MARKS, _CLASS_MARKS = "osD^vPX*", "o^sDvPX*<h"
_CROWD, _TURNS = 1000, 10
"""More samples than this are a picture within a picture, and drawn in turns: no class lies on all others."""
_MANY = 500
"""The number of measurements from which lines are thinner."""
_MATHS = {"I(X;T)": r"$I(X;T)$", "I(T;Y)": r"$I(T;Y)$", "H(X)": r"$H(X)$", "H(Y)": r"$H(Y)$"}


@cache
def colour_of(ink: int) -> str:
    """Return the screen's colour of an ink; nearly black where it has none."""
    colour = palette.styles("truecolor")[ink].color
    return colour.get_truecolor().hex if colour is not None else "#202020"


def layer_mark(curve: Curve) -> str:
    """Return the mark of a curve's layer."""
    return _LAYER_MARKS[(curve.layer or 0) % len(_LAYER_MARKS)]


def class_style(label: int) -> dict[str, Any]:
    """Return the colour and the mark of a class: the letter of the screen where there are no more signs."""
    mark = _CLASS_MARKS[label] if label < len(_CLASS_MARKS) else f"${class_glyph(label, 'ascii')}$"
    return {"color": colour_of(palette.of_class(label)), "marker": mark}


def write_letter(axes: Axes, letter: str) -> None:
    """Write a panel's letter above its upper left corner."""
    width, height = _inches(axes)
    style: dict[str, Any] = {"transform": axes.transAxes, "weight": "bold", "size": 8, "va": "bottom"}
    axes.text(-0.44 / width, 1 + 0.03 / height, letter, **style)


def _inches(axes: Axes) -> tuple[float, float]:
    """Return width and height of a frame."""
    box, (width, height) = axes.get_position(), axes.figure.get_size_inches()
    return box.width * width, box.height * height


def _maths(text: str) -> str:
    for plain, formula in _MATHS.items():
        text = text.replace(plain, formula)
    return text


def _axis_label(panel: Panel) -> str:
    title = panel.title.replace(", ", ",\n")
    return _maths(title) + (f" ({panel.unit})" if panel.unit else "")


def draw_curves(axes: Axes, panel: Panel, along: EpochAxis, letter: str, bottom: bool) -> None:
    """Draw one panel over epochs, its curves named at their ends."""
    for _, level in panel.ceilings:
        axes.axhline(level, **DASHED, zorder=1)
    for curve in reversed(panel.curves):
        _draw_curve(axes, curve, len(panel.curves), along)
    axes.set_xlim(*along.ends)
    room = 0.04 * (panel.high - panel.low)
    low, high = panel.low - (room if panel.low > 0 else 0), panel.high + (0 if panel.ceilings else room)
    axes.set_ylim(low, high)
    axes.set_ylabel(_axis_label(panel))
    if bottom:
        axes.set_xlabel("epoch")
    else:
        axes.tick_params(labelbottom=False)
    axes.locator_params(axis="y", nbins=5)
    columns = _inches(axes)[0] / _COLUMN
    ticks = along.ticks(columns if along.scale == "log" else columns * _SPARSE)
    axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    axes.set_xticks(along.small_ticks, minor=True)
    if panel.empty:
        _write_inside(axes, "n/a")
    _name_ends(axes, panel)
    write_letter(axes, letter)


def _write_inside(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=6.5, color=GREY)


def _draw_curve(axes: Axes, curve: Curve, count: int, along: EpochAxis) -> None:
    """Draw one of so many curves, with its faint line, each run and the spread over runs."""
    colour, x = colour_of(curve.ink), along.at(curve.epochs)
    if curve.faint is not None:
        axes.plot(x, curve.faint, color=colour, alpha=0.75, **DOTTED)
    for epochs, values in curve.runs:
        axes.plot(along.at(epochs), values, color=colour, linewidth=0.4, alpha=0.4)
    if curve.spread is not None:
        low, high = curve.values - curve.spread, curve.values + curve.spread
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    style: dict[str, Any] = {"linestyle": (0, (2.5, 1.2)) if curve.dotted else "-"}
    style["linewidth"] = 1.0 if len(curve.epochs) <= _MANY else 0.6
    if curve.layer is not None:
        style |= {"marker": layer_mark(curve), "markersize": 2.6, "markevery": _places(curve, x, count)}
    axes.plot(x, curve.values, color=colour, zorder=3, **style)


def _places(curve: Curve, x: Array, count: int) -> list[int]:
    """Choose a few measurements to put a mark on; every layer has its own."""
    if not len(x) or curve.layer is None:
        return []
    wanted = x[0] + (x[-1] - x[0]) * (np.arange(5) + (curve.layer % count + 0.5) / count) / 5
    return sorted({int(np.argmin(np.abs(x - place))) for place in wanted})


def _name_ends(axes: Axes, panel: Panel) -> None:
    """Write the names of curves and ceilings beside their right ends, none on another."""
    low, high = axes.get_ylim()
    names = [(_maths(name), level, GREY) for name, level in dict(reversed(panel.ceilings)).items()]
    names += [(c.label, c.newest, colour_of(c.ink)) for c in panel.curves]
    gap = 0.095 * (high - low) / _inches(axes)[1]
    places = spread_apart([round(-v, 6) for _, v, _ in names], gap, -high, -low)
    for place, (name, _, colour) in zip(places, names, strict=True):
        if place is not None:
            _write_right(axes, name, -place, colour)


def _write_right(axes: Axes, name: str, level: float, colour: str) -> None:
    at = {"xycoords": ("axes fraction", "data"), "xytext": (3, 0), "va": "center"}
    axes.annotate(name, (1, level), color=colour, **at, **_BESIDE)


def draw_plane(axes: Axes, across: Panel, up: Panel, ages: EpochAxis | None, letter: str) -> None:
    """Draw the information plane: trajectories, and a mark at their ends.

    `ages`: colours are those of epochs, and layers have their numbers; without, colours are the layers', pale
    at the beginning.
    """
    for _, level in across.ceilings:
        axes.axvline(level, **DASHED, zorder=1)
    for _, level in up.ceilings:
        axes.axhline(level, **DASHED, zorder=1)
    for a, b in zip(across.curves, up.curves, strict=True):
        for (epochs, x), (_, y) in zip(a.runs, b.runs, strict=True):
            if ages is None:
                axes.plot(x, y, color=colour_of(a.ink), linewidth=0.3, alpha=0.25)
            else:
                _draw_coloured(axes, x, y, _ages_of(epochs, ages), linewidths=0.3, alpha=0.35)
        _draw_trajectory(axes, a, b, ages, FAINT_MARKS[across.faint])
    if across.empty or up.empty:
        _write_inside(axes, "n/a")
    axes.set_xlim(across.low, across.high)
    axes.set_ylim(up.low, up.high)
    if ages is not None:
        _number_ends(axes, across, up)
    axes.set_xlabel(_axis_label(across).replace("\n", " "))
    axes.set_ylabel(_axis_label(up).replace("\n", " "))
    axes.locator_params(nbins=6)
    for name, level in _named(up).items():
        _write_right(axes, _maths(name), level, GREY)
    at = {"xycoords": ("data", "axes fraction"), "xytext": (0, 2), "ha": "center"}
    for name, level in _named(across).items():
        axes.annotate(_maths(name), (level, 1), color=GREY, **at, **_BESIDE)
    write_letter(axes, letter)
    axes.set_title("information plane", loc="left", pad=4.5)  # clear of marks at the upper end


def _number_ends(axes: Axes, across: Panel, up: Panel) -> None:
    """Write the layers' numbers beside their ends, none on another."""
    from matplotlib.patheffects import withStroke

    width, height = _inches(axes)
    scale = np.array([72 * width / (across.high - across.low), 72 * height / (up.high - up.low)])
    taken: list[Array] = []
    for a, b in zip(across.curves, up.curves, strict=True):
        end = np.array([a.newest, b.newest])
        if not np.isfinite(end).all():
            continue
        places = [end * scale + place for place in _PLACES]
        free = (at for at, place in enumerate(places) if all(np.abs(place - one).max() > 7 for one in taken))
        chosen = next(free, 0)
        taken.append(places[chosen])
        style = {"xytext": _PLACES[chosen], "ha": "center", "va": "center", "zorder": 7}
        number = axes.annotate(a.label, end, **style, **_BESIDE)
        number.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def draw_ages(axes: Axes, ages: EpochAxis) -> None:
    """Draw which colours are which epochs, in upright axes."""
    low, high = ages.ends
    shades = np.linspace(0, 1, 256)[:, np.newaxis]
    axes.imshow(shades, cmap=_age_colours(), aspect="auto", origin="lower", extent=(0, 1, low, high))
    ticks = ages.ticks(_inches(axes)[1] / _COLUMN * (1 if ages.scale == "log" else _SPARSE))
    axes.set_xticks([])
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks])
    axes.yaxis.tick_right()
    axes.tick_params(length=1.5, pad=1.5, labelsize=5.5, color=GREY, labelcolor=GREY)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title("epoch", loc="left", pad=2.5, fontsize=6, color=GREY)


@cache
def _age_colours() -> Any:
    """Return the screen's colours of epochs as a colour map."""
    from matplotlib.colors import LinearSegmentedColormap

    inks = range(palette.EPOCH, palette.EPOCH + palette.CYCLE)
    return LinearSegmentedColormap.from_list("epochs", [colour_of(ink) for ink in inks])


def _ages_of(epochs: Array, ages: EpochAxis) -> Array:
    """Return the colours of the lines between measurements, from red to alpha; shape (E - 1, 4)."""
    low, high = ages.ends
    places = (ages.at(epochs) - low) / (high - low)
    return np.asarray(_age_colours()((places[:-1] + places[1:]) / 2))


def _named(panel: Panel) -> dict[str, float]:
    """Return the ceilings to be named beside the plane; where the chance level is 0, the key is enough."""
    return {name: level for name, level in reversed(panel.ceilings) if level}


def _draw_coloured(axes: Axes, x: Array, y: Array, colours: Array, **style: Any) -> None:
    """Draw a line whose segments have a colour each."""
    from matplotlib.collections import LineCollection

    points = np.column_stack([x, y])
    if len(points) > 1:
        segments = np.stack([points[:-1], points[1:]], axis=1)
        axes.add_collection(LineCollection(list(segments), colors=colours, capstyle="round", **style))


def _draw_trajectory(axes: Axes, across: Curve, up: Curve, ages: EpochAxis | None, faint: str) -> None:
    """Draw a layer's way through the plane; `faint` is the mark of its chance level or ceiling."""
    from matplotlib.colors import to_rgb

    colour = colour_of(across.ink if ages is None else palette.TEXT)
    if ages is None:
        # From pale to the layer's own colour.
        shade = np.linspace(0.62, 0.0, max(len(across.epochs) - 1, 0))[:, np.newaxis]
        colours = np.array(to_rgb(colour)) * (1 - shade) + shade
    else:
        colours = _ages_of(across.epochs, ages)
    _draw_coloured(axes, across.values, up.values, colours, linewidths=0.7 if ages is None else 0.9)
    if not (math.isfinite(across.newest) and math.isfinite(up.newest)):
        return
    if across.faint is not None and up.faint is not None:
        axes.plot(across.faint[-1:], up.faint[-1:], marker=faint, markersize=3.5, color=colour, zorder=4)
    newest = [across.newest], [up.newest]
    if across.newest_spread is not None:
        bars = {"xerr": [across.newest_spread], "yerr": [up.newest_spread]}
        caps: dict[str, Any] = {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7}
        axes.errorbar(*newest, color=colour, zorder=4, **bars, **caps)
    mark: dict[str, Any] = {"marker": layer_mark(across), "markersize": 5.5, "color": colour}
    axes.plot(*newest, **mark, markeredgecolor="white", markeredgewidth=0.7, zorder=6, clip_on=False)


def draw_scatter(axes: Axes, shown: Representation, layer: int) -> None:
    """Draw the samples as one layer represents them."""
    left, right, low, high = shown.ranges[layer]
    points = shown.points[layer]
    kept = np.isfinite(points).all(axis=1)
    small: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 5.2, "color": GREY}
    if not kept.any():
        axes.text(0.5, 0.5, NOT_FINITE[0], ha="center", va="center", **small)
    dots: dict[str, Any] = {"s": 2.4, "alpha": 0.75, "linewidths": 0, "rasterized": len(points) > _CROWD}
    turns = 1 if len(points) <= _CROWD else _TURNS
    for turn in range(turns):
        for label in np.unique(shown.labels).tolist():
            some = points[kept & (shown.labels == label)][turn::turns]
            axes.scatter(some[:, 0], some[:, 1], **class_style(label), **dots, clip_on=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(DASHED["color"])
    for set_limits, set_ticks, (a, b) in (
        (axes.set_xlim, axes.set_xticks, (left, right)),
        (axes.set_ylim, axes.set_yticks, (low, high)),
    ):
        margin = 0.06 * (b - a)
        set_limits(a - margin, b + margin)
        ticks = ends(a, b) if kept.any() else []
        set_ticks([value for value, _ in ticks], [text for _, text in ticks])
    axes.tick_params(length=1.5, pad=1.5, labelsize=5, color=DASHED["color"], labelcolor=GREY)
    size = f"dim {number(float(shown.values['dimension'][layer]))}"
    axes.text(1, 1 + 0.02 / _inches(axes)[1], size, ha="right", va="bottom", **small)
