"""Connections that a test has opened are closed with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.watch import loops


@pytest.fixture(autouse=True)
def hung_up() -> Iterator[None]:
    yield
    while loops.OPENED:
        loops.OPENED.pop().close()
