"""I(T;Y) over epochs, and how much it is a matter of the number of bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ibtui.plot import palette
from ibtui.plot.ticks import number
from ibtui.run.representation import SENSITIVITY_BINS
from ibtui.ui.line import Piece, piece
from ibtui.ui.panes.curves import Curves, kernel_samples
from ibtui.ui.panes.pane import pane
from ibtui.ui.scene import Scene, in_unit


@pane(
    row=1,
    order=1,
    quantities=("i_ty",),
    help={
        "I(T;Y)": "What layer T tells of the label Y: a plug-in estimate from binned values, or by kernels. "
        "A curve for each layer over epochs, and its value now.",
        "10·30·100": "The chosen layer's I(T;Y) at 10, 30 and 100 bins: how much it depends on the binning. "
        "In the lower edge are their chance levels.",
    },
)
class LabelInformation(Curves):
    """The curves of I(T;Y), what the layers tell of the label."""

    def remark(self, scene: Scene) -> Sequence[Piece]:
        shown, layer, quantity = scene.representation, scene.view.layer, self.quantity(scene)
        if shown is None or shown.sensitivity is None or layer >= len(shown.points):
            return []
        estimates, chances = shown.sensitivity[:, layer]
        if np.isnan(estimates).all():  # what estimates has no number of bins
            return kernel_samples(scene)
        seen = scene.viewed(quantity, {quantity.name: estimates, quantity.chance: chances})
        values = [number(float(value)) for value in seen]
        counts = [str(bins) for bins in SENSITIVITY_BINS]
        said, bins = " ".join(values), "·".join(counts)
        tight = " ".join(value.removeprefix("0") for value in values)
        variants = (f"{said} at {' '.join(counts)} bins", f"{said} at {bins}", f"{bins}: {tight}")
        return [piece(*variants, ink=palette.of_layer(layer), rank=2)]

    def aside(self, scene: Scene) -> Sequence[Piece]:
        """Return the chance levels of those estimates."""
        shown, layer, quantity = scene.representation, scene.view.layer, self.quantity(scene)
        if shown is None or shown.sensitivity is None or layer >= len(shown.points):
            return []
        if np.isnan(shown.sensitivity[1, layer]).all():
            return []
        levels = in_unit(shown.sensitivity[1, layer], quantity, scene.view)
        tight = " ".join(number(float(level)).removeprefix("0") for level in levels)
        bins = "·".join(str(bins) for bins in SENSITIVITY_BINS)
        return [piece(f"at {bins}: {tight}", tight, ink=palette.DIM, rank=2)]
