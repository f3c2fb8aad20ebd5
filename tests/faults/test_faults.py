"""Every fault in its short form; `python -m tests.faults --all` is the long one."""

from __future__ import annotations

import pytest

from tests.faults import kinds, lines, long, numbers, sizes, slow, strangers, trials


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trial", "tries"),
    [
        (trials.record_killed, 4),
        (trials.signals, 3),
        (trials.two_runs, 1),
        (trials.disk_full, 1),
        (trials.folder_removed, 2),
        (trials.worker_killed, 2),
        (trials.screen_killed, 1),
        (trials.stuck_screen, 1),
        (lines.line_drops, 12),
        (lines.detached, 2),
        (sizes.resized, 20),
        (kinds.kinds, 5),
        (slow.slow_line, 10),
        (numbers.wrong_numbers, 24),
        (strangers.hostile_files, 400),
        (long.watched, 50_000),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_more_is_lost_than_was_promised(trial, tries):
    for told in trial(tries):
        print(f"{told.fault}: {told.tried} tried; lost: {told.lost}")
        assert told.holds, told.lost
