"""Parameters that the quick test line leaves out."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: object) -> list[Any]:
    """Return values of one parameter that are tried among the slow tests alone."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def slow_sets(*sets: tuple[Any, ...]) -> list[Any]:
    """Return sets of several parameters' values that are tried among the slow tests alone."""
    return [pytest.param(*values, marks=pytest.mark.slow) for values in sets]
