"""The witness says when the device was free of a job, not when its worker came to write it down."""

import signal
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from schemas.task import Done, Lost
from schemas.witness import Began, Finished, read_lines
from tests.integration.test_leash import LEASE, deeds, executor_of, long_job, only
from tests.integration.worker_stack import Stack, Worker, broker, fresh_stack, lives, window
from tests.waiting import until
from workers.executors.scripted import history
from workers.journal import Journal, JournalInUse


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


def witnessed(stack: Stack, worker: Worker) -> tuple[Began, Finished]:
    """Of its last run, once the worker is gone."""
    worker.end()
    found: list[Journal] = []

    def is_free() -> bool:
        # A child that was just being made may hold the lock for a moment longer.
        with suppress(JournalInUse):
            found.append(Journal(stack.folder / "journal", device="d1"))
        return bool(found)

    until(is_free, 10)
    with found[0] as journal:
        entries = [each.entry for each in read_lines(journal.witnessed(1, 1000), journal.id)]
    began, finished = entries[-2:]
    assert isinstance(began, Began)
    assert isinstance(finished, Finished)
    return began, finished


def thawed_later(worker: Worker) -> float:
    """The moment at which a frozen worker went on, 3 s from now."""
    soonest = time.monotonic() + 3
    until(lambda: time.monotonic() > soonest)
    thawed = time.monotonic()
    worker.process.send_signal(signal.SIGCONT)
    return thawed


def test_a_job_that_ended_while_its_worker_was_frozen_ended_then(stack: Stack, log: Path) -> None:
    worker = stack.worker(HOLDFAST_LEASE_S="60")
    stack.send(window(stack.wait_session(), 1, long_job(log, 1)))
    until(lambda: deeds(log) == [(1, "began")], 10)
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: deeds(log) == [(1, "began"), (1, "ended")], 10)
    thawed = thawed_later(worker)
    assert isinstance(only(stack.settled(1).outcomes), Done)
    began, finished = witnessed(stack, worker)
    on_device, off_device = (line["at"] for line in history(log))
    # The device's own lines give microseconds.
    assert began.mono < on_device < off_device < finished.mono + 0.001
    assert finished.mono < thawed


def test_a_job_that_the_leash_ended_ended_when_it_was_killed(stack: Stack, log: Path) -> None:
    worker = stack.worker(**LEASE)
    stack.send(window(stack.wait_session(), 1, long_job(log, 60)))
    until(lambda: deeds(log) == [(1, "began")], 10)
    executor = executor_of(worker)
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: not lives(executor), 10)
    thawed = thawed_later(worker)
    assert isinstance(only(stack.settled(1).outcomes), Lost)
    began, finished = witnessed(stack, worker)
    assert began.mono < history(log)[0]["at"] < finished.mono < thawed


def test_a_job_that_never_reached_the_device_did_not_hold_it_until_the_thaw(
    stack: Stack, log: Path
) -> None:
    worker = stack.worker(**LEASE, HOLDFAST_FAILPOINTS="worker.began=stop@1")
    stack.send(window(stack.wait_session(), 1, long_job(log)))
    process = psutil.Process(worker.process.pid)
    until(lambda: process.status() == psutil.STATUS_STOPPED, 20)
    executor = executor_of(worker)
    until(lambda: not lives(executor), 20)
    thawed = thawed_later(worker)
    assert isinstance(only(stack.settled(1).outcomes), Lost)
    began, finished = witnessed(stack, worker)
    assert began.mono <= finished.mono < thawed
