"""The meaning of the marks on the screen, for the help."""

from __future__ import annotations

from collections.abc import Mapping

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
