"""Around every request: an id, a deadline, and an answer even when something breaks."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator import counts
from orchestrator.api.problems import internal, too_slow
from schemas import logs, trace

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S: Final = 35.0
"""Just above the database's own limit for a statement: only a frozen server gets here."""

REQUEST_ID: Final = "X-Request-Id"
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_NAMED: Final = re.compile(r"/(batch|job)(?:es|s)?/([0-9a-f-]{36})(?![^/])", re.IGNORECASE)


class NoAnswer(Exception):
    """The deadline passed before the answer began."""


class Faults(NamedTuple):
    """What is answered when nothing else can be, in the words of a door."""

    broken: Callable[[], Response]
    too_slow: Callable[[], Response]


NATIVE: Final = Faults(internal, too_slow)


class Envelope:
    """`doors` are addresses, by their beginning, that have words of their own for faults."""

    def __init__(
        self,
        app: ASGIApp,
        answer_within_s: float = ANSWER_WITHIN_S,
        doors: Mapping[str, Faults] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._within_s = answer_within_s
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Whoever asks for the head gets that of GET, and no body: that of a stream has no end.
        head = scope["method"] == "HEAD"
        scope = {**scope, "method": "GET"} if head else scope
        request_id = _request_id(scope)
        begun = False
        arrived = time.perf_counter()

        async def seal(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _count(scope, message["status"], time.perf_counter() - arrived)
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
                await send(message)
                if head:
                    await send({"type": "http.response.body", "body": b""})
            elif not head:
                await send(message)

        with logs.about(request=request_id, **_named(scope["path"])), _continuing(scope):
            try:
                await self._in_time(scope, receive, seal)
            except Exception as error:
                late = isinstance(error, NoAnswer)
                _log(scope, request_id, late=late)
                if not begun:
                    faults = self._faults(scope["path"])
                    await (faults.too_slow() if late else faults.broken())(scope, receive, seal)

    def _faults(self, path: str) -> Faults:
        at = (faults for door, faults in self._doors.items() if f"{path}/".startswith(f"{door}/"))
        return next(at, NATIVE)

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The deadline is for the beginning of the answer: a stream has no end."""

        async def begin(message: Message) -> None:
            deadline.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self._within_s) as deadline:
                await self._app(scope, receive, begin)
        except TimeoutError as error:
            raise (NoAnswer() if deadline.expired() else error) from None


def _count(scope: Scope, status: int, seconds: float) -> None:
    """By the template of the address, never the address: there is one for every batch."""
    route = scope.get("route")
    template = None if route is None else scope.get("root_path", "") + route.path
    counts.answered(scope["method"], template, status, seconds)


def _request_id(scope: Scope) -> str:
    """The caller's own, if it is harmless to log."""
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)


def _named(path: str) -> dict[str, str]:
    """The batch and the job that an address names, at whichever door."""
    return {kind.lower(): name for kind, name in _NAMED.findall(path)}


def _continuing(scope: Scope) -> AbstractContextManager[None]:
    return trace.continuing(Headers(scope=scope).get(trace.HEADER) if trace.is_on() else None)


def _log(scope: Scope, request_id: str, *, late: bool) -> None:
    what = (scope["method"], scope["path"], request_id)
    if late:
        logger.error("%s %s was not answered in time (request %s)", *what)
    else:
        logger.exception("%s %s broke (request %s)", *what)
