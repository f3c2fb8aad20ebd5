"""The palette: every ink can be seen and told apart, by the colour-blind too."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pytest
from rich.color import ANSI_COLOR_NAMES, Color
from rich.style import Style

from ibtui.plot import palette
from ibtui.plot.glyphs import layer_mark


@pytest.mark.parametrize("system", get_args(palette.ColourSystem))
def test_every_ink_has_a_style(system: palette.ColourSystem) -> None:
    styles = palette.styles(system)
    assert len(styles) == palette.INKS
    assert styles[palette.NONE].color is None
    assert system != "none" or all(style.color is None for style in styles)


@pytest.mark.parametrize("system", get_args(palette.ColourSystem))
def test_it_is_known_what_can_be_told_by_colours_alone(system: palette.ColourSystem) -> None:
    ground = Style(color="default", bgcolor="default")  # a terminal's own
    for styles in (palette.styles(system), [ground + ink for ink in palette.styles(system)]):
        assert palette.coloured(styles) == (system != "none")
        assert palette.toned(styles) == (system in ("256", "truecolor"))


def linear(colour: Color | None) -> np.ndarray[Any, Any]:
    assert colour is not None
    rgb = np.array(colour.get_truecolor()) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(rgb: np.ndarray[Any, Any]) -> float:
    return float(rgb @ [0.2126, 0.7152, 0.0722])


INKS = [
    palette.MIXED, palette.WARN, *(palette.of_class(k) for k in range(2)), *(palette.of_layer(k) for k in
    range(8)),
]  # fmt: skip


@pytest.mark.parametrize("ink", INKS)
def test_inks_stand_out_from_dark_and_light(ink: int) -> None:
    light = luminance(linear(palette.styles("truecolor")[ink].color))
    assert (light + 0.05) / (luminance(linear(Color.parse("#1e1e1e"))) + 0.05) >= 2.5
    assert 1.05 / (light + 0.05) >= 2.5


@pytest.mark.parametrize("ground", [palette.DARK, "#1e1e1e", "#e0e0e0", "#fdf6e3", palette.LIGHT])
def test_layers_stand_out_from_the_background_of_a_theme(ground: str) -> None:
    styles, behind = palette.styles("truecolor", ground), luminance(linear(Color.parse(ground)))
    for layer in range(palette.CYCLE):
        low, high = sorted((luminance(linear(styles[palette.of_layer(layer)].color)), behind))
        assert (high + 0.05) / (low + 0.05) >= 2.5, layer


# Machado, Oliveira, Fernandes (2009), severity 1: how linear RGB looks to protanopes, deuteranopes,
# tritanopes.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab(rgb: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """CIELAB (CIE 15) of linear sRGB, with the white point D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t, delta = to_xyz @ rgb / [0.9505, 1, 1.089], 6 / 29
    x, y, z = np.where(t > delta**3, np.cbrt(t), t / (3 * delta**2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("#ffffff", [100, 0, 0]), ("#000000", [0, 0, 0]), ("#ff0000", [53.24, 80.09, 67.20]),
     ("#0000ff", [32.30, 79.19, -107.86]), ("#101010", [4.68, 0, 0])],
)  # fmt: skip
def test_the_measure_of_difference_is_cielab(name: str, expected: list[float]) -> None:
    assert lab(linear(Color.parse(name))) == pytest.approx(expected, abs=0.1)


def difference(one: int, other: int, sight: str, ground: str) -> float:
    """ΔE of two inks as they are seen."""
    styles = palette.styles("truecolor", ground)
    return apart(*(linear(styles[ink].color) for ink in (one, other)), sight)


