"""The file that a watched loop writes: `NAME.ibtui`, records appended one by one, readable while it grows.

A stream begins with the line ``ibtui stream V``, V the version of the format. A record follows another one:

=============  ========================================================================================
8 bytes        length of header and arrays together, little-endian, as all numbers are
4 bytes        length of the header
4 bytes        CRC-32 of these twelve bytes, the header and the arrays
header         JSON in UTF-8: an object whose `kind` says what it is, and whose `arrays` is a list of
               ``[name, dtype, shape]``
arrays         their bytes in C order, one after the other
=============  ========================================================================================

A record that is not whole, at the end of the file, is not there yet. `ibtui.recording.streams` says what
kinds there are. Readers ignore kinds and keys that they don't know, so that a version may gain some; what
would mislead a reader that ignores it is another version, and the last two of these are read.

Whoever reads a stream trusts none of it. Writing needs NumPy and the standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibtui.errors import RecordingError, explain, printable

Array = NDArray[Any]

VERSION = 1
ENDING = ".ibtui"
"""The end of a stream's name."""
_FIRST = b"ibtui stream %d\n"
_FIRST_BYTES = 24
"""The first line is shorter."""
_PREFIX = struct.Struct("<QII")
_MOST_HEADER = 1 << 20
_MOST_RECORD = 1 << 33
_MOST_ARRAYS = 256
_MOST_AXES = 4
_DTYPES = ("<f4", "<i8")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_CHUNK = 1 << 20
_NAMES = 10_000
"""Numbers that are tried for a file whose name is taken."""


class Place(NamedTuple):
    """An array in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        """The bytes that it takes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Record(NamedTuple):
    """A whole record, its arrays still in the file."""

    kind: str
    header: Mapping[str, Any]
    arrays: Mapping[str, Place]


class Writer:
    """Appends records to a new file; nothing is ever overwritten, and nothing waits in a queue.

    Raises
    ------
    OSError
        The file cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self._handle = _create(Path(os.path.abspath(path)))
        self.size = 0
        """Bytes written."""
        self._write([_FIRST % VERSION])

    def append(self, header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
        """Write a record by one append; whole, or, where that fails, not at all.

        Raises
        ------
        OSError
            The disk is full, or the file has been removed.
        """
        parts = [np.ascontiguousarray(array, _little(array)) for array in (arrays or {}).values()]
        listed = [[name, part.dtype.str, part.shape] for name, part in zip(arrays or (), parts, strict=True)]
        text = json.dumps({**header, "arrays": listed}).encode()
        sizes = struct.pack("<QI", len(text) + sum(part.nbytes for part in parts), len(text))
        data = [part.reshape(-1).view(np.uint8).data for part in parts if part.size]
        checksum = zlib.crc32(text, zlib.crc32(sizes))
        for each in data:
            checksum = zlib.crc32(each, checksum)
        self._write([sizes + struct.pack("<I", checksum) + text, *data])

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        if not os.fstat(self._handle).st_nlink:
            raise FileNotFoundError(2, "the file has been removed")
        total = sum(map(len, parts))
        try:
            written = os.writev(self._handle, parts)
            if written < total:  # such as on a disk that is nearly full
                rest = memoryview(b"".join(parts))[written:]
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self.size)
            raise
        self.size += total

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _little(array: Array) -> np.dtype[Any]:
    return array.dtype.newbyteorder("<")


def _create(path: Path) -> tuple[Path, int]:
    """Create a file of this name or, where that is taken, of one with a number; return its path too."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    for number in range(1, _NAMES):
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        with contextlib.suppress(FileExistsError):
            return free, os.open(free, flags, 0o666)
    raise FileExistsError(17, os.strerror(17), str(path))


