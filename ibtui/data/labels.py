"""Classes from 0 on, from labels as people keep them: integers, whole floats, ±1, booleans, one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibtui.data import MOST_CLASSES

Labels = NDArray[Any]
"""Labels of shape (N,), or one-hot rows of shape (N, K); of any real dtype."""


class LabelError(Exception):
    """Labels are none; the message follows the name of what holds them, and a blank."""


class Classes:
    """The labels of a dataset, in ascending order, and from labels to their places in it."""

    def __init__(self, y: Labels) -> None:
        self._columns = y.shape[1] if y.ndim == 2 else None
        labels = np.unique(_whole(y))
        self._boolean = labels.dtype == bool
        if not 2 <= len(labels) <= MOST_CLASSES:
            found = f"{len(labels):,} different labels" if len(labels) > 1 else "one label only"
            raise LabelError(f"has {found}; from 2 to {MOST_CLASSES} classes are taken, and no other targets")
        self.labels = [int(label) for label in labels]

    def numbered(self, y: Labels) -> NDArray[np.int64]:
        """Return the class of each label; `LabelError` where it is not among those that there are."""
        columns = y.shape[1] if y.ndim == 2 else None
        if columns != self._columns:
            raise LabelError("is in another form than y")
        found, places = np.unique(_whole(y), return_inverse=True)
        at = {label: number for number, label in enumerate(self.labels)}
        for label in found:
            if int(label) not in at:
                raise LabelError(f"has the label {int(label)}, which y has not")
        numbers = np.array([at[int(label)] for label in found], np.int64)
        return np.asarray(numbers[places.reshape(-1)], np.int64)

    def names(self, given: Sequence[str] | None) -> tuple[str, ...]:
        """Return a name for each class: those given in the order of the labels, or the labels as text."""
        if given is None:
            return tuple(str(bool(label)) if self._boolean else str(label) for label in self.labels)
        if self._columns is not None and len(given) == self._columns:  # also of columns that no sample has
            given = [given[column] for column in self.labels]
        if len(given) != len(self.labels):
            raise LabelError(f"has {len(given)} names for {len(self.labels)} classes")
        return tuple(given)


def _whole(y: Labels) -> NDArray[Any]:
    """Return labels of shape (N,) that are integers or true and false; of one-hot rows their columns."""
    if y.ndim == 2:
        return _columns(y)
    if y.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            fits = np.isfinite(y) & (np.floor(y) == y) & (np.abs(y) <= 2.0**53)
        if not fits.all():
            shown = f"{float(y[~fits][0]):g}"
            raise LabelError(f"holds {shown}, which is no label: labels are whole numbers, or one-hot rows")
        return y.astype(np.int64)
    return y


def _columns(y: Labels) -> NDArray[np.int64]:
    if y.shape[1] < 2 or not ((y == 0) | (y == 1)).all() or not (np.count_nonzero(y, axis=1) == 1).all():
        shape = ", ".join(map(str, y.shape))
        raise LabelError(
            f"has the shape ({shape}) and is not one-hot: labels are (N,), or rows with a single 1"
        )
    return np.asarray(y.argmax(axis=1), np.int64)
