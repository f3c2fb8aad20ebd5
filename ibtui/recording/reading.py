"""Reading a recording that anyone may have made: headers first, and nothing is ever unpickled."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import resource
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ibtui.config import MAX_ACTIVATIONS, RunConfig
from ibtui.data import Dataset
from ibtui.engines import kind_of
from ibtui.errors import RecordingError, UsageError, printable
from ibtui.quantities.meter import quantities
from ibtui.recording.history import Checkpoint, Experiment, Recording

Array = np.ndarray[Any, Any]

SCHEMA = 1
"""Of the files that are written; those of another one are refused by name."""


@dataclass(frozen=True)
class Summary:
    """What a file's headers and its smallest arrays say."""

    config: RunConfig
    rows: int
    checkpoint_epoch: int | None
    """The epoch that it can be gone on from; None: it cannot."""


def peek(path: str | Path) -> Summary:
    """Check that a file is a recording, all but the contents of its large arrays, and say what it is of.

    Raises
    ------
    RecordingError
        As `load` does.
    """
    with _opened(path) as reader:
        return _check_headers(reader)


def load(path: str | Path, *, history_bytes: int = 256 << 20) -> Recording:
    """Read a recording or a snapshot that anyone may have made.

    Every header is read and checked before the first large array is, so that a file that lies about its
    sizes costs nothing; pickled objects are never read.

    Parameters
    ----------
    path : str or Path
    history_bytes : int
        Budget for the activations that are kept in memory; see `Recording`.

    Raises
    ------
    RecordingError
        Missing, truncated, foreign, of another schema or inconsistent: one line that says which.
    """
    with _opened(path) as reader:
        return _assemble(reader, _check_headers(reader), history_bytes)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[_Reader]:
    """A reader of the file; whatever goes wrong in the block becomes one line that names the file."""
    shown = printable(str(path))
    try:
        with _File(path) as file:
            if file.read(4) != b"PK\x03\x04":  # numpy, too, takes an archive that begins later for none
                raise _RefusedError("not a recording of ibtui")
            with zipfile.ZipFile(file) as archive:
                file.longest = file.size
                yield _Reader(archive, file.size)
    except (_RefusedError, UsageError) as error:
        raise RecordingError(f"{shown}: {error}") from error
    except OSError as error:
        raise RecordingError(f"{shown}: {error.strerror or 'cannot be read'}") from error
    except MemoryError as error:
        raise RecordingError(f"{shown}: more than this machine's memory holds") from error
    except Exception as error:  # zipfile and zlib raise many kinds on bytes that are no recording
        raise RecordingError(f"{shown}: not a recording of ibtui, or a damaged one") from error


class _RefusedError(Exception):
    """Why a file is no recording."""


