"""Wake-ups for event streams: one reader of Redis per process, however many watch.

A wake-up is a hint. Whoever waits for one also looks by itself from time to time.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orchestrator.broker.streams import stream_key

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 4000
PAUSE_S: Final = 1.0


@dataclass(eq=False)
class Bell:
    """Rings when something happened in the project, or, if it names one, in that batch."""

    batch: str | None
    rung: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, batch: str | None) -> None:
        if batch is None or self.batch in (None, batch):
            self.rung.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether it rang in time; it is silent again afterwards."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.rung.wait()
        rang = self.rung.is_set()
        self.rung.clear()
        return rang


class Wakeups:
    def __init__(self, broker_url: str) -> None:
        self._client: Redis = Redis.from_url(
            broker_url,
            socket_timeout=BLOCK_MS / 1000 + 2,
            socket_connect_timeout=2,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            protocol=2,
        )
        self._bells: dict[str, set[Bell]] = {}
        self._places: dict[str, str] = {}
        self._more = asyncio.Event()

    @contextmanager
    def bell(self, project: UUID, batch: UUID | None) -> Generator[Bell]:
        key, bell = stream_key(project), Bell(None if batch is None else str(batch))
        self._bells.setdefault(key, set()).add(bell)
        if key not in self._places:
            self._more.set()
        try:
            yield bell
        finally:
            self._bells[key].discard(bell)
            if not self._bells[key]:
                del self._bells[key]
                self._places.pop(key, None)

    async def run(self) -> None:
        """Until cancelled; a broker that is away is asked again every second."""
        try:
            while True:
                try:
                    await self._round()
                except (RedisError, OSError, TimeoutError):
                    logger.debug("no wake-ups: the broker does not answer", exc_info=True)
                    await asyncio.sleep(PAUSE_S)
        finally:
            await self._client.aclose()

    async def _round(self) -> None:
        self._more.clear()
        await self._meet_new()
        if not self._places:
            await self._more.wait()
            return
        places: Any = dict(self._places)
        read = asyncio.ensure_future(self._client.xread(places, block=BLOCK_MS))
        more = asyncio.ensure_future(self._more.wait())
        try:
            await asyncio.wait({read, more}, return_when=asyncio.FIRST_COMPLETED)
            if read.done():
                self._ring(read.result())
        finally:
            more.cancel()
            if not read.done():
                read.cancel()
                with suppress(asyncio.CancelledError, RedisError, OSError):
                    await read

    async def _meet_new(self) -> None:
        for key in [key for key in self._bells if key not in self._places]:
            last: Any = await self._client.xrevrange(key, count=1)
            if key not in self._bells:
                continue
            self._places[key] = last[0][0] if last else "0-0"
            # What came before the place was known would otherwise be missed.
            self._hear(key, None)

    def _ring(self, answer: Any) -> None:
        for key, entries in answer or ():
            for place, fields in entries:
                if key in self._places:
                    self._places[key] = place
                self._hear(key, fields.get("b"))

    def _hear(self, key: str, batch: str | None) -> None:
        for bell in self._bells.get(key, ()):
            bell.hear(batch)
