"""A connection between a screen and a worker: framing, encoding and decoding of messages, and the greeting.

A frame is a length (four bytes, big-endian) and so many bytes. Version 0.1 framed its messages in the same
way, so that greetings can be read across versions. Nothing that arrives is executed: messages are msgpack,
decoded into the types that `protocol` declares, and arrays into the dtypes that are listed here.
"""

from __future__ import annotations

import contextlib
import math
import re
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from ibtui import __version__
from ibtui.errors import IbtuiError, UsageError
from ibtui.quantities import Array
from ibtui.run import peers, places
from ibtui.run.protocol import GREETING_BYTES, PROTOCOL, Answer, Request

CONNECT_S = 5.0
"""Seconds that a worker may take to accept a connection."""
GREETING_S = 5.0
"""Seconds that it may then take to send its greeting."""
REQUEST_BYTES = 1 << 20
"""Most bytes of a request."""
ANSWER_BYTES = 1 << 36
"""Most bytes of an answer, which may hold a whole history."""
MOST_AXES = 8
_PIECE_BYTES = 1 << 30
"""msgpack counts bytes with 32 bits, so larger arrays travel in pieces."""
_RECEIVED_BYTES = 1 << 26
"""Bytes of a message that are received at a time."""
_JOINED_BYTES = 1 << 14
"""A shorter message is sent together with its length."""

Dtype = Literal["<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"]


class WireError(IbtuiError):
    """The bytes that arrived are no message."""


class PackedArray(msgspec.Struct, array_like=True, frozen=True):
    """An array as it travels: its bytes in C order, little-endian."""

    dtype: Dtype
    shape: tuple[int, ...]
    pieces: tuple[bytes, ...]

    def unpack(self) -> Array:
        """Return it, read-only; `ValueError` where its sizes do not agree."""
        dtype = np.dtype(self.dtype)
        if len(self.shape) > MOST_AXES or min(self.shape, default=0) < 0:
            raise ValueError("not the shape of an array")
        if math.prod(self.shape) * dtype.itemsize != sum(map(len, self.pieces)):
            raise ValueError("not as many bytes as the shape of the array says")
        data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        return np.frombuffer(data, dtype).reshape(self.shape)