class _File(io.FileIO):
    """A regular file of which no long piece is read while its archive's directory is looked for.

    `zipfile` reads the whole directory at once, however long it says it is.
    """

    def __init__(self, path: str | Path) -> None:
        # Without waiting: a pipe that nobody writes to is opened at once.
        try:
            super().__init__(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
        except ValueError as error:
            raise _RefusedError("not a file name") from error
        status = os.fstat(self.fileno())
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise _RefusedError("not a regular file")
        self.size = status.st_size
        self.longest = _DIRECTORY_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.longest:
            raise _RefusedError("not a recording of ibtui: its directory is too long")
        return super().read(size) or b""


_HEADER = re.compile(
    rb"\{'descr': '([^']{1,20})', 'fortran_order': (True|False), "
    rb"'shape': \((|\d{1,18},|\d{1,18}(?:, \d{1,18}){1,31})\), \} *\n"
)
"""As numpy writes it for a plain array. Its own reader would evaluate a stranger's text as Python."""
_HEADER_BYTES = 4096
_DIRECTORY_BYTES = 1 << 20
_TEXT_BYTES = 4 << 16
_UNPACKED_BYTES = 1 << 30
"""What compressed arrays may come to: a small file must not fill the memory."""
_PACKING = 1100
"""More than deflate can make of a byte."""
_CHUNK = 1 << 20
_INTEGERS = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8")


class _Reader:
    """The headers of an archive's arrays, and the arrays themselves once their headers were found good."""

    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self._archive, self._file_bytes = archive, file_bytes
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            if info.filename in self._infos:
                raise _RefusedError(f"damaged: {printable(info.filename[:60])} is there twice")
            self._infos[info.filename] = info
        self._found: dict[str, tuple[tuple[int, ...], str, int]] = {}
        self._bytes = self._unpacked = 0
        self._limit = _memory()

    def __contains__(self, key: str) -> bool:
        return f"{key}.npy" in self._infos

    def expect(self, key: str, shape: tuple[int | None, ...], *types: str) -> tuple[int, ...]:
        """Check an array's header (None in `shape`: any length; "<U": text); returns its shape."""
        info = self._infos.get(f"{key}.npy")
        if info is None:
            raise _RefusedError(f"not a recording of ibtui: {key} is missing")
        self._check_sizes(key, info)
        actual, dtype, start = self._header(key, info)
        if len(actual) != len(shape) or any(w not in (None, a) for a, w in zip(actual, shape, strict=True)):
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise _RefusedError(f"{key} has the shape {actual}, not ({wanted})")
        if dtype not in types and not (types == ("<U",) and re.fullmatch(r"<U[0-9]{1,9}", dtype)):
            raise _RefusedError(f"{key} is of type {printable(dtype)}, not {' or '.join(types)}")
        item = 4 * int(dtype[2:]) if dtype.startswith("<U") else int(dtype[2:])
        if start + math.prod(actual) * item != info.file_size:
            raise _RefusedError(f"damaged: {key} has not the size that it declares")
        self._found[key] = actual, dtype, start
        return actual

    def _check_sizes(self, key: str, info: zipfile.ZipInfo) -> None:
        """Whether a member can be as large as it says, and fits in with the others."""
        packed = info.compress_type == zipfile.ZIP_DEFLATED
        if info.flag_bits & 1 or not (packed or info.compress_type == zipfile.ZIP_STORED):
            raise _RefusedError(f"{key} is encrypted or packed in an unknown way")
        most = _PACKING * (info.compress_size + 1) if packed else info.compress_size
        if info.compress_size > self._file_bytes or info.file_size > most:
            raise _RefusedError(f"damaged: {key} is larger than the file")
        self._bytes += info.file_size
        if self._bytes > self._limit:
            raise _RefusedError(f"more than {self._limit >> 20} MB, past what this machine's memory holds")
        self._unpacked += info.file_size if packed else 0
        if self._unpacked > _UNPACKED_BYTES:
            raise _RefusedError(f"more than {_UNPACKED_BYTES >> 20} MB of compressed arrays")

    def _header(self, key: str, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], str, int]:
        """Shape, dtype and where the data begin."""
        with self._archive.open(info) as member:
            head = member.read(_HEADER_BYTES)
        if head[:8] != b"\x93NUMPY\x01\x00":
            raise _RefusedError(f"damaged: {key} is no array")
        start = 10 + int.from_bytes(head[8:10], "little")
        match = _HEADER.fullmatch(head[10:start])
        if match is None:
            raise _RefusedError(f"{key} is no plain array")
        dtype = match[1].decode("latin-1")
        if "O" in dtype:
            raise _RefusedError(f"{key} holds pickled objects, which are never read")
        if match[2] == b"True":
            raise _RefusedError(f"{key} is in Fortran order, not in C order")
        return tuple(int(n) for n in re.findall(rb"\d+", match[3])), dtype, start

    @contextlib.contextmanager
    def _data(self, key: str) -> Iterator[IO[bytes]]:
        """The bytes of an array; they must be read to their end, where their checksum is."""
        with self._archive.open(f"{key}.npy") as member:
            member.read(self._found[key][2])
            yield member

    def array(self, key: str) -> Array:
        """An array whose header was found good."""
        shape, dtype, _ = self._found[key]
        array = np.empty(shape, dtype)
        with self._data(key) as member:
            _fill(member, array)
        return array

    def last(self, key: str, count: int) -> list[Array]:
        """The last `count` of the arrays that an array is made of, each in memory of its own."""
        shape, dtype, _ = self._found[key]
        one = np.empty(shape[1:], dtype)
        with self._data(key) as member:
            for _ in range(shape[0] - count):
                _fill(member, one)
            arrays = [np.empty(shape[1:], dtype) for _ in range(count)]
            for array in arrays:
                _fill(member, array)
        return arrays

    def integer(self, key: str) -> int:
        """An array of shape () and any integer type."""
        with self._data(key) as member:
            return int.from_bytes(member.read(9), "little", signed="i" in self._found[key][1])

    def text(self, key: str) -> str:
        """An array of shape () and type "<U", which is not to be long."""
        if self._infos[f"{key}.npy"].file_size > _TEXT_BYTES:
            raise _RefusedError(f"its {key} is too long")
        with self._data(key) as member:
            return member.read().decode("utf-32-le").rstrip("\0")


def _fill(member: IO[bytes], array: Array) -> None:
    if not array.size:
        return
    view = array.reshape(-1).view(np.uint8)
    for start in range(0, len(view), _CHUNK):
        part = view[start : start + _CHUNK]
        part[:] = np.frombuffer(member.read(len(part)), np.uint8)  # ValueError where there is less


