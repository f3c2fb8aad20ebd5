"""The commands of the palette, in the order that the keys have them: those used most come first."""

from __future__ import annotations

from textual.command import DiscoveryHit, Hits
from textual.system_commands import SystemCommandsProvider


class Commands(SystemCommandsProvider):
    """Textual's own, which would list them by the alphabet."""

    async def discover(self) -> Hits:
        """Yield all commands."""
        for name, text, callback, _ in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(name, callback, help=text)
