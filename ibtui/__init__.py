"""The instrument, in a terminal, for what a neural net's layers make of their inputs while it trains."""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: with -m, a file in the current folder may have its name
if TYPE_CHECKING:
    from ibtui.recording import Recording
    from ibtui.recording.files import load

__version__ = "0.2.0"
__all__ = ["Recording", "__version__", "load"]


def __getattr__(name: str) -> object:
    """Import what is asked for: until then, `import ibtui` imports nothing."""
    if name == "load":
        from ibtui.recording.files import load

        return load
    if name == "Recording":
        from ibtui.recording import Recording

        return Recording
    raise AttributeError(f"module 'ibtui' has no attribute {name!r}")
