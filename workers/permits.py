"""Start tokens and interrupts in Redis, as a worker sees them."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from schemas.task import interrupt_key, permit_key

TAKE_TIMEOUT_S = 3.0
PEEK_TIMEOUT_S = 0.5


class PermitsUnreachable(Exception):
    """Nobody knows whether the permit was taken: the job must not begin."""


def connect(url: str, *, timeout_s: float, attempts: int = 1) -> redis.Redis:
    """A client that fails within `timeout_s` for each attempt, and never hangs."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), attempts - 1, supported_errors=(redis.ConnectionError,)),
    )


class Permits:
    def __init__(self, url: str) -> None:
        # A second attempt after a dropped connection is safe: if the first one took the
        # permit and its answer was lost, the second finds none, and the job does not begin.
        self._pool = connect(url, timeout_s=TAKE_TIMEOUT_S, attempts=2)
        self._takes: redis.Redis | None = None
        self._peeks = connect(url, timeout_s=PEEK_TIMEOUT_S)

    def take(self, job: str, run: int) -> bool:
        """False when it is gone. Raises `PermitsUnreachable` within seconds."""
        try:
            # Only one thread takes permits: a connection of its own saves a fifth of the time.
            if self._takes is None:
                self._takes = self._pool.client()  # type: ignore[no-untyped-call]
            return self._takes.getdel(permit_key(job, run)) is not None
        except (redis.RedisError, OSError) as error:
            raise PermitsUnreachable(str(error)) from error

    def interrupted(self, job: str, run: int) -> bool:
        """Whether somebody asks this run to stop; False while Redis does not answer."""
        try:
            return bool(self._peeks.exists(interrupt_key(job, run)))
        except (redis.RedisError, OSError):
            return False

    def close(self) -> None:
        if self._takes is not None:
            self._takes.close()
        self._pool.close()
        self._peeks.close()
