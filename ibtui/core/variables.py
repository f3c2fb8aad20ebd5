"""The environment's variables that Numba would stop at, or print pages about: they are named and ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LEGAL = {
    "NUMBA_NUM_THREADS": (r"\s*0*[1-9]\d{0,5}\s*", "a whole number above 0"),
    "NUMBA_CPU_FEATURES": (r"|[+-][^,]*(,[+-][^,]*)*", "names with + or - before each, such as +avx2,-fma"),
    "NUMBA_OPT": (r"[0-3]|max", "0, 1, 2, 3 or max"),
}
"""Regular expressions for values that Numba takes, and words for them."""


def ignored(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return each variable that is ignored here, with a sentence that says why."""
    if environment.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield "NUMBA_DISABLE_JIT", "NUMBA_DISABLE_JIT is ignored: what is compiled here runs in no other way"
    for name, (pattern, words) in _LEGAL.items():
        value = environment.get(name)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII | re.DOTALL):
            yield name, f"{name}={ascii(value[:60])[1:-1]} is ignored: it must be {words}"
