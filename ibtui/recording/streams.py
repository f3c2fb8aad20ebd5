"""From the stream that a watched loop writes to a recording; see `ibtui.stream` for the file's format.

A stream holds records of these kinds:

``begin``
    The loop: `name`, `pid`, `host`, `started` (the process, in its system's ticks), `began`, `every`.
``plan``
    `epochs`: how many there are to be in all; the last one counts.
``net``
    What is measured: `layers` (name, units, width, activation), `samples` (those that there were to choose
    from), `classes`, `x_range`, `notes`; the arrays `x` and `y`.
``row``
    A measurement: `epoch`, `scalars`, and an array `t0`, `t1`, … for each layer, or none of them.
``present``
    The same of a loop that waits: it is shown, and not recorded.
``end``
    `epoch`, and `why` where an exception has ended the loop.

All of it may come from a stranger.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ibtui.config import MAX_ACTIVATIONS, RunConfig
from ibtui.core.binning import Binning
from ibtui.core.kde import MOST_KDE
from ibtui.core.layer import Layer
from ibtui.core.names import MEASURED, WATCHED
from ibtui.data import MOST_CLASSES
from ibtui.data.samples import Dataset
from ibtui.errors import EngineError, RecordingError, UsageError, explain, printable
from ibtui.quantities import Array, Kept, Measurement, Quantity
from ibtui.quantities.meter import Meter, quantities
from ibtui.recording.history import Experiment, OnDisk, Recording, resolved
from ibtui.settings import is_number
from ibtui.stream import Place, Reader, Record

_log = logging.getLogger("ibtui")
MOST_SCALARS = 200
_MOST_EPOCHS = 100_000_000
_MOST_UNITS = 1 << 31
_MOST_SAMPLES = 10_000_000
_MOST_CHARACTERS = 200
_MOST_NOTES = 100
_STANDARD = {
    "loss": "train_loss", "accuracy": "train_accuracy", "val_loss": "test_loss",
    "val_accuracy": "test_accuracy",
}  # fmt: skip
"""Scalars that are drawn as ibtui's own quantities, besides those that are called as these are."""


@dataclass(frozen=True)
class Begun:
    """The loop, as it says itself."""

    name: str
    pid: int
    host: str
    started: int | None
    every: int | str


@dataclass(frozen=True)
class Net:
    """The layers and samples of a stream."""

    layers: tuple[Layer, ...]
    dataset: Dataset
    of: int
    """The samples that there were to choose from."""
    notes: tuple[str, ...]
    """Lines for the screen about the layers and samples."""


@dataclass(frozen=True)
class Row:
    """A measurement, its activations still in the file."""

    epoch: int
    scalars: Mapping[str, float]
    activations: Sequence[Array] | None
    """None: they were not written."""


