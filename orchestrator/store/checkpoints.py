"""What a run leaves on its way: its log, chunk by chunk, and its last checkpoint."""

import base64
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction
from schemas.controller import Checkpoint

_KEEP: Final = text(
    """
    INSERT INTO checkpoint (job_id, run, seq, uri, blob, sha256, created_at)
    VALUES (:job, :run, :seq, :uri, :blob, :sha256, :at)
    ON CONFLICT (job_id) DO UPDATE SET run = excluded.run, seq = excluded.seq, uri = excluded.uri,
        blob = excluded.blob, sha256 = excluded.sha256, created_at = excluded.created_at
    WHERE (checkpoint.run, checkpoint.seq) <= (excluded.run, excluded.seq)
    """
)
_OF: Final = text("SELECT job_id, seq, sha256, uri, blob FROM checkpoint WHERE job_id = ANY(:jobs)")


def keep(
    tx: Transaction,
    job: str,
    run: int,
    seq: int,
    sha256: str,
    *,
    uri: str | None,
    blob: bytes | None,
) -> None:
    """The latest one only; an older one that comes late changes nothing."""
    given = {"job": UUID(job), "run": run, "seq": seq, "sha256": sha256, "uri": uri, "blob": blob}
    tx.connection.execute(_KEEP, {**given, "at": tx.at})


def of_jobs(tx: Transaction, jobs: Sequence[UUID]) -> dict[UUID, Checkpoint]:
    return {
        row.job_id: Checkpoint(
            seq=row.seq,
            sha256=row.sha256,
            uri=row.uri,
            blob=None if row.blob is None else base64.b64encode(row.blob).decode(),
        )
        for row in tx.connection.execute(_OF, {"jobs": list(jobs)})
    }


def forget(tx: Transaction, job: str) -> None:
    tx.connection.execute(text("DELETE FROM checkpoint WHERE job_id = :job"), {"job": UUID(job)})


class LogEnd(NamedTuple):
    """Where the log of a run ends: the next chunk, and how many bytes come before it."""

    seq: int
    offset: int


_END: Final = text(
    """
    SELECT seq + 1, start + size FROM log_chunk WHERE job_id = :job AND run = :run
    ORDER BY seq DESC LIMIT 1
    """
)
_ADD: Final = text(
    """
    INSERT INTO log_chunk (job_id, run, seq, start, size, body, created_at)
    VALUES (:job, :run, :seq, :start, :size, :body, :at) ON CONFLICT DO NOTHING RETURNING seq
    """
)
_READ: Final = text(
    """
    SELECT seq, body FROM log_chunk WHERE job_id = :job AND run = :run AND seq >= :seq
    ORDER BY seq LIMIT :limit
    """
)
_RUN: Final = text(
    "SELECT max(run) FROM log_chunk WHERE job_id = :job AND run = COALESCE(CAST(:run AS int), run)"
)


def log_end(tx: Transaction, job: str, run: int) -> LogEnd:
    row = tx.connection.execute(_END, {"job": UUID(job), "run": run}).one_or_none()
    return LogEnd(0, 0) if row is None else LogEnd(*row)


def add_chunk(tx: Transaction, job: str, run: int, end: LogEnd, size: int, body: bytes) -> bool:
    """False when somebody else has just added that one. `size`: of `body` when inflated."""
    given = {"job": UUID(job), "run": run, "seq": end.seq, "start": end.offset, "size": size}
    added = tx.connection.execute(_ADD, {**given, "body": body, "at": tx.at})
    return added.one_or_none() is not None


def run_with_log(connection: Reader, job: UUID, run: int | None) -> int | None:
    """That one, or the last that has a log."""
    found: int | None = connection.execute(_RUN, {"job": job, "run": run}).scalar_one()
    return found


def chunks(
    connection: Reader, job: UUID, run: int, seq: int, limit: int
) -> list[tuple[int, bytes]]:
    given = {"job": job, "run": run, "seq": seq, "limit": limit}
    return [(row.seq, bytes(row.body)) for row in connection.execute(_READ, given)]
