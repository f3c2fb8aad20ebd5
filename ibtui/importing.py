"""Importing at the start of a process, when somebody waits for it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage in a block that imports, nor later among what it has made.

    Nearly all of that stays for as long as the process. Python would look through it again and again while it
    grows, and once more each time that it looks through everything.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
