"""Lines of the log that say what became of a command, so that a user can see that it was carried out."""

from __future__ import annotations

from ibtui.core.information import Binning

_NAMES = {"kind": "binning", "t_bins": "T", "x_bins": "X", "t_width": "T width", "noise": "noise"}
_COUNTED_OTHERWISE = {"width": ("t_bins",), "kde": ("t_bins", "x_bins", "t_width")}
"""Settings that an estimate does not depend on."""


def tell(text: str) -> None:
    """Write a line to the log, at once: the line of another thread must not come between it and its end."""
    print(f"{text}\n", end="", flush=True)


def of_pace(before: float, after: float, unit: str) -> str:
    """Return the line for another pace."""
    shown = [f"{pace:,g}" if pace > 0 else "no limit" for pace in (before, after)]
    return f"pace {shown[0]} → {shown[1]}" + (f" {unit}" if after > 0 else "")


def of_binning(before: Binning, after: Binning, measurements: int, seconds: float) -> str:
    """Return the line for a history that was estimated with another binning."""
    silent = _COUNTED_OTHERWISE.get(after.kind, ())
    changes = [
        f"{name} {_number(old)} → {_number(new)}"
        for field, name in _NAMES.items()
        if (old := getattr(before, field)) != (new := getattr(after, field)) and field not in silent
    ]
    if before.identity != after.identity:
        changes.append("X: each sample" if after.identity else f"X: {after.x_bins} bins")
    took = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    counted = f"{measurements:,} measurement{'s' * (measurements != 1)}"
    changed = f"{', '.join(changes)}, {counted}" if changes else f"re-estimated {counted}"
    return f"{changed}, {took}"


def _number(value: object) -> str:
    return value if isinstance(value, str) else f"{value:,}"