def _memory() -> int:
    """Bytes that a recording may take: what the machine, the container and the process's limit allow."""
    limits = [4 << 30]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):
        if match := re.search(r"^MemAvailable: *(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE):
            limits.append(int(match[1]) << 10)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(Path(path).read_text()))
    if (own := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        limits.append(own)
    return min(limits)


def _check_headers(read: _Reader) -> Summary:
    """Headers, and the small arrays that decide about others."""
    f4, f8, i8 = "<f4", "<f8", "<i8"
    read.expect("schema", (), *_INTEGERS)
    if (schema := read.integer("schema")) != SCHEMA:
        raise _RefusedError(f"written with schema {schema}; this version of ibtui reads schema {SCHEMA}")
    read.expect("config", (), "<U")
    config = RunConfig.from_json(read.text("config"))

    samples, inputs = read.expect("x", (None, None), f4)
    held_out, _ = read.expect("x_test", (None, inputs), f4)
    read.expect("y", (samples,), i8)
    read.expect("y_test", (held_out,), i8)
    (rows,) = read.expect("epoch", (None,), i8)
    (kept,) = read.expect("t_index", (None,), i8)
    if not samples or not inputs or not held_out:
        raise _RefusedError("it has no samples")
    if (samples + held_out) * sum(config.layers) > MAX_ACTIVATIONS:
        raise _RefusedError("more samples than a net of its size can be measured with")
    if kept > rows:
        raise _RefusedError("it has more activations than measurements")
    expected: dict[str, tuple[tuple[int, ...], str]] = {"h_x": ((), f8), "h_y": ((), f8)}
    kind = kind_of(config)
    columns: dict[str, tuple[tuple[int, ...], str]] = {
        q.name: ((len(config.layers),) if q.per_layer else (), q.dtype) for q in quantities(config.quantities)
    }
    columns |= {key: (spec.shape, spec.dtype) for key, spec in kind.kept(config, inputs).items()}
    expected |= {key: ((rows, *shape), np.dtype(dtype).str) for key, (shape, dtype) in columns.items()}
    expected |= {f"t{layer}": ((kept, samples, width), f4) for layer, width in enumerate(config.layers)}
    resumable = "checkpoint_epoch" in read
    if resumable:
        expected |= {"checkpoint_epoch": ((), i8), "checkpoint_moving_loss": ((), f8)}
        for key, spec in kind.kept(config, inputs).items():
            expected[f"checkpoint_{key}"] = spec.shape, f4
    for key, (shape, dtype) in expected.items():
        read.expect(key, shape, dtype)
    reached = read.integer("checkpoint_epoch") if resumable else None
    if reached is not None and not 0 <= reached <= config.epochs:
        raise _RefusedError("its checkpoint lies outside the run")
    return Summary(config, rows, reached)


def _assemble(read: _Reader, summary: Summary, history_bytes: int) -> Recording:
    """The arrays, once all headers are known to agree."""
    config, layers = summary.config, range(len(summary.config.layers))
    dataset = Dataset(read.array("x"), read.array("y"), read.array("x_test"), read.array("y_test"))
    epoch, index = read.array("epoch"), read.array("t_index")
    _check_values(config, dataset, epoch, index)
    kind = kind_of(config)
    experiment = Experiment(
        config,
        dataset,
        kind.layers(config),
        quantities(config.quantities),
        kind.kept(config, dataset.inputs),
        kind.checkpoint(config, dataset.inputs),
    )
    columns = {key: epoch if key == "epoch" else read.array(key) for key in experiment.columns}
    ceilings = {"h_x": float(read.array("h_x")), "h_y": float(read.array("h_y"))}
    recording = Recording(experiment, ceilings, history_bytes=history_bytes)
    # The oldest are not even kept for a moment where they pass the budget.
    kept = min(len(index), history_bytes // (4 * len(dataset.x) * sum(config.layers)))
    activations = zip(*(read.last(f"t{layer}", kept) for layer in layers), strict=True)
    recording.fill(columns, dict(zip(index[len(index) - kept :].tolist(), activations, strict=True)))
    if summary.checkpoint_epoch is not None:
        recording.checkpoint = Checkpoint(
            summary.checkpoint_epoch,
            {key: read.array(f"checkpoint_{key}") for key in experiment.checkpoint},
        )
    return recording


def _check_values(config: RunConfig, dataset: Dataset, epoch: Array, index: Array) -> None:
    """What shapes cannot say. NaN among the measurements is no error: a run can diverge."""
    classes = config.layers[-1]
    for y in (dataset.y, dataset.y_test):
        if y.min() < 0 or y.max() >= classes:
            raise _RefusedError(f"labels outside 0 … {classes - 1}")
    if not (np.isfinite(dataset.x).all() and np.isfinite(dataset.x_test).all()):
        raise _RefusedError("inputs that are no numbers")
    if len(epoch) and (epoch[0] < 0 or epoch[-1] > config.epochs or (epoch[1:] <= epoch[:-1]).any()):
        raise _RefusedError("epochs that do not ascend, or lie outside the run")
    if len(index) and (index[0] < 0 or index[-1] >= len(epoch) or (index[1:] <= index[:-1]).any()):
        raise _RefusedError("t_index names measurements that are not there")
