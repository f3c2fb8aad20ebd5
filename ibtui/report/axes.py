"""The axes of the report's figure: curves, the information plane and scatters, drawn by matplotlib."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ibtui.plot import palette
from ibtui.plot.ticks import number
from ibtui.report.labels import NOT_FINITE, ends, spread_apart
from ibtui.report.panels import Curve, Panel
from ibtui.run.protocol import Representation

Axes: TypeAlias = Any
"""matplotlib's, which is an extra: types must be in order without it."""

GREY, PALE = "#6e6e6e", "#b9b9b9"
CLASS_MARKS = "o^sDvPX*"
_LAYER_MARKS = "osD^vPX*"
_MANY = 500
"""The number of measurements from which lines are thinner."""


@lru_cache(maxsize=1)
def _colours() -> list[str]:
    """Return the screen's colours, by ink; nearly black where an ink has none."""
    colours = [style.color for style in palette.styles("truecolor")]
    return [colour.get_truecolor().hex if colour is not None else "#202020" for colour in colours]


def colour_of(ink: int) -> str:
    """Return the colour of an ink."""
    return _colours()[ink]


def mark_of(curve: Curve) -> str:
    """Return the mark of a curve's layer."""
    return _LAYER_MARKS[(curve.layer or 0) % len(_LAYER_MARKS)]


def write_letter(axes: Axes, letter: str, title: str, left: float = -0.44) -> None:
    """Write a panel's letter and title above its upper left corner."""
    width, height = _inches(axes)
    axes.text(
        left / width, 1 + 0.03 / height, letter, transform=axes.transAxes, weight="bold", size=8, va="bottom"
    )
    if title:
        axes.set_title(title, loc="left", pad=2.5)


def _inches(axes: Axes) -> tuple[float, float]:
    """Return width and height of a frame."""
    box, (width, height) = axes.get_position(), axes.figure.get_size_inches()
    return box.width * width, box.height * height


_MATHS = {"I(X;T)": r"$I(X;T)$", "I(T;Y)": r"$I(T;Y)$", "H(X)": r"$H(X)$", "H(Y)": r"$H(Y)$"}


def _maths(text: str) -> str:
    for plain, set_ in _MATHS.items():
        text = text.replace(plain, set_)
    return text


def _axis_label(panel: Panel) -> str:
    return _maths(panel.title) + (f" ({panel.unit})" if panel.unit else "")


def draw_curves(axes: Axes, panel: Panel, x: tuple[float, float], letter: str, bottom: bool) -> None:
    """Draw one panel over epochs, its curves named at their ends."""
    for _, level in panel.ceilings:
        axes.axhline(level, color=PALE, linestyle=(0, (5, 2)), linewidth=0.8, zorder=1)
    for curve in reversed(panel.curves):
        colour = colour_of(curve.ink)
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
            marks = {"marker": mark_of(curve), "markersize": 2.6}
            marks["markevery"] = _places(curve, len(panel.curves))
        dashes = (0, (2.5, 1.2)) if curve.dotted else "-"
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
    write_letter(axes, letter, "")


def _places(curve: Curve, count: int) -> list[int]:
    """Choose a few measurements to put a mark on; every layer has its own."""
    if not len(curve.epochs) or curve.layer is None:
        return []
    first, last = curve.epochs[0], curve.epochs[-1]
    wanted = first + (last - first) * (np.arange(5) + (curve.layer % count + 0.5) / count) / 5
    return sorted({int(np.argmin(np.abs(curve.epochs - epoch))) for epoch in wanted})


def _name_ends(axes: Axes, panel: Panel) -> None:
    """Write the names of curves and ceilings beside their right ends, none on another."""
    low, high = axes.get_ylim()
    _, height = _inches(axes)
    names = [(_maths(name), level, GREY) for name, level in dict(reversed(panel.ceilings)).items()]
    names += [(c.label, c.newest, colour_of(c.ink)) for c in panel.curves]
    gap = 0.095 * (high - low) / height
    places = spread_apart([round(-v, 6) for _, v, _ in names], gap, -high, -low)
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


def draw_plane(axes: Axes, across: Panel, up: Panel, letter: str) -> None:
    """Draw the information plane: trajectories, pale at the beginning, and a mark at their ends."""
    for _, level in across.ceilings:
        axes.axvline(level, color=PALE, linestyle=(0, (5, 2)), linewidth=0.8, zorder=1)
    for _, level in up.ceilings:
        axes.axhline(level, color=PALE, linestyle=(0, (5, 2)), linewidth=0.8, zorder=1)
    for a, b in zip(across.curves, up.curves, strict=True):
        for (_, x), (_, y) in zip(a.runs, b.runs, strict=True):
            axes.plot(x, y, color=colour_of(a.ink), linewidth=0.3, alpha=0.25)
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
            color=GREY,
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
            color=GREY,
            textcoords="offset points",
            fontsize=6.5,
            ha="center",
            annotation_clip=False,
        )
    write_letter(axes, letter, "information plane")


def _named(panel: Panel) -> dict[str, float]:
    """Return the ceilings to be named beside the plane; where the chance level is 0, the key is enough."""
    return {name: level for name, level in reversed(panel.ceilings) if level}


def _draw_trajectory(axes: Axes, across: Curve, up: Curve) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    colour = colour_of(across.ink)
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
        marker=mark_of(across),
        markersize=5.5,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=6,
        clip_on=False,
    )


def draw_scatter(axes: Axes, shown: Representation, layer: int) -> None:
    """Draw the samples as one layer represents them."""
    left, right, low, high = shown.ranges[layer]
    points = shown.points[layer]
    kept = np.isfinite(points).all(axis=1)
    if not kept.any():
        axes.text(
            0.5, 0.5, NOT_FINITE[0], transform=axes.transAxes, ha="center", va="center",
            fontsize=5.2, color=GREY,
        )  # fmt: skip
    for label in np.unique(shown.labels).tolist():
        some = kept & (shown.labels == label)
        axes.scatter(
            points[some, 0],
            points[some, 1],
            s=2.4,
            c=colour_of(palette.of_class(label)),
            alpha=0.75,
            marker=CLASS_MARKS[label % len(CLASS_MARKS)],
            linewidths=0,
            rasterized=len(points) > 1000,
            clip_on=False,
        )
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(PALE)
    for set_limits, set_ticks, (a, b) in (
        (axes.set_xlim, axes.set_xticks, (left, right)),
        (axes.set_ylim, axes.set_yticks, (low, high)),
    ):
        margin = 0.06 * (b - a)
        set_limits(a - margin, b + margin)
        ticks = ends(a, b) if kept.any() else []
        set_ticks([value for value, _ in ticks], [text for _, text in ticks])
    axes.tick_params(length=1.5, pad=1.5, labelsize=5, color=PALE, labelcolor=GREY)
    axes.text(
        1,
        1 + 0.02 / _inches(axes)[1],
        f"dim {number(float(shown.values['dimension'][layer]))}",
        ha="right",
        va="bottom",
        transform=axes.transAxes,
        fontsize=5.2,
        color=GREY,
    )
