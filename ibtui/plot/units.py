"""Units of information: recordings hold nats; what is shown may be in bits."""

from __future__ import annotations

import math
from typing import Literal

Unit = Literal["nats", "bits"]

_NATS_PER_BIT = math.log(2)


def per_unit(stored: str, shown: Unit) -> float:
    """Return what to divide values of a stored unit by for the unit shown: 1 for all but nats."""
    return _NATS_PER_BIT if stored == "nats" and shown == "bits" else 1.0


def unit_shown(stored: str, shown: Unit) -> str:
    """Return the unit that values of a stored unit are shown in."""
    return shown if stored == "nats" else stored
