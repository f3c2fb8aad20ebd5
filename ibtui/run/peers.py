"""Unix sockets in a folder of the user's own: who listens, and who is at the other end."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

from ibtui.run import places

_WAITING = 64
"""Connections that may wait to be accepted."""


def listen(path: Path) -> socket.socket:
    """Return a listening socket. Its path appears only once somebody listens there."""
    unready = path.with_suffix(places.UNREADY)
    unready.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with places.short(unready) as address:
            listener.bind(address)
        unready.chmod(0o600)
        listener.listen(_WAITING)
        unready.rename(path)
        places.make_known(path.parent)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path, seconds: float) -> socket.socket:
    """Return a connection to whoever listens there; `OSError` where none does, or another user."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(seconds)
        with places.short(path) as address:
            peer.connect(address)
        if not is_own(peer):
            raise PermissionError("it belongs to another user")
    except BaseException:
        peer.close()
        raise
    return peer


def is_own(peer: socket.socket) -> bool:
    """Return True where the other end is this user's."""
    if not hasattr(socket, "SO_PEERCRED"):  # not Linux: the folder's mode keeps others out
        return True
    return credentials(peer)[1] == os.getuid()


def credentials(peer: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end."""
    pid, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid), int(uid)


def remove(path: Path) -> None:
    """Remove a file, such as a socket on which nobody listens any more, as far as that can be done."""
    with contextlib.suppress(OSError):
        path.unlink()
