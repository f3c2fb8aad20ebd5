"""The settings of a run: what decides its numbers, how it is watched, and their TOML and JSON forms.

To add a setting is to add a field; see `ibtui.settings`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from ibtui import pace, schedule
from ibtui.core.names import ACTIVATIONS, BINNINGS, ESTIMATORS
from ibtui.errors import UsageError, explain, hint, printable
from ibtui.presets import preset
from ibtui.settings import (
    Domain,
    UnfitError,
    brief,
    clean,
    dataset_name,
    items,
    name,
    names,
    one_of,
    optional,
    parsed,
    path,
    real,
    setting,
    setting_of,
    share,
    switch,
    whole,
    word_or,
    wrong,
)

# The upper bounds are where a slip of the finger begins, not where the method ends.
_SEED = whole(0, 2**32 - 1)
_EPOCHS = whole(1, 100_000_000)
MAX_LAYERS, MAX_WIDTH, MAX_PARAMETERS = 64, 4096, 1_000_000
MAX_ACTIVATIONS = 250_000_000
"""Samples times units: what one measurement computes, a gigabyte."""
ESTIMATION = ("estimator", "kde_noise", "binning", "t_bins", "t_width", "x", "x_bins")
"""The settings of estimates."""
MOST_MEASURED = 10_000
"""Samples that are measured where nothing else is said; of a grid it is all."""
UNITS = ("nats", "bits")
_TOML_BYTES = 1 << 16
_PRESET = "preset"
"""The key, and the flag, that names a preset."""

HEADINGS = RUN, DATA, TRAINING, MEASURING, WATCHING, KEEPING = (
    "run", "data", "net and training", "measuring", "watching", "keeping",
)  # fmt: skip
"""The headings of settings, in the order of `--help`."""


def device() -> Domain:
    """The device that trains: auto, cpu, or a GPU by its number."""

    def to_device(value: Any) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise UnfitError("text")
        if not re.fullmatch(r"auto|cpu|gpu(0|[1-9]\d{0,2})", value, re.ASCII):
            raise UnfitError
        return value

    return Domain("auto, cpu, gpu0, gpu1, …", to_device, "TEXT")


def widths() -> Domain:
    """Widths of layers: whole numbers in a list, or joined by commas; kept as a tuple."""
    right = f"1 to {MAX_LAYERS} widths from 1 to {MAX_WIDTH} joined by commas, such as 2,2,2,2"

    def to_tuple(value: Any) -> tuple[int, ...]:
        found = tuple(map(_width, items(value)))
        if not 1 <= len(found) <= MAX_LAYERS:
            raise UnfitError
        if found[-1] < 2:
            raise UnfitError(TOO_NARROW.format("two"))
        if weight_count(found) > MAX_PARAMETERS:
            raise UnfitError(TOO_MANY)
        return found

    return Domain(right, to_tuple, "N,N,...")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers; a recording carries it as JSON.

    A value outside its domain raises `UsageError`, in one line that names it and says what would be right.
    Whether there is a dataset, a quantity or an engine of a name is not checked: a recording stays readable
    without the package that brought it.
    """

    ctx: str = setting(
        "auto", device(), "device to train on; a recording names the one used", group=RUN,
        metavar="auto|cpu|gpu0|...",
    )  # fmt: skip
    engine: str = setting("auto", name(), "what trains; auto: MXNet Gluon if it can run, or fused", group=RUN)
    epochs: int = setting(2000, _EPOCHS, "epochs in all", group=RUN)
    every: int | str = setting(
        "auto", word_or("auto", "log", domain=_EPOCHS),
        "epochs between measurements; auto: 1 up to epoch 100, then 10; log: 20 per power of ten",
        group=MEASURING,
    )  # fmt: skip
    layers: tuple[int, ...] = setting(
        (2, 2, 2, 2), widths(), "width of each layer, first hidden layer to output", group=TRAINING
    )
    activation: str = setting("tanh", one_of(*ACTIVATIONS), "of every layer", group=TRAINING)
    output: str = setting(
        "same", one_of("same", "linear"), "activation of the last layer; same: as the others", group=TRAINING,
        since=2,
    )  # fmt: skip
    optimizer: str = setting(
        "sgd", one_of("sgd", "adam"), "the optimizer; adam uses 0.9, 0.999 and 1e-8", group=TRAINING, since=2
    )
    lr: float = setting(0.1, real(1e6), "learning rate", group=TRAINING)
    batch_size: int = setting(10, whole(1, 10_000_000), "samples in a batch", group=TRAINING)
    init: str = setting(
        "normal", one_of("normal", "fan-in"),
        "initial weights: normal, or truncated at two standard deviations of 1/sqrt(inputs)",
        group=TRAINING, since=2,
    )  # fmt: skip
    init_sigma: float = setting(
        1.0, real(1e6), "standard deviation of normal initial weights", group=TRAINING
    )
    data: str = setting(
        "grid", dataset_name(), "the dataset, such as moons:noise=0.2, or a file of x and y", group=DATA,
        metavar="NAME[:K=V,...]|FILE.npz", since=2,
    )  # fmt: skip
    grid: int = setting(2, whole(2, 100), "cells per axis of the labelled grid", group=DATA)
    samples: int = setting(1000, whole(4, 10_000_000), "number of samples drawn", group=DATA)
    split: float = setting(
        0.5, share(), "the share that trains; the others are held out", group=DATA, since=2
    )
    data_seed: int = setting(4, _SEED, "fixes the samples", group=DATA)
    seed: int = setting(1, _SEED, "fixes the initial weights and the order of batches", group=TRAINING)
    measure_on: str = setting(
        "train", one_of("train", "held-out", "all"), "the samples that are measured", group=MEASURING, since=2
    )
    measure_samples: int | str = setting(
        "auto", word_or("auto", domain=whole(4, 10_000_000)),
        "measure at most this many of them; auto: 10,000, or all of a grid", group=MEASURING, since=2,
    )  # fmt: skip
    measure_output: str = setting(
        "same", one_of("same", "softmax"), "measure the last layer as it is, or its softmax", group=MEASURING,
        since=2,
    )  # fmt: skip
    gradients: bool = setting(
        False, switch(), "measure the signal-to-noise ratio of the batches' gradients", group=MEASURING,
        since=2,
    )  # fmt: skip
    x: str = setting(
        "auto", one_of("auto", "grid", "identity"),
        "the cells of X: a grid on the range of the inputs, or a cell for each sample",
        group=MEASURING, since=2,
    )  # fmt: skip
    x_bins: int = setting(4, whole(1, 10_000), "bins per input", group=MEASURING)
    t_bins: int = setting(
        100, whole(1, 1_000_000), "bins per unit of each layer, on the range of its activation",
        group=MEASURING,
    )  # fmt: skip
    binning: str = setting(
        "auto", one_of("auto", *BINNINGS),
        "how activations are binned; auto: notebook for tanh and sigmoid, width for relu and linear",
        group=MEASURING,
    )  # fmt: skip
    t_width: float = setting(
        0.07, real(1e6), "width of a bin where --binning is width", group=MEASURING, since=2
    )
    estimator: str = setting(
        "binned", one_of(*ESTIMATORS), "what estimates information", group=MEASURING, since=2
    )
    kde_noise: float = setting(
        1e-3, real(1e6), "variance of the noise that kde assumes on activations", group=MEASURING, since=2
    )
    units: str = setting(
        "nats",
        one_of(*UNITS),
        "unit in which information is shown; files hold nats",
        group=MEASURING,
        since=2,
    )
    quantities: tuple[str, ...] = setting(
        (), names(), "measure these besides the standard ones", group=MEASURING, since=2
    )

    def __post_init__(self) -> None:
        clean(self)
        if "gradient_snr" in self.quantities:  # it is measured of nothing else
            object.__setattr__(self, "gradients", True)
        units = sum(self.layers)
        if (measured := self.most_measured) * units > MAX_ACTIVATIONS:
            most = MAX_ACTIVATIONS // units
            name = "samples" if self.measure_samples == "auto" else "measure_samples"
            raise wrong(name, measured, f"at most {most:,} for a net of {units:,} units")

    def scheduled(self, epoch: int) -> bool:
        """Return True where a measurement is due: at 0, by `every`, and at the last epoch."""
        return epoch == self.epochs or (epoch < self.epochs and schedule.has(self.every, epoch))

    def next_scheduled(self, epoch: int) -> int:
        """Return the first epoch after this one at which a measurement is due; the last has none after it."""
        return min(self.epochs, schedule.following(self.every, epoch))

    @property
    def planned(self) -> int:
        """The number of measurements of the whole run."""
        return schedule.count(self.every, self.epochs) + 1

    @property
    def most_measured(self) -> int:
        """The number of samples that are measured at most."""
        if isinstance(self.measure_samples, int):
            return self.measure_samples
        return self.samples if self.data == "grid" else MOST_MEASURED

    @property
    def deciding(self) -> tuple[str, ...]:
        """The settings that decide an estimate, where binning and cells of X are settled."""
        if self.estimator == "kde":
            return ("estimator", "kde_noise")
        bins = "t_width" if self.binning == "width" else "t_bins"
        return ("estimator", "binning", bins, "x", *(("x_bins",) if self.x == "grid" else ()))

    def to_json(self) -> str:
        """Return the configuration as one line of JSON, keys in the order of the fields."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Return what `to_json` wrote, now or in an earlier version; `UsageError` where it did not."""
        values = parsed(text, "configuration")
        if not isinstance(values, dict):
            raise UsageError("configuration: not a JSON object")
        _refuse_unknown_keys(values, (cls,), "configuration")
        always = {f.name for f in fields(cls) if setting_of(f).since == 1}
        if missing := sorted(always - values.keys()):
            raise UsageError(f"configuration: {missing[0]} is missing")
        return cls(**values)


