"""The groups of rows, in their order."""

from __future__ import annotations

from ibtui.bench.running import Group
from tests.bench import runs, screen, watching

GROUPS = {
    "watching": Group("watching a worker on the fused engine, without a limit to its pace", watching.measure),
    "screen": Group("screen at 120x40", screen.measure),
    "runs": Group("whole runs: 2,000 epochs, 201 measurements", runs.measure),
}
