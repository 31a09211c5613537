"""huey with one thread: the fastest of the simple queues, since it keeps nothing.
`python -m tests.bench.peers.huey_peer URL` serves it."""

import sys

from huey import RedisHuey  # type: ignore[import-untyped]

from tests.bench.peers.marks import counting, stamp


class HueyPeer:
    title = "huey"

    def __init__(self, url: str) -> None:
        self.app = RedisHuey("bench", url=url, results=False)
        self.noop = self.app.task(name="noop")(counting())
        self.stamp = self.app.task(name="stamp")(stamp)

    def send(self, jobs: int, report: str) -> None:
        for _ in range(jobs):
            self.noop(jobs, report)

    def send_stamp(self, report: str) -> None:
        self.stamp(report)

    def tidy(self) -> None:
        return

    def serve(self) -> None:
        self.app.create_consumer(workers=1, worker_type="thread", periodic=False).run()

    def close(self) -> None:
        self.app.storage.conn.close()


if __name__ == "__main__":
    HueyPeer(sys.argv[1]).serve()
