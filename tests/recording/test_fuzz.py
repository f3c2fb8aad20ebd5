"""A short run of the fuzzer; `python -m tests.recording.fuzz` is the long one."""

from __future__ import annotations

import pytest

from tests.recording.fuzz import fuzz


@pytest.mark.slow
def test_mutated_recordings_load_correctly_or_are_refused_cleanly():
    outcomes, failures, _ = fuzz(300, seed=0)
    assert not failures
    assert outcomes["refused"] > 150
    assert outcomes["loaded"] > 15
