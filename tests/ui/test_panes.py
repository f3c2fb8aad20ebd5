"""Panes by their declarations; those of another package, and its quantities, on the real screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ibtui.errors import UsageError
from ibtui.plot import palette
from ibtui.ui import keys, view
from ibtui.ui.help import definitions, definitions_of
from ibtui.ui.line import piece
from ibtui.ui.panes import OWN, panes, shown_quantities, tab_order
from ibtui.ui.panes.pane import message
from ibtui.ui.scene import standard
from tests.marks import slow
from tests.terminal import Terminal

PLUGIN = Path(__file__).parent.parent / "plugin"
RUN = ("--engine", "fused", "--ctx", "cpu", "--samples", "200", "--epochs", "60", "--epochs-per-second", "0")


def with_plugin(*arguments: str, columns: int = 120, rows: int = 40) -> Terminal:
    path = os.pathsep.join([str(PLUGIN), os.environ["PYTHONPATH"]])
    return Terminal(*arguments, columns=columns, rows=rows, PYTHONPATH=path)


def quit_without_saving(terminal: Terminal) -> None:
    terminal.type("q")
    terminal.until("without saving")
    terminal.type("q")
    assert terminal.wait() == 0


def test_panes_are_in_the_order_of_their_rows() -> None:
    assert tuple(panes()) == tuple(OWN)
    assert tab_order(panes(), compact=False) == list(OWN)
    assert tab_order(panes(), compact=True) == [name for name in OWN if name not in ("input", "plane", "net")]


def test_every_quantity_of_a_run_is_shown_by_a_pane_or_can_be_chosen_or_is_a_chance_level() -> None:
    shown = shown_quantities(panes())
    chances = {quantity.chance for quantity in standard().values()}
    chosen = {
        "dimension", "participation_ratio", "saturation", "occupancy", "outside", "i_xt_lower", "i_ty_lower",
    }  # fmt: skip
    assert shown | chances - {""} | chosen == set(standard())
    assert not shown & chosen


def test_a_key_that_is_taken_is_refused() -> None:
    from ibtui.ui.panes.pane import Hotkey, Pane, pane

    @pane(hotkey=Hotkey("b", "", ""))
    class Second(Pane):
        pass

    with pytest.raises(UsageError, match="the key b is taken"):
        keys.bindings(panes() | {"second": Second})


def test_help_explains_every_pane_and_every_quantity() -> None:
    words = dict(definitions(panes(), standard().values()))
    for made in panes().values():
        assert all(words[word].startswith(text) for word, text in made.declared.help.items())
    texts = " ".join(words.values())
    assert all(quantity.description in texts for quantity in standard().values())


def test_help_explains_every_mark_and_word_that_is_no_number() -> None:
    """By what a newcomer sees: the words of the screen, and those for what is drawn."""
    words = definitions(panes(), standard().values())
    texts = " ".join(f"{word} {text}" for word, text in words)
    for seen in (
        "10·30·100", "chance levels", "Faint dots", "○", "Dashed lines", "Upright line", "Heavy frame",
        "by epoch", "newest N", "view N", "at most", "Skipped", "Moving loss", "PC 1 and 2", "Grey",
        "held out", "dotted", "Violet", "From the fifth layer on", "a class is drawn by a letter", "+2 more",
        "5 of 12 layers", "Zero, dead", "Saturated", "outside", "n/a", "not finite from epoch", "notebook",
        "cpu · fused", "H(X)", "H(Y)", "width", "[ ] and >", "Density", "Dead", "Stopped",
        "filled where a weight is positive", "time left", "≤ 5",
            "rises by itself: 5 epochs/s, 20 from epoch 40, 60 from epoch 200",
            "gluon is MXNet's", "fused is ibtui's own", "Estimating", "what only changes the view does not",
    ):  # fmt: skip
        assert seen in texts, seen
    headings = [text for word, text in words if not word]
    assert headings == ["Panes", "Marks and words", "Numbers"]
    place = [at for at, (word, _) in enumerate(words) if not word]
    assert place[1] - place[0] - 1 == len(panes())  # each pane first, in its words


@pytest.mark.parametrize(
    ("pane", "said"),
    [("i_ty", "10·30·100"), ("performance", "those held out"), ("net", "decision boundary"),
     ("quantity", "singular values"), ("plane", "a circle (○)")],
)  # fmt: skip
def test_the_help_of_a_pane_explains_what_it_shows_before_the_marks(pane: str, said: str) -> None:
    found = definitions_of(pane, panes(), {"dimension"}, standard().values())
    marks = found.index(("", "Marks and words"))
    assert any(said in f"{word} {text}" for word, text in found[:marks])


@pytest.mark.parametrize(
    "size",
    [(120, 40), *slow(view.FULL, (200, 60))],
)
def test_a_pane_of_another_package_is_on_the_screen_when_it_is_asked_for(size: tuple[int, int]) -> None:
    with with_plugin(*RUN, "--panes", "clock", columns=size[0], rows=size[1]) as terminal:
        terminal.until("it is epoch 60")
        terminal.until("information plane|plane")
        terminal.type("t")
        terminal.until("Esc back")
        assert "it is epoch 60" in terminal.text and "accuracy" not in terminal.text
        terminal.type("t")
        terminal.until("accuracy")
        terminal.until("┏ clock")  # it stays the chosen one
        terminal.type("\x1bOP")  # F1: help with the chosen pane
        terminal.until("in epochs")
        terminal.type("q")
        quit_without_saving(terminal)


@pytest.mark.slow
def test_a_quantity_of_another_package_is_on_the_screen() -> None:
    with with_plugin(*RUN, "--quantities", "spread") as terminal:
        terminal.until("finished")
        for label in ("participation", "saturation", "occupancy", "outside", "spread"):
            terminal.type("d")
            terminal.until(f"╭ {label}")
        terminal.until(r"layer 0  spread [\d.]+")
        terminal.type("d")
        terminal.until("╭ distance")
        terminal.type("d")
        terminal.until("╭ coarse cells")
        terminal.type("d")
        terminal.until("╭ dimension")
        quit_without_saving(terminal)


@pytest.mark.parametrize(("name", "said"), [("brokenpane", "loaded from broken:Pane"), ("clok", "clock")])
def test_a_pane_that_cannot_be_had_is_told_before_the_screen_opens(name: str, said: str) -> None:
    with with_plugin(*RUN, "--panes", name) as terminal:
        terminal.until(said)
        assert terminal.wait() == 2
        assert b"\x1b[?1049h" not in terminal.raw


@pytest.mark.parametrize(
    ("width", "height", "rows"),
    [
        (50, 3, ["one reason at some length", ""]),
        (20, 2, ["one reason at some", "length"]),
        (20, 1, ["one reason at some"]),
        (9, 4, ["short"]),
    ],
)
def test_a_message_is_whole_where_there_is_room_in_lines_or_in_shorter_words(
    width: int, height: int, rows: list[str]
) -> None:
    words = piece("one reason at some length", "short") if rows == ["short"] else "one reason at some length"
    styles = palette.styles("none", palette.DARK)
    drawn = message(words, view.View(), width, height, styles)
    assert [row.text.strip() for row in drawn if row.text.strip()] == [row for row in rows if row]
