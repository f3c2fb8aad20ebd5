"""A `.npz` file that anyone may have made: sizes and headers are checked before an array is read."""

from __future__ import annotations

import contextlib
import io
import lzma
import math
import os
import re
import resource
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ibtui.errors import UsageError, explain, printable
from ibtui.settings import brief

Array: TypeAlias = NDArray[Any]

_DIRECTORY_BYTES = 1 << 20
_HEADER_BYTES = 1024
"""The longest text that NumPy's reader of headers is given; it parses literals, and evaluates nothing."""
TEXT_CHARACTERS = 1 << 20
"""The longest text that is read."""
_UNPACKED_BYTES = 1 << 30
"""The most that compressed arrays may come to: a small file must not fill the memory."""
_PACKING = 1100
"""More than deflate can make of a byte."""
_CHUNK = 1 << 20
_VERSIONS = ((1, 0), (2, 0), (3, 0))
"""The versions of the format of arrays; the first is the one for all headers that are short and ASCII."""
INTEGERS = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8")
TEXT = ("<U",)


RECORDING = "a recording of ibtui"


_NO_HEADER = (
    ValueError, TypeError, SyntaxError, RecursionError, MemoryError, Warning, struct.error,
    tokenize.TokenError,
)  # fmt: skip
"""Exceptions that NumPy raises on text that is no header; it tokenizes what may be one of Python 2."""


_DAMAGES = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, LookupError,
    NotImplementedError, OverflowError, RecursionError, RuntimeError,
)  # fmt: skip
"""Exceptions that zipfile, zlib and NumPy raise on bytes that are no archive."""


class RefusedError(Exception):
    """A file is not what it should be; the message follows its name and a colon."""


@contextlib.contextmanager
def naming(shown: str, what: str, kind: type[UsageError]) -> Iterator[None]:
    """Turn any failure to read a file in the block into one line that begins with `shown`, its name."""
    try:
        yield
    except RefusedError as error:
        raise kind(f"{shown}: {error}") from error
    except OSError as error:
        raise kind(f"{shown}: {explain(error)}") from error
    except MemoryError as error:
        raise kind(f"{shown}: more than this machine's memory holds") from error
    except _DAMAGES as error:
        raise kind(f"{shown}: not {what}, or a damaged one") from error


