"""CUDA's messages of failure in plain words; `messages.json` has the words."""

from __future__ import annotations

import functools
import json
from importlib import resources

_REASON_LENGTH = 160


def plain(text: str) -> str:
    """Say what MXNet or CUDA report of a failure as one sentence, with their own words in brackets."""
    folded = text.casefold()
    reason = _reason(text)
    for sentence, signs in _known():
        if any(sign in folded for sign in signs):
            return f"{sentence} [{reason}]"
    return reason


@functools.cache
def _known() -> list[tuple[str, list[str]]]:
    """Return the sentences, each with the parts of CUDA's texts, or names of its errors, that call for it."""
    text = resources.files(__package__).joinpath("messages.json").read_text(encoding="utf-8")
    return [(sentence, [sign.casefold() for sign in signs]) for sentence, signs in json.loads(text).items()]


def _reason(text: str) -> str:
    """Return the line that says what failed, without the file, line and stack that MXNet puts around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["unknown error"]
    around = ("[bt]", "Stack trace", "Traceback", "File ")
    lines = [line for line in lines if not line.startswith(around)] or lines
    signs = ("Error:", "Check failed", "CUDA")
    line = next((line for line in lines if any(sign in line for sign in signs)), lines[0])
    line = line.partition("Check failed: ")[2] or line
    line = line.rpartition("Error: ")[2] or line
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"
