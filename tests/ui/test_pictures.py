"""The committed screens, drawn again from the committed recording: their texts are the same.

`python screenshots/make.py` takes them anew where a change to the screen is meant.
"""

from __future__ import annotations

import asyncio

import pytest

from screenshots.screens import HERE, SCREENS, Screen, drawn
from tests.marks import slow

_QUICK = ("early-120x40", "live-40x12", "ascii-80x24")


@pytest.mark.parametrize(
    "screen",
    [s for s in SCREENS if s.name in _QUICK] + slow(*(s for s in SCREENS if s.name not in _QUICK)),
    ids=lambda screen: screen.name,
)
def test_a_committed_screen_is_drawn_as_it_was(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")  # regions are shades where there are sixteen colours
    monkeypatch.delenv("NO_COLOR", raising=False)
    text, _ = asyncio.run(drawn(screen))
    assert text.splitlines() == (HERE / f"{screen.name}.txt").read_text().splitlines()


def test_no_committed_screen_is_cut_off_or_empty() -> None:
    for screen in SCREENS:
        rows = (HERE / f"{screen.name}.txt").read_text().splitlines()
        assert len(rows) == screen.size[1]
        assert all(len(row) <= screen.size[0] for row in rows)
        assert all(row.strip() for row in rows)
        assert "cannot be drawn" not in "".join(rows)
        if screen.marker == "ascii":
            assert "".join(rows).isascii()


def test_the_moving_picture_is_small() -> None:
    assert (HERE / "story.gif").stat().st_size < 2e6
