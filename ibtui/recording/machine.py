"""The machine that a run was computed on, as a recording keeps it: the last bits depend on it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ibtui.errors import UsageError, printable
from ibtui.settings import parsed

_MOST = 32
_MOST_CHARACTERS = 300
_MOST_IN_ALL = 900

Machine = Mapping[str, str]
"""Facts about a machine by their names: its processor, versions, numbers of threads."""


def to_json(machine: Machine) -> str:
    """Return the key of the file that holds this."""
    return json.dumps({name: text[:_MOST_CHARACTERS] for name, text in machine.items()})


def from_json(text: str) -> dict[str, str]:
    """Return what `to_json` wrote; `UsageError` where the text is no such thing."""
    machine = parsed(text, "its machine")
    if not isinstance(machine, dict) or not is_machine(machine):
        raise UsageError("its machine: not the JSON that it should be")
    return {printable(name): printable(value) for name, value in machine.items()}


def is_machine(machine: Mapping[str, object]) -> bool:
    """Return True where these are so few and so short texts as a machine has."""
    return len(machine) <= _MOST and all(
        isinstance(text, str) and len(text) <= _MOST_CHARACTERS for item in machine.items() for text in item
    )


def difference(then: Machine, now: Machine) -> str:
    """Say in a phrase what differs between two machines; empty: nothing, or nothing is known of one."""
    if not then or not now:
        return ""
    both = {**then, **now}
    phrases = (
        f"{name} {then.get(name) or 'none'} then, {now.get(name) or 'none'} now"
        for name in both
        if then.get(name) != now.get(name)
    )
    return "; ".join(phrases)[:_MOST_IN_ALL]
