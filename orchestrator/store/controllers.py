"""Users' own machines: who they are, which session counts, and their lanes as devices."""

import json
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction
from schemas.controller import RegisterIn

EXECUTOR: Final = "remote"
_PREFIX: Final = "byoc-"


def type_of(controller: UUID) -> str:
    """The device type that is this controller's alone."""
    return f"{_PREFIX}{controller}"


def controller_of(device_type: str) -> UUID:
    return UUID(device_type.removeprefix(_PREFIX))


class ControllerRow(NamedTuple):
    """`session` counts the registrations of the name; only the token of the last one is alive.
    `state` is what its users want: online, draining or paused."""

    id: UUID
    project_id: UUID
    user_id: UUID | None
    name: str
    device_type: str
    session: int
    lanes: int
    state: str
    reason: str | None
    heard_at: datetime | None
    left_at: datetime | None


_COLUMNS: Final = ", ".join(f"controller.{name}" for name in ControllerRow._fields)
# It can do no more than its runner key could now: a user who has left takes it along.
_BY_TOKEN: Final = text(
    f"""
    SELECT {_COLUMNS} FROM controller
    LEFT JOIN membership m ON m.user_id = controller.user_id
        AND m.project_id = controller.project_id
    WHERE token_hash = :digest AND removed_at IS NULL
        AND (controller.user_id IS NULL OR m.role <> 'reader')
    """
)
# One registration of a name at a time, also of a name that is new.
_ONE_BY_ONE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 5))")
_LOCK: Final = text(
    f"""
    SELECT {_COLUMNS} FROM controller
    WHERE project_id = :project AND name = :name AND removed_at IS NULL FOR NO KEY UPDATE
    """
)
_STATE_NOW: Final = text(
    "SELECT state FROM controller WHERE id = :id AND session = :session AND removed_at IS NULL"
)


def by_token(connection: Reader, digest: bytes) -> ControllerRow | None:
    return _row(connection.execute(_BY_TOKEN, {"digest": digest}).one_or_none())


def lock(tx: Transaction, project: UUID, name: str) -> ControllerRow | None:
    return _row(tx.connection.execute(_LOCK, {"project": project, "name": name}).one_or_none())


def lock_name(tx: Transaction, project: UUID, name: str) -> ControllerRow | None:
    """The same; and until the end of the transaction nobody else registers the name."""
    tx.connection.execute(_ONE_BY_ONE, {"name": f"{project}/{name}"})
    return lock(tx, project, name)


def state_of(tx: Transaction, controller: UUID, session: int) -> str | None:
    """What its users want of it now; None once another session has the name, or nobody."""
    given = {"id": controller, "session": session}
    found: str | None = tx.connection.execute(_STATE_NOW, given).scalar_one_or_none()
    return found


def _row(row: Row[Any] | None) -> ControllerRow | None:
    return None if row is None else ControllerRow._make(row)


_TYPE: Final = text(
    """
    INSERT INTO device_type (name, executor, on_lost, project_id)
    VALUES (:type, :executor, 'retry', :project)
    """
)
_COUNT: Final = text(
    "SELECT count(*) FROM controller WHERE project_id = :project AND removed_at IS NULL"
)
_INSERT: Final = text(
    """
    INSERT INTO controller (id, project_id, name, device_type, version, hostname, cores, memory_mb,
        lanes, slots, backends, labels, registered_at)
    VALUES (:id, :project, :name, :type, '', '', 1, 1, 1, '{}', '{}', '{}', :at)
    """
)
_REGISTER: Final = text(
    f"""
    UPDATE controller SET session = session + 1, token_hash = :digest, user_id = :user,
        version = :version, hostname = :hostname, cores = :cores, memory_mb = :memory_mb,
        lanes = :lanes, slots = CAST(:slots AS json), backends = CAST(:backends AS json),
        labels = CAST(:labels AS json), registered_at = :at, heard_at = :at, left_at = NULL,
        state = CASE state WHEN 'draining' THEN 'online' ELSE state END,
        reason = CASE state WHEN 'draining' THEN NULL ELSE reason END
    WHERE id = :id RETURNING {_COLUMNS}
    """
)
_LANES: Final = text(
    """
    INSERT INTO device (name, type, transport)
    SELECT :type || '-' || lane, :type, 'https' FROM generate_series(0, :lanes - 1) AS lane
    ON CONFLICT (name) DO NOTHING
    """
)


def count(tx: Transaction, project: UUID) -> int:
    found: int = tx.connection.execute(_COUNT, {"project": project}).scalar_one()
    return found


