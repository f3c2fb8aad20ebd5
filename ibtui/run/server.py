"""The worker's socket: it listens under the worker's name, and answers each connection in a thread."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ibtui.errors import UsageError, printable
from ibtui.run import effects, places, wire
from ibtui.run.protocol import GREETING, Done, Frame, Peek, Pull, Request, Stop
from ibtui.run.snapshot import clean_folder
from ibtui.run.state import RunState
from ibtui.run.wire import Connection, WireError

FIRST_SCREEN_S = 60.0
"""A worker to which no screen connects in this time ends."""
_MOST_OF_WHO = 200
"""Characters of who stops a worker that are kept."""
_ROUND_S = 1.0
"""Seconds that the listening thread waits for a connection before it does what is due once a second."""


@dataclass
class _Screen:
    """The other end of a connection, as far as it is known."""

    counted: bool = False
    """True once it has pulled a frame."""
    told_to_stop: bool = False


class Server:
    """Listens under the worker's name from construction on; `run` accepts connections.

    `end` ends the worker; its argument is True to save first. It is called when a screen asks for it, when
    the last screen of a run that is not detached has gone, and when none connects within `first_screen_s`.
    `tick` is called about once a second.
    """

    def __init__(
        self,
        state: RunState,
        name: str,
        end: Callable[[bool], None],
        tick: Callable[[], None],
        first_screen_s: float = FIRST_SCREEN_S,
    ) -> None:
        self._state, self._name, self._end, self._tick = state, name, end, tick
        self._first_screen_s, self._closed = first_screen_s, False
        self._began = time.time()
        self._listener: socket.socket | None = None
        self._path: Path | None = None
        self._screens = 0
        self._alone_since = time.monotonic()
        self._counting, self._listening = threading.Lock(), threading.Lock()
        self._listen()

    def run(self) -> None:
        """Accept connections until closed, and do once a second what is due then."""
        threading.Thread(target=self._clean, name="cleaner", daemon=True).start()
        rounds = 0.0
        while not self._closed:
            self._accept()
            if time.monotonic() - rounds >= _ROUND_S:
                rounds = time.monotonic()
                try:
                    self._each_second()
                except Exception:
                    traceback.print_exc()

    def close(self) -> None:
        """Remove the socket. `RunState.ended` is set by then, so that none is made anew."""
        self._closed = True
        with self._listening:
            if self._listener is not None:
                self._listener.close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Remove what others have left. A folder on the network may take seconds; nobody waits for it."""
        with contextlib.suppress(Exception):
            places.sweep()
            clean_folder(self._state.folder)
            clean_folder(places.folder(), "run-")

    def _accept(self) -> None:
        """Answer whoever connects within a round."""
        try:
            assert self._listener is not None
            connection = wire.accept(self._listener)
            if connection is not None:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except TimeoutError:
            pass
        except (OSError, RuntimeError, AssertionError):  # no file or thread is left to be had, for now
            time.sleep(_ROUND_S / 10)

    def _each_second(self) -> None:
        self._state.log.cut()
        self._tick()
        with contextlib.suppress(OSError, UsageError), self._listening:
            if not self._state.ended.is_set():
                self._state.log.renew(places.log_path(self._name))
                if not places.socket_path(self._name).exists():
                    self._listen()
        alone = self._screens == 0 and not self._state.status.detached
        if alone and time.monotonic() - self._alone_since > self._first_screen_s:
            self._end(True)

    def _listen(self) -> None:
        """Make the socket; anew where the runtime folder has been removed, as it is after the last logout."""
        before, path = self._path, places.socket_path(self._name)
        listener = wire.listen(self._name)
        listener.settimeout(_ROUND_S)
        if self._listener is not None:
            self._listener.close()
        self._listener, self._path = listener, path
        if before is not None and before != path:
            with contextlib.suppress(OSError):
                before.unlink()
        with contextlib.suppress(OSError):
            os.utime(self._path, (self._began, self._began))  # a run's age

    def _serve(self, connection: Connection) -> None:
        """Answer a connection until it ends. One that pulls frames is a screen."""
        screen = _Screen()
        try:
            connection.send_bytes(GREETING)
            while True:
                self._answer(connection, connection.receive_request(), screen)
        except (EOFError, OSError):
            pass
        except WireError as error:
            effects.tell(f"a connection was closed: {printable(str(error))[:200]}")
        except Exception:
            traceback.print_exc()
        finally:
            connection.close()
            left = screen.counted and self._count(-1) == 0
            if left and not screen.told_to_stop and not self._state.status.detached:
                self._end(True)

    def _answer(self, connection: Connection, request: Request, screen: _Screen) -> None:
        match request:
            case Pull():
                if not screen.counted:
                    screen.counted = True
                    self._count(1)
                connection.send(self._state.frame(request))
            case Peek():
                connection.send(Frame(self._state.where()))
            case Stop(save, by):
                screen.told_to_stop = True
                self._state.stopped_by = self._state.stopped_by or by[:_MOST_OF_WHO]
                try:
                    connection.send(Done())
                finally:  # also where nobody waits for the answer
                    self._end(save)
            case _:
                self._state.obey(request)
                connection.send(Done())

    def _count(self, change: int) -> int:
        with self._counting:
            self._screens += change
            self._state.update(screens=self._screens)
            self._alone_since = time.monotonic()
            return self._screens
