"""What operators see of a device worker through Celery: control commands and events."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup  # type: ignore[import-untyped]

from schemas.task import EXECUTE
from tests.celery.orchestrator_side import OrchestratorSide
from tests.integration.worker_stack import window
from tests.waiting import until

ECHO = {"do": "echo"}
Event = dict[str, Any]


class Listener:
    """Hears events as Flower does, whenever it is asked for more."""

    def __init__(self, flow: Iterator[None], heard: list[Event]) -> None:
        self._flow = flow
        self._heard = heard

    def first(self, kind: str) -> Event:
        def found() -> Event | None:
            return next((event for event in self._heard if event["type"] == kind), None)

        # The next event is never more than a heartbeat away, so this does not hang.
        until(lambda: found() or next(self._flow), 15)
        event = found()
        assert event is not None
        return event


@pytest.fixture
def events(celery_setup: CeleryTestSetup) -> Generator[Listener]:
    """Listening: events that were sent before are never heard."""
    app, heard = celery_setup.app, list[Event]()
    with app.connection_for_read() as link:
        receiver = app.events.Receiver(link, handlers={"*": heard.append})
        with closing(receiver.itercapture(limit=None, timeout=15, wakeup=True)) as flow:
            listener = Listener(flow, heard)
            listener.first("worker-heartbeat")
            yield listener


def test_a_worker_answers_a_ping_while_a_job_runs(
    celery_setup: CeleryTestSetup, side: OrchestratorSide
) -> None:
    side.send(window(side.session(), 1, {"do": "sleep", "s": 60}))
    until(lambda: side.began(), 10)
    name = celery_setup.worker.hostname()
    assert celery_setup.app.control.ping(destination=[name], timeout=5) == [{name: {"ok": "pong"}}]


def test_a_running_window_is_seen_as_the_workers_active_task(
    celery_setup: CeleryTestSetup, side: OrchestratorSide
) -> None:
    side.send(window(side.session(), 1, {"do": "sleep", "s": 60}))
    until(lambda: side.began(), 10)
    name = celery_setup.worker.hostname()
    active = celery_setup.app.control.inspect([name], timeout=5).active()
    assert [task["name"] for task in active[name]] == [EXECUTE]


def test_a_window_is_told_as_received_started_and_succeeded(
    events: Listener, side: OrchestratorSide
) -> None:
    side.send(window(side.session(), 1, ECHO))
    kinds = ("task-received", "task-started", "task-succeeded")
    assert len({events.first(kind)["uuid"] for kind in kinds}) == 1


def test_flower_reads_the_batch_and_the_ordinals_of_a_window(
    events: Listener, side: OrchestratorSide
) -> None:
    side.send(window(side.session(), 7, ECHO, ECHO, ECHO))
    received = events.first("task-received")
    assert received["name"] == EXECUTE
    assert received["args"] == "(batch b1, jobs 1-3 of window 7)"
    assert received["kwargs"] == "{}"
