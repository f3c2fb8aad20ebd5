"""Formula and source of each quantity that every run measures, and what the marks of the screen mean."""

from __future__ import annotations

from collections.abc import Mapping

FORMULAS: Mapping[str, str] = {
    "i_xt": "H(X) + H(T) − H(X,T), of the frequencies of bins. Shwartz-Ziv and Tishby 2017; kernels: "
    "Kolchinsky and Tracey 2017.",
    "i_ty": "H(T) + H(Y) − H(T,Y), of the frequencies of bins. Shwartz-Ziv and Tishby 2017.",
    "chance_i_xt": "Exact expectation over all pairings with these frequencies. Vinh, Epps and Bailey 2010.",
    "chance_i_ty": "As for I(X;T).",
    "dimension": "The participation ratio's formula on singular values in the place of eigenvalues.",
    "participation_ratio": "trace(C)² / ‖C‖², C the covariance. Gao et al. 2017.",
    "occupancy": "Cells of T in use / samples.",
    "train_loss": "−mean log softmax(output)[right class].",
}
"""By the quantity's name; what is not here says it in its description."""

MARKS: Mapping[str, str] = {
    "Dim dots": "Chance levels, and ceilings such as H(X); in excess they are the ceilings that are left.",
    "Grey": "The run before the last restart; its seed is named below the plot. o turns it off.",
    "○": "In the plane: where a layer is now, while its number stands at the epoch that is looked at.",
    "by epoch": "The plane's colours from the first epoch (violet) by blue and green to the last (yellow).",
    "newest, view": "newest N: the last measurement is shown. view N: a past one, walked to with ← and →.",
    "Moving": "The moving loss: 0.9 of what it was and 0.1 of each batch's.",
    "PC 1 and 2": "Of more than two units, or inputs, the two directions of largest variance.",
    "Turns": "Curves that coincide take turns, two columns each, so that none hides another.",
}
"""By the mark or the word that is seen."""
