"""The quantity that the user has chosen, over epochs."""

from __future__ import annotations

from collections.abc import Sequence

from ibtui.quantities import Quantity
from ibtui.ui.line import Piece
from ibtui.ui.panes.curves import Curves, kernel_samples
from ibtui.ui.panes.pane import pane
from ibtui.ui.scene import Scene


@pane(
    row=2,
    order=0,
    help={"Chosen quantity": "One more number of the layers, over epochs: dimension at first, others by d."},
)
class ChosenQuantity(Curves):
    """Any quantity that no other pane shows."""

    def quantity(self, scene: Scene) -> Quantity:
        return scene.chosen_quantity

    def remark(self, scene: Scene) -> Sequence[Piece]:
        """Say of how many samples a bound by kernels is."""
        return kernel_samples(scene) if self.quantity(scene).unit == "nats" else ()
