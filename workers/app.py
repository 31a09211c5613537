"""The Celery side of a worker: settings, the one task, and what its signals mean."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from celery import Celery, bootsteps, signals
from celery.exceptions import Ignore
from celery.worker.consumer.events import Events
from celery.worker.consumer.tasks import Tasks
from kombu import Connection
from kombu.entity import Exchange, Queue
from kombu.transport import redis
from pydantic import ValidationError

from schemas import failpoint, logs, trace
from schemas.task import CONTROL_QUEUE, EXECUTE, PROJECT, Settle, Window, device_queue
from workers.announce import Announcer
from workers.execute import Execution

logger = logging.getLogger(__name__)

DAY_S: Final = 24 * 3600
EVENTS_EVERY_S: Final = 0.5
POOL: Final = "threads"
"""Jobs live in the executor child, so the pool needs no isolation of its own. Measured for a
window of one no-op job, there and back, on two busy cores: threads 7.0 ms, solo 6.3 ms; but
solo answers no control command and sends no event while a job runs. Prefork would hold the
child's pipe and the journal in a process that Celery kills and replaces as it likes."""

_TRANSPORT: Final = {
    "visibility_timeout": DAY_S,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
_ANNOUNCE_RETRY: Final = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.1}


class GivenUp(redis.Channel):
    """What is still to be acknowledged on a connection that was given up fails as any other broken
    connection does. Kombu's own attempt ends in an AttributeError, and that ends the worker."""

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection.client is None:
            raise ConnectionError("this connection to the broker was given up")
        return super()._connparams(asynchronous)  # type: ignore[no-untyped-call]


class Outlived(redis.Transport):
    Channel = GivenUp


class SoonBack(Connection):
    """Looks for a broker that is away every other second, however long it has been away."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        often = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
        return super().ensure_connection(*args, **{**options, **often})  # type: ignore[no-untyped-call]

    def get_transport_cls(self) -> Any:
        found = super().get_transport_cls()  # type: ignore[no-untyped-call]
        return Outlived if found is redis.Transport else found


def _leave_logs_alone(**_: Any) -> None:
    """Celery sets logging up by itself, unless somebody answers this."""


signals.setup_logging.connect(_leave_logs_alone)


def make_app(broker_url: str, device: str) -> Celery:
    app = Celery("holdfast.worker", broker=broker_url, set_as_current=False)
    app.amqp.Connection = SoonBack
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_queues=[_queue(device_queue(device)), _queue(CONTROL_QUEUE)],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_send_sent_event=False,
        # None is capped to 3 for a chain's next link, which is too short for any outage.
        task_publish_retry_policy={
            "max_retries": 60,
            "interval_start": 0.2,
            "interval_step": 0.5,
            "interval_max": 2.0,
        },
        worker_send_task_events=True,
        # The next window is at hand when this one ends: that halves the gap between the two.
        worker_prefetch_multiplier=2,
        worker_enable_prefetch_count_reduction=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_timeout=5,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_TRANSPORT,
    )
    app.steps["consumer"].add(CalmEvents)
    return app


class CalmEvents(bootsteps.StartStopStep):  # type: ignore[misc]
    """Task events leave twice a second, not one by one as each window comes and goes: for tiny
    jobs that was more than half of the worker's own time."""

    requires = (Events,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        dispatcher = consumer.event_dispatcher
        dispatcher.on_send_buffered = None
        self._timer = consumer.timer.call_repeatedly(EVENTS_EVERY_S, dispatcher.flush)

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()


def serve_execute(app: Celery, run: Callable[[Window], Settle]) -> None:
    """Registers the task; what it returns is what the chain hands to settle."""

    @app.task(name=EXECUTE, ignore_result=True, resultrepr_maxsize=120, bind=True)
    def execute(task: Any, window: dict[str, Any]) -> dict[str, Any]:
        try:
            parsed = Window.model_validate(window)
        except ValidationError as error:
            logger.exception("a window that this version does not understand; nothing begins")
            raise Ignore from error
        with _told(task.request, parsed):
            return run(parsed).model_dump(mode="json")


@contextmanager
def _told(request: Any, window: Window) -> Generator[None]:
    """What is done inside is about this window, in the log and in the trace; the chain's next link
    carries the trace on."""
    headers = request.headers or {}
    known = {"batch": window.batch, "device": window.device, "window": window.window}
    with (
        logs.about(project=headers.get(PROJECT), **known),
        trace.span("execute", headers.get(trace.HEADER, trace.NEW), **known, jobs=len(window.jobs)),
    ):
        if request.chain and (traced := trace.here()) is not None:
            request.chain[-1]["options"]["headers"] = {trace.HEADER: traced}
        yield


def watch_execute(execution: Execution, announcer: Announcer) -> list[Any]:
    """Celery keeps only weak references to receivers: hold on to what this returns."""

    def after(task: Any = None, **_: Any) -> None:
        # After the chain's next link has left, not when the last job ends.
        if getattr(task, "name", "") == EXECUTE:
            failpoint.reach("worker.settled")
            execution.holding.let_go()

    def on_failure(sender: Any = None, **_: Any) -> None:
        # The task itself never raises: its settle message could not be published.
        if getattr(sender, "name", "") == EXECUTE:
            announcer.say_hello()

    signals.task_postrun.connect(after)
    signals.task_failure.connect(on_failure)
    return [after, on_failure]


def only_while(app: Celery, active: Callable[[], bool]) -> None:
    """A standby must not take windows from the queue of the worker that is active.

    The way in is the one that `worker_disable_prefetch` itself uses. Cancelling and adding the
    queue at once, as a short loss of the session does, was seen to lose the consumer.
    """

    class Standby(bootsteps.StartStopStep):  # type: ignore[misc]
        # A step, since each reconnection brings a new channel and `worker_ready` comes only once.
        requires = (Tasks,)

        def start(self, consumer: Any) -> None:
            qos = consumer.task_consumer.channel.qos
            has_room = qos.can_consume
            qos.can_consume = lambda: active() and has_room()

    app.steps["consumer"].add(Standby)


def publish(app: Celery, name: str, body: dict[str, Any]) -> None:
    """To the control queue, within seconds or not at all."""
    app.send_task(
        name,
        args=[body],
        queue=CONTROL_QUEUE,
        ignore_result=True,
        retry=True,
        retry_policy=_ANNOUNCE_RETRY,
    )


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name, type="direct"), routing_key=name)
