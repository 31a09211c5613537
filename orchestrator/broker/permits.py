"""Permits: single-use start tokens in Redis. Who takes one wins: the worker, to start the run;
the orchestrator, to be certain that it never starts."""

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import redis
from pydantic import ValidationError
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from orchestrator.errors import Unavailable
from schemas import failpoint
from schemas.task import (
    BEAT_TTL_MS,
    Beat,
    beat_key,
    interrupt_key,
    met_key,
    permit_key,
    session_key,
)

logger = logging.getLogger(__name__)

Run = tuple[str, int]
"""A job's id and its run."""


class Heard(NamedTuple):
    """A heartbeat, and how many seconds ago its worker wrote it."""

    beat: Beat
    age_s: float


_CANARY: Final = "holdfast:canary"
_INTERRUPT_TTL_S: Final = 3600


def connect(broker_url: str) -> redis.Redis:
    """A dead or silent server is an error within two seconds, never a hang."""
    return redis.Redis.from_url(
        broker_url,
        socket_timeout=2,
        socket_connect_timeout=2,
        socket_keepalive=True,
        health_check_interval=10,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )


@dataclass(frozen=True)
class Permits:
    client: redis.Redis
    ttl_s: int

    def grant(self, runs: Iterable[Run]) -> None:
        """A permit without its message is harmless; a cancel after the commit finds it."""
        with _broker_errors():
            pipe = self.client.pipeline(transaction=False)
            for job, run in runs:
                pipe.set(permit_key(job, run), "1", ex=self.ttl_s)
            pipe.execute()
            failpoint.reach("permits.granted")

    def take_back(self, runs: Sequence[Run]) -> set[Run]:
        """Those that no device can begin any more. The others were taken, or lost by Redis."""
        if not runs:
            return set()
        with _broker_errors():
            # All at once: a device must not begin a later one after it missed an earlier one.
            pipe = self.client.pipeline(transaction=True)
            for job, run in runs:
                pipe.getdel(permit_key(job, run))
            taken = pipe.execute()
        return {run for run, value in zip(runs, taken, strict=True) if value is not None}

    def interrupt(self, runs: Iterable[Run]) -> None:
        """Ask whoever runs these to kill them."""
        with _broker_errors():
            pipe = self.client.pipeline(transaction=False)
            for job, run in runs:
                pipe.set(interrupt_key(job, run), "1", ex=_INTERRUPT_TTL_S)
            pipe.execute()

    def beats(self, devices: Sequence[str]) -> Mapping[str, Heard]:
        """The heartbeats that are there now, by device."""
        if not devices:
            return {}
        keys = [beat_key(name) for name in devices]
        with _broker_errors():
            pipe = self.client.pipeline(transaction=True)
            pipe.mget(keys)
            for key in keys:
                pipe.pttl(key)
            values, *left_ms = pipe.execute()
        found: dict[str, Heard] = {}
        for name, value, left in zip(devices, values, left_ms, strict=True):
            if value is None:
                continue
            try:
                beat = Beat.model_validate_json(value)
            except ValidationError:
                logger.error("the heartbeat of %s is of another version; it counts as none", name)
                continue
            found[name] = Heard(beat, max(0.0, (BEAT_TTL_MS - left) / 1000))
        return found

    def session_of(self, device: str) -> str | None:
        """Whose the device is now, as the workers have agreed among themselves."""
        with _broker_errors():
            return cast(str | None, self.client.get(session_key(device)))

    def meet(self, device: str, session: str) -> None:
        """Its worker need not say hello again."""
        with _broker_errors():
            self.client.set(met_key(device), session, ex=self.ttl_s)

    def have_greet(self, device: str) -> None:
        """Its worker says hello again within seconds, with every end that nobody acknowledged."""
        with _broker_errors():
            self.client.delete(met_key(device))

    def has_forgotten(self) -> bool:
        """True once after Redis lost its data: silence since then says nothing yet."""
        with _broker_errors():
            return self.client.set(_CANARY, "1", nx=True) is not None

    def ping(self) -> None:
        with _broker_errors():
            self.client.ping()


@contextmanager
def _broker_errors() -> Generator[None]:
    """Redis trouble, named for the caller."""
    try:
        yield
    except (RedisError, failpoint.Injected) as error:
        raise Unavailable("the broker does not answer; try again in a few seconds") from error
