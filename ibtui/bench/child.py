"""A process for each package that trains: none sees another's threads, and a crash of one is a line.

The parent asks on the child's standard input, a line each of JSON, and the child answers on its standard
output; what libraries print goes to the standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import Any

from ibtui import children
from ibtui.bench.contenders import CONTENDERS, GPU_CONTENDERS, GPU_STEPS, Train
from ibtui.errors import explain

ENOUGH_S = 0.1
"""The time that a timed stretch of epochs should take."""


class GoneError(Exception):
    """The child cannot answer; the text says why."""


class Child:
    """A process that trains, as its parent sees it.

    Parameters
    ----------
    package : str
        The package whose contenders it prepares, as they are asked for.
    device : str
        The device that they train on: cpu, gpu0, …
    """

    def __init__(self, package: str, device: str) -> None:
        self.package = package
        self._process = subprocess.Popen(
            children.python("from ibtui.bench.child import main; main(sys.argv[1])", device),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, contender: str, epochs: int) -> float:
        """Train so many epochs; returns the seconds they took. Raises `GoneError`."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps([contender, epochs]) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            raise GoneError(f"its process ended with status {process.wait()}") from None
        if "error" in answer:
            raise GoneError(str(answer["error"]))
        return float(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


def main(device: str) -> None:
    """Answer until the standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    ready: dict[str, Train] = {}
    contenders = CONTENDERS if device == "cpu" else (*GPU_CONTENDERS, *GPU_STEPS)
    known = {contender.key: contender.prepare for contender in contenders}
    done = 0
    for line in sys.stdin:
        key, epochs = json.loads(line)
        try:
            if key not in ready:
                ready[key] = known[key](device)
            began = time.perf_counter()
            ready[key](done, done + epochs)
            answer: dict[str, object] = {"seconds": time.perf_counter() - began}
            done += epochs
        except Exception as error:
            answer = {"error": explain(error)}
        print(json.dumps(answer), file=answers, flush=True)
