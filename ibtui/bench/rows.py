"""Rows of the bench with their spread, ratios and targets. Nothing here measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Repeated values of one quantity, summed up."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return median and quartiles; of fewer than four values the least and the greatest."""
        ordered = sorted(values)
        if len(ordered) < 4:
            return cls(statistics.median(ordered), ordered[0], ordered[-1], len(ordered))
        low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
        return cls(median, low, high, len(ordered))

    @classmethod
    def of_ratios(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Return the spread of ratios taken round by round: what slows a whole round down cancels."""
        return cls.of([a / b for a, b in zip(above, below, strict=True)])


@dataclass(frozen=True)
class Target:
    """A bound that a row should keep: a least ratio, or a greatest value."""

    text: str
    met: bool


def at_most(value: Spread, limit: float, unit: str) -> Target:
    """Return the target that the median is no more than this."""
    return Target(f"at most {limit:g} {unit}", value.median <= limit)


def at_least(value: Spread, limit: float, of: str) -> Target:
    """Return the target that the median ratio is no less than this."""
    return Target(f"at least {limit:,g} x {of}", value.median >= limit)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    group: str
    """The name of its group, whose table it stands in."""
    name: str
    value: Spread
    unit: str
    ratio: Spread | None = None
    """To another row of the same rounds; `against` names that."""
    against: str = ""
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        for spread in filter(None, (self.value, self.ratio)):
            if not all(map(math.isfinite, (spread.median, spread.low, spread.high))):
                raise ValueError(f"{self.name}: {spread} is no figure")


@dataclass
class Report:
    """All rows, the machine they were measured on, and what could not be measured."""

    machine: dict[str, Any]
    quick: bool
    rows: list[Row] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    """Packages that were left out, and why."""
    failed: dict[str, str] = field(default_factory=dict)
    """Groups that broke off, and why; their rows up to there are kept."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for `json.dumps`."""
        return {
            "machine": self.machine,
            "quick": self.quick,
            "rows": [_plain_row(row) for row in self.rows],
            "absent": self.absent,
            "failed": self.failed,
        }


def _plain_row(row: Row) -> dict[str, Any]:
    return {
        "group": row.group,
        "name": row.name,
        "unit": row.unit,
        **vars(row.value),
        "ratio": {**vars(row.ratio), "against": row.against} if row.ratio else None,
        "targets": [vars(target) for target in row.targets],
    }


def significant(value: float) -> str:
    """Write a value in three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def cells(row: Row) -> tuple[str, str, str, str]:
    """Return a row as words: value, spread, ratio, targets."""
    value = f"{significant(row.value.median)} {row.unit}"
    spread = f"{significant(row.value.low)} … {significant(row.value.high)}"
    ratio = f"{significant(row.ratio.median)} x {row.against}" if row.ratio else ""
    targets = "; ".join(f"{'met' if t.met else 'MISSED'}: {t.text}" for t in row.targets)
    return value, spread, ratio, targets
