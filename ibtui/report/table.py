"""All scalars of the runs as CSV or JSON: the recording's own numbers, to the last bit.

CSV: a row for each run, measurement and layer, in that order; numbers as Python writes them, which reads back
to the same float64, "nan" where there is none, and nothing where a run has no such quantity. What has one
value per measurement is repeated for its layers, counted from 0. JSON: a run is an object, its arrays under
the recording's own keys, (E,) or (E, L); what is not a finite number is null. Information is in nats.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from ibtui.report.recorded import BINNING, RecordedRun, in_order

_SETTINGS = ("seed", *BINNING)


def as_csv(runs: Sequence[RecordedRun]) -> str:
    """Write the table as CSV."""
    quantities = in_order({q.name: q for run in runs for q in run.quantities.values()}.values())
    of_layer = [q.name for q in quantities if q.per_layer]
    of_run = [q.name for q in quantities if not q.per_layer]
    ceilings = list(dict.fromkeys(name for run in runs for name in run.ceilings))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "epoch", "layer", *of_layer, *of_run, *ceilings, *_SETTINGS))
    for run in runs:
        columns = {name: run.columns[name].tolist() for name in run.quantities}
        fixed = [run.ceilings.get(name, "") for name in ceilings]
        fixed += [getattr(run.config, name) for name in _SETTINGS]
        for row, epoch in enumerate(run.epochs.tolist()):
            shared = [columns[name][row] if name in columns else "" for name in of_run]
            for layer in range(len(run.layers)):
                own = [columns[name][row][layer] if name in columns else "" for name in of_layer]
                writer.writerow((run.name, epoch, layer, *own, *shared, *fixed))
    return text.getvalue()


def as_json(runs: Sequence[RecordedRun]) -> str:
    """Write the same as JSON."""
    document = {
        "units": {"information": "nats", "loss": "nats", "epoch": "epochs trained"},
        "runs": [
            {
                "file": run.name,
                "config": json.loads(run.config.to_json()),
                **{name: _nullable(value) for name, value in run.ceilings.items()},
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
