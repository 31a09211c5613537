"""The ledger: every micro-credit that moves, from one account to another, once.

Accounts are locked last, and in the order of their ids: all of a project's transactions want
them, so none may wait for anything else while it has them.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.domain.credit import core_ms, cost, hold_for
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction


class Price(NamedTuple):
    """`rate`: micro-credits for one core and one second."""

    rate: int
    cores: int


_PRICE: Final = text("SELECT rate, cores FROM device_type WHERE name = :name AND rate > 0")
_AVAILABLE: Final = text(
    "SELECT balance FROM account WHERE project_id = :project AND kind = 'available'"
)


def price(tx: Transaction, device_type: str) -> Price | None:
    """None: its jobs are free."""
    row = tx.connection.execute(_PRICE, {"name": device_type}).one_or_none()
    return None if row is None else Price(*row)


def available(connection: Reader, project: UUID) -> int:
    found = connection.execute(_AVAILABLE, {"project": project}).scalar_one_or_none()
    return found or 0


class Transfer(NamedTuple):
    """`source` and `target` are kinds of account; `key` makes it once, however often it is told."""

    project: UUID
    key: str
    kind: str
    source: str
    target: str
    amount: int
    batch: UUID | None = None
    job: UUID | None = None
    detail: dict[str, Any] | None = None


_LOCK: Final = text(
    """
    SELECT id, project_id, kind, balance FROM account
    WHERE project_id = ANY(CAST(:projects AS uuid[])) OR (:funding AND kind = 'funding')
    ORDER BY id FOR NO KEY UPDATE
    """
)
_POST: Final = text(
    """
    WITH posted AS (
        INSERT INTO transfer (project_id, idem_key, kind, debit, credit, amount, batch_id, job_id,
            detail, created_at)
        SELECT project, key, kind, debit, credit, amount, batch, job, detail, :at
        FROM json_to_recordset(CAST(:transfers AS json)) AS given (
            project uuid, key text, kind text, debit bigint, credit bigint, amount bigint,
            batch uuid, job uuid, detail json
        )
        ON CONFLICT (idem_key) DO NOTHING RETURNING debit, credit, amount
    ), summed AS (
        SELECT id, sum(amount) AS amount FROM (
            SELECT credit AS id, amount FROM posted UNION ALL SELECT debit, -amount FROM posted
        ) AS sides GROUP BY id
    )
    UPDATE account SET balance = balance + summed.amount FROM summed WHERE account.id = summed.id
    """
)


def _lock(
    tx: Transaction, projects: Collection[UUID], *, funding: bool = False
) -> dict[tuple[UUID | None, str], tuple[int, int]]:
    """Id and balance, by project and kind; the account that credits come from has no project."""
    rows = tx.connection.execute(_LOCK, {"projects": list(projects), "funding": funding})
    return {(row.project_id, row.kind): (row.id, row.balance) for row in rows}


def post(tx: Transaction, transfers: Iterable[Transfer]) -> None:
    """Each transfer once, and on the balances what was not told before."""
    transfers = [each for each in transfers if each.amount]
    if not transfers:
        return
    funding = any(each.source == "funding" for each in transfers)
    accounts = _lock(tx, {each.project for each in transfers}, funding=funding)
    rows = [
        {
            **each._asdict(),
            "debit": accounts[None if each.source == "funding" else each.project, each.source][0],
            "credit": accounts[each.project, each.target][0],
        }
        for each in transfers
    ]
    given = json.dumps(rows, default=str)
    tx.connection.execute(_POST, {"transfers": given, "at": tx.at})


_OPEN_ACCOUNTS: Final = text(
    """
    INSERT INTO account (project_id, kind)
    VALUES (NULL, 'funding'), (:project, 'available'), (:project, 'held'), (:project, 'revenue')
    ON CONFLICT DO NOTHING
    """
)


_GRANTED: Final = text("SELECT amount FROM transfer WHERE idem_key = :key")


def grant(tx: Transaction, project: UUID, amount: int, key: str, reason: str | None = None) -> int:
    """Micro-credits out of nowhere: the same key gives them once. Returns how many it gave."""
    tx.connection.execute(_OPEN_ACCOUNTS, {"project": project})
    detail = None if reason is None else {"reason": reason}
    given = Transfer(project, f"grant:{key}", "grant", "funding", "available", amount)
    post(tx, [given._replace(detail=detail)])
    return tx.connection.execute(_GRANTED, {"key": given.key}).scalar_one_or_none() or 0


_HOLD: Final = text(
    """
    WITH given AS (
        SELECT job, n,
            1 + COALESCE((SELECT max(attempt) FROM hold WHERE job_id = job), 0) AS attempt
        FROM unnest(CAST(:jobs AS uuid[])) WITH ORDINALITY AS given (job, n)
    ), billed AS (
        UPDATE batch SET billed = true WHERE id = :batch AND NOT billed
    ), held AS (
        INSERT INTO hold (job_id, attempt, project_id, rate, cores, hours, amount, created_at)
        SELECT job, attempt, :project, :rate, :cores, 1, :each, :at FROM given
    )
    SELECT attempt FROM given WHERE n = 1
    """
)


def lock_available(tx: Transaction, project: UUID) -> int:
    """What may be held; nobody else can spend it until this transaction is over."""
    return _lock(tx, [project]).get((project, "available"), (0, 0))[1]


def hold(tx: Transaction, project: UUID, batch: UUID, jobs: Sequence[UUID], price: Price) -> None:
    """The first hour of each of the jobs. What is available is locked, and enough."""
    each = hold_for(*price)
    given = {"project": project, "batch": batch, "jobs": list(jobs), "each": each, "at": tx.at}
    attempt = tx.connection.execute(_HOLD, {**given, **price._asdict()}).scalar_one()
    key = f"hold:{batch}:{jobs[0]}:{attempt}"
    post(tx, [Transfer(project, key, "hold", "available", "held", each * len(jobs), batch)])


_OPEN: Final = text(
    """
    SELECT hold.job_id, hold.attempt, hold.project_id, hold.rate, hold.cores, hold.amount,
        job.batch_id, job.run, job.ended_at - job.started_at AS took
    FROM hold JOIN job ON job.id = hold.job_id
    WHERE hold.state = 'held' AND hold.job_id = ANY(CAST(:jobs AS uuid[]))
        AND job.ended_at IS NOT NULL
    ORDER BY hold.job_id FOR UPDATE OF hold
    """
)
_CLOSE: Final = text(
    """
    UPDATE hold SET state = CASE WHEN given.captured IS NULL THEN 'released' ELSE 'captured' END,
        captured = given.captured, core_ms = given.core_ms, closed_at = :at
    FROM json_to_recordset(CAST(:closed AS json)) AS given (
        job uuid, attempt int, captured bigint, core_ms bigint
    )
    WHERE hold.job_id = given.job AND hold.attempt = given.attempt
    """
)


def close(tx: Transaction, jobs: Sequence[str], ran: Iterable[tuple[str, int]] = ()) -> None:
    """What is held for those of the jobs that are over. `ran`: jobs with their run that a device
    brought to its end: what that took is captured. All the rest is given back."""
    paid = {(UUID(job), run) for job, run in ran}
    closed: list[dict[str, Any]] = []
    transfers: list[Transfer] = []
    for row in tx.connection.execute(_OPEN, {"jobs": list(jobs)}):
        took = row.took or timedelta(0)
        captured = min(row.amount, cost(row.rate, row.cores, took))
        used: tuple[int | None, int | None] = (None, None)
        if (row.job_id, row.run) in paid:
            used = captured, core_ms(row.cores, took)
        told = {"job": str(row.job_id), "attempt": row.attempt}
        closed.append({**told, "captured": used[0], "core_ms": used[1]})
        for kind, target, amount in (
            ("capture", "revenue", used[0] or 0),
            ("release", "available", row.amount - (used[0] or 0)),
        ):
            key = f"{kind}:{row.job_id}:{row.attempt}"
            whose = row.batch_id, row.job_id
            transfers.append(Transfer(row.project_id, key, kind, "held", target, amount, *whose))
    if closed:
        tx.connection.execute(_CLOSE, {"closed": json.dumps(closed), "at": tx.at})
        tx.at_last(post, transfers)


class Overheld(NamedTuple):
    """An open hold whose job has run for longer than it is for; `hour`: what one more costs."""

    project: UUID
    batch: UUID
    attempt: int
    hours: int
    hour: int


_OVERHELD: Final = text(
    """
    SELECT hold.project_id, job.batch_id, hold.attempt, hold.hours, hold.rate, hold.cores
    FROM hold JOIN job ON job.id = hold.job_id JOIN "window" ON "window".id = job.window_id
    WHERE hold.job_id = :job AND hold.state = 'held' AND job.status = 'RUNNING'
        AND GREATEST(job.started_at, "window".staged_at) < :at - hold.hours * interval '1 hour'
    FOR UPDATE OF hold
    """
)
_EXTEND: Final = text(
    """
    UPDATE hold SET hours = hours + 1, amount = amount + :hour
    WHERE job_id = :job AND attempt = :attempt
    """
)


def overheld(tx: Transaction, job: UUID) -> Overheld | None:
    """None when it has ended since, or was extended."""
    row = tx.connection.execute(_OVERHELD, {"job": job, "at": tx.at}).one_or_none()
    if row is None:
        return None
    hour = hold_for(row.rate, row.cores)
    return Overheld(row.project_id, row.batch_id, row.attempt, row.hours, hour)


def extend(tx: Transaction, job: UUID, found: Overheld) -> None:
    """By an hour. What is available is locked, and enough."""
    key = f"extend:{job}:{found.attempt}:{found.hours + 1}"
    given = {"job": job, "attempt": found.attempt, "hour": found.hour}
    tx.connection.execute(_EXTEND, given)
    held = Transfer(found.project, key, "extend", "available", "held", found.hour)
    post(tx, [held._replace(batch=found.batch, job=job)])
