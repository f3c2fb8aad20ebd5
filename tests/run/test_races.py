"""Any commands at any moments; `IBTUI_RACES=500` plays so many games, `IBTUI_RACES_SEED` begins at one."""

from __future__ import annotations

import os

import pytest

from tests.run.races import Game, children

GAMES = int(os.environ.get("IBTUI_RACES", "6"))
FIRST = int(os.environ.get("IBTUI_RACES_SEED", "1"))


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("seed", range(FIRST, FIRST + GAMES))
def test_whatever_is_asked_for_and_when(seed, tmp_path):
    """A failure says the seed in the test's name."""
    before = children()
    Game(seed, 40, tmp_path).play()
    assert children() <= before
