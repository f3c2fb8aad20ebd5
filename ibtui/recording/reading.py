"""Reading a recording that anyone may have made: headers first, and nothing is ever unpickled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ibtui.archive import INTEGERS, RECORDING, TEXT, Archive, File, RefusedError, naming
from ibtui.config import MAX_ACTIVATIONS, RunConfig
from ibtui.core.names import WATCHED
from ibtui.data import MOST_CLASSES
from ibtui.data.samples import Dataset
from ibtui.engines import kind_of
from ibtui.engines.protocol import EngineKind
from ibtui.errors import RecordingError, UsageError, printable
from ibtui.quantities import Array, Quantity
from ibtui.quantities.meter import quantities
from ibtui.recording import machine
from ibtui.recording.history import Checkpoint, Experiment, Recording
from ibtui.recording.machine import Machine
from ibtui.recording.schema import (
    CEILINGS,
    LATER,
    READABLE,
    Change,
    Declarations,
    changes_from_json,
    names_from_json,
)
from ibtui.recording.streams import load_stream, peek_stream
from ibtui.stream import is_stream


@dataclass(frozen=True)
class Summary:
    """The contents of a file's headers and of its smallest arrays."""

    config: RunConfig
    rows: int
    checkpoint_epoch: int | None
    """The epoch that it can be gone on from; None: it cannot."""
    declared: Declarations
    changes: tuple[Change, ...]
    machine: Machine
    """The machine that computed it last; empty: the file does not say."""
    x_range: tuple[float, float] | None
    inputs: int
    """Inputs of each sample."""
    names: tuple[str, ...]
    """The classes as they are shown; empty: the file does not say."""


def peek(path: str | Path) -> Summary:
    """Check a file as `load` does, all but the contents of its large arrays, and say what it is of."""
    if is_stream(path):
        return _of_stream(path)
    with _opened(path) as archive:
        return _check_headers(archive)


def _of_stream(path: str | Path) -> Summary:
    recording, rows = peek_stream(path)
    experiment, dataset = recording.experiment, recording.dataset
    declared = Declarations(experiment.layers, experiment.quantities, experiment.kept, experiment.checkpoint)
    return Summary(
        experiment.config, rows, None, declared, (), {}, dataset.x_range, dataset.inputs, dataset.names
    )


def load(path: str | Path, *, history_bytes: int = 256 << 20) -> Recording:
    """Read a recording, a snapshot or a watched loop's stream that anyone may have made.

    Every header is read and checked before the first large array is, so that a file that lies about its
    sizes costs nothing; pickled objects are never read. Arrays must be what the run's engine declares, or
    where that is not installed what the file itself declares. `history_bytes` is as in `Recording`.

    Raises
    ------
    RecordingError
        Missing, truncated, foreign, of another schema or inconsistent: one line that says which.
    """
    if is_stream(path):
        return load_stream(path, history_bytes)
    with _opened(path) as archive:
        return _assemble(archive, _check_headers(archive), history_bytes)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Archive]:
    """Open a file; whatever goes wrong in the block becomes one line that names it."""
    with naming(printable(str(path)), RECORDING, RecordingError), File(path) as file:
        try:
            yield Archive(file)
        except UsageError as error:  # of the configuration in it
            raise RefusedError(str(error)) from error


