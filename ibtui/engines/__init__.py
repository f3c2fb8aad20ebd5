"""The engines that train: a registry. Importing it imports no engine, no framework and not even NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibtui.registry import Registry

if TYPE_CHECKING:  # their modules import NumPy; `ibtui doctor` runs without it
    from ibtui.config import RunConfig
    from ibtui.engines.protocol import EngineKind

ENGINES: Registry[EngineKind] = Registry(
    "engine",
    "ibtui.engines",
    {"gluon": "ibtui.engines.mxnet.kind:GLUON", "fused": "ibtui.engines.fused.kind:FUSED"},
)


def kind_of(config: RunConfig) -> EngineKind:
    """Return the kind of engine that a configuration names.

    `auto` is one of ibtui's own, whichever this machine gets: they declare the same.

    Raises
    ------
    UsageError
        Nothing has that name, or it cannot be imported.
    """
    return ENGINES["fused" if config.engine == "auto" else config.engine]
