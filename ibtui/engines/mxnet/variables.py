"""The environment's variables that MXNet reads as it starts: a wrong one ends the process, or hangs it.

A table judges those that are known. Of others a process of its own tells, within a limit of time, and only
where such a variable is set: without one, nothing here takes any time.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ibtui.engines.nvidia.messages import plain
from ibtui.engines.probing import ask
from ibtui.errors import printable

PROBE_S = 45.0
"""Seconds for MXNet to import and train a little; it takes 3, and 12 where a machine is busy."""
_PREFIXES = ("MXNET_", "DMLC_")
_TRY = "from ibtui.engines.mxnet.kind import GLUON; GLUON.train_a_little()"


class _Rule(NamedTuple):
    """The values of a variable with which MXNet works."""

    pattern: str
    words: str


_WHOLE = _Rule(r"|\s*[+-]?\d{1,9}\s*", "one whole number")
_COUNT = _Rule(r"|\s*\+?0*[1-9]\d{0,2}\s*", "a whole number from 1 to 999")
_SWITCH = _Rule(r"|0|1|true|false", "0 or 1")

_RULES = {
    "OMP_NUM_THREADS": _WHOLE,
    "MXNET_ENGINE_TYPE": _Rule(
        "NaiveEngine|ThreadedEngine|ThreadedEnginePerDevice",
        "NaiveEngine, ThreadedEngine or ThreadedEnginePerDevice",
    ),
    "MXNET_CPU_WORKER_NTHREADS": _COUNT,
    "MXNET_CPU_PRIORITY_NTHREADS": _COUNT,
    "MXNET_GPU_WORKER_NTHREADS": _COUNT,
    "MXNET_GPU_COPY_NTHREADS": _COUNT,
    "MXNET_GPU_WORKER_NSTREAMS": _Rule("|1|2", "1 or 2"),
    "MXNET_OMP_MAX_THREADS": _WHOLE,
    "MXNET_EXEC_BULK_EXEC_TRAIN": _SWITCH,
    "MXNET_EXEC_BULK_EXEC_INFERENCE": _SWITCH,
    "MXNET_ENFORCE_DETERMINISM": _SWITCH,
    "MXNET_CUDNN_AUTOTUNE_DEFAULT": _Rule("|0|1|2", "0, 1 or 2"),
    "MXNET_CUDNN_LIB_CHECKING": _SWITCH,
    "MXNET_HOME": _Rule(".*", "a folder"),
}


def misset(environment: Mapping[str, str]) -> Iterator[str]:
    """Say of each variable that the table knows to be wrong what it must be."""
    for name, rule in _RULES.items():
        value = environment.get(name)
        if value is not None and not re.fullmatch(rule.pattern, value, re.ASCII | re.DOTALL):
            yield f"{name}={printable(value[:40])}: for MXNet it must be {rule.words}"


def fault() -> str:
    """Say which variable MXNet cannot start with, and what to do; empty: it starts, as far as is known.

    Where a variable is set that the table does not know, MXNet is tried in a process of its own.
    """
    for sentence in misset(os.environ):
        return sentence
    unknown = tuple(sorted(n for n in os.environ if n.startswith(_PREFIXES) and n not in _RULES))
    return _guilty(unknown) if unknown else ""


@functools.cache
def _guilty(unknown: tuple[str, ...]) -> str:
    """Find out whether MXNet starts with these variables; if not, say which of them it is."""
    if not (error := _failure(())):
        return ""
    if _failure(unknown):
        return f"MXNet does not start: {error}"
    named = [name for name in unknown if name in error]
    if not named and len(unknown) > 1:
        named = [name for name in unknown if _failure(tuple(n for n in unknown if n != name))]
    return f"MXNet does not start with {' and '.join(named or unknown)} set ({error}): unset it"


def _failure(without: tuple[str, ...]) -> str:
    """Try MXNet without some variables; return how it failed, empty if it did not."""
    _, error = ask(_TRY, timeout=PROBE_S, without=without)
    return plain(error) if error else ""
