"""The terminal that a command runs in: where it is written to, its size, and its encoding."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Mapping
from functools import cache

from ibtui.errors import UsageError

_NEEDED = "the live screen needs a terminal; without one, use --record FILE.npz"
_COLOURLESS = ("vt52", "vt100", "vt102", "vt220", "vt320", "vt420")


def open_closed_streams() -> None:
    """Lead standard streams that the command was started without to the null device.

    Otherwise the next file that is opened takes the number of such a stream, and gets what is written to it.
    """
    for handle, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(handle, True)
        if getattr(sys, name) is None:
            stream = open(handle, mode, closefd=False)  # noqa: SIM115  # it is there until the end
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def size(handle: int) -> tuple[int, int] | None:
    """Return a terminal's columns and rows as it says itself; None where it does not."""
    try:
        columns, rows = os.get_terminal_size(handle)
    except OSError:
        return None
    return (columns, rows) if columns and rows else None


forgotten: dict[str, str] = {}
"""The variables that `follow` has forgotten, as they were: `ibtui doctor` tells of them."""


def follow(handle: int) -> None:
    """Forget exported COLUMNS and LINES where this terminal says its size itself.

    Everything that draws takes the variables first, though they are of another terminal, or of another time.
    """
    if size(handle) is not None:
        for name in ("COLUMNS", "LINES"):
            if (value := os.environ.pop(name, None)) is not None:
                forgotten[name] = value


@cache
def screen() -> int:
    """Return the handle to draw on: the terminal whose keys are read, wherever the other streams lead.

    `UsageError` where the standard input is no terminal, or its terminal cannot be written to.
    """
    if not os.isatty(0):
        raise UsageError(_NEEDED)
    device = os.fstat(0).st_rdev
    for handle in (2, 1, 0):
        writable = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if writable and os.isatty(handle) and os.fstat(handle).st_rdev == device:
            return handle
    for name in (os.ttyname, lambda _: "/dev/tty"):
        with contextlib.suppress(OSError):
            return os.open(name(0), os.O_WRONLY | os.O_NOCTTY)
    raise UsageError(f"{_NEEDED}; the one that keys are read from cannot be written to")


def encoding() -> str:
    """Return the encoding of the terminal's characters, as the locale or PYTHONIOENCODING has it."""
    name = getattr(sys.__stdin__, "encoding", None) or "utf-8"
    return name if "\x1b".encode(name, "replace") == b"\x1b" else "ascii"


def shows_unicode(environ: Mapping[str, str], encoding: str) -> bool:
    """Return True for a terminal that shows more than ASCII, by its locale, encoding and `TERM`.

    Python itself sets `LC_CTYPE` to C.UTF-8 where no locale is set, so that value alone says nothing.
    """
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if locale == "C.UTF-8" and not environ.get("LC_ALL"):
        locale = environ.get("LANG") or ""
    unicode = all("utf8" in name.lower().replace("-", "") for name in (locale, encoding))
    return unicode and environ.get("TERM") != "dumb"


def shows_colours(environ: Mapping[str, str]) -> bool:
    """Return False for a terminal whose `TERM` is one without colours, unless `COLORTERM` says otherwise."""
    term = environ.get("TERM", "").partition("-")[0]
    return term != "dumb" and (term not in _COLOURLESS or bool(environ.get("COLORTERM")))


def is_light(environ: Mapping[str, str]) -> bool:
    """Return True for a terminal that says in `COLORFGBG` that its ground is light: by a number of the 16."""
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    return ground in ("7", "9", "10", "11", "12", "13", "14", "15")


def in_foreground() -> bool:
    """Return False where another process group has the terminal that keys are read from."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # not the controlling terminal: nobody else is given it
        return True
