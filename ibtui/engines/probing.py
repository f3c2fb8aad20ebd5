"""A process of its own for what could end the process that runs it: vendors' libraries, above all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from ibtui import children

TIMEOUT_S = 120.0  # the first use of a GPU loads some hundred megabytes of its code
_TELLS = "ibtui: "


def ask(
    statement: str, *arguments: str, timeout: float = TIMEOUT_S, without: Collection[str] = ()
) -> tuple[list[dict[str, Any]], str]:
    """Have a process of its own run a statement, with `arguments` in `sys.argv` from 1 on.

    Its environment is this process's, but for the variables `without`.

    Returns
    -------
    answers : list of dict
        Everything that it told with `tell`, also if it ended early.
    error : str
        Its last words, or its exit status, on one line; empty: it ended well.
    """
    environment = {name: value for name, value in os.environ.items() if name not in without}
    try:
        done = subprocess.run(
            children.python(statement, *arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
        text = said if isinstance(said, str) else said.decode(errors="replace")
        return _answers(text), f"no answer within {timeout:.0f} s"
    error = ""
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        error = lines[-1].strip()[:200]
    return _answers(done.stdout), error


def tell(answer: dict[str, Any]) -> None:
    """Answer, in a process that `ask` started, among whatever else goes to stdout."""
    print(f"\n{_TELLS}{json.dumps(answer)}", flush=True)


def _answers(output: str) -> list[dict[str, Any]]:
    answers = []
    for line in output.splitlines():
        if line.startswith(_TELLS):
            with suppress(ValueError):
                answers.append(json.loads(line.removeprefix(_TELLS)))
    return answers
