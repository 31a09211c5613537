"""What a doctor asks of the broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from schemas.task import CONTROL_QUEUE, device_queue


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerFacts:
    """`version` is the Redis version that the server is compatible with; `product` its name."""

    product: str
    version: str
    policy: str
    appends: bool


def broker_facts(broker_url: str, *, within_s: float) -> BrokerFacts:
    """Raises RedisError or OSError, within that time for each answer."""
    with _client(broker_url, within_s) as client:
        info = cast(dict[str, Any], client.info())
    return BrokerFacts(
        product="Valkey" if info.get("server_name") == "valkey" else "Redis",
        version=str(info.get("redis_version", "0")),
        policy=str(info.get("maxmemory_policy", "unknown")),
        appends=bool(info.get("aof_enabled")),
    )


def queue_lengths(broker_url: str, devices: Sequence[str], *, within_s: float) -> Mapping[str, int]:
    """Messages that nobody has taken yet, by queue."""
    queues = [CONTROL_QUEUE, *map(device_queue, devices)]
    with _client(broker_url, within_s) as client:
        pipe = client.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(queue)
        return dict(zip(queues, pipe.execute(), strict=True))


def _client(broker_url: str, within_s: float) -> redis.Redis:
    return redis.Redis.from_url(
        broker_url,
        socket_timeout=within_s,
        socket_connect_timeout=within_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
