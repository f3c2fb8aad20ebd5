"""`ibtui report`: the figures of recordings in the terminal, or written as pictures and tables."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ibtui.errors import IbtuiError, UsageError, explain, printable
from ibtui.recording.files import check_writable, written_whole
from ibtui.report import pager
from ibtui.report.display import display_of
from ibtui.report.panels import Panel, Settings, panels
from ibtui.report.recorded import (
    RecordedRun,
    check_comparable,
    deciding,
    default_rows,
    nearest_rows,
    parse_epochs,
    read_run,
)
from ibtui.report.text import report_lines
from ibtui.report.words import estimator_in_brief
from ibtui.settings import flag

__all__ = ["Settings", "read_runs", "report"]

PICTURES = ("png", "svg", "pdf")
TABLES = ("csv", "json")


def report(
    paths: Sequence[str],
    outs: Sequence[str],
    asked: Mapping[str, Any],
    *,
    at: str | None = None,
    binning: Mapping[str, Any] | None = None,
    marker: str = "auto",
    force: bool = False,
    paged: bool = True,
) -> int:
    """Draw recordings in the terminal or write them to files; return 0. What cannot be is a `UsageError`.

    Parameters
    ----------
    paths : sequence of str
        Recordings; of several, the mean over runs is shown as well.
    outs : sequence of str
        Files to write: a picture (.png, .svg, .pdf) or a table (.csv, .json) each.
    asked : mapping
        Fields of `Settings`; for others the first recording decides.
    at : str, optional
        Epochs whose layers are drawn, such as "0,100,2000".
    binning : mapping, optional
        Some of `ibtui.config.ESTIMATION` with their values: the estimates are made again with these.
    force : bool
        Replace existing files.
    paged : bool
        Show what is higher than the terminal through the user's pager.
    """
    _check_outs(outs, force)
    display = None if outs else display_of(sys.stdout, os.environ, marker)
    pictured = display is not None or any(_kind(path) in PICTURES for path in outs)
    runs, notes = read_runs(paths, at, binning or {}, pictured)
    settings = Settings.of(runs[0], asked)
    drawn = panels(runs, settings)
    if display is None:
        print("\n".join(notes), end="\n" if notes else "")
        for path in outs:
            _write(path, runs, drawn, settings, notes, force)
    else:
        if display.plain and settings.plane_colour == "epoch":
            notes.append("--plane-colour epoch: there are no colours here; --out FILE.png has them")
        lines = report_lines(runs, drawn, settings, notes, display)
        pager.print_paged(lines, display.height if paged else len(lines), os.environ)
    return 0


def read_runs(
    paths: Sequence[str], at: str | None, binning: Mapping[str, Any], pictured: bool = True
) -> tuple[list[RecordedRun], list[str]]:
    """Read recordings one after another, to hold the activations of one at a time; also return notes.

    `pictured`: False where layers are not drawn, which takes much of the time.
    """
    seen: set[str] = set()
    for path in paths:
        if (file := os.path.realpath(path)) in seen:
            raise UsageError(f"{printable(path)}: given twice; a mean counts each run once")
        seen.add(file)
    wanted = None if at is None else parse_epochs(at)
    notes: list[str] = []

    def choose(path: str, epochs: Any) -> list[int]:
        if wanted is None:
            return default_rows(epochs) if len(paths) == 1 else [len(epochs) - 1]
        found, more = nearest_rows(epochs, wanted, printable(path))
        notes.extend(more)
        return found

    runs = [read_run(path, binning, partial(choose, path), pictured) for path in paths]
    notes += [f"{run.name}: its layers cannot be drawn: {run.missing}" for run in runs if run.missing]
    notes += [
        f"{run.name}: diverged: the loss is not finite from epoch {run.diverged_at:,} on"
        for run in runs
        if run.diverged_at is not None
    ]
    idle = [name for name in binning if not any(name in deciding(run.config) for run in runs)]
    notes += [f"{flag(name)} plays no part in {estimator_in_brief(runs[0].config)}" for name in idle]
    notes += check_comparable(runs)
    return runs, notes


def _check_outs(outs: Sequence[str], force: bool) -> None:
    """Refuse, before the recordings are read, what can be known to fail."""
    for path in outs:
        if _kind(path) not in PICTURES + TABLES:
            raise UsageError(f"--out {printable(path)}: must end in .png, .svg, .pdf, .csv or .json")
        if _kind(path) in PICTURES and importlib.util.find_spec("matplotlib") is None:
            raise UsageError(
                f"--out {printable(path)}: needs matplotlib; pip install '.[report]' in ibtui's folder"
            )
        check_writable(path, force=force)


def _kind(path: str) -> str:
    return Path(path).suffix.lower().lstrip(".")


def _write(
    path: str,
    runs: Sequence[RecordedRun],
    drawn: Sequence[Panel],
    settings: Settings,
    notes: Sequence[str],
    force: bool,
) -> None:
    kind, shown = _kind(path), printable(path)
    if kind in TABLES:
        from ibtui.report.table import as_csv, as_json

        content = (as_csv if kind == "csv" else as_json)(runs).encode("utf-8", "backslashreplace")
        written = "table, information in nats"
    else:
        from ibtui.report.figure import draw_figure

        content = draw_figure(runs, drawn, settings, notes, kind)
        written = "figure"
    try:
        with written_whole(path, overwrite=force) as file:
            file.write(content)
    except FileExistsError as error:
        raise UsageError(f"{shown}: appeared meanwhile; it was not replaced") from error
    except OSError as error:
        raise IbtuiError(f"{shown}: not written: {explain(error)}") from error
    print(f"wrote {shown} ({written})")
