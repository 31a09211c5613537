"""The rules of a window, without a broker and without a process."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from schemas.task import (
    Began,
    Canceled,
    Done,
    Failed,
    JobTask,
    Lost,
    Outcome,
    Skipped,
    Window,
)
from workers.execute import Execution, Shift
from workers.executors.base import Work
from workers.executors.child import Broke, Ending, Returned, Stopped, Tick
from workers.journal import Journal, JournalError
from workers.permits import PermitsUnreachable
from workers.results import Packer, ResultNotStored


class FakePermits:
    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.down = False
        self.interrupts: set[str] = set()
        self.taken: list[str] = []

    def take(self, job: str, run: int) -> bool:
        if self.down:
            raise PermitsUnreachable("no answer")
        self.taken.append(job)
        return job not in self.gone

    def interrupted(self, job: str, run: int) -> bool:
        return job in self.interrupts


class FakeChild:
    """Ends as told; `slow` jobs look at the tick until it says stop."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.slow = False
        self.ending: Ending = Returned(b'{"x":1}')

    def ready(self, tick: Tick) -> bool:
        return not tick()

    def run(self, work: Work, tick: Tick) -> Ending:
        self.ran.append(work.job)
        while self.slow:
            if tick():
                return Stopped()
        return self.ending


class FullStore:
    def put(self, key: str, body: bytes) -> None:
        raise ResultNotStored("disk full")


class MemoryStore:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> None:
        self.kept[key] = body


class Bench:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.permits = FakePermits()
        self.child = FakeChild()
        self.store = MemoryStore()
        self.journal = Journal(folder, device="d1")
        self.session: str | None = "s1"
        self.told: list[Began] = []
        self.pauses: list[float] = []
        self.shift = Shift(session=lambda: self.session)
        self.execution = Execution(
            device="d1",
            shift=self.shift,
            permits=self.permits,
            journal=self.journal,
            child=self.child,
            packer=options.pop("packer", Packer(lambda: self.store, folder / "unstored")),
            tell=self.told.append,
            pause=self.pauses.append,
            clock=lambda: 100.0,
            **options,
        )

    def run(
        self,
        *jobs: str,
        wall_s: float | None = None,
        session: str = "s1",
        number: int = 1,
        after: int | None = None,
    ) -> list[Outcome]:
        window = Window(
            window=number,
            after=after,
            device="d1",
            session=session,
            fence=1,
            batch="b1",
            shared={},
            jobs=[
                JobTask(job=job, run=1, ordinal=ordinal, payload={}, wall_s=wall_s)
                for ordinal, job in enumerate(jobs, 1)
            ],
            settled_below=0,
        )
        return self.execution.execute(window).outcomes


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()


def skipped(*jobs: str, gone: bool = False) -> list[Outcome]:
    return [Skipped(job=job, run=1, gone=gone) for job in jobs]


def test_jobs_run_in_their_order(bench: Bench) -> None:
    bench.run("a", "b", "c")
    assert bench.child.ran == ["a", "b", "c"]


def test_behind_a_job_whose_permit_is_gone_nothing_begins(bench: Bench) -> None:
    """Only the other side knows whether a cancel took it, or an answer that was lost."""
    bench.permits.gone = {"b"}
    outcomes = bench.run("a", "b", "c")
    assert outcomes[1:] == [*skipped("b", gone=True), *skipped("c")]
    assert (bench.child.ran, bench.permits.taken) == (["a"], ["a", "b"])


def test_without_an_answer_about_its_permit_nothing_begins(bench: Bench) -> None:
    bench.permits.down = True
    assert bench.run("a", "b") == skipped("a", "b")
    assert bench.child.ran == []


def test_a_window_of_another_session_leaves_its_permits_alone(bench: Bench) -> None:
    assert bench.run("a", "b", session="s0") == skipped("a", "b")
    assert bench.permits.taken == []


def test_a_redelivered_window_gives_the_same_outcomes_and_runs_nothing(bench: Bench) -> None:
    first = bench.run("a", "b")
    assert bench.run("a", "b") == first
    assert bench.child.ran == ["a", "b"]


def test_an_end_that_the_journal_knows_is_told_whatever_the_session(bench: Bench) -> None:
    first = bench.run("a")
    assert bench.run("a", session="s0") == first


def test_a_run_that_began_and_never_finished_is_lost(bench: Bench) -> None:
    bench.journal.began("a", 1, batch="b1", window=1, fence=1, at=7.0)
    assert bench.run("a") == [Lost(job="a", run=1, began_at=7.0)]
    assert bench.child.ran == []


