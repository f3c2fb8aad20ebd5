"""The process of a worker. Importing this brings neither NumPy nor the wire, so that it starts at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import weakref
from collections.abc import Iterator

from ibtui import children
from ibtui.errors import IbtuiError, explain
from ibtui.run import places
from ibtui.run.job import Job


def start_worker(job: Job) -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own: it gets no signals of the terminal and writes nothing there.

    Its standard input stays open for as long as this process, and what is returned, lives. Where that ends
    before a screen has looked at a run that began from nothing, the worker goes too, with all that is its.
    """
    read, write = os.pipe()
    try:
        with open(places.log_path(job.name), "a+b") as log:  # the worker reads it too
            process = subprocess.Popen(
                children.python("from ibtui.run import __main__"),
                stdin=read,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
    except BaseException:
        os.close(write)
        raise
    finally:
        os.close(read)
    weakref.finalize(process, os.close, write)
    with contextlib.suppress(BrokenPipeError), open(write, "wb", closefd=False) as line:
        line.write(job.to_json().encode() + b"\n")
    return process


@contextlib.contextmanager
def started(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker ahead of its screen, which is made ready in the block; what is raised there ends it.

    Raises
    ------
    IbtuiError
        It cannot be started.
    """
    try:
        process = start_worker(job)
    except OSError as error:
        raise IbtuiError(f"the worker cannot be started: {explain(error)}") from error
    try:
        yield process
    except BaseException:
        process.kill()
        process.wait()
        places.clear(job.name)
        raise
