"""The pace of a run that somebody watches: at first slow enough to see what happens, for that is over early.

A net of the default experiment has folded, clustered and separated its inputs within the first hundred epochs
of two thousand. At an even pace these are over before the eye has found the panes.
"""

from __future__ import annotations

from itertools import pairwise

AUTO = "auto"
"""The setting that stands for `of_story`."""
STORY = ((40, 5.0), (200, 20.0))
"""Epochs per second up to an epoch, stretch after stretch."""
WINDOW_S = 2.0
"""The seconds over which the speed of a run is told."""
AFTERWARDS = 60.0
"""Epochs per second from there on, and wherever nobody watches."""


def story_in_words() -> str:
    """Return the paces of the story: "5 epochs/s, 20 from epoch 40, 60 from epoch 200"."""
    begins = [end for end, _ in STORY]
    first, *later = [*(pace for _, pace in STORY), AFTERWARDS]
    rises = [f"{pace:g} from epoch {begin}" for begin, pace in zip(begins, later, strict=True)]
    return ", ".join([f"{first:g} epochs/s", *rises])


def of_story(epoch: int) -> float:
    """Return the epochs per second at an epoch of a run that is watched."""
    return next((pace for end, pace in STORY if epoch < end), AFTERWARDS)


def seconds_of_story(start: float, stop: float) -> float:
    """Return the least seconds from one epoch to another one of a run that is watched."""
    ends = [start, *(min(max(end, start), stop) for end, _ in STORY), max(start, stop)]
    paces = [*(pace for _, pace in STORY), AFTERWARDS]
    return sum((after - before) / pace for (before, after), pace in zip(pairwise(ends), paces, strict=True))
