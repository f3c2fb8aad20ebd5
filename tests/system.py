"""Disks that are full, and a system that does another thing than it should, or at another moment."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def full_disk(size: int = 1000) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes for as long as the block lasts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def system(module: Any = os, **calls: Callable[..., object]) -> Iterator[None]:
    """Functions of `os`, or of another module of the system's, are these for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patched:
        for name, call in calls.items():
            patched.setattr(module, name, call)
        yield


def failing(code: int) -> Callable[..., object]:
    """A function of the system's that fails."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


NO_LINKS = {"link": failing(errno.EPERM)}
"""A file system without hard links."""


def then(call: Callable[..., Any], do: Callable[[], object]) -> Callable[..., Any]:
    """A function of the system's, and what somebody else does just afterwards."""

    def both(*arguments: Any, **options: Any) -> Any:
        outcome = call(*arguments, **options)
        do()
        return outcome

    return both
