"""The command's standard output, whose failures are told from all others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from ibtui.errors import IbtuiError


class OutputError(IbtuiError):
    """The standard output cannot be written to."""


class ClosedError(OutputError):
    """Whoever read the standard output, such as `head`, has seen enough."""


@contextmanager
def standard_output() -> Iterator[None]:
    """All that is printed in here has been written at the end.

    Raises
    ------
    OutputError
        As soon as something cannot be written.
    """
    with open(os.devnull, "w") as nowhere:
        output = _Output(sys.stdout or nowhere, nowhere)  # None: the command was started without one
        with redirect_stdout(output):
            try:
                yield
            finally:
                output.flush()


class _Output:
    """A stream that fails with `OutputError`."""

    def __init__(self, stream: Any, nowhere: TextIO) -> None:
        self._stream, self._nowhere = stream, nowhere

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> Any:
        """See `io.TextIOBase`."""
        return self._tried(self._stream.write, text)

    def flush(self) -> None:
        """See `io.TextIOBase`."""
        self._tried(self._stream.flush)

    def _tried(self, call: Callable[..., Any], *arguments: str) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            # Python flushes once more as it ends.
            os.dup2(self._nowhere.fileno(), self._stream.fileno())
            if isinstance(error, BrokenPipeError):
                raise ClosedError from error
            raise OutputError(f"the output could not be written: {error.strerror}") from error
