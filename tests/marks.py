"""Parameters that the quick test line leaves out."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: object) -> list[Any]:
    """Return values of one parameter that are tried among the slow tests alone."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
