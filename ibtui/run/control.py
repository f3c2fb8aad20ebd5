"""The screen's side of a watched loop's socket; `ibtui.probe.gate` says what goes over it.

Nothing here waits for a loop, which may be busy: requests are sent, and answers taken when they are there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibtui.errors import UsageError, printable
from ibtui.run import loops, peers

GREETING = "ibtui loop"
PROTOCOLS = (1,)
ANSWER_S = 2.0
"""Seconds that a loop may take to say where it stands; then it is busy."""
_CONNECT_S = 2.0
_MOST_BYTES = 1 << 16
_STATES = ("running", "pausing", "paused", "stopping", "ended")


@dataclass(frozen=True)
class Where:
    """A loop's own account of itself: its epoch, its state and the screens that watch it."""

    name: str
    pid: int
    epoch: int
    epochs: int
    """0: it is not known how many there are to be."""
    state: str
    screens: int
    stream: Path | None
    refused: str = ""
    """The reason that a request was not carried out; empty: it was."""


def _where(line: bytes) -> Where | None:
    """Return what a line says; None where no loop that we understand has written it."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get(GREETING) not in PROTOCOLS:
        return None
    name, state, stream, refused = (said.get(key) for key in ("name", "state", "stream", "refused"))
    if not isinstance(name, str) or not loops.is_name(name) or state not in _STATES:
        return None
    return Where(
        name, _count(said.get("pid")), _count(said.get("epoch")), _count(said.get("epochs")), str(state),
        _count(said.get("screens")), Path(stream) if isinstance(stream, str) and "\0" not in stream else None,
        printable(refused[:300]) if isinstance(refused, str) else "",
    )  # fmt: skip


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**62 else 0


class Control:
    """A connection to a loop.

    Raises
    ------
    OSError
        None listens there.
    """

    def __init__(self, path: Path) -> None:
        self._peer = peers.connect(path, _CONNECT_S)
        self._peer.setblocking(False)
        self._rest = b""
        self._owed = 1
        self._unread: deque[Where] = deque()
        """Answers that have come, and that nobody has been given."""
        self.gone = False
        """True once the connection has ended."""

    def send(self, word: str, **more: int) -> None:
        """Ask for something; the answer comes with `answers`."""
        try:
            self._peer.sendall(json.dumps({"do": word, **more}).encode() + b"\n")
            self._owed += 1
        except BlockingIOError:  # it is busy, and has been asked very often
            pass
        except OSError:
            self.gone = True

    def ask_where(self) -> None:
        """Ask where the loop stands, unless an answer to that is still to come."""
        if self._owed == 0:
            self.send("status")

    def answers(self) -> Iterator[Where]:
        """Return the answers that have come."""
        self._receive()
        while self._unread:
            yield self._unread.popleft()

    def _receive(self) -> None:
        """Take in what has come, up to so many bytes: a loop that never ends its talk holds nobody up."""
        try:
            data = self._peer.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.gone = not data or len(self._rest) > _MOST_BYTES
        self._owed = max(0, self._owed - len(lines))
        self._unread.extend(where for line in lines if (where := _where(line)) is not None)

    def wait(self, seconds: float = ANSWER_S) -> Where | None:
        """Return the next answer; None where none comes in so many seconds, or the loop has gone."""
        end = time.monotonic() + seconds
        while not self._unread and not self.gone and (left := end - time.monotonic()) > 0:
            select.select([self._peer], [], [], left)
            self._receive()
        return self._unread.popleft() if self._unread else None

    def close(self) -> None:
        """Let go of the loop, which goes on where this connection held it up."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_WR)
        self._peer.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reach(name: str, pid: int) -> Control | None:
    """Return a connection to the loop of this name in this process; None where there is none any more."""
    for path in loops.sockets_of(name):
        with contextlib.suppress(OSError, UsageError):
            control = Control(path)
            where = control.wait()
            if where is None or where.pid == pid:  # one that is busy is taken at its name
                return control
            control.close()
    return None


def live() -> list[Where]:
    """Return the user's loops that answer; the sockets of those that have gone are removed."""
    found = []
    for path in loops.sockets().values():
        try:
            with Control(path) as control:
                where = control.wait()
        except ConnectionRefusedError:
            peers.remove(path)
            continue
        except OSError:
            continue
        if where is not None:
            found.append(where)
    return found


def stop(name: str, path: Path) -> Where | None:
    """Ask a loop to end; return what it says to that, or None where it has not answered in time.

    Raises
    ------
    OSError
        Nothing listens there, or it hung up without an answer.
    """
    with Control(path) as control:
        control.wait()
        control.send("stop")
        answer = control.wait()
        end = time.monotonic() + ANSWER_S
        while answer is not None and not answer.refused and answer.state != "ended" and not control.gone:
            if time.monotonic() > end:
                return answer
            time.sleep(0.05)
            control.ask_where()
            answer = control.wait() or answer
        answer = answer or next(control.answers(), None)
        if answer is None and control.gone:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return answer
