"""Celery as its users run it on an exclusive device: one queue, prefork, concurrency one, late
acknowledgement and no result backend. `python -m tests.bench.peers.celery_peer URL` serves it."""

import sys

from celery import Celery, chain

from tests.bench.peers.marks import counting, stamp

QUEUE = "bench"
LEAN = ["--without-gossip", "--without-mingle", "--without-heartbeat"]


class CeleryPeer:
    title = "Celery"

    def __init__(self, url: str) -> None:
        self.app = Celery("bench", broker=url, backend=None, set_as_current=False)
        self.app.conf.update(
            task_default_queue=QUEUE,
            task_ignore_result=True,
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            worker_prefetch_multiplier=1,
            worker_send_task_events=False,
            broker_connection_retry_on_startup=True,
        )
        self.noop = self.app.task(counting(), name="noop")
        self.stamp = self.app.task(stamp, name="stamp")

    def send(self, jobs: int, report: str) -> None:
        chain(*[self.noop.si(jobs, report) for _ in range(jobs)]).apply_async()

    def send_stamp(self, report: str) -> None:
        self.stamp.apply_async((report,))

    def tidy(self) -> None:
        return

    def serve(self) -> None:
        self.app.worker_main(
            ["worker", "-P", "prefork", "-c", "1", "-Q", QUEUE, "-l", "WARNING", *LEAN]
        )

    def close(self) -> None:
        self.app.close()


if __name__ == "__main__":
    CeleryPeer(sys.argv[1]).serve()
