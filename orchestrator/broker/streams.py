"""Fan-out of events: a hint that something happened. Postgres says what."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

KEEP: Final = 1000


def stream_key(project: UUID) -> str:
    return f"events:{project}"


@dataclass(frozen=True)
class Streams:
    client: redis.Redis

    def announce(self, news: Iterable[tuple[UUID, UUID]]) -> None:
        """Project and batch. Best effort: readers also look by themselves every second."""
        pipe = self.client.pipeline(transaction=False)
        for project, batch in news:
            pipe.xadd(stream_key(project), {"b": str(batch)}, maxlen=KEEP, approximate=True)
        try:
            pipe.execute()
        except RedisError:
            logger.debug("events were not announced", exc_info=True)
