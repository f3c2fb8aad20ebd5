"""The terminal that a report is written for: its size, its colours, and the characters of its encoding."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import IO

from rich.console import Console
from rich.style import Style
from rich.text import Text

from ibtui import tty
from ibtui.errors import UsageError
from ibtui.plot import palette
from ibtui.plot.dots import Marker

LEAST_WIDTH = 40
PIPED_WIDTH = 100

_ASCII = str.maketrans("┌┐└┘├┤┬┴┼─│·╌╎×±−", "+++++++++-|.-:x~-")


@dataclass(frozen=True)
class Display:
    """The size, the colours and the characters of a terminal."""

    width: int = PIPED_WIDTH
    height: int = 40
    """No figure is higher."""
    colours: palette.ColourSystem = "none"
    marker: Marker = "braille"
    """With "ascii" there is nothing else in the whole report."""

    @property
    def plain(self) -> bool:
        """True without colours: layers and classes need characters of their own."""
        return self.colours == "none"

    @property
    def lettered(self) -> bool:
        """True where samples are letters of their classes."""
        return self.plain or self.marker == "ascii"

    @cached_property
    def styles(self) -> list[Style]:
        return palette.styles(self.colours)

    def line(self, *parts: tuple[str, int]) -> Text:
        """Return a line of stretches of text, each with its ink."""
        return Text.assemble(*((text, self.styles[ink]) for text, ink in parts))

    def encoded(self, lines: Sequence[Text]) -> list[str]:
        """Return lines as they are printed, with the codes of their colours."""
        text = "\n".join(line.plain.rstrip() for line in lines)
        if not self.plain:
            console = Console(
                file=io.StringIO(),
                color_system="standard" if self.colours == "16" else self.colours,  # type: ignore[arg-type]
                force_terminal=True,
                no_color=False,
                legacy_windows=False,
            )
            with console.capture() as captured:
                console.print(Text("\n").join(lines), soft_wrap=True, end="")
            text = captured.get()
        if self.marker == "ascii":
            text = text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
        return text.split("\n")


def display_of(stream: IO[str], environment: Mapping[str, str], marker: str = "auto") -> Display:
    """Find out what a stream can show; `UsageError` where it is a terminal that is too narrow."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    if stream.isatty():
        bare = not tty.shows_unicode(environment, encoding)
    else:  # a file or a pipe has no locale
        bare = not encoding.lower().startswith("utf") or environment.get("TERM") == "dumb"
    if marker == "auto":
        marker = "ascii" if bare else "braille"
    display = Display(marker=marker)  # type: ignore[arg-type]
    if not stream.isatty():
        return display
    size = shutil.get_terminal_size((PIPED_WIDTH, display.height))
    if size.columns < LEAST_WIDTH:
        raise UsageError(
            f"the figures need {LEAST_WIDTH} columns; this terminal has {size.columns}; see --out"
        )
    display = replace(display, width=size.columns, height=size.lines - 1)
    system = Console(file=stream).color_system
    if system is None or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return display
    return replace(
        display, colours="truecolor" if system == "truecolor" else "256" if system == "256" else "16"
    )
