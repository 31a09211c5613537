"""The orchestrator as the broker sees it: sends windows with its own code, hears what comes."""

from collections.abc import Iterator
from typing import Any

from celery import Celery
from kombu import Message

from orchestrator.broker.chains import Chains
from orchestrator.broker.permits import Permits, connect
from schemas.task import BEGAN, CONTROL_QUEUE, SETTLE, Settle, Window, device_queue, session_key
from tests.celery.nodes import DEVICE
from tests.waiting import until


class OrchestratorSide:
    def __init__(self, app: Celery) -> None:
        self.app = app
        self.redis = connect(app.conf.broker_url)
        self.heard: list[Message] = []

    def session(self) -> str:
        """Of the worker that is ready."""
        return str(self.redis.get(session_key(DEVICE)))

    def send(self, window: Window) -> None:
        self.permit(window)
        Chains(self.app).send(window)

    def permit(self, window: Window) -> None:
        Permits(self.redis, ttl_s=600).grant((task.job, task.run) for task in window.jobs)

    def interrupt(self, job: str) -> None:
        Permits(self.redis, ttl_s=600).interrupt([(job, 1)])

    def began(self) -> list[str]:
        return [message.payload[0][0]["job"] for message in self.messages(BEGAN)]

    def settled(self, window: int, *, within_s: float = 20) -> Settle:
        until(lambda: window in self.settles(), within_s)
        return self.settles()[window]

    def settles(self) -> dict[int, Settle]:
        """By window; of copies, the one that came last."""
        bodies = (message.payload[0][0] for message in self.messages(SETTLE))
        return {body["window"]: Settle.model_validate(body) for body in bodies}

    def messages(self, task: str) -> list[Message]:
        """All that ever came for this task of the control queue."""
        self.heard += self._waiting()
        return [message for message in self.heard if message.headers["task"] == task]

    def queued(self) -> int:
        """Windows that no worker has taken."""
        length: Any = self.redis.llen(device_queue(DEVICE))
        return int(length)

    def redeliver(self) -> None:
        """What kombu does with messages taken but not acknowledged, a day ahead of time."""
        with (
            self.app.connection_for_write(transport_options={"visibility_timeout": 0}) as link,
            link.channel() as channel,
        ):
            channel.qos.restore_visible(interval=1)

    def close(self) -> None:
        self.redis.close()

    def _waiting(self) -> Iterator[Message]:
        # A new connection each time: the broker may have been restarted in between.
        queue = self.app.amqp.queues[CONTROL_QUEUE]
        with (
            self.app.connection_for_read() as link,
            link.SimpleQueue(queue, no_ack=True) as simple,
        ):
            while True:
                try:
                    yield simple.get_nowait()
                except simple.Empty:
                    return
