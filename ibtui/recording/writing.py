"""Writing a recording: plain `.npz`, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import zipfile
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from ibtui.quantities import Array
from ibtui.recording import machine
from ibtui.recording.history import Checkpoint, Recording
from ibtui.recording.paths import already_there, written_whole
from ibtui.recording.schema import CEILINGS, SCHEMA, changes_to_json, names_to_json


def save(
    recording: Recording,
    path: str | Path,
    *,
    rows: int | None = None,
    checkpoint: Checkpoint | None = None,
    overwrite: bool = False,
) -> int:
    """Write a recording, whole or not at all, and flushed to the disk; return the bytes written.

    The same recording gives the same bytes. Errors, links and `overwrite` are those of `written_whole`.
    Only the first `rows` are written where that is given; `checkpoint` goes before the recording's own.
    Another thread may go on appending to it.
    """
    with written_whole(path, overwrite=overwrite) as file:
        with recording.lock:
            rows = len(recording) if rows is None else min(rows, len(recording))
            members = list(_members(recording, rows, checkpoint or recording.checkpoint))
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for member in members:
                _write(archive, member)
        return file.tell()


class _Member(NamedTuple):
    """An array to write, in parts: a full history is never held in memory twice."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Iterable[Array]


def _members(recording: Recording, rows: int, checkpoint: Checkpoint | None) -> Iterator[_Member]:
    """Yield every key of the file, in its order."""

    def whole(key: str, value: Any, dtype: Any = None) -> _Member:
        array = np.asarray(value, dtype)
        return _Member(key, array.shape, array.dtype, (array,))

    experiment, dataset = recording.experiment, recording.dataset
    yield whole("schema", SCHEMA, np.int64)
    yield whole("config", recording.config.to_json())
    for key, text in experiment.to_json().items():
        yield whole(key, text)
    yield whole("changes", changes_to_json(recording.changes))
    if recording.machine:
        yield whole("machine", machine.to_json(recording.machine))
    if dataset.x_range is not None:
        yield whole("x_range", dataset.x_range, np.float64)
    # Where all that is measured trains, and nothing else does, no key says so.
    rest = ("x_rest", "y_rest") if len(dataset.x_rest) else ()
    for key in ("x", "y", "x_test", "y_test", *rest):
        yield whole(key, getattr(dataset, key), np.float32 if key[0] == "x" else np.int64)
    if not dataset.trains.all():
        yield whole("trains", dataset.trains, bool)
    if dataset.names:
        yield whole("names", names_to_json(dataset.names))
    if recording.tops:
        yield whole("tops", recording.tops, np.float64)
    for key in CEILINGS:
        yield whole(key, recording.ceilings.get(key, np.nan), np.float64)
    for key in recording.names:
        column = recording.column(key)[:rows]
        # Only estimates are ever written anew; what else is in a row that was appended stays as it is.
        yield whole(key, column.copy() if key in recording.rebinned else column)
    stored = [row for row in recording.stored if row < rows]
    kept = [recording.activations(row) or () for row in stored]
    yield whole("t_index", np.array(stored, np.int64))
    for layer, units in enumerate(recording.layers):
        shape = (len(stored), len(dataset.x), units.width)
        yield _Member(f"t{layer}", shape, np.dtype(np.float32), map(itemgetter(layer), kept))
    if checkpoint is not None:
        yield whole("checkpoint_epoch", checkpoint.epoch, np.int64)
        for key, spec in experiment.checkpoint.items():
            yield whole(f"checkpoint_{key}", checkpoint.state[key], spec.dtype)


def _write(archive: zipfile.ZipFile, member: _Member) -> None:
    info = zipfile.ZipInfo(f"{member.key}.npy", (1980, 1, 1, 0, 0, 0))
    header = {"descr": member.dtype.str, "fortran_order": False, "shape": member.shape}
    write_header: Any = npy.write_array_header_1_0
    with archive.open(info, "w", force_zip64=True) as file:
        write_header(file, header)
        for part in member.parts:
            file.write(np.ascontiguousarray(part, member.dtype).data)


def save_new(recording: Recording, folder: str | Path, stem: str, **options: Any) -> Path:
    """Write a recording as `stem`.npz in a folder, numbered if that name is taken; return its path."""
    for number in range(1, 10_000):
        path = Path(folder) / (f"{stem}.npz" if number == 1 else f"{stem}-{number}.npz")
        with contextlib.suppress(FileExistsError):
            save(recording, path, **options)
            return path
    raise already_there(Path(folder) / f"{stem}.npz")


def save_at(recording: Recording, place: str | Path, stem: str, **options: Any) -> Path:
    """Write a recording to this file or, if it is a folder, to a new one in it; return the file's path."""
    if Path(place).is_dir():
        return save_new(recording, place, stem, **options)
    if Path(place).suffix != ".npz":  # such as a folder that is not there, which a file is not to replace
        raise FileNotFoundError(errno.ENOENT, "no such folder, and no name of a file, which ends in .npz")
    save(recording, place, **options)
    return Path(place)
