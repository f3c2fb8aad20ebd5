"""The gate between a loop and its screens: what they have asked of it, and the thread that listens to them.

A screen connects to the loop's socket and is sent a line of JSON that says where the loop stands; so is every
request answered, itself a line ``{"do": WORD}``, where WORD is

``status``
    nothing but the answer,
``pause``
    stand before the next epoch, for as long as this connection is open,
``stay``
    stand, and go on only when told to,
``step``
    train ``epochs`` more, then as ``pause``,
``go on``
    go on, whoever asked for a pause,
``stop``
    end in order.

What was asked for is done, in that order, also where whoever asked has gone before the loop comes to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ibtui.errors import UsageError
from ibtui.run import loops, peers, places

PROTOCOL = 1
_MOST_BYTES = 4096
"""The longest request."""
_MOST_PIECES = 256
"""Pieces of requests, each of so many bytes at most, that are taken in of a screen that has gone."""
_MOST_EPOCHS = 10**9
_LOOK_S = 2.0
"""Seconds between two looks whether the socket is still there."""
_REST_S = 0.1
"""Seconds until it is tried again to accept a screen for which there was no file."""


class Gate:
    """Lets a loop through, or has it wait. The loop's thread and the listening one share it.

    `wake` is called, under the lock, when something was asked for. `fixed` says, whenever something is, why
    the loop cannot be held up; empty: it can.
    """

    def __init__(self, wake: Callable[[], None], fixed: Callable[[], str] = str) -> None:
        self.changed = threading.Condition()
        self.stopping = False
        self.waiting: int | None = None
        """The epoch before which the loop stands; None: it goes on."""
        self.ended = False
        self._wake, self.fixed = wake, fixed
        self._holders: set[object] = set()
        self._stays = False
        self._goal: int | None = None
        """The epoch at which to stand that was asked for; None: the next one."""

    @property
    def _asked(self) -> bool:
        return bool(self._holders) or self._stays

    def holds(self, epoch: int) -> bool:
        """Return whether the loop is to stand before this epoch."""
        return self._asked and not self.stopping and (self._goal is None or epoch >= self._goal)

    def next(self, due: float) -> float:
        """Return the epoch from which the loop is to come here again, for which `due` is another reason."""
        return min(due, self._goal) if self._asked and self._goal is not None else due

    def state(self) -> str:
        """Say in a word where the loop stands."""
        if self.ended:
            return "ended"
        if self.stopping:
            return "stopping"
        if (waiting := self.waiting) is not None and self.holds(waiting):
            return "paused"
        return "pausing" if self._asked and self._goal is None else "running"

    def obey(self, request: Mapping[str, Any], screen: object, epoch: int) -> str:
        """Carry out what a screen asks of a loop that has come so far; say why not, where that is refused."""
        word = request.get("do")
        if word == "status":
            return ""
        if word not in ("pause", "stay", "step", "go on", "stop"):
            return "not a request that this loop knows"
        if word != "go on" and (why := self.fixed()):
            return why
        with self.changed:
            if word == "stop":
                self.stopping = True
            elif word == "go on":
                self._let_go()
            elif word == "step":
                count = request.get("epochs")
                count = count if type(count) is int and 0 < count <= _MOST_EPOCHS else 1
                here = epoch if self.waiting is None else self.waiting
                self._goal = max(here, self._goal or 0) + count
                self._holders.add(screen)
            else:
                self._goal = None
                self._stays = self._stays or word == "stay"
                self._holders.add(screen)
            self._changed()
        return ""

    def forget(self, screen: object) -> None:
        """End what a screen holds that has gone."""
        with self.changed:
            self._holders.discard(screen)
            if not self._asked:
                self._let_go()
            self._changed()

    def _let_go(self) -> None:
        self._holders.clear()
        self._stays, self._goal = False, None

    def _changed(self) -> None:
        self._wake()
        self.changed.notify_all()


class Listener(threading.Thread):
    """Answers screens on a loop's socket; `where` says of what the answers tell besides the gate's state.

    Raises
    ------
    OSError, UsageError
        There is no folder to listen in.
    """

    def __init__(self, name: str, gate: Gate, where: Callable[[], dict[str, Any]]) -> None:
        super().__init__(name="ibtui-loop", daemon=True)
        self.loop, self._listener, self._path = loops.listen(name)
        """The name under which it listens."""
        self._gate, self._where = gate, where
        self._closed = False
        self._selector = selectors.DefaultSelector()
        self._screens: dict[socket.socket, bytes] = {}
        """Each connection, and what of a request has come over it."""
        self._waker, self._woken = socket.socketpair()
        self._listener.setblocking(False)
        self._looked = time.monotonic()
        """The time at which it was last looked whether the socket is still there."""
        for each in (self._listener, self._woken):
            self._selector.register(each, selectors.EVENT_READ)

    def run(self) -> None:
        while not self._closed:
            try:
                self._round()
            except Exception:  # it must not end, nor fill anybody's terminal
                if self._closed or not self._revive():
                    return
        self._leave()

    def _round(self) -> None:
        ready = self._selector.select(_LOOK_S)
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj in self._screens:
                self._hear(key.fileobj)
        if time.monotonic() - self._looked >= _LOOK_S:  # screens may ask all the time
            self._looked = time.monotonic()
            if not os.path.lexists(self._path):  # as after the last logout
                self._listen_again()

    def _revive(self) -> bool:
        with contextlib.suppress(Exception):
            self._listen_again()
            return True
        return False

    def _listen_again(self) -> None:
        with contextlib.suppress(OSError, UsageError):
            path = places.folder() / self._path.name
            listener = peers.listen(path)
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener, self._path = listener, path
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        try:
            screen, _ = self._listener.accept()
        except OSError:  # no file is left to be had, for now: whoever waits there is heard later
            time.sleep(_REST_S)
            return
        if not peers.is_own(screen):
            screen.close()
            return
        screen.setblocking(False)
        self._screens[screen] = b""
        self._selector.register(screen, selectors.EVENT_READ)
        if not self._tell(screen, ""):
            self._hang_up(screen)

    def _hear(self, screen: socket.socket) -> None:
        data = self._received(screen)
        if data is not None and not (data and self._answer(screen, data)):
            self._hang_up(screen)

    def _received(self, screen: socket.socket) -> bytes | None:
        """Return what has come from a screen: None where nothing has, and nothing at all once it has gone."""
        try:
            return screen.recv(_MOST_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _answer(self, screen: socket.socket, data: bytes) -> bool:
        """Do what a screen asks for; return False where it takes no answer, or what it says has no end."""
        *lines, rest = (self._screens[screen] + data).split(b"\n")
        self._screens[screen] = rest
        told = [self._tell(screen, self._obey(line, screen)) for line in lines]
        return all(told) and len(rest) <= _MOST_BYTES

    def _obey(self, line: bytes, screen: socket.socket) -> str:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            return "not a request"
        return self._gate.obey(request, screen, int(self._where()["epoch"]))

    def _tell(self, screen: socket.socket, refused: str) -> bool:
        """Say where the loop stands; return False where that is not read: the screen has gone."""
        where = {"ibtui loop": PROTOCOL, "state": self._gate.state(), "refused": refused, **self._where()}
        where["screens"] = len(self._screens)
        try:
            screen.sendall(json.dumps(where).encode() + b"\n")
        except OSError:
            return False
        return True

    def _hang_up(self, screen: socket.socket) -> None:
        """Let go of a screen that has gone. What it asked for before that, as to go on, is done."""
        for _ in range(_MOST_PIECES):
            if not (data := self._received(screen)):
                break
            self._answer(screen, data)
        del self._screens[screen]
        self._selector.unregister(screen)
        screen.close()
        self._gate.forget(screen)

    def close(self) -> None:
        """End it, and leave nothing behind; screens are told that the loop has ended."""
        self._closed = True
        peers.remove(self._path)
        with contextlib.suppress(OSError):
            self._waker.send(b".")

    def _leave(self) -> None:
        for screen in list(self._screens):
            self._tell(screen, "")
        self.abandon()

    def abandon(self) -> None:
        """Close what a forked child has inherited; the sockets stay the parent's."""
        self._closed = True
        self._selector.close()
        for each in (self._listener, self._waker, self._woken, *self._screens):
            with contextlib.suppress(OSError):
                each.close()
