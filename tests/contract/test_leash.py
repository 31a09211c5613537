"""The leash, on real processes, and the executor child that wears it."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.contract.executor_contract import never, started
from tests.integration.worker_stack import descendants, lives
from tests.waiting import until
from workers.executors.base import Work
from workers.executors.child import Ending, ExecutorChild, Returned, Stopped
from workers.executors.leash import Leash

SLEEP = "import os, time; os.fork(); time.sleep(600)"


@pytest.fixture
def leash() -> Generator[Leash]:
    leash = Leash("test")
    yield leash
    leash.close()


@pytest.fixture
def group() -> Generator[int]:
    """A process group of two."""
    sleeper = subprocess.Popen([sys.executable, "-S", "-c", SLEEP], start_new_session=True)
    until(lambda: len(members(sleeper.pid)) == 2)
    yield sleeper.pid
    if members(sleeper.pid):
        os.killpg(sleeper.pid, signal.SIGKILL)
    sleeper.wait()


@pytest.fixture
def child() -> Generator[ExecutorChild]:
    child = started("scripted")
    yield child
    child.close()


def members(group: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if group_of(pid) == group and lives(pid)]


def group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def pid_of(either: Leash | ExecutorChild) -> int:
    assert either.pid is not None
    return either.pid


def from_now(seconds: float) -> float:
    return time.monotonic() + seconds


def passed(at: float) -> None:
    until(lambda: time.monotonic() > at + 0.3)


def run(child: ExecutorChild, **payload: object) -> Ending:
    assert child.ready(never)
    return child.run(Work(batch="b", shared={}, job="j", run=1, payload=payload), never)


def test_a_whole_group_is_killed_at_its_deadline_and_it_is_said(leash: Leash, group: int) -> None:
    leash.hold(group)
    leash.set_deadline(deadline := from_now(0.2))
    until(lambda: not members(group))
    assert leash.has_killed(group)
    until(lambda: leash.killed_at(group) < math.inf)
    assert deadline <= leash.killed_at(group) < time.monotonic()


def test_a_deadline_that_moves_on_kills_nobody(leash: Leash, group: int) -> None:
    leash.hold(group)
    leash.set_deadline(first := from_now(0.3))
    leash.set_deadline(from_now(600))
    passed(first)
    assert len(members(group)) == 2
    assert not leash.has_killed(group)
    assert leash.killed_at(group) == math.inf


def test_a_group_that_was_let_go_is_left_alone(leash: Leash, group: int) -> None:
    leash.hold(group)
    leash.set_deadline(first := from_now(0.3))
    leash.let_go(group)
    passed(first)
    assert len(members(group)) == 2


def test_a_new_executor_may_wait_for_the_next_lease_and_then_obeys_it(
    leash: Leash, group: int
) -> None:
    leash.set_deadline(first := from_now(0))
    leash.hold(group)
    passed(first)
    assert len(members(group)) == 2
    leash.set_deadline(from_now(0))
    until(lambda: not members(group))


def test_a_leash_that_was_killed_is_replaced_and_holds_what_it_held(
    leash: Leash, group: int
) -> None:
    leash.hold(group)
    leash.set_deadline(from_now(600))
    before = pid_of(leash)
    os.kill(before, signal.SIGKILL)
    until(lambda: not lives(before))
    assert leash.holds()
    assert leash.pid != before
    leash.set_deadline(from_now(0))
    until(lambda: not members(group))


def test_a_renewal_alone_replaces_a_leash_that_was_killed(leash: Leash, group: int) -> None:
    leash.hold(group)
    before = pid_of(leash)
    os.kill(before, signal.SIGKILL)
    until(lambda: not lives(before))
    leash.set_deadline(from_now(0))
    until(lambda: not members(group))


def test_a_leash_that_stands_still_is_replaced_before_it_blocks_anybody(
    leash: Leash, group: int
) -> None:
    leash.hold(group)
    before = pid_of(leash)
    os.kill(before, signal.SIGSTOP)

    def is_replaced() -> bool:
        for _ in range(1000):
            leash.set_deadline(from_now(600))
        return leash.pid != before

    until(is_replaced)
    leash.set_deadline(from_now(0))
    until(lambda: not members(group))


def test_a_closed_leash_is_gone_and_stays_so(leash: Leash, group: int) -> None:
    leash.hold(group)
    watchdog = pid_of(leash)
    leash.close()
    leash.set_deadline(from_now(600))
    assert not lives(watchdog)
    assert leash.pid is None
    until(lambda: not members(group))


def test_the_leash_is_out_of_reach_of_what_stops_the_workers_group(
    leash: Leash, group: int
) -> None:
    leash.hold(group)
    assert os.getsid(pid_of(leash)) == pid_of(leash)


def test_a_job_that_the_leash_ends_is_stopped_and_the_next_one_has_a_new_process(
    child: ExecutorChild,
) -> None:
    assert child.ready(never)
    before = child.pid
    child.leash.set_deadline(from_now(0.2))
    assert run(child, do="ignore-signals", s=60) == Stopped()
    child.leash.set_deadline(from_now(600))
    assert isinstance(run(child), Returned)
    assert child.pid != before


def test_work_for_an_executor_that_the_leash_has_just_killed_is_stopped(
    child: ExecutorChild,
) -> None:
    assert child.ready(never)
    pid = pid_of(child)
    child.leash.set_deadline(from_now(0))
    until(lambda: not lives(pid))
    ending = child.run(Work(batch="b", shared={}, job="j", run=1, payload={}), never)
    assert ending == Stopped()


def test_a_job_that_the_leash_ended_while_nobody_looked_was_over_by_then(
    child: ExecutorChild,
) -> None:
    asked: list[float] = []

    def stands_still() -> bool:
        child.leash.set_deadline(deadline := from_now(0.1))
        until(lambda: not lives(pid_of(child)))
        passed(deadline)
        asked.append(time.monotonic())
        return True

    assert child.ready(never)
    work = Work(batch="b", shared={}, job="j", run=1, payload={"do": "ignore-signals", "s": 60})
    ending = child.run(work, stands_still)
    assert isinstance(ending, Stopped)
    assert ending.ended < asked[0]


def test_an_executor_killed_while_it_warmed_up_has_not_refused_to_start(
    child: ExecutorChild,
) -> None:
    before = set(descendants(os.getpid()))
    child.leash.set_deadline(from_now(600))
    child.start()
    until(lambda: child.leash.pid is not None)
    (warming,) = set(descendants(os.getpid())) - before - {child.leash.pid}
    child.leash.set_deadline(from_now(0))
    until(lambda: not lives(warming))
    child.leash.set_deadline(from_now(600))
    assert isinstance(run(child), Returned)
