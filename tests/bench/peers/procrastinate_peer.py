"""Procrastinate with a lock, its way of saying "one after the other": durable, on Postgres.
`python -m tests.bench.peers.procrastinate_peer URL` serves it."""

import sys

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.types import JSONDict

from tests.bench.peers.marks import counting, stamp

QUEUE = LOCK = "bench"


class ProcrastinatePeer:
    title = "Procrastinate"

    def __init__(self, url: str, *, serving: bool = False) -> None:
        self.url = url
        connector = PsycopgConnector if serving else SyncPsycopgConnector
        self.app = App(connector=connector(conninfo=url))
        self.noop = self.app.task(name="noop", queue=QUEUE, lock=LOCK)(counting())
        self.stamp = self.app.task(name="stamp", queue=QUEUE, lock=LOCK)(stamp)
        if not serving:
            self.app.open()

    def make_tables(self) -> None:
        self.app.schema_manager.apply_schema()

    def send(self, jobs: int, report: str) -> None:
        arguments: JSONDict = {"total": jobs, "report": report}
        self.noop.batch_defer(*(arguments for _ in range(jobs)))

    def send_stamp(self, report: str) -> None:
        self.stamp.defer(report=report)

    def tidy(self) -> None:
        """Its very first thousand jobs, on tables without statistics, take three times as long."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")

    def serve(self) -> None:
        self.app.run_worker(queues=[QUEUE], concurrency=1, wait=True)

    def close(self) -> None:
        self.app.close()


if __name__ == "__main__":
    ProcrastinatePeer(sys.argv[1], serving=True).serve()
