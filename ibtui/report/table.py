"""All scalars of the runs as CSV or JSON: the recording's own numbers, to the last bit.

CSV: a row for each run, measurement and layer, in that order, with the columns of `COLUMNS`; numbers as
Python writes them, which reads back to the same float64, and "nan" where there is none. JSON: a run is an
object, its arrays under the recording's own keys, (E,) or (E, L); what is not a finite number is null.
Information is in nats.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ibtui.recording import PER_LAYER, PERFORMANCE
from ibtui.report.runs import Run

_OF_LAYER = (
    "i_xt", "chance_i_xt", "i_ty", "chance_i_ty", "dimension", "participation_ratio", "saturation",
    "occupancy", "outside",
)  # fmt: skip
assert set(_OF_LAYER) == set(PER_LAYER)

COLUMNS = (
    "file", "epoch", "layer", *_OF_LAYER, *PERFORMANCE, "h_x", "h_y", "seed", "binning", "t_bins", "x_bins",
)  # fmt: skip
"""`layer` counts from 0; what follows `outside` repeats for the layers of a measurement."""


def as_csv(runs: Sequence[Run]) -> str:
    """The table as text; see the module."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in runs:
        c = run.config
        after = (run.h_x, run.h_y, c.seed, c.binning, c.t_bins, c.x_bins)
        of_layer = [run.columns[name].tolist() for name in _OF_LAYER]
        performance = [run.columns[name].tolist() for name in PERFORMANCE]
        for row, epoch in enumerate(run.epochs.tolist()):
            shared = [column[row] for column in performance]
            for layer in range(len(c.layers)):
                numbers = (column[row][layer] for column in of_layer)
                writer.writerow((run.name, epoch, layer, *numbers, *shared, *after))
    return text.getvalue()


def as_json(runs: Sequence[Run]) -> str:
    """The same as JSON; see the module."""
    document = {
        "units": {"information": "nats", "loss": "nats", "epoch": "epochs trained"},
        "runs": [
            {
                "file": run.name,
                "config": asdict(run.config),
                "h_x": _nullable(run.h_x),
                "h_y": _nullable(run.h_y),
                **{name: _nullable(values.tolist()) for name, values in run.columns.items()},
            }
            for run in runs
        ],
    }
    return json.dumps(document, allow_nan=False) + "\n"


def _nullable(value: Any) -> Any:
    if isinstance(value, list):
        return [_nullable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
