"""The legal moves, a second time, as a person would say them; every other pair must be refused."""

from itertools import product

import pytest

from orchestrator.domain.transitions import (
    BATCH_ENDS,
    BATCH_MOVES,
    JOB_ENDS,
    JOB_MOVES,
    SEATED,
    BatchEvent,
    JobEvent,
    next_batch_status,
    next_job_status,
)
from orchestrator.errors import IllegalMove
from schemas.words import BatchStatus, JobStatus

BATCH = """
PENDING   admitted  ADMITTED
ADMITTED  started   RUNNING
PENDING   drained   DONE
ADMITTED  drained   DONE
RUNNING   drained   DONE
ADMITTED  idled     TIMED_OUT
RUNNING   idled     TIMED_OUT
ADMITTED  overran   TIMED_OUT
RUNNING   overran   TIMED_OUT
PENDING   canceled  CANCELED
ADMITTED  canceled  CANCELED
RUNNING   canceled  CANCELED
PAUSED    canceled  CANCELED
PREEMPTED canceled  CANCELED
ADMITTED  preempted PREEMPTED
RUNNING   preempted PREEMPTED
PREEMPTED requeued  PENDING
ADMITTED  requeued  PENDING
PENDING   paused    PAUSED
ADMITTED  paused    PAUSED
RUNNING   paused    PAUSED
PAUSED    resumed   PENDING
ADMITTED  broke     ERROR
RUNNING   broke     ERROR
CANCELED  revived   PENDING
ERROR     revived   PENDING
"""
JOB = """
PENDING  started     RUNNING
RUNNING  done        DONE
RUNNING  failed      ERROR
PENDING  canceled    CANCELED
RUNNING  canceled    CANCELED
RUNNING  lost        PENDING
RUNNING  preempted   PENDING
ERROR    revived     PENDING
CANCELED revived     PENDING
PENDING  answered    DONE
PENDING  twin_failed ERROR
"""
Said = dict[tuple[str, str], str]


def said(text: str) -> Said:
    return {
        (source, event): target for source, event, target in map(str.split, text.split("\n")[1:-1])
    }


@pytest.mark.parametrize(("status", "event"), list(product(BatchStatus, BatchEvent)))
def test_a_batch_moves_only_as_written_here(status: BatchStatus, event: BatchEvent) -> None:
    if (status, event) in said(BATCH):
        assert next_batch_status(status, event) == said(BATCH)[status, event]
    else:
        with pytest.raises(IllegalMove, match=f"a batch that is {status} cannot be {event}"):
            next_batch_status(status, event)


@pytest.mark.parametrize(("status", "event"), list(product(JobStatus, JobEvent)))
def test_a_job_moves_only_as_written_here(status: JobStatus, event: JobEvent) -> None:
    if (status, event) in said(JOB):
        assert next_job_status(status, event) == said(JOB)[status, event]
    else:
        with pytest.raises(IllegalMove, match=f"a job that is {status} cannot be {event}"):
            next_job_status(status, event)


@pytest.mark.parametrize("event", BatchEvent)
def test_only_a_revival_leaves_the_end_of_a_batch(event: BatchEvent) -> None:
    leaves = bool(BATCH_MOVES[event].sources & BATCH_ENDS)
    assert leaves is (event is BatchEvent.REVIVED)


@pytest.mark.parametrize("event", JobEvent)
def test_only_a_revival_leaves_the_end_of_a_job(event: JobEvent) -> None:
    leaves = bool(JOB_MOVES[event].sources & JOB_ENDS)
    assert leaves is (event is JobEvent.REVIVED)


def test_a_batch_that_is_done_or_timed_out_is_never_left() -> None:
    left = {source for move in BATCH_MOVES.values() for source in move.sources}
    assert set(BatchStatus) - left == {BatchStatus.DONE, BatchStatus.TIMED_OUT}


def test_a_job_with_a_result_is_never_left() -> None:
    left = {source for move in JOB_MOVES.values() for source in move.sources}
    assert set(JobStatus) - left == {JobStatus.DONE}


def test_every_status_of_a_batch_can_be_reached() -> None:
    targets = {move.target for move in BATCH_MOVES.values()}
    assert targets == set(BatchStatus)


def test_a_seat_belongs_to_a_batch_that_is_admitted_or_running() -> None:
    assert frozenset({BatchStatus.ADMITTED, BatchStatus.RUNNING}) == SEATED


@pytest.mark.parametrize("status", sorted(SEATED))
def test_a_batch_on_a_seat_can_end_in_every_way(status: BatchStatus) -> None:
    ends = {move.target for move in BATCH_MOVES.values() if status in move.sources}
    assert ends >= BATCH_ENDS
