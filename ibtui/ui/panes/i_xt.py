"""I(X;T) over epochs."""

from __future__ import annotations

from collections.abc import Sequence

from ibtui.core.kde import MOST_KDE
from ibtui.plot import palette
from ibtui.ui.line import Piece, piece
from ibtui.ui.panes.curves import Curves
from ibtui.ui.panes.pane import pane
from ibtui.ui.scene import Scene


@pane(
    row=1,
    order=0,
    quantities=("i_xt",),
    help={
        "I(X;T)": "What layer T keeps of the input X, and I(T;Y) what it tells of the label Y: plug-in "
        "estimates from binned values. X has so many bins per axis on the data's range, T so many per "
        "unit on the activation's range.",
        "Chance": "The expected value of the same estimate when samples are paired at random, exactly "
        "computed. With fine bins it is far above zero: an estimate says something only in excess of it.",
        "Ceilings": "I(X;T) cannot pass H(X), the entropy of the binned input, nor I(T;Y) the label's, "
        "H(Y); a layer's dimension cannot pass its width.",
        "Binnings": "notebook: a value at the upper end of the range has a bin of its own. closed: it "
        "joins the last bin. adaptive: bins of equal mass. Values outside the range join the nearest bin "
        "and are counted (outside).",
    },
)
class InputInformation(Curves):
    """The curves of I(X;T), what the layers keep of the input."""

    def remark(self, scene: Scene) -> Sequence[Piece]:
        """Say where the ranges of layers end whose activation has no bound, and what is taken by kernels."""
        recording = scene.recording
        if recording is None or not len(recording):
            return ()
        if recording.binning.kind == "kde":
            bound = piece("upper bound", "upper", ink=palette.DIM, rank=2)
            if (samples := len(recording.dataset.x)) <= MOST_KDE:
                return [bound]
            return [bound, piece(f"{MOST_KDE:,} of {samples:,} samples", ink=palette.DIM, rank=3)]
        if not recording.has_open_ranges:
            return ()
        if not recording.tops:  # as files of before have it
            return [piece("T up to each measurement's largest", "T own ranges", ink=palette.WARN, rank=2)]
        top = f"T up to {recording.tops[scene.view.layer]:g}"
        return [piece(top, ink=palette.DIM, rank=2)]