@dataclass(frozen=True)
class WatchOptions:
    """The settings of watching and keeping a run: none of them changes a number."""

    epochs_per_second: float | str = setting(
        pace.AUTO, word_or(pace.AUTO, domain=real(1e9, zero=True)),
        "pace of the live screen; auto: 5 to epoch 40, 20 to 200, then 60; 0: as fast as it can",
        group=WATCHING, metavar="auto|N",
    )  # fmt: skip
    history_mb: int = setting(
        256, whole(1, 1_000_000), "memory for past activations; beyond it they are computed again",
        group=KEEPING,
    )  # fmt: skip
    snapshot_dir: str = setting(".", path(), "where the key w saves", group=WATCHING, metavar="DIR")
    autosave: float | None = setting(
        None, optional(real(1e6, zero=True)),
        "time between two writes of the recording; 0: none (1 with --record, else 0)",
        group=KEEPING, metavar="MINUTES",
    )  # fmt: skip
    marker: str = setting(
        "auto",
        one_of("auto", "braille", "block", "ascii"),
        "the characters that plots are drawn with",
        group=WATCHING,
    )
    panes: tuple[str, ...] = setting((), names(), "show these panes too", group=WATCHING)
    paused: bool = setting(False, switch(), "wait for a key before training", group=WATCHING)
    detach: bool = setting(
        False, switch(), "keep running when the terminal closes; see ibtui ls, attach, stop", group=WATCHING
    )

    def __post_init__(self) -> None:
        clean(self)


