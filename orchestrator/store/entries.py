"""Entries: what the submit-batch door knows of a job beside the job itself."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction

SHARED: Final = "shared"
"""The device type of jobs that never run, because a twin of theirs does: no device has it."""


class NewEntry(NamedTuple):
    job_id: UUID
    project_id: UUID
    name: str | None
    job_type: str
    target: str
    cores: int
    memory_mb: int
    computation_id: UUID | None
    follows: bool


_COPY: Final = f"COPY entry ({', '.join(NewEntry._fields)}) FROM STDIN"
_SHARED_TYPE: Final = text(
    "INSERT INTO device_type (name, executor) VALUES (:name, 'none') ON CONFLICT DO NOTHING"
)


def insert(tx: Transaction, new: Iterable[NewEntry]) -> None:
    driver = tx.connection.connection.cursor()
    with driver.copy(_COPY) as copy:
        for one in new:
            copy.write_row(one)


def need_shared_type(tx: Transaction) -> None:
    tx.connection.execute(_SHARED_TYPE, {"name": SHARED})


class Follower(NamedTuple):
    job_id: UUID
    batch_id: UUID
    has_ended: bool


_FOLLOWERS: Final = text(
    """
    SELECT entry.job_id, job.batch_id, job.ended_at IS NOT NULL
    FROM entry JOIN job ON job.id = entry.job_id
    WHERE entry.computation_id = :computation AND entry.follows ORDER BY job_id
    """
)
_UNFOLLOW: Final = text(
    "UPDATE entry SET follows = false WHERE job_id = ANY(CAST(:jobs AS uuid[]))"
)
_LEAVE: Final = text("UPDATE entry SET left_at = COALESCE(left_at, :at) WHERE job_id = :job")


def followers(tx: Transaction, computation: UUID) -> list[Follower]:
    return [
        Follower(*row) for row in tx.connection.execute(_FOLLOWERS, {"computation": computation})
    ]


def unfollow(tx: Transaction, jobs: Sequence[UUID]) -> None:
    if jobs:
        tx.connection.execute(_UNFOLLOW, {"jobs": list(jobs)})


def leave(tx: Transaction, job: UUID) -> None:
    """Its owner does not want it any more; whoever follows it still does."""
    tx.connection.execute(_LEAVE, {"job": job, "at": tx.at})


_SUCCEED: Final = text(
    """
    INSERT INTO entry (job_id, project_id, name, job_type, target, cores, memory_mb,
        computation_id, left_at, deleted_at)
    SELECT :new, project_id, name, job_type, target, cores, memory_mb, computation_id, :at, :at
    FROM entry WHERE job_id = :old
    """
)


def succeed(tx: Transaction, old: UUID, new: UUID) -> None:
    """The new job takes the old one's place for its followers, and is nobody's own."""
    tx.connection.execute(_SUCCEED, {"old": old, "new": new, "at": tx.at})


class Own(NamedTuple):
    """A job as this door may change it. `status` is the core's."""

    status: str
    batch_id: UUID
    computation_id: UUID | None
    follows: bool
    left: bool


_OWN: Final = text(
    """
    SELECT job.status, job.batch_id, computation_id, COALESCE(follows, false), left_at IS NOT NULL
    FROM job LEFT JOIN entry ON entry.job_id = job.id
    WHERE job.id = :job AND job.project_id = :project AND deleted_at IS NULL
    """
)
# A job that came by another door has no entry until something is said of it here.
_SAY: Final = """
    INSERT INTO entry (job_id, project_id, job_type, target, cores, memory_mb, {column})
    SELECT job.id, job.project_id, 'workload', batch.device_type, 0, 0, :value
    FROM job JOIN batch ON batch.id = job.batch_id WHERE job.id = :job
    ON CONFLICT (job_id) DO UPDATE SET {column} = excluded.{column}
"""
_RENAME: Final = text(_SAY.format(column="name"))
_DELETE: Final = text(_SAY.format(column="deleted_at"))


def own(tx: Transaction, project: UUID, job: UUID) -> Own | None:
    row = tx.connection.execute(_OWN, {"job": job, "project": project}).one_or_none()
    return None if row is None else Own(*row)


def rename(tx: Transaction, job: UUID, name: str) -> None:
    tx.connection.execute(_RENAME, {"job": job, "value": name})


