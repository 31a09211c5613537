"""What becomes of a job whose worker has lost its device, or may have."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from schemas.task import Lost
from tests.unit.worker.test_execute import Bench
from workers.executors.child import Stopped


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


def test_a_job_whose_executor_the_leash_killed_is_lost_though_the_session_is_back(
    bench: Bench,
) -> None:
    bench.child.ending = Stopped()
    assert bench.run("a") == [Lost(job="a", run=1, began_at=100.0)]
