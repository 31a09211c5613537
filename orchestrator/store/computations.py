"""What twins share: for each content key of a project, the job that computes it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.store.jobs import new_id
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction


class Computation(NamedTuple):
    """`status` and `device_type` are the leader's; None while there is no such job. `awaited`:
    it has ended, and somebody still waits to be told."""

    id: UUID
    key: bytes
    leader: UUID
    status: str | None
    device_type: str | None
    awaited: bool


# In the order of keys, as are the locks below: two calls that claim the same keys wait for each
# other in one order only. Rows come first, because to insert one may mean to wait for another
# call's insert, and whoever waits so must not hold what that call still wants.
_INSERT: Final = text(
    """
    INSERT INTO computation (id, project_id, key, leader, created_at)
    SELECT given.id, :project, given.key, given.leader, :at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS bytea[]), CAST(:leaders AS uuid[]))
        AS given (id, key, leader)
    ORDER BY given.key
    ON CONFLICT (project_id, key) WHERE NOT withdrawn DO NOTHING
    """
)
_LOCK_KEYS: Final = text(
    """
    SELECT id FROM computation
    WHERE project_id = :project AND key = ANY(CAST(:keys AS bytea[])) AND NOT withdrawn
    ORDER BY key FOR NO KEY UPDATE
    """
)
_FOUND: Final = """
    SELECT computation.id, computation.key, computation.leader, job.status, batch.device_type,
        job.status IN ('ERROR', 'CANCELED') AND EXISTS (
            SELECT 1 FROM entry WHERE computation_id = computation.id AND follows
        ) AS awaited
    FROM computation LEFT JOIN job ON job.id = computation.leader
        LEFT JOIN batch ON batch.id = job.batch_id
"""
_OF_KEYS: Final = text(
    f"""
    {_FOUND}
    WHERE computation.project_id = :project AND computation.key = ANY(CAST(:keys AS bytea[]))
        AND NOT withdrawn
    """
)


def claim(
    tx: Transaction, project: UUID, leaders: Mapping[bytes, UUID]
) -> dict[bytes, Computation]:
    """Every key has a computation afterwards, and it is locked. `leaders`: who leads where there
    was none."""
    keys = sorted(leaders)
    if not keys:
        return {}
    given = {"ids": [new_id() for _ in keys], "leaders": [leaders[key] for key in keys]}
    tx.connection.execute(_INSERT, {"project": project, "keys": keys, "at": tx.at, **given})
    tx.connection.execute(_LOCK_KEYS, {"project": project, "keys": keys})
    # Apart from the lock: who waited for that would see leaders that are newer than their jobs.
    found = find(tx.connection, project, keys)
    # One that was withdrawn since it was met is there no more, and its key is free.
    return found if len(found) == len(keys) else claim(tx, project, leaders)


def find(connection: Reader, project: UUID, keys: Sequence[bytes]) -> dict[bytes, Computation]:
    rows = connection.execute(_OF_KEYS, {"project": project, "keys": list(keys)})
    return {found.key: found for found in map(_computation, rows)}


def _computation(row: Row[Any]) -> Computation:
    key = bytes(row.key)
    return Computation(row.id, key, row.leader, row.status, row.device_type, bool(row.awaited))


_LEAD: Final = text(
    """
    UPDATE computation SET leader = given.leader
    FROM unnest(CAST(:ids AS uuid[]), CAST(:leaders AS uuid[])) AS given (id, leader)
    WHERE computation.id = given.id
    """
)
_DROP: Final = text("DELETE FROM computation WHERE id = ANY(CAST(:ids AS uuid[]))")
_LOCK: Final = text("SELECT id FROM computation WHERE id = :id FOR NO KEY UPDATE")
_LED: Final = text(
    """
    SELECT computation.id, computation.project_id, computation.leader, job.status, job.payload,
        batch.status, batch.device_type, controller.id, batch.user_id, batch.key_id,
        entry.left_at IS NOT NULL
    FROM computation JOIN job ON job.id = computation.leader
        JOIN batch ON batch.id = job.batch_id JOIN entry ON entry.job_id = job.id
        LEFT JOIN controller ON controller.device_type = batch.device_type
    WHERE computation.id = :id
    """
)


def set_leaders(tx: Transaction, leaders: Mapping[UUID, UUID]) -> None:
    """The computations are locked."""
    if leaders:
        given = {"ids": list(leaders), "leaders": list(leaders.values())}
        tx.connection.execute(_LEAD, given)


def drop(tx: Transaction, ids: Sequence[UUID]) -> None:
    """Those that were claimed a moment ago, and that nobody leads after all."""
    if ids:
        tx.connection.execute(_DROP, {"ids": list(ids)})


class Led(NamedTuple):
    """A computation with what there is to know of its leader and the leader's batch. `left`: its
    owner does not want it any more."""

    id: UUID
    project_id: UUID
    leader: UUID
    status: str
    payload: dict[str, Any]
    batch_status: str
    device_type: str
    controller: UUID | None
    user_id: UUID | None
    key_id: UUID | None
    left: bool


def lock(tx: Transaction, computation: UUID) -> Led:
    tx.connection.execute(_LOCK, {"id": computation})
    return Led(*tx.connection.execute(_LED, {"id": computation}).one())


_WITHDRAW: Final = text(
    """
    UPDATE computation SET withdrawn = true
    WHERE id = (
        SELECT computation_id FROM entry
        WHERE job_id = :job AND project_id = :project
    )
    RETURNING id
    """
)


def withdraw(tx: Transaction, project: UUID, job: UUID) -> bool:
    """Nobody is given its result any more who has not got it. False: the job has none to share."""
    given = {"job": job, "project": project}
    return tx.connection.execute(_WITHDRAW, given).one_or_none() is not None


# Followers whose leader has ended, or that have themselves ended in another way.
_UNSHARED: Final = text(
    """
    SELECT DISTINCT entry.computation_id
    FROM entry JOIN computation ON computation.id = entry.computation_id
        JOIN job ON job.id = entry.job_id JOIN job AS leader ON leader.id = computation.leader
    WHERE entry.follows
        AND (leader.ended_at IS NOT NULL OR job.ended_at IS NOT NULL)
    LIMIT :most
    """
)


def unshared(tx: Transaction, most: int) -> list[UUID]:
    return list(tx.connection.execute(_UNSHARED, {"most": most}).scalars())
