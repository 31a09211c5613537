"""A window runs only behind one that left nothing to do."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.unit.worker.test_execute import Bench, skipped
from workers.journal import JournalError


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()


def test_a_window_does_not_overtake_the_one_before_it(bench: Bench) -> None:
    assert bench.run("b", number=2, after=1) == skipped("b")
    bench.run("a", number=3)
    assert bench.run("b", number=4, after=3) != skipped("b")


def test_nothing_is_begun_behind_a_window_that_lost_a_permit(bench: Bench) -> None:
    bench.permits.gone = {"a"}
    bench.run("a", number=1)
    assert bench.run("b", number=2, after=1) == skipped("b")


def test_a_disk_that_has_room_again_lets_no_job_overtake_the_one_it_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 52 of the nemesis: jobs 16 to 76 of a window began before its jobs 13 to 15."""
    began = bench.journal.began

    def full_once(*_: object, **__: object) -> None:
        monkeypatch.setattr(bench.journal, "began", began)
        raise JournalError("disk full")

    monkeypatch.setattr(bench.journal, "began", full_once)
    assert bench.run("a", "b") == [*skipped("a", gone=True), *skipped("b")]
    assert bench.child.ran == []


def test_a_second_copy_of_a_window_finds_the_disk_with_room_and_still_overtakes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 1 of the nemesis: the first copy took the permit of its first job for a journal that
    was full; the second found that permit gone, and began with the next job."""
    began = bench.journal.began

    def full_once(*_: object, **__: object) -> None:
        monkeypatch.setattr(bench.journal, "began", began)
        raise JournalError("disk full")

    monkeypatch.setattr(bench.journal, "began", full_once)
    bench.run("a", "b")
    bench.permits.gone = {"a"}
    assert bench.run("a", "b") == [*skipped("a", gone=True), *skipped("b")]
    assert bench.child.ran == []