def _check_headers(archive: Archive) -> Summary:
    """Check all headers, and the small arrays that decide about others."""
    f4, i8 = "<f4", "<i8"
    archive.expect("schema", (), *INTEGERS)
    if (schema := int(archive.array("schema"))) not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise RefusedError(f"written with schema {schema}; this version of ibtui reads schema {known}")
    archive.expect("config", (), *TEXT)
    config = RunConfig.from_json(archive.text("config"))

    samples, inputs = archive.expect("x", (None, None), f4)
    held_out, _ = archive.expect("x_test", (None, inputs), f4)
    archive.expect("y", (samples,), i8)
    archive.expect("y_test", (held_out,), i8)
    (rows,) = archive.expect("epoch", (None,), i8)
    (stored,) = archive.expect("t_index", (None,), i8)
    if not samples or not inputs or not (held_out or config.engine == WATCHED):
        raise RefusedError("it has no samples")
    if schema > 1:
        declared, changes = _newer(archive, config, inputs)
        x_range, rest = _x_range(archive), _check_parts(archive, samples, inputs)
    else:  # all files of schema 1 were of the grid, by engines for Dense layers
        measured = tuple(quantity for quantity in quantities() if quantity.name not in LATER)
        declared, changes = _of_engine(kind_of(config), config, inputs, measured), ()
        x_range, rest = (0.0, 1.0), 0
    most = _most_classes(config, declared)
    names = names_from_json(archive.text("names"), most) if archive.expected("names") else ()
    if "tops" in archive:
        archive.expect("tops", (len(declared.layers),), "<f8")
    if (samples + held_out + rest) * sum(layer.width for layer in declared.layers) > MAX_ACTIVATIONS:
        raise RefusedError("more samples than a net of its size can be measured with")
    if stored > rows:
        raise RefusedError("it has more activations than measurements")
    resumable = "checkpoint_epoch" in archive
    for key, (shape, dtype) in _arrays(declared, rows, stored, samples, resumable).items():
        archive.expect(key, shape, dtype)
    reached = int(archive.array("checkpoint_epoch")) if resumable else None
    if reached is not None and not 0 <= reached <= config.epochs:
        raise RefusedError("its checkpoint lies outside the run")
    computed_on: Machine = {}
    if "machine" in archive:
        archive.expect("machine", (), *TEXT)
        computed_on = machine.from_json(archive.text("machine"))
    return Summary(config, rows, reached, declared, changes, computed_on, x_range, inputs, names)


def _most_classes(config: RunConfig, declared: Declarations) -> int:
    """Return how many classes there may be: the units of the last layer, where that is the output."""
    return MOST_CLASSES if config.engine == WATCHED else declared.layers[-1].width


