"""Streams from a stranger, mutated."""

from __future__ import annotations

import pytest

from tests.marks import slow
from tests.watch.fuzz import fuzz


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mutants", [150, *slow(10_000)])
def test_mutated_streams_load_or_are_refused_cleanly(mutants):
    outcomes, failures = fuzz(mutants, seed=0)
    assert not failures
    assert outcomes["refused"] > mutants / 5 and outcomes["loaded"] > mutants / 5
