"""Connections for webhooks: to the very address that was checked, and within one deadline."""

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from typing import Any, Final

import httpcore

from orchestrator.domain.webhook import Address, Network, may_reach, refusal

CONNECT_S: Final = 5.0


class Refused(Exception):
    """The URL leads to where webhooks must not go."""


class Guard(httpcore.NetworkBackend):
    """For one request: looks the host up once, refuses unless every address may be reached, and
    connects to one of those. TLS and the Host header still name the host itself."""

    def __init__(self, allowed: Iterable[Network], within_s: float) -> None:
        self._allowed = tuple(allowed)
        self._deadline = time.monotonic() + within_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolve(host, port, min(CONNECT_S, self._left()))
        if not all(may_reach(address, self._allowed) for address in addresses):
            raise Refused(refusal(host))
        return _Bounded(self._connect(addresses, port), self)

    def left(self, wanted: float | None) -> float:
        """Seconds for the next step. Raises httpcore.ReadTimeout when there are none."""
        return self._left() if wanted is None else min(wanted, self._left())

    def _connect(self, addresses: Sequence[Address], port: int) -> httpcore.NetworkStream:
        until = min(time.monotonic() + CONNECT_S, self._deadline)
        backend = httpcore.SyncBackend()
        for address in addresses[:-1]:
            try:
                return backend.connect_tcp(str(address), port, timeout=_half(until))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        left = max(until - time.monotonic(), 0.01)
        return backend.connect_tcp(str(addresses[-1]), port, timeout=left)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return left


class _Bounded(httpcore.NetworkStream):
    """Each step may take what is left of the whole, so that a trickle of bytes buys no time."""

    def __init__(self, stream: httpcore.NetworkStream, guard: Guard) -> None:
        self._stream = stream
        self._guard = guard

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._guard.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._guard.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._guard.left(timeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._guard)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _half(until: float) -> float:
    """An address that does not answer leaves time for the next."""
    return max((until - time.monotonic()) / 2, 0.01)


def _resolve(host: str, port: int, within_s: float) -> list[Address]:
    """In a thread of its own: the system's resolver takes no deadline."""
    answer: SimpleQueue[list[Address] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put([ip_address(str(each[4][0]).partition("%")[0]) for each in found])
        except (OSError, UnicodeError) as error:
            answer.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, daemon=True, name="webhook-resolver").start()
    try:
        found = answer.get(timeout=within_s)
    except Empty:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    if isinstance(found, OSError) or not found:
        raise httpcore.ConnectError("the name does not resolve")
    return list(dict.fromkeys(found))
