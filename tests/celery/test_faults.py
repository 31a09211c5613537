"""Faults of the broker and of the worker, each while a window is on its way."""

from pathlib import Path

from pytest_celery import CeleryTestSetup  # type: ignore[import-untyped]

from schemas.task import Done, Lost
from tests.celery.orchestrator_side import OrchestratorSide
from tests.integration.worker_stack import window
from tests.waiting import until
from workers.executors.scripted import history

FOURTH_RETRY = "Retrying refused callback publish for 'holdfast.settle' (4/"
"""Celery's own policy gives up, and forgets the rest of the chain, after three."""


def ran(log: Path) -> list[str]:
    """What the device saw: one word for each begin and each end of a job."""
    return [f"{line['job']} {line['what']}" for line in history(log)] if log.exists() else []


def test_after_kill_9_a_redelivered_window_runs_nothing_twice(
    celery_setup: CeleryTestSetup, side: OrchestratorSide, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    echo, long = {"do": "echo", "log": str(log)}, {"do": "sleep", "s": 60, "log": str(log)}
    sent = window(side.session(), 1, echo, long)
    side.send(sent)
    until(lambda: "w1-2 began" in ran(log), 10)
    celery_setup.worker.kill()
    celery_setup.worker.restart()
    side.permit(sent)
    side.redeliver()
    assert [type(outcome) for outcome in side.settled(1).outcomes] == [Done, Lost]
    assert ran(log) == ["w1-1 began", "w1-1 ended", "w1-2 began"]


def test_the_settle_link_outlives_a_broker_that_is_down_when_the_job_ends(
    celery_setup: CeleryTestSetup, side: OrchestratorSide, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    side.send(window(side.session(), 1, {"do": "sleep", "s": 1.5, "log": str(log)}))
    until(lambda: "w1-1 began" in ran(log), 10)
    celery_setup.broker.kill()
    until(lambda: FOURTH_RETRY in celery_setup.worker.logs(), 20)
    celery_setup.broker.restart()
    assert isinstance(side.settled(1).outcomes[0], Done)
    assert ran(log) == ["w1-1 began", "w1-1 ended"]


def test_the_next_window_runs_after_a_broker_restart_during_a_job(
    celery_setup: CeleryTestSetup, side: OrchestratorSide, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    session = side.session()
    side.send(window(session, 1, {"do": "sleep", "s": 1.5, "log": str(log)}))
    until(lambda: "w1-1 began" in ran(log), 10)
    celery_setup.broker.restart()
    side.send(window(session, 2, {"do": "echo", "log": str(log)}))
    assert isinstance(side.settled(2).outcomes[0], Done)
    assert ran(log) == ["w1-1 began", "w1-1 ended", "w2-1 began", "w2-1 ended"]


def test_a_warm_stop_leaves_a_queued_window_in_the_queue(
    celery_setup: CeleryTestSetup, side: OrchestratorSide, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    deed = {"do": "sleep", "s": 1.5, "log": str(log)}
    session = side.session()
    side.send(window(session, 1, deed))
    side.send(window(session, 2, deed))
    until(lambda: "w1-1 began" in ran(log), 10)
    celery_setup.worker.kill("SIGTERM")
    until(lambda: celery_setup.worker.container.status == "exited", 15)
    assert side.queued() == 1
    assert list(side.settles()) == [1]
    assert ran(log) == ["w1-1 began", "w1-1 ended"]
