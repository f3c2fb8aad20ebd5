"""The characters that a terminal can show, and the spelling of texts with them."""

from __future__ import annotations

from collections.abc import Mapping

from ibtui import tty
from ibtui.plot.dots import Marker

FRAME = "╭╮╰╯─│"
CHOSEN_FRAME = "┏┓┗┛━┃"
"""Corners from top left to bottom right, then the horizontal and the vertical line."""

STATES: Mapping[str, str] = {
    "starting": "◌", "running": "●", "pausing": "◍", "paused": "‖", "finished": "■", "failed": "✗",
    "dead": "†", "stopped": "■",
}  # fmt: skip

# A console's font has some 256 glyphs, those of code page 437 for the most part.
_CONSOLE = str.maketrans(
    dict(zip("╭╮╰╯─│┏┓┗┛━┃", "┌┐└┘─│╔╗╚╝═║", strict=True))
    | {"●": "•", "◌": "○", "◍": "○", "‖": "║", "✗": "x", "†": "x", "…": "...", "—": "-", "−": "-"}
)
_ASCII = str.maketrans(
    dict(zip("╭╮╰╯─│┏┓┗┛━┃", "++++-|####=#", strict=True))
    | {"●": "*", "◌": "~", "◍": "~", "‖": "=", "■": "#", "✗": "x", "†": "x", "·": "-", "…": "...", "—": "-"}
    | {"−": "-", "←": "<-", "→": "->", "↑": "up", "↓": "down", "∞": "inf", "≤": "<=", "Σ": "sum ", "²": "^2"}
    | {"λ": "lambda", "×": "x", "σ": "sigma", "○": "@"}
)
_SPELLINGS: Mapping[Marker, dict[int, str]] = {"braille": {}, "block": _CONSOLE, "ascii": _ASCII}


def spelled(text: str, marker: Marker) -> str:
    """Spell a text in characters that a terminal with this marker has. It may grow: spell, then measure."""
    table = _SPELLINGS[marker]
    text = text.translate(table) if table else text
    if marker == "ascii" and not text.isascii():  # names of files, and what other packages declare
        text = text.encode("ascii", "replace").decode()
    return text


def auto_marker(environ: Mapping[str, str], encoding: str, *, coloured: bool) -> Marker:
    """Return the finest marker that the locale, `TERM` and the terminal's encoding let hope for.

    Without colours only ASCII tells layers and classes apart, by letters.
    """
    if not coloured or not tty.shows_unicode(environ, encoding):
        return "ascii"
    return "block" if environ.get("TERM") == "linux" else "braille"
