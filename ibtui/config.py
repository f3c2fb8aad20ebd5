"""What a run is: its configuration, validated in one place, and its TOML and JSON forms."""

from __future__ import annotations

import difflib
import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ibtui.errors import UsageError, printable

ACTIVATIONS = ("tanh", "relu", "sigmoid")
BINNINGS = ("notebook", "closed", "adaptive")
ENGINES = ("auto", "gluon", "fused")
MARKERS = ("auto", "braille", "block", "ascii")

_CHOICES = {"activation": ACTIVATIONS, "binning": BINNINGS, "engine": ENGINES, "marker": MARKERS}

# Inclusive bounds. The upper ones are where a slip of the finger begins, not where the method ends.
_INTEGERS = {
    "epochs": (1, 100_000_000),
    "every": (1, 100_000_000),
    "batch_size": (1, 10_000_000),
    "grid": (2, 100),
    "samples": (4, 10_000_000),
    "data_seed": (0, 2**32 - 1),
    "seed": (0, 2**32 - 1),
    "x_bins": (1, 10_000),
    "t_bins": (1, 1_000_000),
    "history_mb": (1, 1_000_000),
}
_REALS = {
    "lr": (0.0, 1e6),
    "init_sigma": (0.0, 1e6),
    "epochs_per_second": (0.0, 1e9),
    "autosave": (0.0, 1e6),
}
_ZERO_IS_VALID = {"epochs_per_second", "autosave"}
MAX_LAYERS, MAX_WIDTH, MAX_PARAMETERS = 64, 4096, 1_000_000
MAX_ACTIVATIONS = 250_000_000
"""Samples times units: what one measurement computes, a gigabyte."""
_TOML_BYTES = 1 << 16


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers; a recording carries it as JSON.

    A value outside its domain raises `UsageError`, in one line that names it and says what would be right.
    """

    ctx: str = "auto"
    """Device: auto, cpu, gpu0, gpu1, …; in a recording, the one that trained."""
    engine: str = "auto"
    """auto, gluon or fused; in a recording, the one that trained."""
    epochs: int = 2000
    every: int = 10
    """Epochs between two measurements."""
    layers: tuple[int, ...] = (2, 2, 2, 2)
    """Widths, first hidden layer to output layer."""
    activation: str = "tanh"
    lr: float = 0.1
    batch_size: int = 10
    init_sigma: float = 1.0
    """Standard deviation of the initial weights."""
    grid: int = 2
    """Cells per axis of the labelled grid."""
    samples: int = 1000
    data_seed: int = 4
    seed: int = 1
    """Fixes initial weights and batch order."""
    x_bins: int = 4
    t_bins: int = 100
    binning: str = "notebook"

    def __post_init__(self) -> None:
        _validate(self)
        object.__setattr__(self, "layers", _layers(self.layers))
        units = sum(self.layers)
        if self.samples * units > MAX_ACTIVATIONS:
            most = MAX_ACTIVATIONS // units
            raise _wrong("samples", self.samples, f"at most {most:,} for a net of {units:,} units")
        if not (self.ctx in ("auto", "cpu") or (self.ctx[:3] == "gpu" and _is_index(self.ctx[3:]))):
            raise _wrong("ctx", self.ctx, "auto, cpu, gpu0, gpu1, …")

    def to_json(self) -> str:
        """The configuration as one line of JSON, keys in the order of the fields."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """The configuration that `to_json` wrote; `UsageError` where the text is no such thing."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError("configuration: not JSON") from error
        if not isinstance(values, dict):
            raise UsageError("configuration: not a JSON object")
        _refuse_unknown(values, (cls,), "configuration")
        missing = sorted({f.name for f in fields(cls)} - values.keys())
        if missing:
            raise UsageError(f"configuration: {missing[0]} is missing")
        return cls(**values)


@dataclass(frozen=True)
class WatchOptions:
    """How a run is watched and kept: nothing in here changes a number."""

    epochs_per_second: float = 60.0
    """Pace of the live screen; 0: as fast as the engine can."""
    history_mb: int = 256
    """Memory for activations of past measurements; beyond it they are derived from the weights again."""
    snapshot_dir: str = "."
    autosave: float | None = None
    """Minutes between two writes of the recording; 0: none; None: the front end's own default."""
    marker: str = "auto"
    paused: bool = False
    detach: bool = False
    """The run outlives its screen."""

    def __post_init__(self) -> None:
        _validate(self)