def _arrays(
    declared: Declarations, rows: int, stored: int, samples: int, resumable: bool
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and type of the arrays that must be in a file that declares this."""
    arrays: dict[str, tuple[tuple[int, ...], str]] = dict.fromkeys(CEILINGS, ((), "<f8"))
    for key, spec in declared.columns.items():
        arrays[key] = (rows, *spec.shape), np.dtype(spec.dtype).str
    for i, layer in enumerate(declared.layers):
        arrays[f"t{i}"] = (stored, samples, layer.width), "<f4"
    if resumable:
        arrays["checkpoint_epoch"] = (), "<i8"
        for key, spec in declared.checkpoint.items():
            arrays[f"checkpoint_{key}"] = spec.shape, np.dtype(spec.dtype).str
    return arrays


def _check_parts(archive: Archive, samples: int, inputs: int) -> int:
    """Check what says which samples train; return how many do so that are not measured."""
    if "trains" in archive:
        archive.expect("trains", (samples,), "|b1")
    if "names" in archive:
        archive.expect("names", (), *TEXT)
    if "x_rest" not in archive and "y_rest" not in archive:
        return 0
    rest, _ = archive.expect("x_rest", (None, inputs), "<f4")
    archive.expect("y_rest", (rest,), "<i8")
    return rest


def _x_range(archive: Archive) -> tuple[float, float] | None:
    """Return the range of the inputs, if the dataset declares one."""
    if "x_range" not in archive:
        return None
    archive.expect("x_range", (2,), "<f8")
    low, high = map(float, archive.array("x_range"))
    if not (np.isfinite([low, high]).all() and low < high):
        raise RefusedError("its x_range is no range")
    return low, high


def _newer(archive: Archive, config: RunConfig, inputs: int) -> tuple[Declarations, tuple[Change, ...]]:
    """Return what a file declares, once it agrees with what its engine and the standard quantities do."""
    keys = ("quantities", "layers", "kept", "checkpoint", "changes")
    for key in keys:
        archive.expect(key, (), *TEXT)
    texts = {key: archive.text(key) for key in keys}
    declared = Declarations.from_json(texts)
    engine = None
    with contextlib.suppress(UsageError):  # it is not installed here
        engine = kind_of(config)
    if engine is not None and declared != _of_engine(engine, config, inputs, declared.quantities):
        raise RefusedError(f"its layers or arrays are not those of the engine {config.engine}")
    found = {quantity.name: quantity for quantity in declared.quantities}
    for standard in quantities():
        if standard.name in LATER and standard.name not in found:
            continue
        if standard.name not in found or _essence(found[standard.name]) != _essence(standard):
            raise RefusedError(f"{standard.name} is missing from its quantities, or another one than here")
    return declared, changes_from_json(texts["changes"], config.epochs)


def _of_engine(
    engine: EngineKind, config: RunConfig, inputs: int, measured: tuple[Quantity, ...]
) -> Declarations:
    kept, checkpoint = engine.kept(config, inputs), engine.checkpoint(config, inputs)
    return Declarations(engine.layers(config), measured, kept, checkpoint)


def _essence(quantity: Quantity) -> tuple[object, ...]:
    """Return what must not differ between versions; words may."""
    q = quantity
    return q.per_layer, q.dtype, q.unit, q.ceiling, q.chance, q.rebinned


def _assemble(archive: Archive, summary: Summary, history_bytes: int) -> Recording:
    declared = summary.declared
    dataset = _dataset(archive, summary)
    epoch, index = archive.array("epoch"), archive.array("t_index")
    _check_values(summary, dataset, epoch, index)
    columns = {key: epoch if key == "epoch" else archive.array(key) for key in declared.columns}
    recording = Recording(
        Experiment(**vars(declared), config=summary.config, dataset=dataset),
        {key: float(archive.array(key)) for key in CEILINGS},
        changes=list(summary.changes),
        machine=summary.machine,
        tops=_tops(archive),
        history_bytes=history_bytes,
    )
    # Those beyond the budget, the oldest, are never in memory.
    kept = min(
        len(index), history_bytes // (4 * len(dataset.x) * sum(layer.width for layer in declared.layers))
    )
    layers = range(len(declared.layers))
    activations = zip(*(archive.last(f"t{layer}", kept) for layer in layers), strict=True)
    recording.fill(columns, dict(zip(index[len(index) - kept :].tolist(), activations, strict=True)))
    if summary.checkpoint_epoch is not None:
        state = {key: archive.array(f"checkpoint_{key}") for key in declared.checkpoint}
        recording.checkpoint = Checkpoint(summary.checkpoint_epoch, state)
    return recording


def _tops(archive: Archive) -> tuple[float, ...]:
    """Return the ends of ranges; a file of before has ranges of each measurement's own."""
    tops = archive.array("tops").tolist() if archive.expected("tops") else []
    if not all(0 <= top < np.inf for top in tops):
        raise RefusedError("its tops are no ends of ranges")
    return tuple(tops)


def _dataset(archive: Archive, summary: Summary) -> Dataset:
    x, y, x_test, y_test = (archive.array(key) for key in ("x", "y", "x_test", "y_test"))
    dataset = Dataset(x, y, x_test, y_test, summary.x_range, names=summary.names)
    if archive.expected("x_rest"):
        dataset = replace(dataset, x_rest=archive.array("x_rest"), y_rest=archive.array("y_rest"))
    if archive.expected("trains"):
        trains = archive.array("trains")
        if (trains.view(np.uint8) > 1).any():
            raise RefusedError("its trains are neither true nor false")
        if not trains.any() and not len(dataset.x_rest):
            raise RefusedError("it has no training samples")
        dataset = replace(dataset, trains=trains)
    return dataset


def _check_values(summary: Summary, dataset: Dataset, epoch: Array, index: Array) -> None:
    """Check what shapes cannot say. NaN among the measurements is no error: a run can diverge."""
    classes = _most_classes(summary.config, summary.declared)
    for y in (dataset.y, dataset.y_test, dataset.y_rest):
        if len(y) and (y.min() < 0 or y.max() >= classes):
            raise RefusedError(f"labels outside 0 … {classes - 1}")
    if dataset.names and len(dataset.names) < dataset.classes:
        raise RefusedError(f"{len(dataset.names)} names for {dataset.classes} classes")
    if not all(np.isfinite(x).all() for x in (dataset.x, dataset.x_test, dataset.x_rest)):
        raise RefusedError("inputs that are no numbers")
    if len(epoch) and (epoch[0] < 0 or epoch[-1] > summary.config.epochs or (epoch[1:] <= epoch[:-1]).any()):
        raise RefusedError("epochs that do not ascend, or lie outside the run")
    if len(index) and (index[0] < 0 or index[-1] >= len(epoch) or (index[1:] <= index[:-1]).any()):
        raise RefusedError("t_index names measurements that are not there")
