"""What a device should do next with the batch that has its seat."""

from enum import StrEnum
from typing import NamedTuple

from orchestrator.domain.transitions import SEATED
from orchestrator.domain.window import MAX_IN_FLIGHT
from schemas.words import BatchStatus


class Step(StrEnum):
    DRAIN = "drain"
    """Closed and out of work: the batch is done."""
    LEAVE = "leave"
    """The batch is over or gone elsewhere: the seat is free."""
    PAUSE = "pause"
    """The device was taken out of service: give the batch back to the queue, marked so."""
    YIELD = "yield"
    """A higher priority waits: give the seat away at this job boundary."""
    IDLE = "idle"
    """Open, nothing to run: the seat is kept, the clock runs."""
    STAGE = "stage"
    """There is room for another window."""
    WAIT = "wait"
    """Something is on the device, or the device is away."""


class Seat(NamedTuple):
    """`in_flight` counts the windows on this device; `outranked` tells that a batch of a
    strictly higher priority waits for it and this one may be preempted."""

    status: BatchStatus
    open: bool
    jobs_left: int
    in_flight: int
    paused: bool
    online: bool
    outranked: bool


def next_step(seat: Seat) -> Step:
    if seat.status not in SEATED:
        return Step.WAIT if seat.in_flight else Step.LEAVE
    if seat.jobs_left == 0 and not seat.open:
        return Step.DRAIN
    if seat.paused or seat.outranked:
        leaving = Step.PAUSE if seat.paused else Step.YIELD
        return Step.WAIT if seat.in_flight else leaving
    if seat.jobs_left == 0:
        return Step.IDLE
    if not seat.online or seat.in_flight >= MAX_IN_FLIGHT:
        return Step.WAIT
    return Step.STAGE


def may_preempt(*, preemptible: bool, running: int, waiting: int | None) -> bool:
    """Only a strictly higher priority takes the seat of a batch that allows it."""
    return preemptible and waiting is not None and waiting > running
