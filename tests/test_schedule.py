"""The epochs at which runs are measured, against slow definitions in whole numbers."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibtui import schedule
from ibtui.config import RunConfig


def logarithmic(stop: int) -> list[int]:
    """Return floor(10^(k / 20)) below `stop`, and 0: the largest n with n^20 <= 10^k, by whole numbers."""
    found = {0}
    for k in count():
        n = 1
        while (n + 1) ** 20 <= 10**k:
            n += 1
        if n >= stop:
            return sorted(found)
        found.add(n)
    raise AssertionError


def by_definition(every: int | str, stop: int) -> list[int]:
    if every == "log":
        return logarithmic(stop)
    if every == "auto":
        return [epoch for epoch in range(stop) if epoch <= 100 or epoch % 10 == 0]
    assert isinstance(every, int)
    return [epoch for epoch in range(stop) if epoch % every == 0]


@pytest.mark.parametrize("every", ["auto", "log", 1, 7, 10, 1000])
@pytest.mark.parametrize("epochs", [1, 2, 99, 100, 101, 109, 110, 2000, 3163])
def test_a_run_is_measured_at_the_epochs_of_the_definition_and_at_its_end(
    every: int | str, epochs: int
) -> None:
    config = RunConfig(every=every, epochs=epochs)
    due = [epoch for epoch in range(epochs + 5) if config.scheduled(epoch)]
    assert due == [*by_definition(every, epochs), epochs]
    walked = [0]
    while walked[-1] < epochs:
        walked.append(config.next_scheduled(walked[-1]))
    assert walked == due
    assert config.planned == len(due)
    assert config.next_scheduled(epochs) == epochs


@settings(deadline=None)
@given(st.sampled_from(["auto", "log", 3, 10]), st.integers(1, 5000), st.integers(1, 5000))
def test_a_schedule_does_not_depend_on_how_long_the_run_is(every: int | str, some: int, others: int) -> None:
    shorter, longer = sorted((some, others))
    a, b = RunConfig(every=every, epochs=shorter), RunConfig(every=every, epochs=longer)
    assert all(a.scheduled(epoch) == b.scheduled(epoch) for epoch in range(0, shorter, 13))


def test_a_logarithmic_schedule_has_twenty_epochs_to_a_power_of_ten() -> None:
    config = RunConfig(every="log", epochs=10**8)
    assert all(config.scheduled(10**power) for power in range(9))
    assert config.planned == schedule.count("log", 10**8) + 1
    assert schedule.count("log", 10**7) - schedule.count("log", 10**6) == 20


@pytest.mark.parametrize("every", ["auto", "log", 1, 25])
def test_the_longest_stretch_is_never_passed(every: int | str) -> None:
    config = RunConfig(every=every, epochs=1500)
    due = [epoch for epoch in range(1501) if config.scheduled(epoch)]
    gaps = [after - before for before, after in pairwise(due)]
    assert max(gaps) <= schedule.longest(every, 1500)