def test_a_job_that_breaks_fails_with_its_reason(bench: Bench) -> None:
    bench.child.ending = Broke("no such atom")
    assert bench.run("a") == [
        Failed(job="a", run=1, began_at=100.0, ended_at=100.0, reason="no such atom")
    ]


def test_an_interrupted_job_is_canceled_and_the_next_one_runs(bench: Bench) -> None:
    bench.child.slow = True
    bench.permits.interrupts = {"a", "b"}
    outcomes = bench.run("a", "b")
    assert [type(outcome) for outcome in outcomes] == [Canceled, Canceled]


def test_a_job_over_its_wall_limit_fails_with_the_limit(bench: Bench) -> None:
    bench.child.slow = True
    (outcome,) = bench.run("a", wall_s=0.01)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "exceeded its wall limit of 0.01 s"


def test_the_workers_own_wall_limit_holds_for_jobs_without_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, wall_s=0.01)
    bench.child.slow = True
    (outcome,) = bench.run("a")
    assert isinstance(outcome, Failed)
    bench.journal.close()


def test_a_job_is_lost_with_its_session_and_the_rest_is_skipped(bench: Bench) -> None:
    bench.child.slow = True

    def lose(began: Began) -> None:
        bench.session = None

    bench.execution.tell = lose
    outcomes = bench.run("a", "b")
    assert outcomes == [Lost(job="a", run=1, began_at=100.0), *skipped("b")]


def test_a_job_killed_by_the_stop_of_its_worker_is_lost(bench: Bench) -> None:
    bench.child.slow = True
    bench.shift.now.set()
    assert bench.run("a") == [Lost(job="a", run=1, began_at=100.0)]


def test_a_worker_that_leaves_begins_nothing_more(bench: Bench) -> None:
    bench.shift.leaving.set()
    assert bench.run("a") == skipped("a")
    assert bench.permits.taken == []


def test_a_running_job_is_announced_once(bench: Bench) -> None:
    bench.child.slow = True
    bench.run("a", wall_s=0.01)
    assert [began.job for began in bench.told] == ["a"]


def test_a_job_is_not_put_on_the_device_when_the_journal_cannot_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(bench.journal, "began", full)
    assert bench.run("a") == skipped("a", gone=True)
    assert bench.child.ran == []
    assert bench.pauses == [1.0]


def test_a_small_result_travels_inline(bench: Bench) -> None:
    (outcome,) = bench.run("a")
    assert isinstance(outcome, Done)
    assert outcome.result.value == {"x": 1}


def test_a_large_result_travels_by_reference(bench: Bench) -> None:
    text = b'{"x":"' + b"y" * 300_000 + b'"}'
    bench.child.ending = Returned(text)
    (outcome,) = bench.run("a")
    assert isinstance(outcome, Done)
    assert (outcome.result.ref, outcome.result.size) == ("results/a/1.json", len(text))
    assert bench.store.kept == {"results/a/1.json": text}


def test_a_window_carries_at_most_a_mebibyte_inline(bench: Bench) -> None:
    bench.child.ending = Returned(b'{"x":"' + b"y" * 250_000 + b'"}')
    outcomes = bench.run("a", "b", "c", "d", "e")
    refs = [outcome.result.ref for outcome in outcomes if isinstance(outcome, Done)]
    assert refs == [None, None, None, None, "results/e/1.json"]


def test_a_result_that_cannot_be_stored_fails_and_stays_on_this_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path, packer=Packer(FullStore, tmp_path / "unstored"))
    bench.child.ending = Returned(b'{"x":"' + b"y" * 300_000 + b'"}')
    (outcome,) = bench.run("a")
    assert isinstance(outcome, Failed)
    assert outcome.reason == "the result could not be stored: disk full"
    assert (tmp_path / "unstored" / "a.1.json").read_bytes() == bench.child.ending.text
    bench.journal.close()


def test_the_outcome_is_in_the_journal_before_it_leaves(bench: Bench) -> None:
    (outcome,) = bench.run("a")
    assert bench.journal.find("a", 1) == outcome


def test_the_heartbeat_names_the_window_until_it_is_let_go(bench: Bench) -> None:
    bench.run("a")
    assert bench.execution.holding.look() == (1, 0.0)
    bench.execution.holding.let_go()
    assert bench.execution.holding.look()[0] is None


def test_result_has_size_and_digest_of_its_text(bench: Bench) -> None:
    (outcome,) = bench.run("a")
    assert isinstance(outcome, Done)
    assert (outcome.result.value, outcome.result.size) == ({"x": 1}, 7)
    assert outcome.result.sha256.startswith("5041bf1f713df204784353e82f6a4a53")
