"""Inks: small integers that cells carry, and the terminal styles that they stand for.

Layers, classes and epochs keep their ink everywhere. Colours are chosen to be told apart by the colour-blind
and to stand out from dark and light backgrounds alike; still they carry nothing alone: layers come with their
number, classes with a character of their own in ASCII, and without colours there are bold, underlined and
reversed cells.

Sixteen colours have fewer hues than there are meanings. The first two classes, cells of several classes, the
first four layers, the warning and the cursor have one each that none of the others has. As xterm and VGA show
them, those of one picture are apart for the colour-blind, too: classes and mixed cells, and layers. Where
others are close they have an attribute besides: mixed cells are underlined, the warning is reversed, the
cursor bold. Further layers repeat the four hues, for they carry a mark; further classes, which carry a
letter, have what is left, and on light backgrounds, where little is, the hues of layers. The ramp of epochs
is of the same hues, for in its picture it has a legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.color import Color, ColorSystem
from rich.style import Style

Integers = NDArray[np.integer[Any]]
ColourSystem = Literal["truecolor", "256", "16", "none"]

NONE = 0
TEXT = 1
DIM = 2
AXIS = 3
CURSOR = 4
WARN = 5
MIXED = 6
"""More than one class in a cell, which shows one colour."""
REFERENCE = 7
"""The curves of a reference."""
TRAIN = 8
HELD_OUT = 9
CEILING = 10

LAYER = 16
CHANCE = 24
"""A layer's chance level: its colour, dimmed."""
EPOCH = 32
"""The first of the inks of epochs: the oldest are dark, the newest light."""
CLASS = 40
CLASSES = 26
"""The number of classes with an ink, and a character, of their own; then they repeat."""
REGION = CLASS + CLASSES
"""The first of the inks of regions: of each class three, the stronger the surer its net is there."""
STRENGTHS = (0.22, 0.38, 0.56)
"""The share of a class's colour in the inks of its region; the rest is the background."""

CYCLE = 8
"""The number of layers and steps of the epoch ramp with an ink of their own; then inks repeat."""
INKS = REGION + CLASSES * len(STRENGTHS)
"""The number of inks."""

DARK = "#121212"
"""The background that is thought to be there where nobody says which is."""
LIGHT = "#f8f8f8"
CONTRAST = 2.5
"""The least contrast of a layer's ink with the background, by WCAG 2."""
_MIDDLE = 0.18
"""The luminance from which a background is light."""
FAINT = 0.55
"""The share of a layer's colour in the ink of its chance level."""

# ink: (red, green and blue; one of the sixteen ANSI colours; attributes, also without any colour)
_NAMED: dict[int, tuple[str, str, str]] = {
    NONE: ("", "", ""),
    TEXT: ("", "", ""),
    DIM: ("#808080", "bright_black", "dim"),
    AXIS: ("#7a7a7a", "bright_black", "dim"),
    WARN: ("#b62e6f", "bright_red", "reverse"),
    REFERENCE: ("#6c6c6c", "bright_black", "dim"),
    TRAIN: ("", "", "bold"),
    HELD_OUT: ("#8a8a8a", "bright_black", ""),
    CEILING: ("#808080", "bright_black", "dim"),
}
_CURSOR = "#4ba37b"
_MIXED = "#be8fe3"
# Vermilion and blue first: the pair of Okabe and Ito's set that stays apart under every kind of
# colour-blindness.
_CLASSES = ["#be3613", "#197df7", "#1d9a6c", "#c26bb0", "#b58900", "#7a72d8", "#8c8c8c", "#a05a2c"]
_CLASSES += ["#3fb6c4", "#d9799a"]
_LAYERS = ["#487848", "#d800a8", "#d89000", "#6030ff", "#9a4f10", "#55a8a8", "#8b7ae0", "#cc9814"]
_EPOCHS = ["#6a4aa8", "#5560b4", "#3f78b0", "#2f8ca4", "#25a08a", "#4ab070", "#85bc48", "#c0c020"]


@dataclass(frozen=True)
class _Sixteen:
    """ANSI colours for one kind of background. Every other class is bold, which may make a colour bright."""

    cursor: str
    mixed: str
    classes: Sequence[str]
    layers: Sequence[str]
    epochs: Sequence[str]


