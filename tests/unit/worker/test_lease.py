"""What becomes of a job whose worker has lost its device, or may have."""

import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas import failpoint
from schemas.task import Lost, Skipped
from schemas.witness import Began, Entry, Finished, read_lines
from tests.unit.worker.test_execute import Bench
from tests.waiting import until
from workers.executors.base import Work
from workers.executors.child import Broke, Ending, Returned, Stopped, Tick


def entries(bench: Bench) -> list[Entry]:
    """Of the run: what began and how it ended."""
    lines = bench.journal.witnessed(1, 1000)
    return [each.entry for each in read_lines(lines, bench.journal.id)][-2:]


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()


def test_a_lease_that_ends_while_the_journal_writes_keeps_the_job_off_the_device(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = bench.journal.began

    def slowly(*args: Any, **more: Any) -> None:
        began(*args, **more)
        bench.session = None

    monkeypatch.setattr(bench.journal, "began", slowly)
    assert bench.run("a") == [Lost(job="a", run=1, began_at=100.0)]
    assert bench.child.ran == []
    beginning, end = entries(bench)
    assert end.mono == beginning.mono


@pytest.mark.parametrize("ending", [Returned(b"{}"), Broke("no"), Stopped()])
def test_a_worker_that_stood_still_writes_down_when_the_job_was_over(
    bench: Bench, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(work: Work, tick: Tick) -> Ending:
        ended = time.monotonic()
        until(lambda: time.monotonic() > ended)
        seen.append(ended)
        return replace(ending, ended=ended)

    seen: list[float] = []
    monkeypatch.setattr(bench.child, "run", run)
    bench.run("a")
    assert [entries(bench)[-1].mono] == seen


@pytest.mark.parametrize("point", ["worker.began", "worker.ended"])
def test_a_run_whose_worker_breaks_in_the_middle_has_an_end_before_the_next_begins(
    point: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the nemesis with seed 15: the log told of two runs at once, and no hello of it."""
    monkeypatch.setattr(failpoint, "_armed", {})
    failpoint.arm({failpoint.VARIABLE: f"{point}=raise@1"})
    told = bench.run("a", "b")
    assert told == [Lost(job="a", run=1, began_at=100.0), Skipped(job="b", run=1, gone=False)]
    assert [type(each) for each in entries(bench)] == [Began, Finished]
    assert bench.journal.unacknowledged() == told[:1]


def test_a_job_whose_executor_the_leash_killed_is_lost_though_the_session_is_back(
    bench: Bench,
) -> None:
    bench.child.ending = Stopped()
    assert bench.run("a") == [Lost(job="a", run=1, began_at=100.0)]
