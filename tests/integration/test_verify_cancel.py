"""What has begun though it was canceled, or its batch was over; and what only seems to have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.services.core import Core
from tests.integration.proven import Proven, named, rows

CANCELED = (6, "nothing canceled begins")


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    yield made
    made.device.journal.close()


def test_a_job_that_began_after_its_cancel_is_found(past: Proven) -> None:
    past.change(
        "UPDATE job SET ended_at = ended_at - interval '5 s', status = 'CANCELED'"
        " WHERE batch_id = :batch AND ordinal = 1",
        batch=past.canceled,
    )
    found = past.verify().violations
    assert CANCELED in named(found)
    assert rows(found, CANCELED[1])[0]["job"] == past.jobs(past.canceled)[0]


def test_a_device_whose_clock_is_wrong_hides_no_beginning_after_a_cancel(past: Proven) -> None:
    past.forge(lambda all: [each._replace(at=each.at - 3600) for each in all])
    past.change(
        "UPDATE batch SET ended_at = ended_at - interval '5 s' WHERE id = :batch",
        batch=past.done[1],
    )
    assert CANCELED in named(past.verify().violations)


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_device_whose_clock_is_wrong_is_no_violation(past: Proven, step_s: float) -> None:
    past.forge(lambda all: [each._replace(at=each.at + step_s) for each in all])
    assert past.verify().violations == []


def test_a_job_that_began_after_the_end_of_its_batch_is_found(past: Proven) -> None:
    past.change(
        "UPDATE batch SET ended_at = ended_at - interval '5 s' WHERE id = :batch",
        batch=past.done[1],
    )
    found = past.verify().violations
    assert named(found) == {CANCELED}
    assert {row["job"] for row in rows(found, CANCELED[1])} == set(past.jobs(past.done[1]))


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_run_that_the_cancel_of_its_batch_met_as_running_is_no_violation(
    past: Proven, interrupted: bool
) -> None:
    """Found by the nemesis with seed 12: the permit was taken between the cancel's two words."""
    past.change(
        "UPDATE batch SET ended_at = admitted_at - interval '10 ms' WHERE id = :batch",
        batch=past.canceled,
    )
    past.change(
        "UPDATE job SET cancel_requested = :asked WHERE batch_id = :batch AND ordinal = 1",
        batch=past.canceled,
        asked=interrupted,
    )
    assert CANCELED not in named(past.verify().violations)


def test_a_run_long_after_the_cancel_of_its_batch_is_found(past: Proven) -> None:
    past.change(
        "UPDATE batch SET ended_at = admitted_at - interval '2 minutes' WHERE id = :batch",
        batch=past.canceled,
    )
    assert CANCELED in named(past.verify().violations)