_ON_DARK = _Sixteen(
    cursor="bright_cyan",
    mixed="bright_white",
    classes=["red", "bright_blue", *["yellow", "bright_green", "white", "bright_magenta"] * 2],
    layers=["green", "magenta", "cyan", "bright_yellow"] * 2,
    epochs=["magenta"] * 2 + ["bright_blue", "green", "cyan", "bright_green", "bright_cyan", "bright_yellow"],
)
_ON_LIGHT = _Sixteen(  # where white and most of what is bright is hardly seen
    cursor="yellow",
    mixed="black",
    classes=["red", "bright_blue", *["green", "magenta", "cyan", "blue"] * 2],
    layers=["green", "magenta", "cyan", "blue"] * 2,
    epochs=["magenta"] * 2 + ["bright_blue"] * 2 + ["green"] * 2 + ["cyan"] * 2,
)


def of_class(label: int) -> int:
    """Return the ink of a class."""
    return CLASS + label % CLASSES


def _hue(label: int) -> int:
    """Return the place of a class's colour: those of classes with a letter repeat."""
    return label if label < len(_CLASSES) else 2 + (label - 2) % (len(_CLASSES) - 2)


def of_layer(layer: int) -> int:
    """Return the ink of a layer. Its number must stand beside it: inks repeat from the ninth layer on."""
    return LAYER + layer % CYCLE


def of_chance(layer: int) -> int:
    """Return the ink of a layer's chance level."""
    return CHANCE + layer % CYCLE


def of_region(label: Integers, strength: Integers) -> Integers:
    """Return the ink of a place where a net answers with a class, by an index into `STRENGTHS`."""
    return REGION + label % CLASSES * len(STRENGTHS) + strength


def toned(styles: Sequence[Style]) -> bool:
    """Return True where regions have paler colours than their classes: a sample is seen over its own."""
    return styles[REGION].color != styles[CLASS].color


def coloured(styles: Sequence[Style]) -> bool:
    """Return True where classes have colours."""
    return styles[CLASS].color != styles[TEXT].color


def mixed(rgb: str, ground: str, share: float) -> str:
    """Return a colour of which `share` is the first and the rest the second one."""
    parts = [(int(rgb[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * own + (1 - share) * other):02x}" for own, other in parts)


def legible(rgb: str, ground: str) -> str:
    """Return a colour, as much darker or lighter as it must be to be seen before `ground`."""
    away = "#000000" if _luminance(ground) > _MIDDLE else "#ffffff"
    steps = (mixed(rgb, away, 1 - step / 50) for step in range(51))
    return next(shade for shade in steps if _contrast(shade, ground) >= CONTRAST or shade == away)


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(rgb: str) -> float:
    """Return the relative luminance of a colour (WCAG 2)."""
    parts = (int(rgb[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def styles(colour_system: ColourSystem, ground: str = DARK) -> list[Style]:
    """Return the style of each ink, by what the terminal can show; "none" leaves attributes.

    What is faint is mixed with `ground`, the background's colour such as "#1e1e1e"; layers stand out from it.
    """
    ansi = _ON_LIGHT if _luminance(ground) > _MIDDLE else _ON_DARK
    table = dict(_NAMED)
    table[CURSOR] = (_CURSOR, ansi.cursor, "bold")
    table[MIXED] = (_MIXED, ansi.mixed, "underline")
    for label in range(CLASSES):
        rgb, basic = _CLASSES[_hue(label)], ansi.classes[_hue(label)]
        table[CLASS + label] = (rgb, basic, "bold" if label % 2 else "")
        for strength, share in enumerate(STRENGTHS):
            table[REGION + label * len(STRENGTHS) + strength] = (mixed(rgb, ground, share), basic, "")
    for step in range(CYCLE):
        layer = legible(_LAYERS[step], ground)
        table[LAYER + step] = (layer, ansi.layers[step], "")
        table[CHANCE + step] = (mixed(layer, ground, FAINT), ansi.layers[step], "dim")
        table[EPOCH + step] = (_EPOCHS[step], ansi.epochs[step], "")
    return [_style(*table.get(ink, ("", "", "")), colour_system) for ink in range(INKS)]


def _style(rgb: str, ansi: str, attributes: str, colour_system: ColourSystem) -> Style:
    # A colour of many can be dim or bright by itself; what an attribute adds to it is the terminal's taste.
    kept = attributes if colour_system in ("none", "16") or not rgb else ""
    if colour_system == "16" and ansi == "bright_black":  # which is dim: dimmed once more it is hardly seen
        kept = kept.replace("dim", "")
    colour = None
    if colour_system == "16" and ansi:
        colour = Color.parse(ansi)
    elif colour_system in ("truecolor", "256") and rgb:
        colour = Color.parse(rgb)
        if colour_system == "256":
            colour = colour.downgrade(ColorSystem.EIGHT_BIT)
    return Style(color=colour) + Style.parse(kept)
