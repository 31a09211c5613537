"""What is left when a worker, its broker or its session dies."""

import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from schemas.task import Done, Lost, Skipped, session_key
from tests.integration.worker_stack import Stack, broker, fresh_stack, lives, window
from tests.waiting import until

ECHO = {"do": "echo"}
LONG = {"do": "sleep", "s": 60}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def stack(url: str, tmp_path: Path) -> Iterator[Stack]:
    yield from fresh_stack(url, tmp_path)


def test_after_kill_9_the_next_worker_resends_what_ended_and_what_is_lost(stack: Stack) -> None:
    worker = stack.worker()
    first = stack.wait_session()
    stack.send(window(first, 1, ECHO, LONG))
    until(lambda: stack.began(), 10)
    worker.stop(signal.SIGKILL)
    stack.worker()
    second = stack.wait_session(other_than=first)
    until(lambda: any(hello.session == second for hello in stack.hellos()), 10)
    (hello,) = [hello for hello in stack.hellos() if hello.session == second]
    assert [type(outcome) for outcome in hello.outcomes] == [Done, Lost]


def test_a_worker_on_the_same_node_need_not_wait_for_the_lease(stack: Stack) -> None:
    worker = stack.worker(HOLDFAST_LEASE_S="600")
    first = stack.wait_session()
    worker.stop(signal.SIGKILL)
    stack.worker()
    stack.wait_session(other_than=first)


def test_kill_9_leaves_no_executor_process(stack: Stack) -> None:
    worker = stack.worker()
    stack.send(window(stack.wait_session(), 1, LONG))
    until(lambda: stack.began(), 10)
    children = worker.children()
    assert children
    worker.stop(signal.SIGKILL)
    until(lambda: not any(map(lives, children)), 5)


def test_what_a_killed_workers_job_started_ends_when_the_next_worker_starts(
    stack: Stack, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    worker = stack.worker()
    payload = {"do": "spawn", "s": 100, "wait": True, "pid_file": str(pid_file)}
    stack.send(window(stack.wait_session(), 1, payload))
    until(lambda: stack.began(), 10)
    worker.stop(signal.SIGKILL)
    stack.worker()
    until(lambda: not lives(int(pid_file.read_text())), 10)


def test_sigterm_leaves_no_process_and_no_session(stack: Stack) -> None:
    worker = stack.worker()
    stack.wait_session()
    until(lambda: worker.children(), 5)
    children = worker.children()
    assert worker.stop() == 0
    assert not any(map(lives, children))
    assert stack.session() is None


def test_a_standby_on_another_node_takes_over_after_kill_9(stack: Stack) -> None:
    active = stack.worker(HOLDFAST_LEASE_S="2")
    first = stack.wait_session()
    stack.worker(journal="elsewhere", HOLDFAST_LEASE_S="2")
    active.stop(signal.SIGKILL)
    second = stack.wait_session(other_than=first)
    stack.send(window(second, 1, ECHO))
    assert isinstance(stack.settled(1).outcomes[0], Done)


def test_a_second_worker_with_the_same_journal_waits_until_the_first_is_gone(
    stack: Stack,
) -> None:
    active = stack.worker()
    first = stack.wait_session()
    waiting = stack.worker()
    until(lambda: "another worker on this node" in waiting.output(), 10)
    assert stack.session() == first
    active.stop()
    stack.wait_session(other_than=first)


def test_a_waiting_worker_stops_when_asked(stack: Stack) -> None:
    stack.worker()
    stack.wait_session()
    waiting = stack.worker()
    until(lambda: "another worker on this node" in waiting.output(), 10)
    assert waiting.stop(timeout_s=5) == 0


def test_a_flushed_session_is_taken_back_and_hello_is_said_again(stack: Stack) -> None:
    stack.worker()
    session = stack.wait_session()
    until(lambda: stack.hellos(), 10)
    stack.redis.flushall()
    stack.heard.clear()
    until(lambda: stack.session() == session, 10)
    until(lambda: stack.hellos(), 10)


def test_a_lost_session_ends_the_job_and_the_device_comes_back_with_a_new_one(
    stack: Stack,
) -> None:
    worker = stack.worker()
    first = stack.wait_session()
    stack.send(window(first, 1, LONG, ECHO))
    until(lambda: stack.began(), 10)
    stack.redis.set(session_key("d1"), "a usurper", px=3000)
    lost, left = stack.settled(1).outcomes
    assert isinstance(lost, Lost)
    assert isinstance(left, Skipped)
    until(lambda: stack.session() not in (None, first, "a usurper"), 15)
    stack.send(window(stack.wait_session(other_than=first), 2, ECHO))
    assert isinstance(stack.settled(2).outcomes[0], Done)
    assert worker.process.poll() is None


def test_a_worker_outlives_the_death_of_its_broker(tmp_path: Path) -> None:
    with broker(tmp_path) as url:
        stack = Stack(url, tmp_path)
        worker = stack.worker()
        first = stack.wait_session()
        stack.send(window(first, 1, {"do": "sleep", "s": 3}))
        until(lambda: stack.began(), 10)
    try:
        assert worker.process.poll() is None
        with broker(tmp_path, port=int(url.split(":")[2].split("/")[0])):
            stack.wait_session()
            assert isinstance(stack.settled(1, 60).outcomes[0], Done)
            assert worker.stop() == 0
    finally:
        stack.close()


def test_a_worker_that_lost_its_session_takes_no_window_after_it_reconnects(
    tmp_path: Path,
) -> None:
    with broker(tmp_path) as url:
        stack = Stack(url, tmp_path)
        former = stack.worker(HOLDFAST_LEASE_S="2")
        first = stack.wait_session()
        until(lambda: " ready." in former.output(), 20)
        stack.worker(journal="elsewhere", HOLDFAST_LEASE_S="2")
        former.process.send_signal(signal.SIGSTOP)
        stack.wait_session(other_than=first)
    try:
        with broker(tmp_path, port=int(url.split(":")[2].split("/")[0])):
            former.process.send_signal(signal.SIGCONT)
            until(lambda: former.output().count("Connected to redis") == 2, 20)
            second = stack.wait_session()
            # One by one: Redis serves first whoever has waited longest, so they would take turns.
            for number in range(1, 5):
                stack.send(window(second, number, ECHO))
                assert isinstance(stack.settled(number).outcomes[0], Done)
    finally:
        stack.close()
