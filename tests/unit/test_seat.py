"""What a device does next with the batch on its seat."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.idle import idle_deadline, is_idle
from orchestrator.domain.seat import Seat, Step, may_preempt, next_step
from orchestrator.domain.transitions import SEATED
from orchestrator.domain.window import MAX_IN_FLIGHT
from schemas.words import BatchStatus

RUNNING = Seat(
    status=BatchStatus.RUNNING,
    open=False,
    jobs_left=5,
    in_flight=0,
    paused=False,
    online=True,
    outranked=False,
)
EMPTY = RUNNING._replace(jobs_left=0)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

seats = st.builds(
    Seat,
    status=st.sampled_from(BatchStatus),
    open=st.booleans(),
    jobs_left=st.integers(0, 3),
    in_flight=st.integers(0, MAX_IN_FLIGHT),
    paused=st.booleans(),
    online=st.booleans(),
    outranked=st.booleans(),
)


@pytest.mark.parametrize(
    ("seat", "step"),
    [
        (RUNNING, Step.STAGE),
        (RUNNING._replace(status=BatchStatus.ADMITTED), Step.STAGE),
        (RUNNING._replace(in_flight=MAX_IN_FLIGHT - 1), Step.STAGE),
        (RUNNING._replace(in_flight=MAX_IN_FLIGHT), Step.WAIT),
        (RUNNING._replace(online=False), Step.WAIT),
        (RUNNING._replace(paused=True), Step.PAUSE),
        (RUNNING._replace(paused=True, in_flight=1), Step.WAIT),
        (RUNNING._replace(outranked=True), Step.YIELD),
        (RUNNING._replace(outranked=True, in_flight=1), Step.WAIT),
        (RUNNING._replace(outranked=True, paused=True), Step.PAUSE),
        (EMPTY, Step.DRAIN),
        (EMPTY._replace(paused=True), Step.DRAIN),
        (EMPTY._replace(online=False), Step.DRAIN),
        (EMPTY._replace(open=True), Step.IDLE),
        (EMPTY._replace(open=True, online=False), Step.IDLE),
        (EMPTY._replace(open=True, paused=True), Step.PAUSE),
        (EMPTY._replace(open=True, outranked=True), Step.YIELD),
        (RUNNING._replace(status=BatchStatus.CANCELED), Step.LEAVE),
        (RUNNING._replace(status=BatchStatus.CANCELED, in_flight=1), Step.WAIT),
        (RUNNING._replace(status=BatchStatus.PREEMPTED), Step.LEAVE),
    ],
)
def test_the_next_step_follows_from_how_things_stand(seat: Seat, step: Step) -> None:
    assert next_step(seat) is step


@given(seats)
def test_a_seat_is_left_only_when_nothing_of_the_batch_is_on_the_device(seat: Seat) -> None:
    if next_step(seat) in (Step.LEAVE, Step.PAUSE, Step.YIELD):
        assert seat.in_flight == 0


@given(seats)
def test_nothing_is_staged_for_a_batch_that_is_over_or_a_device_that_is_away(seat: Seat) -> None:
    if next_step(seat) is Step.STAGE:
        assert seat.status in SEATED
        assert seat.online and not seat.paused and not seat.outranked
        assert seat.jobs_left > 0 and seat.in_flight < MAX_IN_FLIGHT


@given(seats)
def test_an_open_batch_is_never_drained(seat: Seat) -> None:
    if seat.open:
        assert next_step(seat) is not Step.DRAIN


@given(seats)
def test_a_device_with_work_to_give_and_room_for_it_never_waits(seat: Seat) -> None:
    fit = seat.status in SEATED and seat.online and not seat.paused and not seat.outranked
    if fit and seat.jobs_left and seat.in_flight < MAX_IN_FLIGHT:
        assert next_step(seat) is Step.STAGE


@pytest.mark.parametrize(("waiting", "may"), [(None, False), (4, False), (5, False), (6, True)])
def test_only_a_strictly_higher_priority_takes_a_seat(waiting: int | None, may: bool) -> None:
    assert may_preempt(preemptible=True, running=5, waiting=waiting) is may


@given(st.integers(), st.none() | st.integers())
def test_a_batch_that_does_not_allow_it_is_never_preempted(
    running: int, waiting: int | None
) -> None:
    assert not may_preempt(preemptible=False, running=running, waiting=waiting)


def test_an_idle_batch_ends_when_its_allowance_is_over_and_not_before() -> None:
    deadline = idle_deadline(NOON, 300)
    assert deadline == NOON + timedelta(minutes=5)
    assert not is_idle(True, 0, deadline, deadline)
    assert is_idle(True, 0, deadline, deadline + timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("is_open", "jobs_left", "deadline"), [(False, 0, NOON), (True, 1, NOON), (True, 0, None)]
)
def test_a_batch_is_not_idle_when_closed_or_busy_or_without_a_deadline(
    is_open: bool, jobs_left: int, deadline: datetime | None
) -> None:
    assert not is_idle(is_open, jobs_left, deadline, NOON + timedelta(days=1))
