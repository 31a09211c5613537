"""What a doctor asks of the database. Every answer is bounded by the server's own clock."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from orchestrator.store import migrations, tenancy


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseFacts:
    """`version_num` as 150004; `known`: this version has a migration of that `revision`;
    `skew_s` is how far this host's clock is ahead of the server's."""

    version: str
    version_num: int
    revision: str | None
    head: str | None
    known: bool
    skew_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceFacts:
    name: str
    service: str
    online: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """`swept_s` is how many seconds ago a sweep last read the heartbeats; None: never.
    `waiting` counts PENDING batches by device type; `row_security`: Postgres itself keeps
    projects apart; `blind`: it hides all rows from this user. `devices` are those with workers,
    not users' own machines."""

    devices: tuple[DeviceFacts, ...]
    swept_s: float | None
    waiting: Mapping[str, int]
    row_security: bool
    blind: bool


_SERVER: Final = text(
    """
    SELECT current_setting('server_version') AS version,
        CAST(current_setting('server_version_num') AS int) AS version_num, clock_timestamp() AS now
    """
)
_DEVICES: Final = text(
    "SELECT name, service, online FROM device"
    " WHERE service <> 'retired' AND transport = 'celery' ORDER BY name"
)
_BLIND: Final = text("SELECT row_security_active('job')")
_SWEPT: Final = text("SELECT EXTRACT(epoch FROM clock_timestamp() - beats_read_at) FROM watch")
_WAITING: Final = text(
    """
    SELECT device_type, count(*) AS n FROM batch WHERE status = 'PENDING'
    GROUP BY device_type ORDER BY device_type
    """
)


@contextmanager
def visit(database_url: str, *, within_s: int) -> Generator[Connection]:
    """One connection of its own; raises SQLAlchemy's errors as they are."""
    bound_ms = within_s * 1000
    engine = create_engine(
        database_url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "connect_timeout": within_s,
            "application_name": "holdfast doctor",
            "tcp_user_timeout": bound_ms,
            "options": f"-c statement_timeout={bound_ms} -c lock_timeout={bound_ms}",
        },
    )
    with engine.connect() as connection:
        yield connection


def database_facts(database_url: str, connection: Connection) -> DatabaseFacts:
    # Asked twice: the first question also pays for the server's caches.
    connection.execute(_SERVER).one()
    asked = datetime.now(UTC)
    row = connection.execute(_SERVER).one()
    here = asked + (datetime.now(UTC) - asked) / 2
    script = ScriptDirectory.from_config(migrations.config(database_url))
    revision = MigrationContext.configure(connection).get_current_revision()
    return DatabaseFacts(
        version=row.version,
        version_num=row.version_num,
        revision=revision,
        head=script.get_current_head(),
        known=revision in {each.revision for each in script.walk_revisions()},
        skew_s=(here - row.now).total_seconds(),
    )


def engine_facts(connection: Connection) -> EngineFacts:
    """Only for a database whose tables are at head."""
    swept = connection.execute(_SWEPT).scalar_one_or_none()
    return EngineFacts(
        devices=tuple(
            DeviceFacts(name=row.name, service=row.service, online=row.online)
            for row in connection.execute(_DEVICES)
        ),
        swept_s=None if swept is None else float(swept),
        waiting={row.device_type: row.n for row in connection.execute(_WAITING)},
        row_security=tenancy.asked(connection),
        blind=connection.execute(_BLIND).scalar_one(),
    )