def insert(tx: Transaction, controller: UUID, project: UUID, name: str) -> None:
    """Its name and its device type; `register` says the rest."""
    given = {"id": controller, "project": project, "type": type_of(controller)}
    tx.connection.execute(_TYPE, {**given, "executor": EXECUTOR})
    tx.connection.execute(_INSERT, {**given, "name": name, "at": tx.at})


def register(
    tx: Transaction, controller: UUID, user: UUID | None, body: RegisterIn, digest: bytes
) -> ControllerRow:
    """Its next session; the token of the one before is dead with this. A machine that was told
    to drain has done so when it comes again; one that was paused stays paused."""
    said = body.model_dump(include={"version", "hostname", "cores", "memory_mb", "lanes"})
    lists = body.model_dump(include={"slots", "backends", "labels"})
    as_json = {name: json.dumps(value) for name, value in lists.items()}
    given = {**said, **as_json, "id": controller, "user": user, "digest": digest, "at": tx.at}
    row = ControllerRow(*tx.connection.execute(_REGISTER, given).one())
    tx.connection.execute(_LANES, {"type": row.device_type, "lanes": row.lanes})
    return row


class Lane(NamedTuple):
    """`number` counts from 0."""

    device: int
    name: str
    number: int
    online: bool
    session: str | None
    service: str


_LANE_ROWS: Final = text(
    """
    SELECT id, name, CAST(substring(name FROM '[0-9]+$') AS int), online, session, service
    FROM device WHERE type = :type AND service <> 'retired' ORDER BY id
    """
)
# In one order, as every statement that locks more than one device.
_HEARD: Final = text(
    """
    WITH noted AS (
        UPDATE controller SET heard_at = :at
        WHERE id = :id AND session = :session AND heard_at < :at - interval '1 second'
    ), due AS (
        SELECT id FROM device WHERE type = :type AND online
            AND heard_at < :at - interval '1 second' ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE device SET heard_at = :at FROM due WHERE device.id = due.id
    """
)


def lanes_of(connection: Reader, device_type: str) -> list[Lane]:
    return [Lane(*row) for row in connection.execute(_LANE_ROWS, {"type": device_type})]


def heard(tx: Transaction, row: ControllerRow) -> None:
    """Written at most once a second."""
    given = {"id": row.id, "session": row.session, "type": row.device_type, "at": tx.at}
    tx.connection.execute(_HEARD, given)


_STATE: Final = text("UPDATE controller SET state = :state, reason = :reason WHERE id = :id")
_LEAVE: Final = text(
    """
    UPDATE controller SET token_hash = NULL, left_at = :at, session = session + 1,
        removed_at = CASE WHEN :removed THEN :at ELSE removed_at END
    WHERE id = :id AND session = :session RETURNING id
    """
)
# By project and status, for which there is an index.
_ALIVE: Final = """
    project_id = :project AND device_type = :type
    AND status IN ('PENDING', 'ADMITTED', 'RUNNING', 'PAUSED', 'PREEMPTED')
"""
_OPEN: Final = text(f"SELECT id FROM batch WHERE {_ALIVE} ORDER BY id")
_LEFT: Final = text(f"SELECT COALESCE(sum(jobs_left), 0) FROM batch WHERE {_ALIVE}")


def set_state(tx: Transaction, controller: UUID, state: str, reason: str | None) -> None:
    tx.connection.execute(_STATE, {"id": controller, "state": state, "reason": reason})


def leave(tx: Transaction, row: ControllerRow, *, removed: bool) -> bool:
    """Its token is dead from now on. Once removed, its name is free. False: another session has
    the name, and nothing was changed."""
    given = {"id": row.id, "session": row.session, "at": tx.at, "removed": removed}
    return tx.connection.execute(_LEAVE, given).one_or_none() is not None


def open_batches(connection: Reader, row: ControllerRow) -> list[UUID]:
    given = {"project": row.project_id, "type": row.device_type}
    return list(connection.execute(_OPEN, given).scalars())


def jobs_left(connection: Reader, row: ControllerRow) -> int:
    given = {"project": row.project_id, "type": row.device_type}
    left: int = connection.execute(_LEFT, given).scalar_one()
    return int(left)


_SILENT: Final = text(
    """
    SELECT id FROM device WHERE transport = 'https' AND (
        (online AND heard_at < :at - :silent)
        OR (NOT online AND EXISTS (
            SELECT 1 FROM "window" JOIN job ON job.window_id = "window".id
            WHERE "window".device_id = device.id
        ))
    ) ORDER BY id
    """
)


def silent(tx: Transaction, after: timedelta) -> list[int]:
    """Lanes that nobody has spoken for, and those that left something behind."""
    rows = tx.connection.execute(_SILENT, {"at": tx.at, "silent": after})
    return list(rows.scalars())
