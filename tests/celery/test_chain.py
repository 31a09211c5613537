"""The two links of a window's chain, from the orchestrator's app through a real worker."""

from pytest_celery import CeleryTestSetup  # type: ignore[import-untyped]

from schemas.task import EXECUTE, SETTLE, Canceled, Done
from tests.celery.orchestrator_side import OrchestratorSide
from tests.integration.worker_stack import window
from tests.waiting import until

ECHO = {"do": "echo"}


def test_the_settle_link_arrives_on_the_control_queue_after_the_window_ran(
    side: OrchestratorSide,
) -> None:
    side.send(window(side.session(), 1, ECHO, {"do": "sleep", "s": 60}))
    until(lambda: side.began(), 10)
    assert side.settles() == {}
    side.interrupt("w1-2")
    done, canceled = side.settled(1).outcomes
    assert isinstance(done, Done)
    assert isinstance(canceled, Canceled)


def test_the_settle_link_belongs_to_the_task_that_executed_the_window(
    side: OrchestratorSide,
) -> None:
    side.send(window(side.session(), 1, ECHO))
    side.settled(1)
    (settle,) = side.messages(SETTLE)
    assert settle.headers["parent_id"] == settle.headers["root_id"] != settle.headers["id"]


def test_chains_come_back_in_the_order_in_which_they_were_sent(side: OrchestratorSide) -> None:
    session = side.session()
    for number in range(1, 6):
        side.send(window(session, number, ECHO))
    side.settled(5)
    assert list(side.settles()) == [1, 2, 3, 4, 5]


def test_the_setup_is_ready_without_any_container(celery_setup: CeleryTestSetup) -> None:
    assert celery_setup.ready(control=True)
    assert len(celery_setup) == 2
    name = celery_setup.worker.hostname()
    assert EXECUTE in celery_setup.app.control.inspect([name], timeout=5).registered()[name]