def _packed(value: object) -> object:
    """Return what stands for an array, or for NumPy's scalar, in a message; the array is not copied."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} cannot be sent")
    dtype = value.dtype.newbyteorder("<")
    if dtype.hasobject:
        raise NotImplementedError("an array of objects cannot be sent")
    flat = np.ascontiguousarray(value, dtype).reshape(-1).view(np.uint8)
    pieces = [flat[at : at + _PIECE_BYTES].data for at in range(0, len(flat), _PIECE_BYTES)]
    return dtype.str, value.shape, pieces


def _decoding(kind: Any) -> Callable[[bytes | bytearray], Any]:
    """Return what decodes messages of a kind, and raises `WireError` for what is none."""
    decoder = msgspec.msgpack.Decoder(
        kind, dec_hook=lambda _, value: msgspec.convert(value, PackedArray).unpack()
    )

    def decode(data: bytes | bytearray) -> Any:
        try:
            return decoder.decode(data)
        except Exception as error:  # also a setting that cannot be, too deep a nesting, too little memory
            raise WireError(f"not a message: {type(error).__name__}: {error}") from error

    return decode


encode = msgspec.msgpack.Encoder(enc_hook=_packed).encode
decode_request: Callable[[bytes | bytearray], Request] = _decoding(Request)
decode_answer: Callable[[bytes | bytearray], Answer] = _decoding(Answer)


class Connection:
    """One end of a connection. One thread sends and receives; any other may `hang_up`."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def send(self, message: Request | Answer) -> None:
        """Send a message; `OSError` where nobody is at the other end."""
        self.send_bytes(encode(message))

    def send_bytes(self, data: bytes) -> None:
        size = len(data)
        length = struct.pack("!i", size) if size < 1 << 31 else struct.pack("!iQ", -1, size)
        if size < _JOINED_BYTES:
            self._peer.sendall(length + data)
        else:
            self._peer.sendall(length)
            self._peer.sendall(data)

    def receive_bytes(self, most: int) -> bytearray:
        """Receive a frame; `EOFError` where the connection has ended, `WireError` for what is no frame."""
        (size,) = struct.unpack("!i", self._exactly(4, at_once=True))
        if size == -1:
            (size,) = struct.unpack("!Q", self._exactly(8))
        if not 0 <= size <= most:
            raise WireError(f"a message of {size} bytes, where {most} are the most")
        return self._exactly(size)

    def _exactly(self, size: int, *, at_once: bool = False) -> bytearray:
        data = bytearray()
        while (missing := size - len(data)) > 0:  # no more is allocated than arrives
            piece = bytearray(min(missing, _RECEIVED_BYTES))
            rest = memoryview(piece)
            while rest:
                got = self._peer.recv_into(rest)
                if not got:
                    nothing = at_once and not data and len(rest) == len(piece)
                    raise EOFError if nothing else WireError("the message breaks off")
                rest = rest[got:]
            data = piece if not data else data + piece
        return data

    def receive_request(self) -> Request:
        """Receive a request; raises as `receive_bytes`, and `WireError` where it is none."""
        return decode_request(self.receive_bytes(REQUEST_BYTES))

    def ask(self, request: Request, seconds: float | None = None) -> Answer:
        """Send a request and return its answer; raises as `receive_bytes`, and `TimeoutError`."""
        self._peer.settimeout(seconds)
        self.send(request)
        return decode_answer(self.receive_bytes(ANSWER_BYTES))

    def greeting(self) -> Greeting:
        """Receive a worker's greeting; `WireError` where it is none, `TimeoutError` where none comes."""
        self._peer.settimeout(GREETING_S)
        data = self.receive_bytes(GREETING_BYTES)
        self._peer.settimeout(None)
        found = re.fullmatch(rb"ibtui (\d{1,9})(?: ([!-~]+))?", data)
        if found is None:
            raise WireError("the greeting is no worker's")
        return Greeting(int(found[1]), (found[2] or b"0.1").decode())

    def process(self) -> int | None:
        """Return the number of the process at the other end, where the system tells it."""
        return peers.credentials(self._peer)[0] if hasattr(socket, "SO_PEERCRED") else None

    def hang_up(self) -> None:
        """End the connection: a thread that waits on it is told, and so is the other end."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._peer.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Greeting(NamedTuple):
    """The version of a worker."""

    protocol: int
    version: str


class OtherVersionError(UsageError):
    """A worker, whose process may be known, speaks another number of the protocol."""

    def __init__(self, name: str, greeting: Greeting, process: int | None) -> None:
        age = "newer" if greeting.protocol > PROTOCOL else "older"
        self.sentence = f"was started by ibtui {greeting.version}, which is {age} than this, {__version__}"
        self.process = process
        super().__init__(
            f"{name} {self.sentence}: attach with that one, or ibtui stop {name} saves and ends it"
        )


def listen(name: str) -> socket.socket:
    """Return a listening socket for a worker. Its path appears only once somebody listens there."""
    return peers.listen(places.socket_path(name))


def accept(listener: socket.socket) -> Connection | None:
    """Return the next connection, the greeting still to be sent; None where it is another user's."""
    peer, _ = listener.accept()
    if not peers.is_own(peer):
        peer.close()
        return None
    peer.setblocking(True)
    return Connection(peer)


def connect(name: str) -> Connection:
    """Return a connection to a worker that speaks our protocol; of another, `OtherVersionError`.

    `OSError` where none listens there, it is another user's, or it does not answer; `EOFError` or
    `WireError` where it is no worker, or has just ended.
    """
    connection = reach(name)
    try:
        greeting = connection.greeting()
        if greeting.protocol != PROTOCOL:
            raise OtherVersionError(name, greeting, connection.process())
    except TimeoutError:
        connection.close()
        raise TimeoutError(f"{name} does not answer") from None
    except BaseException:
        connection.close()
        raise
    return connection


def reach(name: str) -> Connection:
    """Return a connection to whoever listens under a name, whose greeting is still to be read."""
    path = places.socket_path(name)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with places.short(path) as address:
            _knock(peer, address, name)
        if not peers.is_own(peer):
            raise PermissionError("the worker belongs to another user")
        peer.setblocking(True)
    except BaseException:
        peer.close()
        raise
    return Connection(peer)


def _knock(peer: socket.socket, address: str, name: str) -> None:
    end = time.monotonic() + CONNECT_S
    peer.settimeout(CONNECT_S)
    while True:
        try:
            peer.connect(address)
            return
        except BlockingIOError:  # others wait there already
            if time.monotonic() > end:
                raise TimeoutError(f"{name} does not answer") from None
            time.sleep(0.01)
