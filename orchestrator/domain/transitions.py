"""Every legal move of a batch and of a job. No other file decides this."""

from enum import StrEnum
from typing import Final, NamedTuple

from orchestrator.errors import IllegalMove
from schemas.words import BatchStatus, JobStatus


class BatchEvent(StrEnum):
    ADMITTED = "admitted"
    STARTED = "started"
    DRAINED = "drained"
    IDLED = "idled"
    OVERRAN = "overran"
    CANCELED = "canceled"
    PREEMPTED = "preempted"
    REQUEUED = "requeued"
    PAUSED = "paused"
    RESUMED = "resumed"
    BROKE = "broke"
    REVIVED = "revived"


class JobEvent(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"
    PREEMPTED = "preempted"
    REVIVED = "revived"
    ANSWERED = "answered"
    TWIN_FAILED = "twin_failed"


class BatchMove(NamedTuple):
    sources: frozenset[BatchStatus]
    target: BatchStatus
    when: str


class JobMove(NamedTuple):
    sources: frozenset[JobStatus]
    target: JobStatus
    when: str


def _batch(target: BatchStatus, *sources: BatchStatus, when: str) -> BatchMove:
    return BatchMove(frozenset(sources), target, when)


def _job(target: JobStatus, *sources: JobStatus, when: str) -> JobMove:
    return JobMove(frozenset(sources), target, when)


_B = BatchStatus
BATCH_MOVES: Final[dict[BatchEvent, BatchMove]] = {
    BatchEvent.ADMITTED: _batch(_B.ADMITTED, _B.PENDING, when="the scheduler gave it a seat"),
    BatchEvent.STARTED: _batch(_B.RUNNING, _B.ADMITTED, when="a device began its first job"),
    BatchEvent.DRAINED: _batch(
        _B.DONE, _B.PENDING, _B.ADMITTED, _B.RUNNING, when="closed and no job left"
    ),
    BatchEvent.IDLED: _batch(
        _B.TIMED_OUT, _B.ADMITTED, _B.RUNNING, when="open, nothing to run for its idle timeout"
    ),
    BatchEvent.OVERRAN: _batch(
        _B.TIMED_OUT, _B.ADMITTED, _B.RUNNING, when="longer than its max duration on the seat"
    ),
    BatchEvent.CANCELED: _batch(
        _B.CANCELED, _B.PENDING, _B.ADMITTED, _B.RUNNING, _B.PAUSED, _B.PREEMPTED, when="by a user"
    ),
    BatchEvent.PREEMPTED: _batch(
        _B.PREEMPTED, _B.ADMITTED, _B.RUNNING, when="a higher priority took the seat"
    ),
    BatchEvent.REQUEUED: _batch(
        _B.PENDING, _B.PREEMPTED, _B.ADMITTED, when="back at the front of its priority"
    ),
    BatchEvent.PAUSED: _batch(
        _B.PAUSED, _B.PENDING, _B.ADMITTED, _B.RUNNING, when="its device was taken out of service"
    ),
    BatchEvent.RESUMED: _batch(
        _B.PENDING, _B.PAUSED, when="a device that it may have is in service"
    ),
    BatchEvent.BROKE: _batch(_B.ERROR, _B.ADMITTED, _B.RUNNING, when="its device is gone for good"),
    BatchEvent.REVIVED: _batch(
        _B.PENDING, _B.CANCELED, _B.ERROR, when="its unfinished jobs are to run after all"
    ),
}

_J = JobStatus
JOB_MOVES: Final[dict[JobEvent, JobMove]] = {
    JobEvent.STARTED: _job(_J.RUNNING, _J.PENDING, when="the device said that it began"),
    JobEvent.DONE: _job(_J.DONE, _J.RUNNING, when="it has its result"),
    JobEvent.FAILED: _job(_J.ERROR, _J.RUNNING, when="its executor gave a reason"),
    JobEvent.CANCELED: _job(_J.CANCELED, _J.PENDING, _J.RUNNING, when="by a user, or its batch"),
    JobEvent.LOST: _job(_J.PENDING, _J.RUNNING, when="its device does not know how it ended"),
    JobEvent.PREEMPTED: _job(_J.PENDING, _J.RUNNING, when="its device was taken out of service"),
    JobEvent.REVIVED: _job(_J.PENDING, _J.ERROR, _J.CANCELED, when="its batch was revived"),
    JobEvent.ANSWERED: _job(_J.DONE, _J.PENDING, when="its twin has the result"),
    JobEvent.TWIN_FAILED: _job(_J.ERROR, _J.PENDING, when="its twin has failed"),
}

SEATED: Final = frozenset({_B.ADMITTED, _B.RUNNING})
BATCH_ENDS: Final = frozenset({_B.DONE, _B.CANCELED, _B.TIMED_OUT, _B.ERROR})
JOB_ENDS: Final = frozenset({_J.DONE, _J.ERROR, _J.CANCELED})


def next_batch_status(status: BatchStatus, event: BatchEvent) -> BatchStatus:
    move = BATCH_MOVES[event]
    if status not in move.sources:
        raise IllegalMove(f"a batch that is {status} cannot be {event}")
    return move.target


def next_job_status(status: JobStatus, event: JobEvent) -> JobStatus:
    move = JOB_MOVES[event]
    if status not in move.sources:
        raise IllegalMove(f"a job that is {status} cannot be {event}")
    return move.target
