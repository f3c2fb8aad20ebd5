"""The instrument, in a terminal, for what a neural net's layers make of their inputs while it trains."""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: with -m, a file in the current folder may have its name
if TYPE_CHECKING:
    from ibtui.probe import watch
    from ibtui.probe.handler import handler
    from ibtui.recording import Recording
    from ibtui.recording.files import load

__version__ = "0.2.0"
__all__ = ["Recording", "__version__", "handler", "load", "watch"]


def __getattr__(name: str) -> object:
    """Import what is asked for: until then, `import ibtui` imports nothing."""
    if name == "load":
        from ibtui.recording.files import load

        return load
    if name == "Recording":
        from ibtui.recording import Recording

        return Recording
    if name == "watch":
        from ibtui.probe import watch

        return watch
    if name == "handler":
        from ibtui.probe.handler import handler

        return handler
    raise AttributeError(f"module 'ibtui' has no attribute {name!r}")