def read_toml(path: str) -> dict[str, Any]:
    """The settings in a configuration file, under the names of the fields of `RunConfig` and `WatchOptions`.

    Hyphens in keys are taken for underscores, so that a flag's name works as it is. An unknown key is
    refused, with the nearest known one; so is a value outside its domain, even where a flag will replace it.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    where = f"--config {printable(path)}"
    try:
        text = _read(path).decode()
    except _UnreadableError as error:
        raise UsageError(f"{where}: {error}; it takes a TOML file") from error
    except ValueError as error:
        raise UsageError(f"{where}: not text in UTF-8; it takes a TOML file") from error
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError alone: a number of thousands of digits
        raise UsageError(f"{where}: not TOML: {_brief(error, 200)}") from error
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in values:
            raise UsageError(f"{where}: {_brief(key)} is there twice, with a hyphen and with an underscore")
        values[name] = value
    _refuse_unknown(values, (RunConfig, WatchOptions), where)
    try:
        build(values)
    except UsageError as error:  # it speaks of a flag
        raise UsageError(f"{where}: {str(error).removeprefix('--')}") from error
    return values


def build(values: Mapping[str, Any]) -> tuple[RunConfig, WatchOptions]:
    """The run and its session from one mapping of field names to values; the rest takes its defaults."""
    run = {f.name: values[f.name] for f in fields(RunConfig) if f.name in values}
    session = {f.name: values[f.name] for f in fields(WatchOptions) if f.name in values}
    return RunConfig(**run), WatchOptions(**session)


class _UnreadableError(Exception):
    """Why a file gives no text."""


def _read(path: str) -> bytes:
    """What a small file holds; anything that could hang or go on for ever is refused."""

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # a pipe that nobody writes to is opened at once

    try:
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _UnreadableError("not a regular file")
            content = file.read(_TOML_BYTES + 1)
    except OSError as error:
        raise _UnreadableError(error.strerror or "cannot be read") from error
    except ValueError as error:
        raise _UnreadableError("not a file name") from error
    if len(content) > _TOML_BYTES:
        raise _UnreadableError(f"more than {_TOML_BYTES >> 10} kB, where a few lines are enough")
    return content


def _refuse_unknown(values: Mapping[str, Any], classes: tuple[Any, ...], where: str) -> None:
    known = [f.name for cls in classes for f in fields(cls)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key[:40], known, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            raise UsageError(f"{where}: unknown key {_brief(key)}{hint}")


def _wrong(name: str, value: object, right: str) -> UsageError:
    return UsageError(f"--{name.replace('_', '-')} {_brief(value)}: must be {right}")


def _brief(value: object, most: int = 60) -> str:
    """A value from outside as it may be shown: on one line, of a length that can be read."""
    try:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    except (ValueError, RecursionError):  # thousands of digits; lists in lists in lists …
        text = f"({type(value).__name__})"
    shown = printable(text[:most])
    return shown if len(text) <= most and len(shown) <= most else shown[: most - 1] + "…"


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and (text == "0" or text[0] != "0")


def _validate(config: RunConfig | WatchOptions) -> None:
    """Check and normalise every field that has a row in the tables above, in place."""
    for field in fields(config):
        name, value = field.name, getattr(config, field.name)
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise _wrong(name, value, " or ".join(_CHOICES[name]))
        elif name in _INTEGERS:
            low, high = _INTEGERS[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise _wrong(name, value, f"a whole number from {low} to {high}")
        elif name in _REALS:
            if value is not None or field.default is not None:
                object.__setattr__(config, name, _real(name, value))
        elif isinstance(field.default, bool):
            if not isinstance(value, bool):
                raise _wrong(name, value, "true or false")
        elif isinstance(field.default, str) and (not isinstance(value, str) or "\0" in value):
            raise _wrong(name, value, "text")


def _real(name: str, value: Any) -> float:
    low, high = _REALS[name]
    zero = name in _ZERO_IS_VALID
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # NaN fails every comparison, and so does an integer that no float can hold.
    if not number or not (low < value <= high or (zero and value == 0)):
        raise _wrong(name, value, f"a number {'from 0' if zero else 'above 0 and'} up to {high:g}")
    return float(value)


def _layers(value: Any) -> tuple[int, ...]:
    """Widths from a sequence of whole numbers, or from text such as "2,2,2,2"."""
    right = f"1 to {MAX_LAYERS} widths from 1 to {MAX_WIDTH} joined by commas, such as 2,2,2,2"
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not 1 <= len(parts) <= MAX_LAYERS:
        raise _wrong("layers", value, right)
    widths = []
    for part in parts:
        if isinstance(part, str) and part.strip().isascii() and part.strip().isdigit() and len(part) < 10:
            part = int(part)
        if isinstance(part, bool) or not isinstance(part, int) or not 1 <= part <= MAX_WIDTH:
            raise _wrong("layers", value, right)
        widths.append(part)
    if widths[-1] < 2:
        raise _wrong("layers", value, "such that the last layer has a unit per class, two at least")
    if sum(a * b for a, b in zip([2, *widths], widths, strict=False)) > MAX_PARAMETERS:
        raise _wrong("layers", value, f"widths that make at most {MAX_PARAMETERS:,} weights")
    return tuple(widths)
