"""What travels between a worker and its executor child: length, kind, body."""

import socket
import struct
from enum import IntEnum
from typing import Final

_HEADER: Final = struct.Struct("!IB")
_STAMP: Final = struct.Struct("!d")
_CHUNK: Final = 256 * 1024


class Kind(IntEnum):
    UP = 1
    """The executor stands; the body is JSON: `{"fresh_process": bool}`."""
    NO_START = 2
    """The executor could not be built; the body says why."""
    WORK = 3
    RETURNED = 4
    """Stamped; the body is the result as JSON."""
    RAISED = 5
    """Stamped; the body is the reason."""
    RETIRING = 6
    """Comes before the last answer: this process ends after it."""


Frame = tuple[Kind, bytes]


def send(sock: socket.socket, kind: Kind, body: bytes) -> None:
    sock.sendall(_HEADER.pack(len(body), kind) + body)


def stamped(at: float, body: bytes) -> bytes:
    """`at`: when the job was over, of time.monotonic(), which both sides share."""
    return _STAMP.pack(at) + body


def unstamped(body: bytes) -> tuple[float, bytes]:
    (at,) = _STAMP.unpack_from(body)
    return at, body[_STAMP.size :]


class FrameReader:
    """Puts frames together from a stream, across timeouts."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def receive(self, timeout_s: float | None) -> Frame | None:
        """None when nothing came for `timeout_s`; EOFError when the other side is gone."""
        while (frame := self._whole()) is None:
            self._sock.settimeout(timeout_s)
            try:
                chunk = self._sock.recv(_CHUNK)
            except TimeoutError:
                return None
            except ConnectionError as error:
                raise EOFError from error
            if not chunk:
                raise EOFError
            self._buffer += chunk
        return frame

    def is_silent(self) -> bool:
        """True while the other side lives and has said nothing more."""
        if self._buffer:
            return False
        self._sock.settimeout(0.0)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _whole(self) -> Frame | None:
        if len(self._buffer) < _HEADER.size:
            return None
        length, kind = _HEADER.unpack_from(self._buffer)
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        return Kind(kind), body
