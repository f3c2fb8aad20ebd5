"""`ibtui report`: the figures of recordings in the terminal, or written as pictures and tables."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ibtui.errors import IbtuiError, UsageError, printable
from ibtui.recording.files import check_writable
from ibtui.recording.paths import put_in_place, temporary_file
from ibtui.report.figures import Settings, panels
from ibtui.report.plot import Style
from ibtui.report.runs import (
    BINNING,
    Run,
    check_comparable,
    default_rows,
    nearest_rows,
    parse_epochs,
    read_run,
)
from ibtui.report.terminal import LEAST_WIDTH, render

__all__ = ["BINNING", "Run", "Settings", "Style", "panels", "read_runs", "render", "report", "terminal_style"]

PICTURES = ("png", "svg", "pdf")
TABLES = ("csv", "json")
PIPED_WIDTH = 100


def report(
    paths: Sequence[str],
    outs: Sequence[str],
    settings: Settings,
    *,
    at: str | None = None,
    binning: Mapping[str, Any] | None = None,
    marker: str = "auto",
    force: bool = False,
) -> int:
    """Draw recordings in the terminal or, where `outs` names files, write them there instead.

    Parameters
    ----------
    paths : sequence of str
        Recordings; of several, the mean over runs is shown as well.
    outs : sequence of str
        Files to write: a picture (.png, .svg, .pdf) or a table (.csv, .json) each.
    settings : Settings
    at : str, optional
        Epochs whose layers are drawn, such as "0,100,2000".
    binning : mapping, optional
        `binning`, `t_bins`, `x_bins`: the estimates are made again with these.
    marker : {"auto", "braille", "block", "ascii"}
    force : bool
        Replace existing files.

    Returns
    -------
    int
        0.

    Raises
    ------
    UsageError
        Something cannot be read, written or drawn: one line that says what.
    """
    _check_outs(outs, force)
    style = None if outs else terminal_style(sys.stdout, os.environ, marker)
    runs, notes = read_runs(paths, at, binning or {})
    if style is None:
        _say(notes)
        for path in outs:
            _write(path, runs, settings, notes, force)
    else:
        print("\n".join(render(runs, panels(runs, settings), settings.unit, notes, style)))
    return 0


def read_runs(
    paths: Sequence[str], at: str | None, binning: Mapping[str, Any]
) -> tuple[list[Run], list[str]]:
    """The recordings one after another, so that the activations of one are held at a time; and notes."""
    seen: set[str] = set()
    for path in paths:
        if (file := os.path.realpath(path)) in seen:
            raise UsageError(f"{printable(path)}: given twice; a mean counts each run once")
        seen.add(file)
    wanted = None if at is None else parse_epochs(at)
    notes: list[str] = []

    def choose(path: str) -> Callable[[Any], list[int]]:
        def rows(epochs: Any) -> list[int]:
            if wanted is None:
                return default_rows(epochs) if len(paths) == 1 else [len(epochs) - 1]
            found, said = nearest_rows(epochs, wanted, printable(path))
            notes.extend(said)
            return found

        return rows

    runs = [read_run(path, binning, choose(path)) for path in paths]
    notes += check_comparable(runs)
    return runs, notes


def terminal_style(stream: IO[str], environment: Mapping[str, str], marker: str = "auto") -> Style:
    """What a stream can show: its size, its colours, and the markers of its encoding."""
    from rich.console import Console

    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    bare = encoding not in ("utf8", "utf16", "utf32") or environment.get("TERM") == "dumb"
    if marker == "auto":
        marker = "ascii" if bare else "braille"
    style = Style(width=PIPED_WIDTH, marker=marker)
    if not stream.isatty():
        return style
    size = shutil.get_terminal_size((PIPED_WIDTH, style.height))
    if size.columns < LEAST_WIDTH:
        raise UsageError(
            f"the figures need {LEAST_WIDTH} columns; this terminal has {size.columns}; see --out"
        )
    style = replace(style, width=size.columns, height=size.lines - 1)
    system = Console(file=stream).color_system
    if system is None or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return style
    return replace(
        style, colours="truecolor" if system == "truecolor" else "256" if system == "256" else "16"
    )


def _check_outs(outs: Sequence[str], force: bool) -> None:
    """Everything that can be known to fail before the recordings are read."""
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


def _write(path: str, runs: Sequence[Run], settings: Settings, notes: Sequence[str], force: bool) -> None:
    """Write one file, whole or not at all."""
    kind, shown = _kind(path), printable(path)
    if kind in TABLES:
        from ibtui.report.table import as_csv, as_json

        content = (as_csv if kind == "csv" else as_json)(runs).encode("utf-8", "backslashreplace")
        what = "table, information in nats"
    else:
        from ibtui.report.picture import draw

        content = draw(runs, panels(runs, settings), settings, notes, kind)
        what = "figure"
    try:
        temporary, handle = temporary_file(Path(path))
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            put_in_place(temporary, Path(path), force)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except FileExistsError as error:
        raise UsageError(f"{shown}: appeared meanwhile; it was not replaced") from error
    except OSError as error:
        raise IbtuiError(f"{shown}: not written: {error.strerror}") from error
    _say([f"wrote {shown} ({what})"])


def _say(lines: Sequence[str]) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    for line in lines:
        print(line.encode(encoding, "backslashreplace").decode(encoding))
