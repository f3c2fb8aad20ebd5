"""I(X;T) over epochs."""

from __future__ import annotations

from collections.abc import Sequence

from ibtui.plot import palette
from ibtui.ui.line import Piece, piece
from ibtui.ui.panes.curves import Curves, kernel_samples
from ibtui.ui.panes.pane import pane
from ibtui.ui.scene import Scene


@pane(
    row=1,
    order=0,
    quantities=("i_xt",),
    help={
        "I(X;T)": "What layer T keeps of the input X: a plug-in estimate from binned values, or an upper "
        "bound by kernels. A curve for each layer over epochs, and its value now.",
        "Estimates": "I(X;T) and I(T;Y) are plug-in estimates, sum of m/N ln(m N / (a b)) over pairs of "
        "cells with a and b samples that share m of N (Shwartz-Ziv and Tishby 2017). With few samples to a "
        "cell they come near their ceilings by themselves.",
        "X": "A grid of so many bins per input, or each sample a symbol (key x): then I(X;T) = H(T), H(X) = "
        "ln N, and there is no chance level.",
        "Chance": "The expected value of the same estimate when samples are paired at random, exactly "
        "computed (Vinh, Epps and Bailey 2010). With fine bins it is far above zero: an estimate says "
        "something only in excess of it. n/a where each sample has a cell of its own.",
        "Excess, share": "Estimate less chance, whose ceiling H - chance is dotted; the share is the one "
        "over the other (key e).",
        "Ceilings": "I(X;T) cannot pass H(X), the entropy of the binned input, nor I(T;Y) the label's, "
        "H(Y); a layer's dimension cannot pass its width.",
        "notebook": "So many bins of equal width on the activation's range, and a bin of its own for its "
        "upper end: with 29 the 30 edges of Shwartz-Ziv and Tishby. Where units saturate, +1 has a bin of "
        "its own and -1 has none.",
        "closed": "The same, but the upper end joins the last bin. Values outside the range join the "
        "nearest bin and are counted (outside).",
        "adaptive": "Bins of equal mass, unit by unit: small variations are magnified.",
        "pooled": "Bins of equal mass over a layer's distinct values (Chelombiev, Houghton and O'Donnell "
        "2019); they move from epoch to epoch.",
        "width": "Bins of a fixed width, floor(t / width), without a range (Saxe et al. 2018): a layer that "
        "grows gains bins.",
        "Ranges": "ReLU and linear layers have no bound: their range ends above the largest value so far, "
        "and when it grows, the whole history is estimated again.",
        "KDE": "Bounds for activations with Gaussian noise (Kolchinsky and Tracey 2017): I(X;T) is at most "
        "-mean ln mean exp(-d²/2σ²) over pairs at distance d, at least the same with 4σ². The noise, σ², "
        "decides the number. There is no chance level live.",
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
            return [*kernel_samples(scene), piece("upper bound", "upper", ink=palette.DIM, rank=2)]
        if not recording.has_open_ranges:
            return ()
        if not recording.tops:  # as files of before have it
            return [piece("T up to each measurement's largest", "T own ranges", ink=palette.WARN, rank=2)]
        if not (top := recording.tops[scene.view.layer]):  # this layer's activation has a bound
            return ()
        return [piece(f"T up to {top:g}", ink=palette.DIM, rank=2)]
