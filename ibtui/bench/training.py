"""Milliseconds per epoch of the default experiment, for every contender whose package is here."""

from __future__ import annotations

import importlib.util
import math

from ibtui.bench.child import ENOUGH_S, Child, GoneError
from ibtui.bench.contenders import BASE, CONTENDERS, SLOWEST, Contender
from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, Target, at_least, at_most

MOST_EPOCHS = 5000


def measure(report: Report, effort: Effort) -> None:
    """Add a row for each contender; in every round each trains in turn."""
    children: dict[str, Child] = {}
    try:
        epochs = _get_ready(report, effort, children)
        seconds: dict[str, list[float]] = {key: [] for key in epochs}
        for at in range(effort.rounds):
            effort.say(f"training: round {at + 1} of {effort.rounds}")
            for contender in CONTENDERS:
                if contender.key in epochs:
                    took = children[contender.package].ask(contender.key, epochs[contender.key])
                    seconds[contender.key].append(took / epochs[contender.key])
    finally:
        for child in children.values():
            child.close()
    for contender in CONTENDERS:
        if contender.key in seconds:
            report.rows.append(_row(contender, seconds))


def _get_ready(report: Report, effort: Effort, children: dict[str, Child]) -> dict[str, int]:
    """Warm everything up; returns the number of epochs that can be timed, for each contender."""
    epochs = {}
    for contender in CONTENDERS:
        package = contender.package
        if package in report.absent:
            continue
        if importlib.util.find_spec(package) is None:
            report.absent[package] = "not installed"
            continue
        if package not in children:
            effort.say(f"training: starting {package}")
            children[package] = Child(package)
        try:
            epochs[contender.key] = _stretch(children[package], contender.key, effort)
        except GoneError as gone:
            report.absent[package] = str(gone)
            for key in [c.key for c in CONTENDERS if c.package == package]:
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


def _row(contender: Contender, seconds: dict[str, list[float]]) -> Row:
    key, own = contender.key, seconds[contender.key]
    value = Spread.of([1000 * s for s in own])
    base = seconds[BASE]
    ratio = Spread.of_ratios(own, base) if key != BASE else None
    return Row("training", contender.name, value, "ms/epoch", ratio, "fused", _targets(key, seconds))


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
