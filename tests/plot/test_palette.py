"""The palette: every ink can be seen and told apart, by the colour-blind too."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pytest
from rich.color import Color

from ibtui.plot import palette
from ibtui.plot.glyphs import layer_mark


@pytest.mark.parametrize("system", get_args(palette.ColourSystem))
def test_every_ink_has_a_style(system: palette.ColourSystem) -> None:
    styles = palette.styles(system)
    assert len(styles) == palette.INKS
    assert styles[palette.NONE].color is None
    assert system != "none" or all(style.color is None for style in styles)


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
    """ΔE of 1976, the Euclidean distance in CIELAB, of two inks as they are seen."""
    styles = palette.styles("truecolor", ground)
    seen = [lab(np.clip(SIGHT[sight] @ linear(styles[ink].color), 0, 1)) for ink in (one, other)]
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
