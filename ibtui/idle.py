"""Settings that were given and play no part: told, so that nobody takes them for the reason of a number."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ibtui.config import ESTIMATION, RunConfig
from ibtui.core.layer import suiting_binning
from ibtui.settings import flag


def idle(config: RunConfig, given: Collection[str]) -> list[str]:
    """Return a line for each of the settings given, by their names, that plays no part in a run.

    A screen's keys can change what estimates information, so there those settings only wait.
    """
    why = {
        "grid": "" if config.data == "grid" else "the data are no grid",
        "init_sigma": "" if config.init == "normal" else "--init fan-in decides it",
        "split": "the file says which samples are held out"
        if "split" in given and _says_split(config)
        else "",
    }
    settled = replace(
        config,
        binning=suiting_binning(config.activation) if config.binning == "auto" else config.binning,
        x=("grid" if config.data == "grid" else "identity") if config.x == "auto" else config.x,
    )
    kind = "kde" if settled.estimator == "kde" else f"{settled.binning} binning"
    for name in ESTIMATION:
        if name not in settled.deciding:
            about_x = name == "x_bins" and settled.estimator != "kde"
            why[name] = "each sample is a symbol of X" if about_x else f"the estimator is {kind}"
    return [
        f"{flag(name)} plays no part: {reason}" for name, reason in why.items() if reason and name in given
    ]


def _says_split(config: RunConfig) -> bool:
    from ibtui.data import is_file
    from ibtui.data.file import says_split

    return is_file(config.data) and says_split(config.data)