class Stream:
    """A stream that is followed: `rows` reads on; the rest is as of the last record read.

    Raises
    ------
    RecordingError
        It is not there, is no stream, or holds what no loop writes; in `rows` too.
    """

    def __init__(self, path: str | Path) -> None:
        self._reader = Reader(path)
        self.shown = self._reader.shown
        self.begun: Begun | None = None
        self.net: Net | None = None
        self.planned: int | None = None
        self.present: Row | None = None
        self.ended: str | None = None
        """The fault that ended the loop: empty, none; None: the stream does not say that it has ended."""
        self.newest = -1
        """The epoch of the last measurement."""

    @property
    def damage(self) -> str:
        """The loss where something stands in the file that is no record, in words; empty: nothing is lost."""
        if not self._reader.damaged:
            return ""
        after = f"epoch {self.newest:,}" if self.newest >= 0 else "its beginning"
        return f"damaged: what was written after {after} cannot be read"

    def rows(self) -> Iterator[Row]:
        """Read on, and return measurements until there is none at the moment."""
        try:
            for record in self._reader.records():
                row = self._take(record)
                if row is not None:
                    yield row
        except OSError as error:
            raise RecordingError(f"{self.shown}: {explain(error)}") from error

    def _take(self, record: Record) -> Row | None:
        header = record.header
        match record.kind:
            case "begin" if self.begun is None:
                self.begun = _begun(header)
            case "plan":
                if (epochs := _whole(header.get("epochs"))) is not None:
                    self.planned = max(1, epochs)
            case "net" if self.net is None:
                self.net = self._net(record)
            case "row" | "present":
                row = self._row(record)
                if record.kind == "present":
                    self.present = row
                    return None
                if row.epoch <= self.newest:
                    raise self._wrong("epochs that do not ascend")
                self.newest = row.epoch
                return row
            case "end":
                self.ended = _text(header.get("why"))
        return None

    def _wrong(self, what: str) -> RecordingError:
        return RecordingError(f"{self.shown}: {what}")

    def _net(self, record: Record) -> Net:
        header, places = record.header, record.arrays
        listed = header.get("layers")
        layers = tuple(map(_layer, listed)) if isinstance(listed, list) else ()
        if not layers or None in layers or len(layers) > 256:
            raise self._wrong("no layers, or what are none")
        found = tuple(layer for layer in layers if layer is not None)
        x, y = places.get("x"), places.get("y")
        if x is None or y is None or x.dtype != "<f4" or y.dtype != "<i8" or len(x.shape) != 2:
            raise self._wrong("no samples")
        samples, inputs = x.shape
        if samples < 2 or not inputs or y.shape != (samples,):
            raise self._wrong("no samples")
        if samples * max(inputs, sum(layer.width for layer in found)) > MAX_ACTIVATIONS:
            raise self._wrong("more samples than can be measured")
        of = min(max(samples, _whole(header.get("samples")) or 0), _MOST_SAMPLES)
        return Net(found, self._dataset(header, x, y), of, _texts(header.get("notes"), _MOST_NOTES))

    def _dataset(self, header: Mapping[str, Any], x: Place, y: Place) -> Dataset:
        inputs, labels = self._reader.array(x), self._reader.array(y)
        names = _texts(header.get("classes"), MOST_CLASSES)
        if labels.min() < 0 or labels.max() >= max(2, len(names)) or not np.isfinite(inputs).all():
            raise self._wrong("labels of no class, or inputs that are no numbers")
        match header.get("x_range"):
            case None:
                x_range = None
            case [low, high] if _is_finite(low) and _is_finite(high) and low < high:
                x_range = float(low), float(high)
            case _:
                raise self._wrong("an x_range that is none")
        return Dataset(inputs, labels, inputs[:0], labels[:0], x_range, names=names if len(names) > 1 else ())

    def _row(self, record: Record) -> Row:
        header, places = record.header, record.arrays
        epoch, net = _whole(header.get("epoch")), self.net
        if epoch is None or epoch > _MOST_EPOCHS or net is None:
            raise self._wrong("a measurement of no epoch, or of no net")
        found = header.get("scalars")
        scalars = {
            _text(name): _real(value)
            for name, value in (found.items() if isinstance(found, dict) else ())
            if is_number(value) and _text(name)
        }
        if not places:
            return Row(epoch, scalars, None)
        samples = len(net.dataset.x)
        shapes = [(samples, layer.width) for layer in net.layers]
        layers = [places.get(f"t{i}") for i in range(len(shapes))]
        if [place and (place.dtype, place.shape) for place in layers] != [("<f4", shape) for shape in shapes]:
            raise self._wrong("activations that are not those of its layers")
        kept = [place for place in layers if place is not None]
        return Row(epoch, scalars, OnDisk(len(kept), lambda layer: self._activations(kept[layer])))

    def _activations(self, place: Place) -> Array:
        try:
            return self._reader.array(place)
        except OSError as error:
            raise EngineError(
                f"{self.shown}: its activations are not there any more: {explain(error)}"
            ) from None