def is_stream(path: str | Path) -> bool:
    """Return True where a file begins as a stream does; False also where it cannot be read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            return file.read(13) == _FIRST[:13]
    except (OSError, ValueError):
        return False


class Reader:
    """Reads the records of a stream that anyone may have made, one after another, also while it grows.

    Lengths, shapes and dtypes are checked before anything is read that they decide about; an array is read
    only when it is asked for.

    Raises
    ------
    RecordingError
        The file is not there, is no stream, or is of a version that cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.shown = printable(str(path))
        self.damaged = False
        """True once a record was met that is not what was written; nothing after it is read."""
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RecordingError(f"{self.shown}: {explain(error)}") from error
        except ValueError as error:
            raise RecordingError(f"{self.shown}: not a file name") from error
        try:
            if not stat.S_ISREG(os.fstat(self._handle).st_mode):
                raise RecordingError(f"{self.shown}: not a regular file")
            self._at = self._check_version()
        except OSError as error:
            self.close()
            raise RecordingError(f"{self.shown}: {explain(error)}") from error
        except BaseException:
            self.close()
            raise

    def _check_version(self) -> int:
        first = os.pread(self._handle, _FIRST_BYTES, 0)
        found = re.match(rb"ibtui stream (\d{1,6})\n", first)
        if found is None:
            raise RecordingError(f"{self.shown}: not a stream of ibtui")
        version = int(found[1])
        if not max(1, VERSION - 1) <= version <= VERSION:
            age = "newer" if version > VERSION else "older"
            raise RecordingError(
                f"{self.shown}: a stream of version {version}, which is {age} than what this ibtui reads"
            )
        return found.end()

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._handle).st_size

    def records(self) -> Iterator[Record]:
        """Read the whole records that are there and have not been read yet."""
        while (record := self.read()) is not None:
            yield record

    def read(self) -> Record | None:
        """Read the next record; None where it is not there yet, or never will be."""
        if self.damaged:
            return None
        start, size = self._at, self.size
        prefix = self._bytes(start, _PREFIX.size)
        if len(prefix) < _PREFIX.size:
            return None
        length, header, checksum = _PREFIX.unpack(prefix)
        if not 2 <= header <= min(length, _MOST_HEADER) or length > _MOST_RECORD:
            return self._give_up()
        end = start + _PREFIX.size + length
        if end > size:
            return None
        if self._checksum(start, length) != checksum:
            # At the end of a file on a network its bytes may follow.
            return None if end == size else self._give_up()
        record = self._record(start + _PREFIX.size, header, length)
        if record is None:
            return self._give_up()
        self._at = end
        return record

    def _give_up(self) -> Record | None:
        self.damaged = True
        return None

    def _bytes(self, start: int, count: int) -> bytes:
        return os.pread(self._handle, count, start)

    def _checksum(self, start: int, length: int) -> int:
        found = zlib.crc32(self._bytes(start, 12))
        at, left = start + _PREFIX.size, length
        while left:
            piece = self._bytes(at, min(left, _CHUNK))
            if not piece:  # it was cut meanwhile
                return -1
            found, at, left = zlib.crc32(piece, found), at + len(piece), left - len(piece)
        return found

    def _record(self, start: int, header: int, length: int) -> Record | None:
        """Return the record whose checksum is right; None where it is none all the same."""
        try:
            values = json.loads(self._bytes(start, header))
        except (ValueError, RecursionError):
            return None
        if not isinstance(values, dict) or not isinstance(kind := values.get("kind"), str):
            return None
        places = _places(values.get("arrays", []), start + header)
        if places is None or sum(place.nbytes for place in places.values()) != length - header:
            return None
        return Record(kind, values, places)

    def array(self, place: Place) -> Array:
        """Read an array; `OSError` where it is not there any more."""
        array = np.empty(place.shape, place.dtype)
        view, at = (
            array.reshape(-1).view(np.uint8).data if array.size else memoryview(b""),
            place.start,
        )
        while len(view):
            got = os.preadv(self._handle, [view[: 1 << 30]], at)
            if not got:
                raise OSError(5, "the stream has been cut")
            view, at = view[got:], at + got
        return array

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self.close()


def _places(listed: object, start: int) -> dict[str, Place] | None:
    """Return where a header's arrays are; None where they are none."""
    if not isinstance(listed, list) or len(listed) > _MOST_ARRAYS:
        return None
    places: dict[str, Place] = {}
    for item in listed:
        match item:
            case [str(name), str(dtype), [*shape]] if _NAME.fullmatch(name) and dtype in _DTYPES:
                sizes = [size for size in shape if type(size) is int and 0 <= size <= _MOST_RECORD]
                if name in places or len(sizes) < len(shape) or len(shape) > _MOST_AXES:
                    return None
                places[name] = place = Place(dtype, tuple(sizes), start)
                if place.nbytes > _MOST_RECORD:
                    return None
                start += place.nbytes
            case _:
                return None
    return places