def delete(tx: Transaction, job: UUID) -> None:
    tx.connection.execute(_DELETE, {"job": job, "value": tx.at})


class TargetRow(NamedTuple):
    """A controller, as whoever submits to it needs to know it."""

    id: UUID
    name: str
    device_type: str
    cores: int
    memory_mb: int
    lanes: int
    slots: Mapping[str, int]
    backends: Sequence[Mapping[str, Any]]
    state: str
    online: bool


_TARGET: Final = """
    SELECT id, name, device_type, cores, memory_mb, lanes, slots, backends, state,
        EXISTS (SELECT 1 FROM device WHERE device.type = controller.device_type AND device.online)
            AS online
    FROM controller WHERE project_id = :project AND removed_at IS NULL
"""
_NAMED: Final = text(f"{_TARGET} AND name = ANY(:names)")
_LOCAL: Final = text(
    f"""
    SELECT * FROM ({_TARGET} AND name LIKE 'local-%'
        AND user_id IS NOT DISTINCT FROM CAST(:user AS uuid)) AS own
    WHERE online ORDER BY (
        SELECT registered_at FROM controller WHERE controller.id = own.id
    ) DESC LIMIT 1
    """
)
_LOCK_TARGETS: Final = text(
    """
    SELECT id FROM controller WHERE id = ANY(CAST(:ids AS uuid[])) AND removed_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
    """
)


def targets(connection: Reader, project: UUID, names: Sequence[str]) -> list[TargetRow]:
    rows = connection.execute(_NAMED, {"project": project, "names": list(names)})
    return [TargetRow(*row) for row in rows]


def local_target(connection: Reader, project: UUID, user: UUID | None) -> TargetRow | None:
    """The newest of the user's own that is online."""
    row = connection.execute(_LOCAL, {"project": project, "user": user}).one_or_none()
    return None if row is None else TargetRow(*row)


def lock_targets(tx: Transaction, controllers: Collection[UUID]) -> bool:
    """From here on nobody else is given room on them. False: one was removed meanwhile."""
    locked = tx.connection.execute(_LOCK_TARGETS, {"ids": list(controllers)})
    return len(locked.all()) == len(controllers)


class Taken(NamedTuple):
    """How many jobs with such needs a device type has, pending or running."""

    device_type: str
    job_type: str
    cores: int
    memory_mb: int
    jobs: int


# By way of batches that are not over, which are few, and of what still runs of one that is. A job
# that came by another door takes one core.
_TAKEN: Final = text(
    """
    WITH live AS (
        SELECT id, device_type FROM batch
        WHERE project_id = :project AND device_type = ANY(:types)
            AND status IN ('PENDING', 'ADMITTED', 'RUNNING', 'PAUSED', 'PREEMPTED')
        UNION SELECT seat, type FROM device WHERE type = ANY(:types) AND seat IS NOT NULL
    )
    SELECT live.device_type, COALESCE(entry.job_type, 'workload'), COALESCE(entry.cores, 1),
        COALESCE(entry.memory_mb, 0), CAST(count(*) AS int)
    FROM live JOIN job ON job.batch_id = live.id LEFT JOIN entry ON entry.job_id = job.id
    WHERE job.status IN ('PENDING', 'RUNNING') GROUP BY 1, 2, 3, 4
    """
)


def taken(connection: Reader, project: UUID, device_types: Sequence[str]) -> list[Taken]:
    given = {"project": project, "types": list(device_types)}
    return [Taken(*row) for row in connection.execute(_TAKEN, given)]


class Pool(NamedTuple):
    """A device type: how many devices it has, and what the newest of them says of itself."""

    devices: int
    versions: Mapping[str, str]
    online: bool


_POOL: Final = text(
    """
    SELECT CAST(count(*) FILTER (WHERE service <> 'retired') AS int),
        (array_agg(versions ORDER BY heard_at DESC NULLS LAST)
            FILTER (WHERE versions IS NOT NULL))[1],
        COALESCE(bool_or(online AND service = 'active'), false)
    FROM device WHERE type = :type
    """
)


def pool(connection: Reader, device_type: str) -> Pool:
    devices, versions, online = connection.execute(_POOL, {"type": device_type}).one()
    return Pool(devices, versions or {}, online)