def _begun(header: Mapping[str, Any]) -> Begun:
    every, pid = header.get("every"), _whole(header.get("pid"))
    if every not in ("auto", "log"):
        every = max(1, _whole(every) or 1)
    return Begun(
        _text(header.get("name")), pid or 0, _text(header.get("host")), _whole(header.get("started")), every
    )


def _layer(value: object) -> Layer | None:
    match value:
        case {"name": str(name), "width": int(width), "activation": str(activation), **more}:
            if activation in MEASURED and type(width) is int and 0 < width <= MAX_ACTIVATIONS:
                units = _whole(more.get("units")) or 0
                return Layer(
                    _text(name) or "?", width, activation, units if width < units < _MOST_UNITS else 0
                )
    return None


def _text(value: object) -> str:
    return printable(value[:_MOST_CHARACTERS]) if isinstance(value, str) else ""


def _texts(value: object, most: int) -> tuple[str, ...]:
    return tuple(map(_text, value[:most])) if isinstance(value, list) else ()


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= 2**62 else None


def _real(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def _is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(_real(value))


# Recordings.


class Recorder:
    """Keeps the recording of a stream whose net is known, measuring what comes."""

    def __init__(self, stream: Stream, scalars: Iterable[str] = (), history_bytes: int = 256 << 20) -> None:
        assert stream.net is not None
        self._stream, self._net = stream, stream.net
        self._columns: dict[str, str] = {}
        """Each scalar by its name, and the name of its column."""
        self._known = {quantity.name for quantity in quantities()}
        self._add(scalars)
        self.recording = self._empty(history_bytes)
        self.meter = meter_for(self.recording)
        self.recording.ceilings = self.meter.ceilings

    def _add(self, scalars: Iterable[str]) -> bool:
        """Give new scalars columns, as far as there may be more of them; return whether there are any."""
        new = [name for name in dict.fromkeys(scalars) if name not in self._columns]
        new = new[: MOST_SCALARS - len(self._columns)]
        for name in new:
            self._columns[name] = self._column(name)
        return bool(new)

    def _column(self, scalar: str) -> str:
        """Return the name of the column that holds a scalar."""
        name = _STANDARD.get(scalar, scalar)
        if name in _PERFORMANCE:
            return name
        clean = re.sub(r"[^A-Za-z0-9_]", "_", name)[:50]
        taken = {*self._known, *self._columns.values()}
        if not re.match(r"[A-Za-z_]", clean) or clean in taken or _RESERVED.fullmatch(clean):
            clean = f"logged_{clean}"
        numbers = (clean if n == 1 else f"{clean}_{n}" for n in range(1, MOST_SCALARS + 2))
        return next(each for each in numbers if each not in taken)

    def _experiment(self) -> Experiment:
        own = [
            Quantity(column, scalar, per_layer=False, low=None, description="A number that the loop logs.")
            for scalar, column in self._columns.items()
            if column not in _PERFORMANCE
        ]
        net = self._net
        config = resolved(_config(self._stream, net, self.epochs), net.layers, net.dataset)
        return Experiment(net.layers, (*quantities(), *own), {}, {}, config=config, dataset=net.dataset)

    @property
    def epochs(self) -> int:
        """The epochs that there are to be or, where nobody has said it, a number beyond the last measured."""
        newest = max(self._stream.newest, 9)
        planned = self._stream.planned
        return planned if planned is not None and planned >= newest else 10 ** len(str(newest))

    def _empty(self, history_bytes: int) -> Recording:
        return Recording(self._experiment(), history_bytes=history_bytes)

    def renew(self, row: Row | None = None) -> Recording | None:
        """Replace a recording that has no column for a row's scalars, or not so many epochs; None: it has."""
        new = row is not None and self._add(row.scalars)
        old = self.recording
        if not new and self.epochs == old.config.epochs:
            return None
        config = replace(old.config, epochs=self.epochs)
        recording = self._empty(old.history_bytes)
        recording.experiment = replace(recording.experiment, config=config)
        recording.take_over(old)
        self.recording = recording
        return recording

    def measure(self, row: Row) -> Measurement:
        """Measure a row, which need not be recorded."""
        scalars = {self._columns[name]: value for name, value in row.scalars.items() if name in self._columns}
        recording, meter = self.recording, self.meter
        meter.binning = recording.binning
        own = {name: np.array(scalars.get(name, math.nan)) for name in self._columns.values()}
        if row.activations is None:
            layers = len(self._net.layers)
            values = {
                q.name: np.zeros(layers, np.int64) if q.dtype == "int64" else np.full(layers, math.nan)
                for q in recording.quantities.values() if q.per_layer
            }  # fmt: skip
            performed = {name: np.array(scalars.get(name, math.nan)) for name in _PERFORMANCE}
            return Measurement(row.epoch, recording.binning, values | own | performed, {}, ())
        measured = meter.measure_activations(row.epoch, list(row.activations), scalars)
        recording.widen(measured.binning)
        return replace(measured, values={**own, **measured.values}, activations=row.activations)

    def append(self, row: Row) -> None:
        """Measure a row, and record it."""
        self.recording.append(self.measure(row))


_PERFORMANCE = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
_RESERVED = re.compile(r"(epoch|layer|file|x|y|t\d+|h_x|h_y|schema|config)")


def _config(stream: Stream, net: Net, epochs: int) -> RunConfig:
    """Return a configuration that says of a watched loop what there is to say."""
    every = stream.begun.every if stream.begun is not None else "auto"
    config = RunConfig(
        ctx="cpu", engine=WATCHED, data=WATCHED, epochs=epochs, every=every, measure_on="all",
        samples=max(4, net.of),
    )  # fmt: skip
    with contextlib.suppress(UsageError):  # widths that no engine of ours trains
        config = replace(config, layers=tuple(layer.width for layer in net.layers))
    return config


def meter_for(recording: Recording, binning: Binning | None = None, most_kde: int | None = MOST_KDE) -> Meter:
    """Return what measures a watched net, whose activations are stored, and whose loop reports the rest."""

    def forward(kept: Kept, x: Array) -> Sequence[Array]:
        raise EngineError("activations of a watched loop are not stored here, and cannot be computed again")

    return Meter(
        recording.dataset, recording.layers, binning or recording.binning, forward, most_kde=most_kde,
        reported=True,
    )  # fmt: skip


def load_stream(path: str | Path, history_bytes: int) -> Recording:
    """Read a stream as a recording, and measure all of it; raises as `Stream`."""
    stream, rows = _read(path)
    recorder = Recorder(stream, [name for row in rows for name in row.scalars], history_bytes)
    recording = recorder.recording
    recording.damage = stream.damage
    names = [layer.activation for layer in recording.layers]
    binning = recording.binning
    for row in rows:
        if row.activations is not None:
            binning = binning.covering(names, row.activations)
            if not binning.tops:  # it needs no ranges
                break
    recording.tops = binning.tops
    for row in rows:
        recorder.append(row)
    return recording


def peek_stream(path: str | Path) -> tuple[Recording, int]:
    """Return an empty recording of what a stream declares, and how many measurements it holds."""
    stream, rows = _read(path)
    return Recorder(stream, [name for row in rows for name in row.scalars]).recording, len(rows)


def _read(path: str | Path) -> tuple[Stream, list[Row]]:
    stream = Stream(path)
    rows = list(stream.rows())
    if stream.net is None:
        raise RecordingError(f"{stream.shown}: it holds no measurement yet")
    if damage := stream.damage:
        _log.warning("%s: %s", stream.shown, damage)
    # The file is all there is: nobody has planned more, or so much.
    if stream.planned is None or stream.planned < stream.newest:
        stream.planned = max(1, stream.newest)
    return stream, rows
