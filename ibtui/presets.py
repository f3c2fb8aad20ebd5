"""Presets: named sets of settings, for the experiments that papers report.

In Python: ``ibtui.config.build({"preset": "tishby2017", "seed": 2})``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ibtui.errors import UsageError, hint
from ibtui.settings import brief, flag, shown

_WIDTH = 76


@dataclass(frozen=True)
class Preset:
    """A named set of settings, under the names of the fields of `RunConfig`."""

    summary: str
    settings: Mapping[str, Any]


_TISHBY: Mapping[str, Any] = {
    "data": "icosahedron12", "split": 0.8, "layers": (10, 7, 5, 4, 3, 2), "activation": "tanh",
    "output": "linear", "optimizer": "adam", "lr": 4e-4, "batch_size": 512, "init": "fan-in",
    "epochs": 8000, "every": "log", "measure_on": "all", "measure_output": "softmax", "x": "identity",
    "binning": "notebook", "t_bins": 29, "units": "bits",
}  # fmt: skip

PRESETS = {
    "notebook": Preset(
        "the experiment that ibtui began with: XOR, four tanh layers of two units",
        {"every": 10, "binning": "notebook", "x": "grid"},
    ),
    "tishby2017": Preset(
        "Shwartz-Ziv and Tishby, Opening the black box of deep neural networks via information (2017): "
        "tanh units, 30 edges from -1 to 1",
        _TISHBY,
    ),
    "saxe2018": Preset(
        "Saxe et al., On the information bottleneck theory of deep learning (2018): the same net with ReLU, "
        "bins 0.07 wide",
        {**_TISHBY, "activation": "relu", "binning": "width", "t_width": 0.07},
    ),
}


def preset(name: object, what: str = "--preset ") -> Preset:
    """Return a preset; `UsageError`, behind `what`, where there is none of that name."""
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"{what}{brief(name)}: no preset of that name; {hint(str(name), PRESETS)}")
    return PRESETS[name]


def as_lines(name: str, chosen: Preset) -> list[str]:
    """Write a preset as a command, with the flags that it stands for."""
    flags = " ".join(f"{flag(key)}\0{shown(value)}" for key, value in chosen.settings.items())
    command = textwrap.wrap(f"ibtui {flags}", _WIDTH - 4, break_on_hyphens=False)
    lines = [f"  {'  ' * bool(place)}{line}" for place, line in enumerate(command)]
    said = textwrap.wrap(f"{name}: {chosen.summary}", _WIDTH, subsequent_indent="  ")
    return [*said, *" \\\n".join(lines).replace("\0", " ").split("\n")]
