"""The report as a picture."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui.plot import palette
from ibtui.recording.files import save
from ibtui.report.display import Display
from tests.report.making import (
    CONFIG,
    command,
    drawn,
    needs_matplotlib,
    record,
    refused,
    run,
)


@needs_matplotlib
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(names.split("-"), marks=[pytest.mark.slow] if names != "a" else [], id=names)
        for names in ("a", "a-b-nan", "relu", "deep", "one", "huge")
    ],
)
def test_png_is_a_picture_of_a_sane_size_and_the_same_each_time(folder, tmp_path, capsys, names):
    paths = [folder / f"{name}.npz" for name in names]
    at = () if names == ["one"] else ("--at", "0,60")
    assert run(capsys, *paths, "--out", tmp_path / "1.png", "--out", tmp_path / "2.png", *at)[0] == 0
    first, second = ((tmp_path / out).read_bytes() for out in ("1.png", "2.png"))
    assert first == second
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(first))
    height, width, _ = pixels.shape
    assert width == 1440
    assert 1000 < height < 5000
    ink = (pixels[..., :3] < 0.9).any(axis=2)
    assert 0.01 < ink.mean() < 0.4
    assert not ink[:, :3].any()  # nothing is cut off at the edges
    assert not ink[:, -3:].any()
    assert not ink[:3].any()
    assert not ink[-3:].any()


@needs_matplotlib
def test_names_of_classes_are_no_formulas_and_many_of_them_no_wider_than_the_page(tmp_path, capsys):
    from matplotlib.image import imread

    config = replace(CONFIG, data="gaussians:classes=40", layers=(40,))
    names = ("$\\frac$", "_hidden", *(f"the {number}th of all" for number in range(2, 40)))
    save(record(config, names=names), tmp_path / "many.npz")
    assert run(capsys, tmp_path / "many.npz", "--out", tmp_path / "1.png", "--at", "0")[0] == 0
    ink = (imread(tmp_path / "1.png")[..., :3] < 0.9).any(axis=2)
    assert not ink[:, :3].any() and not ink[:, -3:].any()


@needs_matplotlib
@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "at"),
    [("a", "60"), ("a", "0,30,60"), ("a b", None), ("a b c", None), ("a b c nan short", None),
     ("deep", "60"), ("deep", "0,60"), ("relu", "60")],
)  # fmt: skip
def test_the_layers_fill_the_width_however_few_they_are(folder, tmp_path, capsys, names, at):
    from matplotlib.image import imread

    flags = () if at is None else ("--at", at)
    paths = [folder / f"{name}.npz" for name in names.split()]
    assert run(capsys, *paths, "--out", tmp_path / "x.png", *flags)[0] == 0
    ink = (imread(tmp_path / "x.png")[..., :3] < 0.9).any(axis=2)
    layers = ink[ink.shape[0] * 2 // 3 : -180]  # above the key of classes and the footnote
    assert np.flatnonzero(layers.any(axis=0)).max() > 0.95 * ink.shape[1]


@needs_matplotlib
@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "kind"),
    [("module://matplotlib_inline.backend_inline", "png"), ("module://nowhere", "svg"), ("bogus", "pdf")],
)
def test_a_picture_needs_no_backend(folder, tmp_path, capsys, backend, kind):
    flags = ("--at", 60, "--out", tmp_path / f"x.{kind}")
    assert run(capsys, folder / "a.npz", *flags)[0] == 0
    expected = (tmp_path / f"x.{kind}").read_bytes()
    done = command(folder / "a.npz", *flags, "--force", MPLBACKEND=backend)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / f"x.{kind}").read_bytes() == expected


def words_of(svg: Path) -> list[str]:
    return re.findall("<!-- (.*) -->", svg.read_text())


@pytest.mark.slow
@needs_matplotlib
def test_where_the_chance_level_is_0_the_key_and_the_curves_name_it_and_not_the_plane(
    folder, tmp_path, capsys
):
    for out, flags in (("x.svg", ("--level", "excess")), ("y.svg", ("--level", "excess", "--units", "bits"))):
        assert run(capsys, folder / "a.npz", "--out", tmp_path / out, *flags)[0] == 0
        assert words_of(tmp_path / out).count("chance") == 3


@needs_matplotlib
def test_what_is_not_finite_is_said_in_its_place(folder, tmp_path, capsys):
    assert run(capsys, folder / "huge.npz", "--out", tmp_path / "x.svg", "--at", 0)[0] == 0
    words = words_of(tmp_path / "x.svg")
    assert words.count("no finite activations") == words.count("dim n/a") == 2
    for display in (Display(), Display(width=250)):
        text = "\n".join(drawn([folder / "huge.npz"], display, "0"))
        said = "no finite activations" if display.width > 100 else "not finite"
        assert text.replace("the loss is not finite", "").count(said) == 2
        assert not re.search("[\\w./]─", text)  # no number in a title is cut


@pytest.mark.slow
@needs_matplotlib
def test_svg_and_pdf_are_whole_and_undated(folder, tmp_path, capsys):
    from xml.etree import ElementTree

    for out in ("x.svg", "x.pdf"):
        flags = ("--participation-ratio", "--at", 60)
        assert run(capsys, folder / "a.npz", "--out", tmp_path / out, *flags)[0] == 0
    svg = (tmp_path / "x.svg").read_text()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    for word in ("accuracy", "dimension", "participation ratio", "information plane", "layer 3", "epoch 60"):
        assert f"<!-- {word}" in svg, word
    assert "<dc:date>" not in svg
    pdf = (tmp_path / "x.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"CreationDate" not in pdf


@needs_matplotlib
def test_a_picture_has_the_colours_of_the_screen(folder, tmp_path, capsys):
    run(capsys, folder / "a.npz", "--out", tmp_path / "x.svg", "--at", 60)
    svg = (tmp_path / "x.svg").read_text()
    inks = palette.styles("truecolor")
    for ink in (*map(palette.of_layer, range(4)), *map(palette.of_class, range(2))):
        assert inks[ink].color.get_truecolor().hex in svg


def test_without_matplotlib_the_extra_is_named(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as where it is not installed
    assert ".[report]" in refused(capsys, folder / "a.npz", "--out", tmp_path / "x.png")
    assert run(capsys, folder / "a.npz", "--out", tmp_path / "x.csv")[0] == 0
