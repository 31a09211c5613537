"""The Celery application of this side, with the settings that celery's defaults get wrong."""

from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery, signals
from celery.schedules import schedule
from kombu import Connection, Queue
from kombu.transport import redis

from schemas.task import CONTROL_QUEUE, SWEEP

A_DAY_S: Final = 86_400
SWEEP_EVERY_S: Final = 1.0


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


def celery_app(broker_url: str) -> Celery:
    """Redelivery is noise here, never recovery: hence the long visibility timeout."""
    app = Celery("holdfast", broker=broker_url, set_as_current=False)
    app.amqp.Connection = SoonBack
    app.conf.update(_TASKS | _WORKERS | _BROKER | _BEAT)
    return app


def _leave_logs_alone(**_: Any) -> None:
    """Celery sets logging up by itself, unless somebody answers this."""


signals.setup_logging.connect(_leave_logs_alone)


def _now() -> datetime:
    """Celery's own clock goes through the time zone of the machine, for half of beat's work."""
    return datetime.now(UTC)


_TASKS: Final[dict[str, Any]] = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "result_backend": None,
    "task_ignore_result": True,
    "task_default_queue": CONTROL_QUEUE,
    "task_queues": [Queue(CONTROL_QUEUE)],
    # Flower learns of a task when it is received; an event at each sending would cost a round trip.
    "task_send_sent_event": False,
    "task_publish_retry": True,
    "task_publish_retry_policy": {
        "max_retries": 1,
        "interval_start": 0.1,
        "interval_step": 0.1,
        "interval_max": 0.2,
    },
}
_WORKERS: Final[dict[str, Any]] = {
    "worker_send_task_events": True,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_enable_prefetch_count_reduction": False,
    "worker_hijack_root_logger": False,
}
_BROKER: Final[dict[str, Any]] = {
    "broker_connection_timeout": 2,
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        "visibility_timeout": A_DAY_S,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
}
_BEAT: Final[dict[str, Any]] = {
    "beat_scheduler": "orchestrator.broker.punctual:Punctual",
    "beat_schedule": {
        "sweep": {
            "task": SWEEP,
            "schedule": schedule(SWEEP_EVERY_S, nowfun=_now),
            # No `expires`: it is a time of this machine's clock, held against another's.
            "options": {"queue": CONTROL_QUEUE},
        }
    },
}
