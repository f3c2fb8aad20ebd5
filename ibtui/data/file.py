"""A file of samples, which anyone may have made: `.npz` with x, y and, if it likes, x_test, y_test, names."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibtui.archive import Archive, File, RefusedError, memory, naming
from ibtui.data import MOST_CLASSES
from ibtui.data.labels import Classes, LabelError
from ibtui.errors import UsageError, printable
from ibtui.settings import brief

LEAST_SAMPLES, MOST_SAMPLES = 4, 10_000_000
_NAME_CHARACTERS = 60
"""The longest name of a class."""
_WHAT = "a file of samples"


class FileSamples(NamedTuple):
    """The contents of a file of samples."""

    x: NDArray[Any]
    """Inputs, shape (N, ...), real numbers of the file's dtype."""
    y: NDArray[np.int64]
    """Classes from 0 on, shape (N,)."""
    x_test: NDArray[Any] | None
    """Inputs held out; None: the file does not say which."""
    y_test: NDArray[np.int64] | None
    names: tuple[str, ...]
    """A name for each class."""


def read_samples(path: str) -> FileSamples:
    """Read a file of samples. Every header is checked before an array is read, and nothing is unpickled.

    Labels, in ascending order, become the classes 0, 1, …

    Raises
    ------
    UsageError
        Missing, damaged, too large, or no samples: one line that names the file and says what is wrong.
    """
    with _opened(path) as archive:
        _check_headers(archive)
        y = archive.array("y")
        with _naming("y"):
            classes = Classes(y)
            numbered = classes.numbered(y)
        x_test = y_test = None
        if "x_test" in archive:
            with _naming("y_test"):
                y_test = classes.numbered(archive.array("y_test"))
            x_test = archive.array("x_test")
        with _naming("names"):
            names = classes.names(_names(archive) if "names" in archive else None)
        return FileSamples(archive.array("x"), numbered, x_test, y_test, names)


def count_samples(path: str) -> int:
    """Return how many samples a file has, by its headers; raises as `read_samples`."""
    with _opened(path) as archive:
        return _check_headers(archive)


def says_split(path: str) -> bool:
    """Return True where a file itself says which samples are held out; raises as `read_samples`."""
    with _opened(path) as archive:
        return "x_test" in archive


def naming_file(path: str) -> contextlib.AbstractContextManager[None]:
    """Make one line that names the file of whatever goes wrong in the block."""
    return naming(f"--data {printable(path)}", _WHAT, UsageError)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Archive]:
    with naming_file(path), File(path, _WHAT) as file:
        yield Archive(file)


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    try:
        yield
    except LabelError as error:
        raise RefusedError(f"{key} {error}") from error


def _check_headers(archive: Archive) -> int:
    """Check shapes, types and sizes; return the number of samples."""
    for key in ("x", "y"):
        if key not in archive:
            there = ", ".join(map(brief, archive.keys[:8])) or "nothing"
            raise RefusedError(f"{key} is missing: it must have x and y, and has {there}")
    if ("x_test" in archive) != ("y_test" in archive):
        raise RefusedError("it must have both of x_test and y_test, or neither")
    samples, size, inputs = 0, 0, 0
    for x, y in (("x", "y"), ("x_test", "y_test")):
        if x not in archive:
            continue
        shape, kind = archive.find(x)
        labels, kind_of_labels = archive.find(y)
        _check_type(x, kind)
        _check_type(y, kind_of_labels)
        if not shape or not math.prod(shape):
            raise RefusedError(f"{x} has the shape {brief(shape)}, and must be (samples, inputs)")
        if len(labels) not in (1, 2) or not math.prod(labels):
            raise RefusedError(f"{y} has the shape {brief(labels)}, and must be (samples,)")
        if labels[0] != shape[0]:
            raise RefusedError(f"{x} has {shape[0]:,} samples, and {y} has {labels[0]:,}")
        if samples and math.prod(shape[1:]) != inputs:
            raise RefusedError(f"x has {inputs:,} inputs, and x_test has {math.prod(shape[1:]):,}")
        inputs = math.prod(shape[1:])
        samples += shape[0]
        size += math.prod(shape) * (kind.itemsize + 4) + math.prod(labels) * kind_of_labels.itemsize
    if not LEAST_SAMPLES <= samples <= MOST_SAMPLES:
        raise RefusedError(f"it has {samples:,} samples; from {LEAST_SAMPLES} to {MOST_SAMPLES:,} are taken")
    if size > (limit := memory()):  # as the file has them, and x once more as float32
        raise RefusedError(f"takes more than {limit >> 20} MB, past what this machine's memory holds")
    return samples


def _check_type(key: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise RefusedError(f"{key} is of type {printable(dtype.str)}, and must hold real numbers")


def _names(archive: Archive) -> list[str]:
    shape, dtype = archive.find("names")
    if dtype.kind != "U" or len(shape) != 1 or shape[0] > MOST_CLASSES:
        raise LabelError("must be texts of shape (classes,)")
    if dtype.itemsize > 4 * 1024:
        raise LabelError(f"must be of at most {_NAME_CHARACTERS} characters each")
    names = [printable(text) for text in archive.texts("names")]
    if not all(0 < len(name) <= _NAME_CHARACTERS for name in names) or len(set(names)) < len(names):
        raise LabelError(f"must all be different, and of 1 to {_NAME_CHARACTERS} characters")
    return names