class _Header(NamedTuple):
    """All that is known of an array before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    """The number of bytes before its data."""
    fortran: bool


class File(io.FileIO):
    """A regular file; until `longest` is set to more, no long piece of it is read.

    `zipfile` reads an archive's directory as a whole, however long that claims to be.
    """

    def __init__(self, path: str | Path, what: str = RECORDING) -> None:
        self.what = what
        """The words for such a file in messages."""
        # Without waiting: a pipe that nobody writes to is opened at once.
        try:
            super().__init__(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
        except ValueError as error:
            raise RefusedError("not a file name") from error
        if not stat.S_ISREG(os.fstat(self.fileno()).st_mode):
            self.close()
            raise RefusedError("not a regular file")
        self.size = os.fstat(self.fileno()).st_size
        self.longest = _DIRECTORY_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.longest:
            raise RefusedError(f"not {self.what}: its directory is too long")
        return super().read(size) or b""


class Archive:
    """A `.npz` file's arrays, each expected before it is read; `RefusedError` for sizes that cannot be."""

    def __init__(self, file: File) -> None:
        if file.read(4) != b"PK\x03\x04":  # NumPy does not accept an archive that begins later, either
            raise RefusedError(f"not {file.what}")
        self._what = file.what
        self._zip = zipfile.ZipFile(file)
        file.longest = file.size
        self._found: dict[str, _Header] = {}
        names, whole, unpacked, limit = set(), 0, 0, memory()
        for info in self._zip.infolist():
            name = printable(info.filename[:60])
            if info.filename in names:
                raise RefusedError(f"damaged: {name} is there twice")
            names.add(info.filename)
            packed = info.compress_type == zipfile.ZIP_DEFLATED
            if info.flag_bits & 1 or not (packed or info.compress_type == zipfile.ZIP_STORED):
                raise RefusedError(f"{name} is encrypted or packed in an unknown way")
            most = _PACKING * (info.compress_size + 1) if packed else info.compress_size
            if info.compress_size > file.size or info.file_size > most:
                raise RefusedError(f"damaged: {name} is larger than the file")
            whole += info.file_size
            unpacked += info.file_size if packed else 0
        if whole > limit:
            raise RefusedError(f"more than {limit >> 20} MB, past what this machine's memory holds")
        if unpacked > _UNPACKED_BYTES:
            raise RefusedError(f"more than {_UNPACKED_BYTES >> 20} MB of compressed arrays")
        self._names = names

    def __contains__(self, key: str) -> bool:
        return f"{key}.npy" in self._names

    def expected(self, key: str) -> bool:
        """Return True for an array that can be read: its header was checked."""
        return key in self._found

    @property
    def keys(self) -> list[str]:
        """The names of the arrays, in alphabetical order."""
        return sorted(name[: -len(".npy")] for name in self._names if name.endswith(".npy"))

    def find(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Check the header of a plain array of any shape, type and order, and return shape and type.

        It may be of any version of the format, as NumPy and others write them.
        """
        header = self._header(key, strict=False)
        self._keep(key, header)
        return header.shape, header.dtype

    def expect(self, key: str, shape: tuple[int | None, ...], *types: str) -> tuple[int, ...]:
        """Check the header of an array, and return its shape.

        None in a shape stands for any length. Types are as NumPy writes them: "<f4"; "<U" for text of any
        length.
        """
        header = self._header(key, strict=True)
        actual, dtype = header.shape, header.dtype
        if len(actual) != len(shape) or any(w not in (None, a) for a, w in zip(actual, shape, strict=True)):
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise RefusedError(f"{key} has the shape {brief(actual)}, not ({wanted})")
        if (dtype.str[:2] if types == TEXT else dtype.str) not in types:
            raise RefusedError(f"{key} is of type {printable(dtype.str)}, not {' or '.join(types)}")
        self._keep(key, header)
        return actual

    def _keep(self, key: str, header: _Header) -> None:
        """Allow an array to be read, once it is as long as its header says."""
        size = header.start + math.prod(header.shape) * header.dtype.itemsize
        if size != self._zip.getinfo(f"{key}.npy").file_size:
            raise RefusedError(f"damaged: {key} has not the size that it declares")
        self._found[key] = header

    def _header(self, key: str, *, strict: bool) -> _Header:
        """Read the header of an array; `strict`: in the one form that ibtui itself writes."""
        if key not in self:
            raise RefusedError(f"not {self._what}: {key} is missing")
        with self._zip.open(f"{key}.npy") as member, warnings.catch_warnings():
            warnings.simplefilter("error")  # such as for a header that NumPy would mend
            start = member.read(8)
            version = tuple(start[6:])
            if start[:6] != b"\x93NUMPY" or version not in (_VERSIONS[:1] if strict else _VERSIONS):
                raise RefusedError(f"damaged: {key} is no array")
            try:
                shape, fortran, dtype = _plain_header(member, version)
            except _NO_HEADER as error:
                raise RefusedError(f"{key} is no plain array") from error
            at = member.tell()
        if dtype.hasobject:
            raise RefusedError(f"{key} holds pickled objects, which are never read")
        if fortran and strict:
            raise RefusedError(f"{key} is in Fortran order, not in C order")
        if any(n < 0 for n in shape) or dtype.subdtype or not dtype.itemsize:
            raise RefusedError(f"{key} is no plain array")
        return _Header(tuple(map(int, shape)), dtype, at, fortran)

    def array(self, key: str) -> Array:
        """Return an array that was expected or found."""
        shape, dtype, start, fortran = self._found[key]
        array = np.empty(shape[::-1] if fortran else shape, dtype)
        with self._zip.open(f"{key}.npy") as member:
            member.read(start)
            _fill(member, array)
        return array.T if fortran else array

    def last(self, key: str, count: int) -> list[Array]:
        """Return the last `count` of the arrays that an array consists of, each in memory of its own."""
        shape, dtype, start, _ = self._found[key]
        one = np.empty(shape[1:], dtype)
        with self._zip.open(f"{key}.npy") as member:  # all of it: its checksum is at the end
            member.read(start)
            for _ in range(shape[0] - count):
                _fill(member, one)
            arrays = [np.empty(shape[1:], dtype) for _ in range(count)]
            for array in arrays:
                _fill(member, array)
        return arrays

    def text(self, key: str) -> str:
        """Return a text that was expected, unless it is long."""
        return self.texts(key)[0]

    def texts(self, key: str) -> list[str]:
        """Return the texts that were expected of an array, unless they are long."""
        dtype = self._found[key].dtype
        if dtype.itemsize > 4 * TEXT_CHARACTERS:
            raise RefusedError(f"its {key} is too long")
        # Not by NumPy's own way, which accepts what is no character.
        array, order = self.array(key).reshape(-1), "be" if dtype.str[0] == ">" else "le"
        return [array[i : i + 1].tobytes().decode(f"utf-32-{order}").rstrip("\0") for i in range(len(array))]


def _plain_header(member: IO[bytes], version: tuple[int, ...]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the rest of a header; versions differ in the bytes of its length, which may be gigabytes."""
    read_header: Any = npy.read_array_header_1_0
    if version == (1, 0):
        header: IO[bytes] = member
    else:
        (length,) = struct.unpack("<I", member.read(4))
        if length > _HEADER_BYTES:
            raise ValueError("a long header")
        header = io.BytesIO(struct.pack("<H", length) + member.read(length))
    shape, fortran, dtype = read_header(header, max_header_size=_HEADER_BYTES)
    return shape, bool(fortran), dtype


def _fill(member: IO[bytes], array: Array) -> None:
    if not array.size:
        return
    view = array.reshape(-1).view(np.uint8)
    for start in range(0, len(view), _CHUNK):
        part = view[start : start + _CHUNK]
        part[:] = np.frombuffer(member.read(len(part)), np.uint8)  # ValueError where there is less


def memory() -> int:
    """Return the bytes that a file's arrays may take: what machine, container and process are allowed."""
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
