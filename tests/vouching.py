"""For a Redis of a test's own, before any worker is there."""

from typing import Any

from schemas.task import since_key


def vouch(redis: Any) -> None:
    """It has forgotten nobody who holds a lease: no worker need wait for the end of one."""
    redis.set(since_key(redis.info("server")["run_id"]), 0)
