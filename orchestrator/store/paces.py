"""How long jobs take, learned from the event log as it grows.

The log is read by id. An event that becomes visible behind the reader is never counted; none is
counted twice. For the last 64 of thousands that is enough, and spares the log an index.
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import text

from orchestrator.store.learned import ALL, GAP, STAY
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction

EVENTS_MOST: Final = 4000
"""Events read in one look; of more only the newest are, for only the newest would be kept."""
KEPT: Final = 64
PROGRAMS_MOST: Final = 5000


class Place(NamedTuple):
    """How far was learned: an event's id, and a batch's seq."""

    event: int
    batch: int


class Span(NamedTuple):
    """Events above `low`, up to `high`."""

    low: int
    high: int


_CLAIM: Final = text(
    """
    SELECT event, batch FROM learning
    WHERE id = 1 AND looked_at <= clock_timestamp() - CAST(:apart AS interval)
    FOR UPDATE SKIP LOCKED
    """
)
_SPAN: Final = text(
    """
    WITH low AS (
        SELECT GREATEST(:place, (SELECT max(id) FROM event) - :most) AS id
    ), next AS (
        SELECT event.id, event.xid FROM event, low WHERE event.id > low.id
        ORDER BY event.id LIMIT :most
    )
    SELECT (SELECT id FROM low), COALESCE(
        min(id) FILTER (
            WHERE xid >= CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)
        ) - 1,
        max(id), (SELECT id FROM low)
    ) FROM next
    """
)
_MOVE_ON: Final = text(
    "UPDATE learning SET event = :event, batch = :batch, looked_at = :at WHERE id = 1"
)


def claim(tx: Transaction, *, apart: timedelta) -> Place | None:
    """None: somebody else learns right now, or has since less than `apart`."""
    row = tx.connection.execute(_CLAIM, {"apart": apart}).one_or_none()
    return None if row is None else Place(*row)


def unread(tx: Transaction, place: Place) -> Span:
    given = {"place": place.event, "most": EVENTS_MOST}
    return Span(*tx.connection.execute(_SPAN, given).one())


def move_on(tx: Transaction, place: Place) -> None:
    given = {"event": place.event, "batch": place.batch, "at": tx.at}
    tx.connection.execute(_MOVE_ON, given)


# The one thing that `fingerprint` below has to agree with.
_FINGERPRINT: Final = "substr(md5(program || ':' || COALESCE(CAST(runs AS text), '')), 1, 16)"
_SAMPLES: Final = f"""
    ended AS MATERIALIZED (
        SELECT event.id AS place, job.batch_id, job.runs, job.ordinal, job.device_id,
            job.created_at, job.started_at, job.ended_at - job.started_at AS took
        FROM event JOIN job ON job.id = event.job_id
        WHERE event.id > :low AND event.id <= :high AND event.kind = 'done'
            AND job.status = 'DONE' AND job.ended_at >= job.started_at
    ), program AS MATERIALIZED (
        SELECT batch.id, batch.device_type,
            COALESCE(prediction.program, md5(CAST(batch.shared AS text))) AS program
        FROM batch LEFT JOIN prediction ON prediction.batch_id = batch.id
        WHERE batch.id IN (SELECT batch_id FROM ended)
    ), sample AS (
        SELECT device_type, {_FINGERPRINT} AS what, took, place
        FROM ended JOIN program ON program.id = ended.batch_id
        UNION ALL SELECT device_type, '{ALL}', took, place
        FROM ended JOIN program ON program.id = ended.batch_id
        UNION ALL SELECT device_type, '{GAP}', ended.started_at - before.ended_at, place
        FROM ended JOIN program ON program.id = ended.batch_id
            JOIN job AS before ON before.batch_id = ended.batch_id
                AND before.ordinal = ended.ordinal - 1 AND before.device_id = ended.device_id
        WHERE before.ended_at BETWEEN ended.created_at AND ended.started_at
        UNION ALL SELECT device_type, '{STAY}', batch.ended_at - batch.admitted_at, event.id
        FROM event JOIN batch ON batch.id = event.batch_id
        WHERE event.id > :low AND event.id <= :high AND event.kind IN ('idled', 'drained')
            AND batch.ended_at >= batch.admitted_at AND (batch.open OR EXISTS (
                SELECT FROM event AS more
                WHERE more.batch_id = batch.id AND more.kind = 'jobs_added'
            ))
    )"""
_LEARN: Final = text(
    f"""
    WITH {_SAMPLES}, fresh AS (
        SELECT device_type, what,
            array_agg(CAST(EXTRACT(epoch FROM took) AS float8) ORDER BY place) AS seconds
        FROM sample GROUP BY device_type, what
    )
    INSERT INTO pace (device_type, what, seconds, learned_at)
    SELECT device_type, what, seconds[GREATEST(1, cardinality(seconds) - :kept + 1):], :at
    FROM fresh ORDER BY device_type, what
    ON CONFLICT (device_type, what) DO UPDATE SET learned_at = excluded.learned_at,
        seconds = (pace.seconds || excluded.seconds)[
            GREATEST(1, cardinality(pace.seconds || excluded.seconds) - :kept + 1):
        ]
    """
)
_FORGET: Final = text(
    f"""
    DELETE FROM pace WHERE what NOT IN ('{ALL}', '{GAP}', '{STAY}') AND learned_at < (
        SELECT learned_at FROM pace ORDER BY learned_at DESC OFFSET :most LIMIT 1
    )
    """
)


def learn(tx: Transaction, span: Span) -> None:
    """What the events tell is added to what is known; the oldest goes."""
    given = {"low": span.low, "high": span.high, "at": tx.at, "kept": KEPT}
    if tx.connection.execute(_LEARN, given).rowcount:
        tx.connection.execute(_FORGET, {"most": PROGRAMS_MOST})


def fingerprint(program: str, runs: int | None) -> str:
    """Of jobs that take about as long as each other. `program`: the digest of what the jobs of a
    batch share; the values of a job's own variables do not count."""
    named = f"{program}:{'' if runs is None else runs}"
    return hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()[:16]


_PACES: Final = text("SELECT what, seconds FROM pace WHERE device_type = :type AND what = ANY(:of)")

Paces = Mapping[str, tuple[float, ...]]


def paces_of(connection: Reader, device_type: str, fingerprints: Collection[str]) -> Paces:
    """Seconds, oldest first; with those of the type as a whole."""
    wanted = [ALL, GAP, STAY, *fingerprints]
    rows = connection.execute(_PACES, {"type": device_type, "of": wanted})
    return {row.what: tuple(row.seconds) for row in rows}
