"""A permit is taken once, or nobody knows: over a link that loses answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from orchestrator import embedded
from schemas.task import permit_key
from tests.chaos.plant import Proxy
from tests.waiting import until
from workers.permits import Permits, PermitsUnreachable

JOB, RUN = "a-job", 1


@pytest.fixture
def server(servers: embedded.Servers) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(servers.broker) as client:
        client.set(permit_key(JOB, RUN), "1")
        yield client


@pytest.fixture
def link(servers: embedded.Servers, tmp_path: Path) -> Iterator[Proxy]:
    assert servers.valkey is not None
    proxy = Proxy({"redis": servers.valkey.port}, tmp_path / "proxy.log")
    yield proxy
    proxy.close()


@pytest.fixture
def permits(servers: embedded.Servers, link: Proxy) -> Iterator[Permits]:
    assert servers.valkey is not None
    url = servers.broker.replace(f":{servers.valkey.port}/", f":{link.ports['redis']}/")
    made = Permits(url)
    yield made
    made.close()


def test_a_permit_that_went_with_a_lost_answer_is_not_taken_for_one_that_was_gone(
    server: redis.Redis, link: Proxy, permits: Permits
) -> None:
    assert permits.take("another", RUN) is False
    link.tell("redis", "mute")
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(permits.take, JOB, RUN)
        until(lambda: not server.exists(permit_key(JOB, RUN)))
        link.tell("redis", "cut")
        with pytest.raises(PermitsUnreachable, match="lost"):
            taking.result(timeout=20)


def test_a_connection_that_broke_unused_costs_no_permit(
    server: redis.Redis, link: Proxy, permits: Permits
) -> None:
    assert permits.take("another", RUN) is False
    link.tell("redis", "cut")
    assert permits.take(JOB, RUN) is True
    assert permits.take(JOB, RUN) is False
