"""One seed of the nemesis with every run of the tests; `make nightly` has twenty."""

from pathlib import Path

import pytest

from tests.chaos.trial import run

SEED = 4


@pytest.mark.timeout(400)
def test_a_minute_of_faults_breaks_no_promise(tmp_path: Path) -> None:
    verdict = run(SEED, minutes=1, jobs=1500, folder=tmp_path)
    assert verdict.broken == [], f"seed {SEED}; faults.log and all else is in {tmp_path}"
    assert verdict.faults.total() >= 10
