"""`ibtui completion`: what makes a shell complete subcommands, flags, their values and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

import shtab


def script(parser: argparse.ArgumentParser, shell: str, names: Mapping[str, Sequence[str]]) -> str:
    """Return a shell's completions of a parser, of no other use then; `names` has unlisted values."""
    for action in _actions(parser):
        shown = action.metavar if isinstance(action.metavar, str) else ""
        if action.dest in names:
            action.choices = list(names[action.dest])
        elif "|" in shown:
            action.choices = [word for word in shown.split("|") if word != "..."]
        elif shown.startswith("FILE"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif shown == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        if action.help is not None:
            action.help = action.help.replace("\n", " ")
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
