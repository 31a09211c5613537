"""Order, whatever Redis forgets in between."""

from pathlib import Path

import redis

from tests.e2e.stack import Stack, began, deeds
from tests.waiting import until


def test_jobs_added_after_redis_forgot_the_rest_of_a_window_do_not_overtake_it(
    stack: Stack, device: str, log: Path
) -> None:
    with stack.client() as client:
        batch = client.create_batch(
            device.replace("dev-", "T"), [{"payload": {"do": "noop"}}] * 100, open=True
        )
        batch.wait_jobs(timeout=30)
        batch.add_jobs(deeds(1, log, seconds=2) + deeds(6, log, do="noop"))
        until(lambda: began(log), 20)
        with redis.Redis.from_url(stack.servers.broker) as broker:
            broker.flushall()
        batch.add_jobs(deeds(3, log, do="noop"))
        batch.close()
        batch.wait(timeout=60)
        order = [job.id for job in batch.jobs()][100:]
    assert [job for job, _ in began(log)] == order
