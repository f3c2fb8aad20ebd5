"""Milliseconds per epoch of the default experiment, for every contender whose package is here."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence

from ibtui.bench.child import ENOUGH_S, Child, GoneError
from ibtui.bench.contenders import BASE, CONTENDERS, SLOWEST, Contender
from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, Target, at_least, at_most

MOST_EPOCHS = 5000


def measure(report: Report, effort: Effort) -> None:
    """Add a row for each contender on the CPU."""
    seconds = timed(report, effort, CONTENDERS, "cpu")
    for contender in CONTENDERS:
        if contender.key in seconds:
            report.rows.append(row("training", contender, seconds, _targets(contender.key, seconds)))


def timed(
    report: Report, effort: Effort, contenders: Sequence[Contender], device: str
) -> dict[str, list[float]]:
    """Have each contender train in turn, in every round; returns the seconds of an epoch, by their keys."""
    children: dict[str, Child] = {}
    try:
        epochs = _get_ready(report, effort, children, contenders, device)
        seconds: dict[str, list[float]] = {key: [] for key in epochs}
        for at in range(effort.rounds):
            effort.say(f"training: round {at + 1} of {effort.rounds}")
            for contender in contenders:
                if contender.key in epochs:
                    took = children[contender.package].ask(contender.key, epochs[contender.key])
                    seconds[contender.key].append(took / epochs[contender.key])
    finally:
        for child in children.values():
            child.close()
    return seconds


def _get_ready(
    report: Report, effort: Effort, children: dict[str, Child], contenders: Sequence[Contender], device: str
) -> dict[str, int]:
    """Warm everything up; returns the number of epochs that can be timed, for each contender."""
    epochs = {}
    for contender in contenders:
        package = contender.package
        if package in report.absent:
            continue
        if importlib.util.find_spec(package) is None:
            report.absent[package] = "not installed"
            continue
        if package not in children:
            effort.say(f"training: starting {package}")
            children[package] = Child(package, device)
        try:
            epochs[contender.key] = _stretch(children[package], contender.key, effort)
        except GoneError as gone:
            report.absent[package] = str(gone)
            for key in [c.key for c in contenders if c.package == package]:
                epochs.pop(key, None)
    return epochs


def _stretch(child: Child, contender: str, effort: Effort) -> int:
    """Return a number of epochs that takes long enough; as many were run before, as some compile for it."""
    child.ask(contender, 1)
    epochs, enough = 1, ENOUGH_S * effort.share
    while (took := child.ask(contender, epochs)) < enough and epochs < MOST_EPOCHS:
        epochs = min(MOST_EPOCHS, max(2 * epochs, math.ceil(epochs * enough / took)))
    child.ask(contender, epochs)
    return epochs


def row(
    group: str, contender: Contender, seconds: dict[str, list[float]], targets: tuple[Target, ...] = ()
) -> Row:
    """Return the row of a contender, with its ratio to the fused engine."""
    own, base = seconds[contender.key], seconds.get(BASE)
    ratio = Spread.of_ratios(own, base) if base and contender.key != BASE else None
    value = Spread.of([1000 * s for s in own])
    return Row(group, contender.name, value, "ms/epoch", ratio, "fused", targets)


def _targets(key: str, seconds: dict[str, list[float]]) -> tuple[Target, ...]:
    def times_faster(other: str, least: float, of: str) -> list[Target]:
        if other not in seconds:
            return []
        ratio = Spread.of_ratios(seconds[other], seconds[key])
        target = at_least(ratio, least, of)
        return [Target(f"{target.text} (is {ratio.median:,.1f})", target.met)]

    if key == "gluon":
        return tuple(times_faster(SLOWEST, 15, "the tutorials' loop"))
    if key != "fused":
        return ()
    return (
        at_most(Spread.of([1000 * s for s in seconds[key]]), 0.045, "ms"),
        *times_faster(SLOWEST, 2500, "the tutorials' loop"),
        *times_faster("jax", 8, "JAX's scan"),
        *times_faster("jax_all", 5, "JAX's one scan"),
    )
