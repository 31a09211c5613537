"""Jobs: put in by COPY, found by filter."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, Final, NamedTuple
from uuid import UUID

import uuid_utils
from pydantic_core import to_json
from sqlalchemy import text

from orchestrator.store.batches import BatchRow
from orchestrator.store.transaction import Transaction
from schemas.job import JobFilter

_COPY: Final = (
    "COPY job (id, batch_id, project_id, ordinal, payload, runs, parent_id, created_at) FROM STDIN"
)


def new_id() -> UUID:
    """Grows with time, so that ids are creation order and indexes stay dense."""
    return UUID(str(uuid_utils.uuid7()))


class NewJob(NamedTuple):
    """`id`: where it must be known before the job is there."""

    payload: dict[str, Any]
    parent_id: UUID | None = None
    id: UUID | None = None


# What the listings count by, so that they need not look at jobs.
_FIRST: Final = text(
    """
    UPDATE batch SET runs = CAST(:runs AS int[]), runs_upto = CAST(:upto AS int[]),
        jobs_first_at = :at, jobs_last_at = :at
    WHERE id = :batch
    """
)


def insert(tx: Transaction, batch: UUID, project: UUID, new: Sequence[NewJob]) -> list[UUID]:
    """The jobs that a new batch begins with; it has counted them. Ids in the order given."""
    ids = _copy(tx, batch, project, 1, new, tx.at)
    if new:
        counts = sorted(_runs(new).items())
        given = {"runs": [runs for runs, _ in counts], "upto": [*accumulate(n for _, n in counts)]}
        tx.connection.execute(_FIRST, {"batch": batch, "at": tx.at, **given})
    return ids


_MORE: Final = text(
    """
    WITH known AS (
        SELECT old.runs, old.upto - lag(old.upto, 1, 0) OVER (ORDER BY old.runs) AS n
        FROM batch, unnest(runs, runs_upto) AS old (runs, upto) WHERE id = :batch
        UNION ALL SELECT * FROM unnest(CAST(:runs AS int[]), CAST(:counts AS int[])) AS new
    ), summed AS (
        SELECT runs, CAST(sum(sum(n)) OVER (ORDER BY runs) AS int) AS upto
        FROM known GROUP BY runs
    ), spread AS (
        SELECT COALESCE(array_agg(runs ORDER BY runs), '{}') AS runs,
            COALESCE(array_agg(upto ORDER BY runs), '{}') AS upto FROM summed
    ), grown AS (
        UPDATE batch SET jobs_total = jobs_total + :n, jobs_left = jobs_left + :n,
            runs = spread.runs, runs_upto = spread.upto,
            jobs_first_at = LEAST(jobs_first_at, :at), jobs_last_at = GREATEST(jobs_last_at, :at),
            idle_deadline = NULL, updated_at = :at
        FROM spread WHERE id = :batch RETURNING id, project_id, status
    )
    INSERT INTO event (project_id, batch_id, kind, status, at, detail)
    SELECT project_id, id, 'jobs_added', status, :at, json_build_object('jobs', CAST(:n AS int))
    FROM grown
    """
)


def add(tx: Transaction, batch: BatchRow, new: Sequence[NewJob]) -> list[UUID]:
    """More jobs for a batch that is locked. Ids in the order given.

    They are never older than those before them, though the transaction may have read its clock
    before it waited for the lock.
    """
    at = max(tx.at, batch.jobs_last_at or tx.at)
    ids = _copy(tx, batch.id, batch.project_id, batch.jobs_total + 1, new, at)
    counts = _runs(new)
    given = {"runs": list(counts.keys()), "counts": list(counts.values()), "n": len(new)}
    tx.connection.execute(_MORE, {"batch": batch.id, "at": at, **given})
    return ids


def _copy(
    tx: Transaction,
    batch: UUID,
    project: UUID,
    first_ordinal: int,
    new: Sequence[NewJob],
    at: datetime,
) -> list[UUID]:
    ids = [one.id or new_id() for one in new]
    driver = tx.connection.connection.cursor()
    with driver.copy(_COPY) as copy:
        for ordinal, (job, one) in enumerate(zip(ids, new, strict=True), first_ordinal):
            copy.write_row(
                (
                    job,
                    batch,
                    project,
                    ordinal,
                    to_json(one.payload).decode(),
                    one.payload.get("runs"),
                    one.parent_id,
                    at,
                )
            )
    return ids


def _runs(new: Sequence[NewJob]) -> Counter[int]:
    """How many jobs have which `runs`."""
    return Counter(one.payload["runs"] for one in new if one.payload.get("runs") is not None)


_OTHER_RUNS: Final = text(
    """
    SELECT given.job::text AS job, given.run, job.batch_id
    FROM unnest(CAST(:jobs AS uuid[]), CAST(:runs AS int[])) AS given (job, run)
    JOIN job ON job.id = given.job AND job.run <> given.run
    """
)


def other_runs(
    tx: Transaction, runs: Sequence[tuple[str, int]]
) -> list[tuple[tuple[str, int], UUID]]:
    """Those of the given runs that are not their job's current one, with the job's batch."""
    if not runs:
        return []
    given = {"jobs": [job for job, _ in runs], "runs": [run for _, run in runs]}
    rows = tx.connection.execute(_OTHER_RUNS, given)
    return [((row.job, row.run), row.batch_id) for row in rows]


class JobRow(NamedTuple):
    id: UUID
    batch_id: UUID
    status: str
    run: int
    window_id: int | None
    payload: dict[str, Any]


_FILTERED: Final = """
    SELECT id, batch_id, status, run, window_id, payload FROM job WHERE batch_id = :batch
"""
_CLAUSES: Final = {
    "ids": "id = ANY(:ids)",
    "statuses": "status = ANY(:statuses)",
    "created_after": "created_at >= :created_after",
    "created_before": "created_at <= :created_before",
    "min_runs": "runs >= :min_runs",
    "max_runs": "runs <= :max_runs",
}


def filtered(tx: Transaction, batch: UUID, chosen: JobFilter) -> list[JobRow]:
    """The jobs of the batch that the filter names, by ordinal."""
    given = {name: value for name, value in chosen if value is not None}
    if "statuses" in given:
        given["statuses"] = [status.value for status in given["statuses"]]
    clauses = "".join(f" AND {_CLAUSES[name]}" for name in given)
    statement = text(f"{_FILTERED}{clauses} ORDER BY ordinal")
    return [JobRow(*row) for row in tx.connection.execute(statement, {"batch": batch, **given})]


_OF_PROJECT: Final = text(
    """
    SELECT id, batch_id, status, run, window_id, payload
    FROM job WHERE id = :id AND project_id = :project
    """
)


def get(tx: Transaction, project: UUID, job: UUID) -> JobRow | None:
    row = tx.connection.execute(_OF_PROJECT, {"id": job, "project": project}).one_or_none()
    return None if row is None else JobRow(*row)


def request_cancel(tx: Transaction, jobs: Sequence[str], *, reason: str | None = None) -> None:
    """Remembered, so that a job which turns out never to have begun does not begin after all, and
    why, for the device that interrupts it does not know."""
    tx.connection.execute(
        text(
            "UPDATE job SET cancel_requested = true, reason = COALESCE(:reason, reason)"
            " WHERE id = ANY(CAST(:jobs AS uuid[]))"
        ),
        {"jobs": list(jobs), "reason": reason},
    )
