"""What a user is told of a job that failed: our own reasons are known, others are only quoted."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from orchestrator.api.portal.history import trouble
from orchestrator.services.extend import EXHAUSTED
from orchestrator.services.outcomes import LOST_REASON
from orchestrator.store.listings_shown import ShownJob


def told(reason: str, status: str = "ERROR") -> str:
    job = ShownJob(
        *(UUID(int=1), UUID(int=2), 1, status, 1, {}, reason, "echo-a", None),
        *(datetime(2026, 1, 1, tzinfo=UTC), None, None, None, None),
    )
    found = trouble(job)
    assert found is not None
    assert found.said == reason
    return f"{found.what} {found.do}"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("no value for omega: the sequence declares it", "variables"),
        ("the batch has no sequence: give it one serialized by Pulser", "Correct it"),
        ("exceeded its wall limit of 60 s", "longer than it may"),
        ("the executor process died (signal 9, SIGKILL)", "memory"),
        ("the result could not be stored: AccessDenied", "could not be stored"),
        (LOST_REASON, "Its device failed"),
    ],
)
def test_a_reason_of_our_own_is_explained(reason: str, word: str) -> None:
    assert word in told(reason)


@pytest.mark.parametrize("reason", ["laser lost lock", "no exit beam", "out of credit", ""])
def test_a_reason_of_the_program_is_not_taken_for_one_of_ours(reason: str) -> None:
    assert told(reason).startswith("Its program gave up.")


def test_a_job_that_credits_did_not_suffice_for_says_so() -> None:
    assert "credits" in told(EXHAUSTED, "CANCELED")
    assert "credits" not in told("its batch timed out", "CANCELED")
