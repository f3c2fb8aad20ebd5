"""The characters by which layers and ages are told apart where their colours do not do it."""

from __future__ import annotations

from ibtui.plot.dots import Marker

HUES = 4
"""The number of layers that the colour-blind, too, can tell apart by their inks."""
AGES = "abcdefgh"
"""The steps of the ramp of epochs in ASCII, the oldest first."""
_MARKS = {"braille": "◆▲■▼►◄♠♣", "block": "♦▲■▼►◄♠♣"}
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PATHS = "+=&$~?!^<>;/(){}"


def layer_mark(layer: int, marker: Marker) -> str:
    """Return the character that a layer's curve and path carry besides their ink; empty: they need none.

    The first four layers have none, the next four the first mark, and so on: with a mark, four inks are told
    apart, too. In ASCII a curve is drawn by its layer's number, and from the eleventh layer on by a letter.
    """
    if marker == "ascii":
        return _LETTERS[(layer - 10) % len(_LETTERS)] if layer >= 10 else ""
    marks = _MARKS[marker]
    return marks[(layer // HUES - 1) % len(marks)] if layer >= HUES else ""


def marked(layer: int, marker: Marker) -> str:
    """Return a layer's number behind its mark, if it has one: for a legend."""
    mark = layer_mark(layer, marker)
    return f"{mark}={layer}" if mark and marker == "ascii" else f"{mark}{layer}"


def path_glyph(layer: int) -> str:
    """Return the character that draws a layer's path through the plane in ASCII."""
    return _PATHS[layer % len(_PATHS)]
