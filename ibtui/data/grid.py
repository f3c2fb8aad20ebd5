"""Points on the unit square, labelled by the cell of a grid that they fall into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibtui.config import RunConfig
from ibtui.data import Points, dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def grid_labels(
    ngrid: int = 2, samples: int = 1000, seed: int = 4
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points uniform on the unit square, with label 1 in half of a grid's cells, drawn at random.

    With two cells per axis and the right draw (seed 4 is one) the labels are XOR. NumPy's `RandomState` never
    changes its streams, so the same arguments give the same bits everywhere.

    Parameters
    ----------
    ngrid : int
        Cells per axis, 1 or more. ``ngrid**2 // 2`` of the cells carry label 1.
    samples : int
        Number of points, 1 or more.
    seed : int
        Seed of the draw, 0 to 2**32 - 1; whatever is out of its range is a ValueError.

    Returns
    -------
    x : ndarray of shape (samples, 2), float32
        The points. The labels were decided before rounding to float32.
    y : ndarray of shape (samples,), int64
        0 or 1.
    """
    import numpy as np

    from ibtui.core._arrays import whole

    ngrid = whole("ngrid", ngrid, 1)
    samples = whole("samples", samples, 1)
    random = np.random.RandomState(whole("seed", seed, 0, 2**32 - 1))

    # The order of the draws is the data set's definition: both axes at once, then replacements for repeated
    # cells one by one, then the points.
    marked = ngrid**2 // 2
    columns = random.choice(range(ngrid), marked)
    rows = random.choice(range(ngrid), marked)
    cells = set(zip(columns.tolist(), rows.tolist(), strict=True))
    while len(cells) < marked:
        column = int(random.choice(range(ngrid), 1)[0])
        row = int(random.choice(range(ngrid), 1)[0])
        cells.add((column, row))
    points = random.uniform(size=(samples, 2))  # the same stream as one uniform(size=2) per point

    # One cell more per axis: a value just below 1 may divide to ngrid itself, which is in no marked cell.
    is_marked = np.zeros((ngrid + 1, ngrid + 1), np.int64)
    for cell in cells:
        is_marked[cell] = 1
    at = np.floor(points / (1 / ngrid)).astype(np.int64)
    return points.astype(np.float32), is_marked[at[:, 0], at[:, 1]]


@dataset(
    "points on the unit square, labelled by the cells of a grid: XOR by default",
    x_range=(0, 1), ordered=True,
)  # fmt: skip
def grid(config: RunConfig) -> Points:
    """Make the points that `--grid`, `--samples` and `--data-seed` ask for."""
    return grid_labels(config.grid, config.samples, config.data_seed)
