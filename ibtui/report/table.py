"""All scalars of the runs as CSV or JSON: the recording's own numbers, to the last bit.

CSV: a row for each run, measurement and layer, in that order; numbers as Python writes them, which reads back
to the same float64, "nan" where there is none, and nothing where a run has no such quantity. What has one
value per measurement is repeated for its layers, counted from 0. JSON: a run is an object, its arrays under
the recording's own keys, (E,) or (E, L); what is not a finite number is null. Information is in nats.

Of several runs, the mean and the standard deviation (n - 1) over them follow, of what all have measured, at
the epochs that all have measured. CSV: rows whose file is "mean" or "standard deviation"; of ceilings and
settings they hold what is the same in all runs. JSON: two objects of these names beside "runs".
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ibtui.config import ESTIMATION
from ibtui.quantities import Array
from ibtui.report.recorded import (
    RecordedRun,
    common_epochs,
    in_order,
    over_runs,
    shared_quantities,
)

_SETTINGS = ("seed", *ESTIMATION)


def as_csv(runs: Sequence[RecordedRun]) -> str:
    """Write the table as CSV."""
    quantities = in_order({q.name: q for run in runs for q in run.quantities.values()}.values())
    of_layer = [q.name for q in quantities if q.per_layer]
    of_run = [q.name for q in quantities if not q.per_layer]
    ceilings = list(dict.fromkeys(name for run in runs for name in run.ceilings))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "epoch", "layer", *of_layer, *of_run, *ceilings, *_SETTINGS))

    def write(file: str, arrays: Mapping[str, Array], fixed: Sequence[Any]) -> None:
        columns = {name: values.tolist() for name, values in arrays.items()}
        for row, epoch in enumerate(columns["epoch"]):
            shared = [columns[name][row] if name in columns else "" for name in of_run]
            for layer in range(len(runs[0].layers)):
                own = [columns[name][row][layer] if name in columns else "" for name in of_layer]
                writer.writerow((file, epoch, layer, *own, *shared, *fixed))

    fixed = [
        [*(run.ceilings.get(name, "") for name in ceilings), *(getattr(run.config, s) for s in _SETTINGS)]
        for run in runs
    ]
    for run, values in zip(runs, fixed, strict=True):
        write(run.name, run.columns, values)
    same = [values[0] if len(set(values)) == 1 else "" for values in zip(*fixed, strict=True)]
    for name, columns in _over(runs).items():
        write(name, columns, same)
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
        **{
            name: {key: _nullable(values.tolist()) for key, values in columns.items()}
            for name, columns in _over(runs).items()
        },
    }
    return json.dumps(document, allow_nan=False) + "\n"


def _over(runs: Sequence[RecordedRun]) -> dict[str, dict[str, Array]]:
    """Return the mean and the standard deviation over runs, each with columns as a run's; none of one run."""
    if len(runs) == 1:
        return {}
    epochs = common_epochs(runs)
    mean, spread = {"epoch": epochs}, {"epoch": epochs}
    for name in (quantity.name for quantity in shared_quantities(runs)):
        mean[name], spread[name] = over_runs(runs, [run.columns[name] for run in runs], epochs)
    return {"mean": mean, "standard deviation": spread}


def _nullable(value: Any) -> Any:
    if isinstance(value, list):
        return [_nullable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