def read_toml(
    path: str, check: Callable[[RunConfig, WatchOptions], None] = lambda *_: None
) -> dict[str, Any]:
    """Return the settings in a file, under the names of the fields of `RunConfig` and `WatchOptions`.

    Hyphens in keys are read as underscores, so that a flag's name works as it is. A value that is outside its
    domain, or that `check` refuses, is a `UsageError` even where a flag would replace it.
    """
    where = f"--config {printable(path)}"
    values: dict[str, Any] = {}
    for key, value in _table(path, where).items():
        if isinstance(value, dict):
            raise UsageError(f"{where}: [{brief(key)}]: keys stand at the top of the file, in no section")
        name = key.replace("-", "_")
        if name in values:
            raise UsageError(f"{where}: {brief(key)} is there twice, with a hyphen and with an underscore")
        values[name] = value
    _refuse_unknown_keys(values, (RunConfig, WatchOptions), where, _PRESET)
    try:
        check(*build(values))
    except UsageError as error:  # it names a flag
        raise UsageError(f"{where}: {str(error).removeprefix('--')}") from error
    return values


def build(values: Mapping[str, Any]) -> tuple[RunConfig, WatchOptions]:
    """Make both from one mapping of field names to values; what is not in it takes its default.

    With `preset`, the name of one, what is not in the mapping is taken from that first.
    """
    values = with_preset(values)
    run = {f.name: values[f.name] for f in fields(RunConfig) if f.name in values}
    watch = {f.name: values[f.name] for f in fields(WatchOptions) if f.name in values}
    return RunConfig(**run), WatchOptions(**watch)


def with_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of the preset that they name, which they go before."""
    own = {name: value for name, value in values.items() if name != _PRESET}
    return {**preset(values[_PRESET]).settings, **own} if _PRESET in values else own


def _table(path: str, where: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        text = _read(path).decode("utf-8-sig")  # some editors begin a file with a byte-order mark
    except UsageError as error:
        raise UsageError(f"{where}: {error}; it takes a TOML file") from error
    except ValueError as error:
        raise UsageError(f"{where}: not text in UTF-8; it takes a TOML file") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError alone: a number of thousands of digits
        raise UsageError(f"{where}: not TOML: {brief(error, 200)}") from error


def _read(path: str) -> bytes:
    """Return what a small file holds; anything that could hang or go on for ever is refused."""

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # a pipe that nobody writes to is opened at once

    try:
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError("not a regular file")
            content = file.read(_TOML_BYTES + 1)
    except OSError as error:
        raise UsageError(explain(error)) from error
    except ValueError as error:
        raise UsageError("not a file name") from error
    if len(content) > _TOML_BYTES:
        raise UsageError(f"more than {_TOML_BYTES >> 10} kB, where a few lines are enough")
    return content


def _refuse_unknown_keys(
    values: Mapping[str, Any], classes: tuple[Any, ...], where: str, *others: str
) -> None:
    known = [*(f.name for cls in classes for f in fields(cls)), *others]
    for key in values:
        if key not in known:
            raise UsageError(f"{where}: unknown key {brief(key)}; {hint(key, known, 'known:')}")


TOO_NARROW = "such that the last layer has a unit per class, {} at least"
TOO_MANY = f"widths that make at most {MAX_PARAMETERS:,} weights"


def _width(part: Any) -> int:
    if isinstance(part, str) and part.isascii() and part.isdigit() and len(part) < 10:
        part = int(part)
    if isinstance(part, bool) or not isinstance(part, int) or not 1 <= part <= MAX_WIDTH:
        raise UnfitError
    return part


def weight_count(widths: tuple[int, ...]) -> int:
    """Return the number of weights between neighbours in a chain of layers."""
    return sum(a * b for a, b in pairwise(widths))
