"""The ticks of an axis, and how numbers and units are written: recordings hold nats, bits may be shown."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np

_LONG = 100_000
"""The first value with a k for thousands; from a hundred times this on there is an exponent."""
_ROUNDING = 1e-9
"""Differences from 1 that are smaller come of sums of floats."""
_MOST_DECIMALS = 5


@lru_cache(maxsize=256)
def ticks(low: float, high: float, count: int) -> tuple[tuple[float, str], ...]:
    """Choose round values on an axis, 1, 2 or 5 times a power of ten apart, with their labels.

    They are in rising order, at most `count`; all labels have the same number of decimals. There is one tick
    where the axis is a single point or holds no round value at this spacing; none where it is not finite. Its
    ends come in either order.
    """
    low, high = min(low, high), max(low, high)
    if count < 1 or not (math.isfinite(low) and math.isfinite(high)):
        return ()
    span = high - low
    if not math.isfinite(span) or span <= max(abs(low), abs(high)) * 1e-12 + 1e-300:
        return ((low, number(low)),)  # no float steps through this
    exponent, largest = math.floor(math.log10(span / count)), max(abs(low), abs(high))
    for power in range(exponent, exponent + 3):
        for factor in (1, 2, 5):
            first, last = _multiples(low, high, factor, power)
            if 0 < last - first + 1 <= count:
                return tuple(_tick(k * factor, power, largest) for k in range(first, last + 1))
    return ((low, number(low)),)


EpochScale = Literal["log", "linear"]


def along(epochs: Any, scale: EpochScale) -> Any:
    """Return where epochs lie on their axis: log10(1 + epoch) on a logarithmic one, which has room for 0."""
    return np.log10(1 + np.maximum(epochs, 0)) if scale == "log" else epochs


@lru_cache(maxsize=256)
def epoch_ticks(low: float, high: float, count: int, scale: EpochScale) -> tuple[tuple[float, str], ...]:
    """Choose round epochs on an axis, as `ticks` does; the ends are places of `along`.

    On a logarithmic axis they are 0 and powers of ten, with twice and five times those where there is room.
    """
    if scale == "linear" or not high > low:
        return ticks(low, high, count)
    for factors, stride in (((1, 2, 5), 1), *(((1,), stride) for stride in range(1, 19))):
        epochs = [0, *(factor * 10**power for power in range(0, 19, stride) for factor in factors)]
        places = [(float(along(epoch, scale)), epoch) for epoch in epochs]
        shown = tuple((at, _short(epoch)) for at, epoch in places if low <= at <= high)
        if len(shown) <= max(count, 1):
            break
    return shown


def _short(epoch: int) -> str:
    """Write a round epoch: 2,000 but 20k and 5M."""
    if epoch >= 10**6:
        return f"{epoch // 10**6:,}M"
    return f"{epoch // 1000}k" if epoch >= 10**4 else f"{epoch:,}"


def ends(low: float, high: float) -> list[tuple[float, str]]:
    """Return the ends of an axis and its middle, with labels of seven characters at most."""
    values = (low, low / 2 + high / 2, high)
    texts = [f"{value:.3g}" for value in values]
    if max(map(len, texts)) > 7:
        texts = [number(value) if value else "0" for value in values]
    return list(zip(values, texts, strict=True))


def _multiples(low: float, high: float, factor: int, power: int) -> tuple[int, int]:
    """Return the first and the last multiple of the step in [low, high], with tolerance for rounding."""
    step = float(f"{factor}e{power}")
    if step == 0 or math.isinf(step):
        return 0, -1
    slack = 1e-9
    return math.ceil(low / step - slack), math.floor(high / step + slack)


def _tick(multiple: int, power: int, largest: float) -> tuple[float, str]:
    value = float(f"{multiple}e{power}")  # the nearest float, where multiple * 10**power may be one beside it
    if largest < _LONG and power >= -5:
        return value, f"{value:,.{max(-power, 0)}f}"
    if largest < 100 * _LONG and power >= 3:
        return value, f"{value / 1000:,.0f}k" if value else "0"
    places = math.floor(math.log10(abs(value))) - power if value else 0
    return value, _exponent(value, max(places, 0))


def number(value: float) -> str:
    """Write a value in seven characters at most: three figures, an exponent from 10,000 on; NaN is "n/a".

    Only what is 1 is written as 1.00: see `decimals`.
    """
    if math.isnan(value):
        return "n/a"
    size = abs(value)
    if math.isinf(value):
        return "-inf" if value < 0 else "inf"
    if size == 0:
        return "0.00"
    if 0.01 <= size < 9.995:
        return decimals(value, 2)
    if size < 0.01:
        return f"{value:.3f}" if size >= 0.001 else _exponent(value)
    if size < 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}" if size < 9999.5 else _exponent(value)


def decimals(value: float, least: int) -> str:
    """Write a value with so many decimals or, just below 1, with as many as it takes not to read as 1.

    An accuracy of 0.998 is not 1.00. There are five decimals at most; what differs from 1 by no more than the
    rounding of sums is 1.
    """
    if not 0.99 < value < 1 - _ROUNDING:
        return f"{value:.{least}f}"
    texts = (f"{value:.{places}f}" for places in range(least, _MOST_DECIMALS + 1))
    return next((text for text in texts if text < "1"), f"0.{'9' * _MOST_DECIMALS}")


def percent(share: float) -> str:
    """Write a share in percent: what is less than all of it is not 100%."""
    text = f"{100 * share:.0f}%"
    return ">99%" if text == "100%" and share < 1 else text


def value_text(value: Any) -> str:
    """Write a quantity's value as `number` does, but counts, which NumPy has as integers, in full."""
    return f"{int(value):,}" if np.issubdtype(np.asarray(value).dtype, np.integer) else number(float(value))


def _exponent(value: float, places: int = 1) -> str:
    """Write a number like 1.5e6 or -2e-7: no leading zeros, no plus, no needless decimals."""
    if value == 0:
        return "0"
    digits, _, power = f"{value:.{places}e}".partition("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}e{int(power)}"


Unit = Literal["nats", "bits"]

_NATS_PER_BIT = math.log(2)


def per_unit(stored: str, shown: Unit) -> float:
    """Return what to divide values of a stored unit by for the unit shown: 1 for all but nats."""
    return _NATS_PER_BIT if stored == "nats" and shown == "bits" else 1.0


def unit_shown(stored: str, shown: Unit) -> str:
    """Return the unit that values of a stored unit are shown in."""
    return shown if stored == "nats" else stored
