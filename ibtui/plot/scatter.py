"""Samples on a plane, with axes where there is room for them."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ibtui.plot import raster
from ibtui.plot.axes import axes, draw_rules
from ibtui.plot.canvas import Canvas, Cells
from ibtui.plot.dots import Box, Marker


def scatter_plot(
    points: ArrayLike,
    labels: ArrayLike,
    box: Box,
    width: int,
    height: int,
    marker: Marker,
    *,
    density: bool = False,
) -> Cells:
    """Draw samples on a plane by `raster.scatter`, or with `density` by `raster.density`.

    There are ticks and faint lines through zero from 20 x 9 cells on, axes from 56 x 20 on.
    """
    labelled = width >= 20 and height >= 9
    framed = width >= 56 and height >= 20
    drawn, area = axes(
        width,
        height,
        box,
        marker,
        x_labels=labelled,
        y_labels=labelled,
        frame_x=framed,
        frame_y=framed,
        apart=6,
    )
    canvas = Canvas.over(drawn)
    draw = raster.density if density else raster.scatter
    canvas.paste(draw(points, labels, box, area.width, area.height, marker), area.top, area.left)
    if labelled:
        draw_rules(canvas, area, marker)
    return canvas.cells()
