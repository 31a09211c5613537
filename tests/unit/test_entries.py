"""Rules of the submit-batch door."""

from uuid import UUID

import pytest

from orchestrator.domain.entries import (
    STATES,
    Course,
    Leader,
    Needs,
    Room,
    Sequel,
    course,
    formula,
    name_flaw,
    sequel,
    state_of,
)
from schemas.words import JobStatus

SPE = Needs("single_point_energy")


def room(**limits: object) -> Room:
    return Room(**{"name": "dgx", "cores": 16, "memory_mb": 10**6, **limits})  # type: ignore[arg-type]


def test_every_status_has_a_word_here() -> None:
    assert {status: STATES[status] for status in JobStatus} == {
        "PENDING": "pending",
        "RUNNING": "running",
        "DONE": "done",
        "ERROR": "failed",
        "CANCELED": "cancelled",
    }
    assert {state_of(status, left=True) for status in JobStatus} == {"cancelled"}


def test_the_first_limit_that_is_reached_is_the_one_that_is_told() -> None:
    full = room(slots={SPE.job_type: 5})
    full.take(SPE, 5)
    said = "BYOC controller 'dgx' is at capacity for single_point_energy: 5/5"
    assert full.refusal(SPE) == said
    assert full.refusal(Needs("optimization")) is None
    full.take(Needs("optimization"), 11)
    assert full.refusal(Needs("optimization")) == (
        "BYOC controller 'dgx' is at capacity: 16/16 cores"
    )
    assert room(memory_mb=511).refusal(SPE) == (
        "BYOC controller 'dgx' is at capacity: 0/511 MB memory"
    )


@pytest.mark.parametrize(
    ("status", "device_type", "expected"),
    [
        (None, "managed", Course.RUN),
        ("PENDING", "managed", Course.FOLLOW),
        ("RUNNING", "managed", Course.FOLLOW),
        ("RUNNING", "byoc-1", Course.RUN),
        ("DONE", "managed", Course.HIT),
        ("DONE", "byoc-1", Course.HIT),
        ("ERROR", "managed", Course.RUN),
        ("CANCELED", "managed", Course.RUN),
    ],
)
def test_a_twin_follows_takes_or_runs(
    status: str | None, device_type: str, expected: Course
) -> None:
    assert course(Leader(UUID(int=1), device_type, status), "managed") is expected


@pytest.mark.parametrize(
    ("leader", "batch", "expected"),
    [
        ("PENDING", "RUNNING", Sequel.WAIT),
        ("RUNNING", "CANCELED", Sequel.WAIT),
        ("DONE", "CANCELED", Sequel.SHARE),
        ("ERROR", "DONE", Sequel.SHARE),
        ("CANCELED", "CANCELED", Sequel.REPLACE),
        ("CANCELED", "DONE", Sequel.REPLACE),
        ("CANCELED", "TIMED_OUT", Sequel.SHARE),
    ],
)
def test_followers_wait_share_or_have_another_run_for_them(
    leader: str, batch: str, expected: Sequel
) -> None:
    assert sequel(leader, batch) is expected


def test_a_molecule_is_previewed_by_its_formula() -> None:
    assert formula(["O", "H", "H"]) == "H2O"
    assert formula(["H"] * 6 + ["O", "C", "C"]) == "C2H6O"


def test_a_name_is_printable_and_not_too_long() -> None:
    assert name_flaw("water 1") is None
    assert None not in [name_flaw(bad) for bad in ("  ", "a" * 121, "a\nb", "a\0")]