def apart(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any], sight: str) -> float:
    """ΔE of 1976, the Euclidean distance in CIELAB, of two colours as they are seen."""
    seen = [lab(np.clip(SIGHT[sight] @ rgb, 0, 1)) for rgb in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(
    "inks",
    [[palette.of_class(0), palette.of_class(1), palette.MIXED], [palette.of_layer(k) for k in range(4)]],
    ids=["classes", "layers"],
)
def test_classes_and_the_first_four_layers_are_told_apart(sight: str, inks: list[int]) -> None:
    styles = palette.styles("truecolor")
    seen = [lab(np.clip(SIGHT[sight] @ linear(styles[ink].color), 0, 1)) for ink in inks]
    for (a, one), (b, other) in itertools.combinations(enumerate(seen), 2):
        assert np.linalg.norm(one - other) >= 25, (a, b)


def test_epochs_grow_lighter() -> None:
    styles = palette.styles("truecolor")
    ramp = [luminance(linear(styles[palette.EPOCH + step].color)) for step in range(palette.CYCLE)]
    assert ramp == sorted(ramp)


def test_inks_repeat_from_the_ninth_layer_on() -> None:
    assert palette.of_layer(8) == palette.of_layer(0)
    assert len({palette.of_layer(layer) for layer in range(8)}) == 8


HUES = {
    "class 0": palette.of_class(0), "class 1": palette.of_class(1), "warning": palette.WARN,
    "cursor": palette.CURSOR, "classes mixed": palette.MIXED,
    **{f"layer {k}": palette.of_layer(k) for k in range(4)},
}  # fmt: skip


@pytest.mark.parametrize("ground", [palette.DARK, palette.LIGHT, "#e0e0e0"])
@pytest.mark.parametrize("sight", ["normal", "protanopia", "deuteranopia"])
def test_hues_that_mean_different_things_are_told_apart(sight: str, ground: str) -> None:
    for one, other in itertools.combinations(HUES, 2):
        assert difference(HUES[one], HUES[other], sight, ground) >= 15, (one, other)


@pytest.mark.parametrize("ground", [palette.DARK, palette.LIGHT, "#e0e0e0"])
@pytest.mark.parametrize("sight", ["normal", "protanopia", "deuteranopia"])
def test_layers_with_the_same_mark_are_told_apart_by_their_inks(sight: str, ground: str) -> None:
    """Others have another mark besides, and classes after the second a letter."""
    for one, other in itertools.combinations(range(36), 2):
        if layer_mark(one, "braille") == layer_mark(other, "braille"):
            inks = palette.of_layer(one), palette.of_layer(other)
            assert difference(*inks, sight, ground) >= 15, (one, other)


@pytest.mark.parametrize("ground", [palette.DARK, palette.LIGHT])
@pytest.mark.parametrize("layer", range(8))
def test_chance_is_nearer_to_the_background_than_its_estimate(ground: str, layer: int) -> None:
    styles = palette.styles("truecolor", ground)
    behind = luminance(linear(Color.parse(ground)))

    def contrast(ink: int) -> float:
        low, high = sorted((luminance(linear(styles[ink].color)), behind))
        return (high + 0.05) / (low + 0.05)

    assert 1.2 < contrast(palette.of_chance(layer)) < contrast(palette.of_layer(layer))


ANSI = {
    "xterm": "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 "
    "7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff",
    "vga": "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa "
    "555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff",
    "windows": "0c0c0c c50f1f 13a10e c19c00 0037da 881798 3a96dd cccccc "
    "767676 e74856 16c60c f9f1a5 3b78ff b4009e 61d6d6 f2f2f2",
}  # fmt: skip
"""The sixteen colours of terminals, as they are in the order of their numbers."""
DICHROMATS = ["normal", "protanopia", "deuteranopia"]


def ansi_difference(one: int, other: int, sight: str, ground: str, terminal: str) -> float:
    styles = palette.styles("16", ground)
    names = [styles[ink].color.name for ink in (one, other)]  # type: ignore[union-attr]
    table = [f"#{rgb}" for rgb in ANSI[terminal].split()]
    return apart(*(linear(Color.parse(table[ANSI_COLOR_NAMES[name]])) for name in names), sight)


def attributes(ink: int, ground: str) -> tuple[bool, ...]:
    style = palette.styles("16", ground)[ink]
    return bool(style.bold), bool(style.underline), bool(style.reverse)


@pytest.mark.parametrize("ground", [palette.DARK, palette.LIGHT])
def test_of_sixteen_colours_each_meaning_has_its_own(ground: str) -> None:
    styles = palette.styles("16", ground)
    assert len({styles[ink].color for ink in HUES.values()}) == len(HUES)
    lettered = [palette.of_class(label) for label in range(2, palette.CLASSES)]
    assert ground == palette.LIGHT or not {styles[ink].color for ink in lettered} & {
        styles[ink].color for ink in HUES.values()
    }


@pytest.mark.parametrize("ground", [palette.DARK, palette.LIGHT])
@pytest.mark.parametrize("terminal", ANSI)
@pytest.mark.parametrize("sight", DICHROMATS)
def test_of_sixteen_colours_those_of_one_picture_are_told_apart(
    sight: str, terminal: str, ground: str
) -> None:
    classes = [palette.of_class(0), palette.of_class(1), palette.MIXED]
    alike = [
        (palette.of_layer(one), palette.of_layer(other))
        for one, other in itertools.combinations(range(36), 2)
        if layer_mark(one, "braille") == layer_mark(other, "braille")
    ]
    for one, other in [*itertools.combinations(classes, 2), *alike]:
        assert ansi_difference(one, other, sight, ground, terminal) >= 15, (one, other)


@pytest.mark.parametrize("ground", [palette.DARK, palette.LIGHT])
@pytest.mark.parametrize("terminal", ["xterm", "vga"])
@pytest.mark.parametrize("sight", DICHROMATS)
def test_of_sixteen_colours_two_meanings_differ_in_colour_or_in_an_attribute(
    sight: str, terminal: str, ground: str
) -> None:
    for one, other in itertools.combinations(HUES, 2):
        inks = HUES[one], HUES[other]
        close = ansi_difference(*inks, sight, ground, terminal) < 15
        assert not close or attributes(inks[0], ground) != attributes(inks[1], ground), (one, other)


@pytest.mark.parametrize("terminal", ANSI)
def test_of_sixteen_colours_those_of_meanings_stand_out_from_black(terminal: str) -> None:
    table = [luminance(linear(Color.parse(f"#{rgb}"))) for rgb in ANSI[terminal].split()]
    for name, ink in HUES.items():
        colour = palette.styles("16")[ink].color
        light = table[ANSI_COLOR_NAMES[colour.name]]  # type: ignore[union-attr]
        assert (light + 0.05) / (table[0] + 0.05) >= 2.3, name


def test_of_sixteen_colours_those_of_epochs_grow_lighter() -> None:
    ramp = [palette.styles("16")[palette.EPOCH + step].color for step in range(palette.CYCLE)]
    for terminal in ("vga", "windows"):  # in xterm's the first two are the same to a fiftieth
        table = [luminance(linear(Color.parse(f"#{rgb}"))) for rgb in ANSI[terminal].split()]
        lights = [table[ANSI_COLOR_NAMES[colour.name]] for colour in ramp]  # type: ignore[union-attr]
        assert lights == sorted(lights) and len(set(lights)) == 7


@pytest.mark.parametrize("ink", [palette.DIM, palette.AXIS, palette.REFERENCE, palette.CEILING])
def test_grey_is_dimmed_once(ink: int) -> None:
    assert not palette.styles("16")[ink].dim and palette.styles("none")[ink].dim
