"""The imports of a front end: a fresh interpreter is asked for its modules."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import ibtui.cli", {"numpy", "numba", "mxnet", "textual", "rich", "plotext"}),
        ("import ibtui.core.information, ibtui.core.dimension", {"numba", "mxnet", "textual"}),
        ("import ibtui.record, ibtui.run.trainer", {"numba", "mxnet", "textual", "plotext"}),
        ("import ibtui.ui.app, ibtui.run.client", {"numba", "mxnet", "plotext", "matplotlib"}),
        ("import ibtui.run.worker", {"numba", "mxnet", "textual", "rich", "plotext"}),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(statement, forbidden):
    assert not loaded(statement) & forbidden
