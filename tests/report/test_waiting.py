"""A report that takes long says how far it is, on a terminal and nowhere else."""

from __future__ import annotations

import io

import pytest

from ibtui.config import RunConfig
from ibtui.recording import files
from ibtui.report import read_runs
from tests.faults.boxes import run_of

PATH = "[bold]a.npz"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Tty, io.StringIO])
def test_estimating_again_is_counted_on_a_terminal_alone(stream, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stderr", shown := stream())
    files.save(run_of(RunConfig(engine="fused", ctx="cpu", epochs=4, every=1, samples=40)), PATH)
    read_runs([PATH], None, {"t_bins": 7})
    assert (f"{PATH}: estimating" in shown.getvalue()) == (stream is Tty)
    read_runs([PATH], None, {"estimator": "kde"})
    assert (f"{PATH}: chance over 20 orders" in shown.getvalue()) == (stream is Tty)
    assert stream is Tty or not shown.getvalue()
