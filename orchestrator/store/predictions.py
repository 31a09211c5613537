"""What was foretold of a batch's start, and how often that came true."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader
from orchestrator.store.paces import Span
from orchestrator.store.transaction import Transaction

SCORED_MOST: Final = 500
NEW_MOST: Final = 200
WAITED: Final = timedelta(seconds=1)
"""Of a batch that waits for less nothing is foretold: it would only make the rate look good."""


class Newcomer(NamedTuple):
    id: UUID
    seq: int
    device_type: str
    status: str


class Prediction(NamedTuple):
    batch_id: UUID
    device_type: str
    program: str
    start_p50: datetime
    start_p90: datetime


class Score(NamedTuple):
    """Which share of the starts came no later than it was said; `of` how many."""

    p50: float
    p90: float
    of: int


_NEW: Final = text(
    """
    SELECT id, seq, device_type, status FROM batch
    WHERE seq > :seq AND created_at < :at - CAST(:waited AS interval)
    ORDER BY seq DESC LIMIT :most
    """
)
_KEEP: Final = text(
    """
    INSERT INTO prediction (batch_id, device_type, program, made_at, start_p50, start_p90)
    VALUES (:batch_id, :device_type, :program, :at, :start_p50, :start_p90)
    ON CONFLICT DO NOTHING
    """
)


def newcomers(tx: Transaction, seq: int) -> list[Newcomer]:
    """Batches that came after `seq`, the newest first; of very many only those."""
    given = {"seq": seq, "at": tx.at, "waited": WAITED, "most": NEW_MOST}
    return [Newcomer(*row) for row in tx.connection.execute(_NEW, given)]


def keep(tx: Transaction, made: Iterable[Prediction]) -> None:
    rows = [{**each._asdict(), "at": tx.at} for each in made]
    if rows:
        tx.connection.execute(_KEEP, rows)


_SCORE: Final = text(
    """
    UPDATE prediction SET started_at = admitted.at
    FROM (
        SELECT batch_id, min(at) AS at FROM event
        WHERE id > :low AND id <= :high AND kind = 'admitted' GROUP BY batch_id
    ) AS admitted
    WHERE prediction.batch_id = admitted.batch_id AND prediction.started_at IS NULL
    """
)
# That it began or ended may have gone unseen: the log is not read without gaps.
_DROP: Final = text(
    """
    DELETE FROM prediction USING batch
    WHERE prediction.batch_id = batch.id AND prediction.started_at IS NULL
        AND batch.status NOT IN ('PENDING', 'PAUSED', 'PREEMPTED') AND batch.id IN (
            SELECT batch_id FROM event WHERE id > :low AND id <= :high AND job_id IS NULL
                AND kind IN ('canceled', 'drained', 'broke', 'idled', 'overran')
            UNION (
                SELECT batch_id FROM prediction
                WHERE started_at IS NULL AND made_at < :at - interval '1 hour'
                ORDER BY made_at LIMIT 100
            )
        )
    """
)
_PRUNE: Final = text(
    """
    DELETE FROM prediction WHERE batch_id IN (
        SELECT old.batch_id FROM (SELECT DISTINCT device_type FROM prediction) AS kind
        CROSS JOIN LATERAL (
            SELECT batch_id FROM prediction
            WHERE device_type = kind.device_type AND started_at IS NOT NULL
            ORDER BY started_at DESC OFFSET :most
        ) AS old
    )
    """
)


def score(tx: Transaction, span: Span) -> None:
    """What began is held against what was said; what will never begin is forgotten."""
    given = {"low": span.low, "high": span.high, "at": tx.at}
    scored = tx.connection.execute(_SCORE, given).rowcount
    tx.connection.execute(_DROP, given)
    if scored:
        tx.connection.execute(_PRUNE, {"most": SCORED_MOST})


_HITS: Final = text(
    """
    SELECT avg(CAST(started_at <= start_p50 AS int)), avg(CAST(started_at <= start_p90 AS int)),
        count(*)
    FROM (
        SELECT started_at, start_p50, start_p90 FROM prediction
        WHERE device_type = :type AND started_at IS NOT NULL
        ORDER BY started_at DESC LIMIT :most
    ) AS scored
    """
)


def hit_rate(connection: Reader, device_type: str) -> Score | None:
    """Over the last 500 of the type; None where none has begun yet."""
    given = {"type": device_type, "most": SCORED_MOST}
    p50, p90, of = connection.execute(_HITS, given).one()
    return Score(float(p50), float(p90), of) if of else None
