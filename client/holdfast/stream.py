"""The event stream: server-sent events over one long answer."""

import codecs
import json
import socket
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import httpx

from holdfast.deadline import NEVER, Backoff, Deadline
from holdfast.errors import ApiError, ConnectionFailed, Unavailable, from_problem
from holdfast.patience import Patience
from holdfast.reading import given, read
from holdfast.records import Event
from holdfast.transport import SHORTEST_CALL_S, Transport, error_of, path

SILENCE_S: Final = 30.0
"""A live stream sends at least a comment in this time; a silent one is opened anew."""


class Parser:
    """Splits text, in whatever pieces it comes, into the data of whole messages."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        text = self._rest + self._utf8.decode(chunk)
        # A CR at the very end may be half of a CRLF whose LF is still to come.
        held = "\r" if text.endswith("\r") else ""
        lines = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        whole = (self._take(line) for line in lines)
        return [data for data in whole if data is not None]

    def _take(self, line: str) -> str | None:
        if not line:
            data, self._data = "\n".join(self._data), []
            return data or None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return None


class Stream:
    """One open connection. Iterating gives the events of each piece as it arrives, an empty
    list for a keep-alive; the iteration ends when the connection does, or the deadline. It may
    be left and taken up again."""

    def __init__(self, answer: httpx.Response, deadline: Deadline) -> None:
        self._answer = answer
        self._pieces = self._read()
        self._watchdog: threading.Timer | None = None
        left = deadline.left()
        if left is not None:
            # httpx bounds each read, not their sum: keep-alives would carry it past the end.
            self._watchdog = threading.Timer(left, self._hang_up)
            self._watchdog.daemon = True
            self._watchdog.start()

    def __iter__(self) -> Iterator[list[Event]]:
        return self._pieces

    def _read(self) -> Iterator[list[Event]]:
        parser = Parser()
        try:
            for chunk in self._answer.iter_bytes():
                yield [event for data in parser.feed(chunk) for event in _events(data)]
        except (httpx.TransportError, httpx.StreamError):
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._answer.close()

    def _hang_up(self) -> None:
        connection = self._answer.extensions.get("network_stream")
        wire = connection.get_extra_info("socket") if connection else None
        if isinstance(wire, socket.socket):
            try:
                # Not wire.shutdown: TLS sockets override it in a way that is not thread-safe.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)
            except OSError:
                return


def open_stream(
    transport: Transport,
    batch_id: str | None,
    after: str | None,
    deadline: Deadline = NEVER,
    silence_s: float = SILENCE_S,
) -> Stream:
    """Raises ConnectionFailed, or an ApiError where the server has no stream to give."""
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if after is not None:
        headers["Last-Event-ID"] = after
    quiet = deadline.cap(silence_s, SHORTEST_CALL_S)
    request = transport.http.build_request(
        "GET",
        path("events"),
        params=given(batch_id=batch_id, after=after),
        headers=headers,
        timeout=httpx.Timeout(deadline.cap(transport.timeout, SHORTEST_CALL_S), read=quiet),
    )
    try:
        answer = transport.http.send(request, stream=True)
    except httpx.TransportError as error:
        raise transport.unreachable(error) from error
    if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
        return Stream(answer, deadline)
    raise _refusal(answer)


def follow(
    transport: Transport, batch_id: str | None, after: str | None, silence_s: float = SILENCE_S
) -> Iterator[Event]:
    """Every event from `after` on, for ever; goes on where it was when a connection drops."""
    backoff, patience = Backoff(0.05, 2.0), Patience()
    while True:
        try:
            with open_stream(transport, batch_id, after, silence_s=silence_s) as stream:
                for events in stream:
                    backoff.reset()
                    patience.reset()
                    for event in events:
                        after = event.id
                        yield event
        except (ConnectionFailed, Unavailable) as error:
            patience.spend(error)
        time.sleep(backoff.pause())


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        answer.read()
    except httpx.TransportError:
        return from_problem(answer.status_code, None)
    finally:
        answer.close()
    return error_of(answer)


def _events(data: str) -> list[Event]:
    try:
        said: Any = json.loads(data)
    except ValueError:
        return []
    return [read(Event, said)] if isinstance(said, dict) and "id" in said else []
