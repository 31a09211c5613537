"""Rules of users' own controllers."""

from uuid import UUID

import pytest

from orchestrator.config import BadSettings, Settings
from orchestrator.domain.controller import (
    Assignment,
    assignment_in,
    is_broken_for_good,
    is_lost_for_good,
    is_too_old,
    offer_of,
    was_offered,
)

JOB = str(UUID(int=7))


def test_an_assignment_names_one_run_of_one_job() -> None:
    assert assignment_in(str(Assignment(JOB, 3))) == Assignment(JOB, 3)


@pytest.mark.parametrize(
    "forged",
    ["", JOB, f"{JOB}.", f"{JOB}.-1", f"{JOB}.1 ", f"{JOB}.1\n", f"{JOB}.1.1", f"{JOB}.{10**9}"],
)
def test_what_we_cannot_have_given_names_nothing(forged: str) -> None:
    assert assignment_in(forged) is None


@pytest.mark.parametrize(
    ("version", "old"),
    [("0.1", False), ("0.1.0.dev3", False), ("1", False), ("0.0.9", True), ("none", True)],
)
def test_a_version_is_compared_by_its_numbers(version: str, old: bool) -> None:
    assert is_too_old(version, "0.1") is old


def test_an_offer_is_of_the_session_that_it_was_made_to() -> None:
    assert was_offered(offer_of(2, "r1"), 2)
    assert not was_offered(offer_of(21, "r1"), 2)
    assert not was_offered(None, 2)


def test_a_job_is_given_up_when_it_was_lost_three_times_or_broke_three_times() -> None:
    assert [is_lost_for_good(n) for n in (1, 2, 3)] == [False, False, True]
    assert [is_broken_for_good(n) for n in (1, 2, 3)] == [False, False, True]


def test_a_heartbeat_may_be_lost_without_the_lease() -> None:
    servers = {"HOLDFAST_DATABASE_URL": "postgresql://h/d", "HOLDFAST_BROKER_URL": "redis://h"}
    lease = {"HOLDFAST_CONTROLLER_LEASE_S": "60"}
    assert Settings.from_env(servers | lease).controller_heartbeat_s == 20
    with pytest.raises(BadSettings, match="HOLDFAST_CONTROLLER_HEARTBEAT_S must be at most half"):
        Settings.from_env(servers | {"HOLDFAST_CONTROLLER_LEASE_S": "30"})
