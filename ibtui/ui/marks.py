"""The meaning of the marks that several panes have, for the help."""

from __future__ import annotations

from collections.abc import Mapping

MARKS: Mapping[str, str] = {
    "Colours": "Of dots in the input and the scatters, and of the net's plane: the class. Of curves, paths "
    "and numbers: the layer. Violet, or of few colours or none underlined: several classes in one cell.",
    "Faint dots": "Chance levels, and ceilings such as H(X); in excess, the ceilings less chance.",
    "Many layers": "From the fifth layer on, curves and paths carry a mark; the number beside the curve has "
    "it, too. +2 more: two curves whose label has no room. 5 of 12 layers: the others come with Tab or the "
    "digits.",
    "ASCII": "Without colours or Unicode, a curve is drawn by the first letter or digit of its label, a "
    "path by a sign that leads to its layer's number, a class by a letter that is named with it, a capital "
    "where a cell holds four samples or more; several classes in one cell by *, or # from four samples on; "
    "chance by points, a ceiling by -, the run before by commas.",
    "Dashed lines": "Zero; in the plane the ceilings H(X), upright, and H(Y); of shares, 1.",
    "Upright line": "In curves and in the bars of the table: the measurement shown.",
    "Heavy frame": "The chosen pane, which Enter, h and F1 act on. In the table [ ] and >: the chosen "
    "pane and layer.",
    "Grey": "The run before the last restart; its seed is named in the frame. o turns it off.",
    "PC 1 and 2": "Of more than two units, or inputs, the two directions of largest variance.",
    "Turns": "Curves that coincide take turns, two columns each, so that none hides another.",
    "n/a": "There is no such number, as of the dimension of a layer without variance.",
}
"""By the mark or the word that is seen."""
