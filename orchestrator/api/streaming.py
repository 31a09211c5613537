"""Server-sent events: rows from Postgres, told as soon as they are complete.

Redis only says when to look. Postgres says what there is; it is looked at every second anyway.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import anyio
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from orchestrator.api.auth import Caller
from orchestrator.broker.wakeups import Bell, Wakeups
from orchestrator.errors import Unauthorized, Unavailable
from orchestrator.services.core import Core
from orchestrator.store import keys
from orchestrator.store.listings_events import Told, list_events
from orchestrator.store.listings_reading import reading

logger = logging.getLogger(__name__)

CLIENTS_MOST: Final = 256
READERS: Final = 4
AT_ONCE: Final = 500
LOOK_EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 15.0
SLOWEST_S: Final = 10.0
WELCOME: Final = b": welcome\n\n"
KEEP_ALIVE: Final = b": still here\n\n"
# An open transaction elsewhere hides fresh rows for a moment.
LOOK_AGAIN_S: Final = (0.005, 0.02, 0.02, 0.05, 0.1)

Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True)
class Watch:
    """What one client wants to be told: what is behind `after`."""

    caller: Caller
    batch: UUID | None
    after: str


class Hall:
    """Where streams of a kind are open: for whom, how many, and the end of all of them."""

    def __init__(self, kind: str, most: int, closing: asyncio.Event) -> None:
        self.closing = closing
        self.most = most
        self._kind = kind
        self._open: Counter[UUID] = Counter()

    @property
    def open(self) -> int:
        return self._open.total()

    def admit(self, project: UUID) -> None:
        """Raises Unavailable. One project never takes the last places from all the others."""
        if self.open >= self.most or self.closing.is_set():
            raise Unavailable(f"this server has as many {self._kind} as it can; try again later")
        if self._open[project] >= max(1, self.most // 2):
            raise Unavailable(f"your project has as many {self._kind} here as it may; close some")

    @contextmanager
    def taken(self, project: UUID) -> Generator[None]:
        self._open[project] += 1
        try:
            yield
        finally:
            self._open[project] -= 1
            self._open += Counter()


class Streams:
    """All streams of this process."""

    def __init__(self, core: Core, wakeups: Wakeups) -> None:
        self.core = core
        self.wakeups = wakeups
        self.closing = asyncio.Event()
        self.hall = Hall("event streams", CLIENTS_MOST, self.closing)
        self._readers = anyio.CapacityLimiter(READERS)

    def answer(self, watch: Watch) -> Response:
        return EventStream(self.hall, watch.caller.project, partial(self._tell, watch))

    async def _tell(self, watch: Watch, write: Write) -> None:
        with self.wakeups.bell(watch.caller.project, watch.batch) as bell:
            telling = Telling(self, watch, bell, write)
            with suppress(Unauthorized):
                await telling.begin()
                while True:
                    await telling.step()

    async def read(self, watch: Watch, after: str) -> tuple[str, list[Told]]:
        """The cursor to go on from, and what there is until there. Raises Unauthorized once the
        key is not valid any more."""
        return await anyio.to_thread.run_sync(self._read, watch, after, limiter=self._readers)

    def _read(self, watch: Watch, after: str) -> tuple[str, list[Told]]:
        with reading(self.core.engine) as connection:
            if not keys.is_valid(connection, watch.caller.key_id):
                raise Unauthorized("the key was revoked while the stream was open")
            told = list_events(
                connection, watch.caller.project, after=after, batch=watch.batch, limit=AT_ONCE
            )
            return (told[-1].cursor if told else after), told


class EventStream(Response):
    """`tell` writes until it has nothing to tell any more. Raises Unavailable where there is no
    place left."""

    media_type = "text/event-stream"

    def __init__(self, hall: Hall, project: UUID, tell: Callable[[Write], Awaitable[None]]) -> None:
        hall.admit(project)
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hall = hall
        self._project = project
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hall.taken(self._project):
            await self._until_the_end(receive, send)

    async def _until_the_end(self, receive: Receive, send: Send) -> None:
        """The client leaves, is too slow, loses its right, or the server shuts down."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        telling = self._tell(lambda body: _bounded(send, body))
        ends = [
            asyncio.ensure_future(each)
            for each in (telling, _left(receive), self._hall.closing.wait())
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
            ended = await asyncio.gather(*ends, return_exceptions=True)
        if isinstance(ended[0], TimeoutError):
            return
        if isinstance(ended[0], Exception):
            logger.error("an event stream broke", exc_info=ended[0])
        with suppress(OSError, TimeoutError):
            await _bounded(send, b"", more=False)


class Telling:
    """One client's place in the story."""

    def __init__(self, streams: Streams, watch: Watch, bell: Bell, write: Write) -> None:
        self._streams = streams
        self._watch = watch
        self._bell = bell
        self._write = write
        self._after = watch.after
        self._written_at = time.monotonic()

    async def begin(self) -> None:
        await self._send(WELCOME)
        await self._look()

    async def step(self) -> None:
        """Wait for something to tell, and tell it."""
        rang = await self._bell.wait(LOOK_EVERY_S)
        told = await self._look()
        for pause_s in LOOK_AGAIN_S if rang and not told else ():
            await self._bell.wait(pause_s)
            if await self._look():
                break
        if time.monotonic() - self._written_at >= KEEP_ALIVE_S:
            await self._send(KEEP_ALIVE)

    async def _look(self) -> bool:
        """Whether there was anything. A database that is away is asked again next time."""
        found = False
        with suppress(Unavailable):
            while True:
                self._after, told = await self._streams.read(self._watch, self._after)
                if told:
                    found = True
                    await self._send(b"".join(map(_frame, told)))
                if len(told) < AT_ONCE:
                    break
        return found

    async def _send(self, body: bytes) -> None:
        await self._write(body)
        self._written_at = time.monotonic()


def _frame(told: Told) -> bytes:
    return f"id: {told.cursor}\nevent: {told.kind}\ndata: {told.item}\n\n".encode()


async def _bounded(send: Send, body: bytes, *, more: bool = True) -> None:
    """A client that does not take what it is sent is dropped, not waited for."""
    async with asyncio.timeout(SLOWEST_S):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
