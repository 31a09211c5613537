"""Guards on the worker's side, each taken away in its turn: its journal, and its session."""

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import redis

from orchestrator.embedded import Servers
from schemas.task import JobTask, Result, Window
from tests.sim.guards import without
from workers import execute, journal, session
from workers.execute import Execution, Holding, Shift
from workers.executors.base import Work
from workers.executors.child import Ending, Returned, Tick
from workers.journal import Journal, JournalInUse
from workers.session import SessionLock

KEY = "    PRIMARY KEY (job, run)\n"
LOOKED_UP = "if known := self.journal.find(task.job, task.run):"


class Device:
    """It runs whatever it is given, and every permit is there: Redis gave back an old state."""

    def __init__(self) -> None:
        self.began: list[tuple[str, int]] = []

    def take(self, job: str, run: int) -> bool:
        return True

    def interrupted(self, job: str, run: int) -> bool:
        return False

    def ready(self, tick: Tick) -> bool:
        return True

    def run(self, work: Work, tick: Tick) -> Ending:
        self.began.append((work.job, work.run))
        return Returned(b"{}")

    def new_window(self) -> None:
        pass

    def pack(self, job: str, run: int, text: bytes) -> Result:
        return Result(value={}, size=2, sha256="")


def begun_twice(folder: Path, *, settled: bool = False) -> bool:
    """One window comes twice, and its permits are there both times. `settled`: the second time
    long after it came home."""
    device = Device()
    with Journal(folder, device="dev-1") as book:
        execution = Execution(
            device="dev-1",
            shift=Shift(session=lambda: "s"),
            permits=device,
            journal=book,
            child=device,
            packer=device,
            tell=lambda began: None,
        )
        window = Window(
            window=1,
            device="dev-1",
            session="s",
            fence=1,
            batch="b",
            shared={},
            jobs=[JobTask(job="j", run=1, ordinal=1, payload={})],
            settled_below=1,
            after=None,
        )
        execution.execute(window)
        execution.execute(window.model_copy(update={"settled_below": 1 + settled}))
    return len(device.began) == 2


@pytest.mark.parametrize("known", [True, False], ids=["looked-up", "not-looked-up"])
@pytest.mark.parametrize("unique", [True, False], ids=["key", "no-key"])
def test_a_run_begins_once_while_the_journal_is_looked_up_or_has_its_key(
    tmp_path: Path, unique: bool, known: bool
) -> None:
    with ExitStack() as stack:
        if not unique:
            stack.enter_context(without(journal, f"DEFAULT 0,\n{KEY}", "DEFAULT 0\n"))
        if not known:
            stack.enter_context(without(execute, LOOKED_UP, "if known := None:"))
        assert begun_twice(tmp_path) is not (unique or known)


@pytest.mark.parametrize("kept", [True, False], ids=["with", "without"])
def test_a_run_that_came_home_keeps_its_key(tmp_path: Path, kept: bool) -> None:
    forgotten = "UPDATE runs SET acked = 1, outcome = NULL WHERE acked = 0"
    with nullcontext() if kept else without(journal, forgotten, "DELETE FROM runs WHERE acked = 0"):
        assert begun_twice(tmp_path, settled=True) is not kept


@pytest.mark.parametrize("locked", [True, False], ids=["with", "without"])
def test_two_processes_do_not_share_a_journal(tmp_path: Path, locked: bool) -> None:
    flock = "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    undone = nullcontext() if locked else without(journal, flock, "None")
    with undone, Journal(tmp_path, device="dev-1"):
        assert can_open(tmp_path) is not locked


def can_open(folder: Path) -> bool:
    try:
        with Journal(folder, device="dev-1"):
            return True
    except JournalInUse:
        return False


@pytest.fixture
def lock_of(servers: Servers, tmp_path: Path) -> Iterator[Any]:
    """A worker of dev-1 on a node of its own."""
    with ExitStack() as stack, redis.Redis.from_url(servers.broker) as client:
        client.flushall()

        def made(node: str) -> SessionLock:
            lock = SessionLock(
                url=servers.broker,
                device="dev-1",
                type="TEST",
                journal=stack.enter_context(Journal(tmp_path / node, device="dev-1")),
                holding=Holding(),
                lease_s=30,
                leash=lambda until: None,
            )
            stack.callback(lock.stop)
            return lock

        yield made


@pytest.mark.parametrize("guarded", [True, False], ids=["with", "without"])
def test_of_two_that_saw_a_free_session_one_takes_it(lock_of: Any, guarded: bool) -> None:
    """The other took it between the look and the grasp."""
    taking = "set(self._keys[0], session, nx=True, px=lease_ms)"
    with nullcontext() if guarded else without(session, taking, taking.replace("nx=True, ", "")):
        both = [lock_of("one"), lock_of("two")]
        taken = [lock._take(None) for lock in both]
    assert taken == [True, not guarded]
    assert [lock.current() is not None for lock in both] == taken


@pytest.mark.parametrize("guarded", [True, False], ids=["with", "without"])
def test_a_session_is_only_seized_from_whom_it_was_seen_with(lock_of: Any, guarded: bool) -> None:
    """The former one's lease ended meanwhile, and a third has the device."""
    compared = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\nredis.call('SET'"
    with nullcontext() if guarded else without(session, compared, "redis.call('SET'"):
        third, late = lock_of("three"), lock_of("late")
        third._take(None)
        taken = late._take("the former one")
    assert taken is not guarded


@pytest.mark.parametrize("guarded", [True, False], ids=["with", "without"])
def test_a_worker_that_lost_its_session_does_not_renew_it(lock_of: Any, guarded: bool) -> None:
    renewing = "if holder == ARGV[1] then"
    with nullcontext() if guarded else without(session, renewing, "if holder then"):
        former, present = lock_of("former"), lock_of("present")
        former._take(None)
        former._redis.delete(former._keys[0])
        present._take(None)
        verdict = former._beat(former._session)
    assert (verdict == session._LOST) is guarded
