"""How often somebody may do something: a moving window in Redis, the same for every process."""

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import redis
from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

from orchestrator.errors import Unavailable

_PREFIX: Final = "holdfast:rate"


class Rate(NamedTuple):
    """At most `most` in any `per_s` seconds. The name tells it from others in Redis."""

    name: str
    most: int
    per_s: int

    @property
    def item(self) -> RateLimitItemPerSecond:
        return RateLimitItemPerSecond(self.most, self.per_s, namespace=self.name)


class Standing(NamedTuple):
    """`remaining`: how many are left; `reset_s`: until there is one more than now."""

    allowed: bool
    remaining: int
    reset_s: int


@dataclass(frozen=True)
class Rates:
    """Every call raises Unavailable while Redis does not answer."""

    client: redis.Redis

    @cached_property
    def _limiter(self) -> MovingWindowRateLimiter:
        # The address is not used where there is a pool.
        pool = self.client.connection_pool
        return MovingWindowRateLimiter(
            RedisStorage("redis://", connection_pool=pool, key_prefix=_PREFIX)
        )

    def take(self, rate: Rate, who: str) -> Standing:
        """One of those that are left, if there is one."""
        try:
            return self._standing(rate, who, allowed=self._limiter.hit(rate.item, who))
        except RedisError as error:
            raise Unavailable("the broker does not answer; try again in a few seconds") from error

    def look(self, rate: Rate, who: str) -> Standing:
        """Whether there is one left; none is taken."""
        try:
            return self._standing(rate, who, allowed=self._limiter.test(rate.item, who))
        except RedisError as error:
            raise Unavailable("the broker does not answer; try again in a few seconds") from error

    def _standing(self, rate: Rate, who: str, *, allowed: bool) -> Standing:
        reset_at, remaining = self._limiter.get_window_stats(rate.item, who)
        return Standing(allowed, remaining, max(1, math.ceil(reset_at - time.time())))
