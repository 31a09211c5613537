"""A window runs only behind one that left nothing to do."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.unit.worker.test_execute import Bench, skipped


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
