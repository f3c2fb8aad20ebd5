"""The few kinds of failure that ibtui reports, each with the exit status it ends the command with."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class IbtuiError(Exception):
    """Anything that ibtui reports to its user in one line; `exit_status` is what the command ends with."""

    exit_status = 1


class UsageError(IbtuiError):
    """A wrong argument, configuration or file: nothing was started."""

    exit_status = 2


class RecordingError(UsageError):
    """A file is not a recording that can be read, or a place is not one that can be written."""


class EngineError(IbtuiError):
    """An engine could not be made, or training broke off."""


@contextmanager
def blaming(what: str, kind: type[IbtuiError] = IbtuiError) -> Iterator[None]:
    """Turn any failure in the block into a sentence about `what`, which may be another package's."""
    try:
        yield
    except IbtuiError:
        raise
    except Exception as error:
        raise kind(f"{what}: {explain(error)}") from error


def printable(text: str) -> str:
    """The text with control characters made visible, for strings from outside that reach a terminal.

    Bidirectional overrides and other invisible format characters count as control characters: they can
    make a line read as something else.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def hint(name: str, known: Collection[str], otherwise: str = "there is") -> str:
    """Name the known word that an unknown one is meant to be or, where none is near, all that there are."""
    near = difflib.get_close_matches(name[:40], known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"{otherwise} {', '.join(known)}"


def explain(error: BaseException) -> str:
    """Say in a line what went wrong: our own sentence, the system's, or the exception's name and text."""
    if isinstance(error, IbtuiError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror)
    lines = str(error).strip().splitlines() or [""]
    # Some frameworks' texts are tracebacks of their own, whose last line says it.
    said = lines[-1 if lines[0].startswith("Traceback") else 0].strip()
    name = type(error).__name__
    return printable(name if not said else said if said.startswith(f"{name}: ") else f"{name}: {said}")
