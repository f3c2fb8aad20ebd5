"""Things found by name: ibtui's own, and those that other packages declare as entry points."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from functools import cache, cached_property
from typing import Any, Generic, TypeVar, cast

from ibtui.errors import UsageError, blaming, hint, printable

Thing = TypeVar("Thing")


@cache
def _installed() -> Any:
    """Return the entry points of all packages; to find them takes tens of milliseconds."""
    from importlib import metadata

    return metadata.entry_points()


MEMBERS = {
    "dataset": ("make", "summary", "x_range"),
    "quantity": ("quantities", "measure"),
    "pane": ("declared", "content_key", "draw"),
    "engine": (
        "summary", "layers", "kept", "checkpoint", "initial", "scalars", "activations", "refusal", "create",
    ),
}  # fmt: skip


class Registry(Generic[Thing]):
    """The datasets, quantities, panes or engines that there are.

    Finding a name imports nothing; asking for what it names imports that module alone. What is installed
    beside ibtui is searched only for a name that is not its own, and for all names. The kind is a word for
    messages, such as "dataset"; other packages declare theirs in the group of entry points, such as
    "ibtui.datasets"; our own are given as an entry point has them: "module:attribute".
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group = kind, group
        self._own = dict(own)
        self._loaded: dict[str, Thing] = {}

    @property
    def own(self) -> Collection[str]:
        """The names of ibtui's own, all of which can be loaded."""
        return self._own.keys()

    @cached_property
    def _places(self) -> dict[str, str]:
        found = {point.name: point.value for point in _installed().select(group=self.group)}
        return self._own | {name: found[name] for name in sorted(found) if name not in self._own}

    @property
    def names(self) -> tuple[str, ...]:
        """All names: ibtui's own first, then those of other packages in alphabetical order."""
        return tuple(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._places

    def __getitem__(self, name: str) -> Thing:
        """Import and return what a name stands for; `UsageError` where that cannot be done."""
        if name in self._loaded:
            return self._loaded[name]
        place = self._own.get(name) or self._places.get(name)
        if place is None:
            raise UsageError(f"{printable(name[:60])}: no {self.kind} of that name; {hint(name, self.names)}")
        module, _, attribute = place.partition(":")
        where = f"{printable(name)}: this {self.kind} cannot be loaded from {printable(place)}"
        with blaming(where, UsageError):
            thing = getattr(importlib.import_module(module.strip()), attribute.strip())
        if missing := [member for member in MEMBERS[self.kind] if not hasattr(thing, member)]:
            raise UsageError(f"{where}: it is none, for it has no {', '.join(missing)}")
        return self._loaded.setdefault(name, cast(Thing, thing))
