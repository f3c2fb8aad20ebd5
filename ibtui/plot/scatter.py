"""Samples on a plane, with axes where there is room for them."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ibtui.plot import raster
from ibtui.plot.axes import draw_axes, draw_rules
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
    """Draw samples on a plane, with ticks.

    Parameters
    ----------
    points : array-like of shape (n, 2)
    labels : array-like of shape (n,)
    box : (x0, x1, y0, y1)
        The range of the axes.
    width, height : int
        In cells. Ticks and faint lines through zero from 20 x 9 on, axes from 56 x 20 on.
    marker : {"braille", "block", "ascii"}
    density : bool
        Show how many samples of which class are in each cell, and not the samples.

    Returns
    -------
    Cells
    """
    canvas = Canvas(width, height)
    labelled = width >= 20 and height >= 9
    framed = width >= 56 and height >= 20
    area = draw_axes(
        canvas, box, marker, x_labels=labelled, y_labels=labelled, frame_x=framed, frame_y=framed, apart=6
    )
    draw = raster.density if density else raster.scatter
    canvas.paste(draw(points, labels, box, area.width, area.height, marker), area.top, area.left)
    if labelled:
        draw_rules(canvas, area, marker)
    return canvas.cells()
