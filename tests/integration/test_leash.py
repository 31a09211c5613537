"""A worker that stands still, dies, or loses its leash: its executor never outlives its lease."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest

from schemas.task import Done, JobTask, Lost, Outcome, Window
from tests.integration.worker_stack import Stack, Worker, broker, fresh_stack, lives, window
from tests.waiting import until
from workers.executors.scripted import history

LEASE_S = 2.0
LEASE = {"HOLDFAST_LEASE_S": f"{LEASE_S:g}"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def stack(url: str, tmp_path: Path) -> Iterator[Stack]:
    yield from fresh_stack(url, tmp_path)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def process_of(worker: Worker, program: str) -> int:
    """Of the one process of this worker that runs `program`."""

    def found() -> list[int]:
        return [pid for pid in worker.children() if program in command(pid)]

    until(found, 10)
    (pid,) = found()
    return pid


def executor_of(worker: Worker) -> int:
    return process_of(worker, "workers.executors.host")


def leash_of(worker: Worker) -> int:
    return process_of(worker, "watchdog.py")


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def long_job(log: Path, seconds: float = 3 * LEASE_S) -> dict[str, object]:
    return {"do": "sleep", "s": seconds, "log": str(log)}


def deeds(log: Path) -> list[tuple[int, str]]:
    """Run, and began or ended, as the device saw it."""
    return [(line["run"], line["what"]) for line in history(log)] if log.exists() else []


def again(sent: Window, session: str) -> Window:
    """The same job's next run, in the next window."""
    jobs = [JobTask(**{**task.model_dump(), "run": task.run + 1}) for task in sent.jobs]
    return sent.model_copy(update={"window": sent.window + 1, "session": session, "jobs": jobs})


def only(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def test_the_executor_of_a_frozen_worker_is_dead_before_a_standby_begins(
    stack: Stack, log: Path
) -> None:
    frozen = stack.worker(**LEASE)
    first = stack.wait_session()
    stack.worker(journal="elsewhere", **LEASE)
    sent = window(first, 1, long_job(log))
    stack.send(sent)
    until(lambda: deeds(log) == [(1, "began")], 10)
    executor = executor_of(frozen)
    frozen.process.send_signal(signal.SIGSTOP)
    second = stack.wait_session(other_than=first)
    assert not lives(executor)
    stack.send(again(sent, second))
    until(lambda: deeds(log) == [(1, "began"), (2, "began")], 10)
    frozen.process.send_signal(signal.SIGCONT)
    assert isinstance(only(stack.settled(1).outcomes), Lost)
    assert isinstance(only(stack.settled(2).outcomes), Done)
    assert deeds(log) == [(1, "began"), (2, "began"), (2, "ended")]


def test_a_frozen_worker_that_nobody_replaced_loses_its_job_and_takes_the_next(
    stack: Stack, log: Path
) -> None:
    worker = stack.worker(**LEASE)
    sent = window(stack.wait_session(), 1, long_job(log, 60))
    stack.send(sent)
    until(lambda: deeds(log), 10)
    executor = executor_of(worker)
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: not lives(executor), 10)
    worker.process.send_signal(signal.SIGCONT)
    assert isinstance(only(stack.settled(1).outcomes), Lost)
    stack.send(window(stack.wait_session(), 2, {"do": "echo"}))
    assert isinstance(only(stack.settled(2).outcomes), Done)


def test_a_worker_frozen_between_the_journal_and_the_device_begins_nothing(
    stack: Stack, log: Path
) -> None:
    worker = stack.worker(**LEASE, HOLDFAST_FAILPOINTS="worker.began=stop@1")
    stack.send(window(stack.wait_session(), 1, long_job(log)))
    process = psutil.Process(worker.process.pid)
    until(lambda: process.status() == psutil.STATUS_STOPPED, 20)
    # Only now: a machine in a hurry may have lost its first executor to so short a lease.
    executor = executor_of(worker)
    until(lambda: not lives(executor), 20)
    worker.process.send_signal(signal.SIGCONT)
    assert isinstance(only(stack.settled(1).outcomes), Lost)
    assert deeds(log) == []


def test_a_job_longer_than_the_lease_is_not_touched_while_the_lease_is_renewed(
    stack: Stack, log: Path
) -> None:
    worker = stack.worker(**LEASE)
    session = stack.wait_session()
    executor = executor_of(worker)
    stack.send(window(session, 1, long_job(log)))
    assert isinstance(only(stack.settled(1).outcomes), Done)
    assert lives(executor)


def test_a_killed_worker_leaves_neither_leash_nor_executor_nor_what_that_had_started(
    stack: Stack, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    worker = stack.worker()
    payload = {"do": "spawn", "s": 100, "wait": True, "pid_file": str(pid_file)}
    stack.send(window(stack.wait_session(), 1, payload))
    until(lambda: stack.began(), 10)
    left = [leash_of(worker), executor_of(worker), int(pid_file.read_text())]
    worker.stop(signal.SIGKILL)
    until(lambda: not any(map(lives, left)), 5)


def test_a_leash_that_is_killed_during_a_job_is_replaced_and_holds_it(
    stack: Stack, log: Path
) -> None:
    worker = stack.worker(**LEASE)
    stack.send(window(stack.wait_session(), 1, long_job(log, 60)))
    until(lambda: deeds(log), 10)
    executor, leash = executor_of(worker), leash_of(worker)
    os.kill(leash, signal.SIGKILL)
    until(lambda: not lives(leash) and leash_of(worker) != leash, 10)
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: not lives(executor), 10)
