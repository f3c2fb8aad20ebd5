"""The bench of our own screen and processes: that every figure is there, not what it says."""

from __future__ import annotations

import math

import pytest

from ibtui.bench.effort import Effort
from ibtui.bench.running import measured
from tests.bench.groups import GROUPS

LEAST_ROWS = {"watching": 4, "screen": 11, "runs": 1}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.filterwarnings("default")
def test_every_row_is_there(group: str) -> None:
    said: list[str] = []
    report = measured({group: GROUPS[group]}, Effort(rounds=2, share=0.05, say=said.append))
    assert said
    assert not report.failed
    assert len(report.rows) >= LEAST_ROWS[group]
    assert len({row.name for row in report.rows}) == len(report.rows)
    for row in report.to_json()["rows"]:
        assert row["group"] == group
        for spread in filter(None, (row, row["ratio"])):
            assert all(0 < spread[key] < math.inf for key in ("median", "low", "high", "repeats"))
