"""The epochs at which a run is measured: a pure function of `--every`, and never of how long the run is.

``N``
    Every N epochs.
``auto``
    Each epoch up to 100, then every 10.
``log``
    The epochs floor(10^(k / 20)), k = 0, 1, …: twenty to a power of ten, where they are not the same.

Epoch 0 belongs to each; the last epoch of a run is measured besides.
"""

from __future__ import annotations

from functools import cache

_DENSE = 100
"""Up to here auto measures each epoch."""
_SPARSE = 10
"""Epochs between its measurements from there on."""
_PER_POWER = 20


def following(every: int | str, epoch: int) -> int:
    """Return the first scheduled epoch after this one."""
    if every == "log":
        return next(due for due in _logarithmic(len(str(epoch)) + 1) if due > epoch)
    step = every if isinstance(every, int) else 1 if epoch < _DENSE else _SPARSE
    return (epoch // step + 1) * step


def has(every: int | str, epoch: int) -> bool:
    """Return True where an epoch from 0 on is scheduled."""
    return epoch == 0 or following(every, epoch - 1) == epoch


def count(every: int | str, stop: int) -> int:
    """Count the scheduled epochs below `stop`, which is 1 or more."""
    if every == "log":
        return sum(due < stop for due in _logarithmic(len(str(stop))))
    if isinstance(every, int):
        return len(range(0, stop, every))
    return min(stop, _DENSE) + len(range(_DENSE, stop, _SPARSE))


def longest(every: int | str, stop: int) -> int:
    """Return the most epochs from one measurement to the next, in a run of so many."""
    if every == "log":
        return stop
    return min(stop, every if isinstance(every, int) else _SPARSE)


@cache
def _logarithmic(powers: int) -> tuple[int, ...]:
    """Return 0, and floor(10^(k / 20)) up to so many powers of ten, ascending."""
    return tuple(sorted({0} | {int(10 ** (k / _PER_POWER)) for k in range(_PER_POWER * powers + 1)}))
