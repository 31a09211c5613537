"""The whole database as it is at one moment, for whoever checks it: read only, and never a lock."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import psycopg
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from orchestrator.errors import Unavailable
from orchestrator.store import migrations
from orchestrator.store.transaction import failing_as_ours

SHOWN: Final = 20
"""Offending rows that are named; the rest are counted."""
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What must not be found: `sql` gives a row for each offence. `of` says which of the counts
    it looked at. `grave`: an offence is a violation; otherwise it is worth a warning. `live`:
    that only if the sweep is alive, which would have mended it."""

    invariant: int
    what: str
    of: str
    sql: str
    grave: bool = True
    live: bool = False


class Offences(NamedTuple):
    """How many there are, and the first of them."""

    total: int
    rows: list[Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Batches that were alive at some time in it are looked at, with all that they ever did."""

    since: datetime = FIRST
    until: datetime = LAST


class Facts(NamedTuple):
    """`at`: the moment that is looked at, by the database's clock. `oldest`: since when the
    batches in range have been there. `swept`: a sweep has lately been alive."""

    at: datetime
    oldest: datetime
    swept: bool
    counts: Mapping[str, int]


IN_RANGE: Final = """
    (SELECT id FROM batch WHERE created_at <= :until AND COALESCE(ended_at >= :since, true))
"""
_OPTIONS: Final = (
    "-c statement_timeout=15min -c lock_timeout=10s -c work_mem=128MB -c jit=off"
    " -c idle_in_transaction_session_timeout=30min"
)
_COUNTED: Final = (
    *("devices", "windows", "accounts", "holds"),
    *("batches", "jobs", "events", "submissions", "results"),
)
_FACTS: Final = text(
    f"""
    SELECT statement_timestamp() AS at,
        COALESCE((SELECT min(created_at) FROM batch WHERE id IN {IN_RANGE}), :until) AS oldest,
        COALESCE((SELECT beats_read_at FROM watch) > statement_timestamp() - interval '10 s', false)
            AS swept,
        (SELECT count(*) FROM device) AS devices,
        (SELECT count(*) FROM "window") AS windows,
        (SELECT count(*) FROM account) AS accounts,
        (SELECT count(*) FROM hold) AS holds,
        (SELECT count(*) FROM batch WHERE id IN {IN_RANGE}) AS batches,
        (SELECT count(*) FROM job WHERE batch_id IN {IN_RANGE}) AS jobs,
        (SELECT count(*) FROM event WHERE batch_id IN {IN_RANGE}) AS events,
        (SELECT count(*) FROM submission WHERE created_at BETWEEN :since AND :until)
            AS submissions,
        (SELECT count(*) FROM result WHERE job_id IN (
            SELECT id FROM job WHERE batch_id IN {IN_RANGE}
        )) AS results
    """
)


class Ref(NamedTuple):
    """A result in the object store; `size` in bytes."""

    job: str
    key: str
    size: int
    sha256: str


_REFS: Final = text(
    f"""
    SELECT CAST(job_id AS text), ref, size, sha256 FROM result
    WHERE ref IS NOT NULL AND job_id IN (SELECT id FROM job WHERE batch_id IN {IN_RANGE})
    ORDER BY created_at DESC LIMIT :most
    """
)


_WORKERS: Final = text(
    "SELECT EXISTS (SELECT 1 FROM device WHERE transport = 'celery' AND session IS NOT NULL)"
)


class Snapshot:
    """One transaction. Safe to use from one thread at a time."""

    def __init__(self, connection: Connection, span: Range) -> None:
        self._connection = connection
        self._given = {"since": span.since, "until": span.until}

    def facts(self) -> Facts:
        with failing_as_ours():
            row = self._connection.execute(_FACTS, self._given).one()
        at, oldest, swept, *counts = row
        return Facts(at, oldest, swept, dict(zip(_COUNTED, counts, strict=True)))

    def ask(self, question: Question, **given: object) -> Offences:
        sql = f"SELECT *, count(*) OVER () AS n_all FROM ({question.sql}) AS found LIMIT {SHOWN}"
        with failing_as_ours():
            rows = self._connection.execute(text(sql), {**self._given, **given}).mappings().all()
        return offences([dict(row) for row in rows])

    def has_workers(self) -> bool:
        """Whether a worker of ours has ever said hello, other than users' own controllers."""
        with failing_as_ours():
            found: bool = self._connection.execute(_WORKERS).scalar_one()
        return found

    def refs(self, most: int | None) -> list[Ref]:
        """The newest of them; None: all."""
        with failing_as_ours():
            rows = self._connection.execute(_REFS, {**self._given, "most": most})
            return [Ref(*row) for row in rows]

    def copy(self, select: str) -> Iterator[tuple[str | None, ...]]:
        """Every row of a statement as the texts of its columns, a piece at a time in memory."""
        driver = self._connection.connection.cursor()
        given = {name: str(value) for name, value in self._given.items()}
        try:
            with driver.copy(_bound(select, given)) as copy:
                yield from copy.rows()
        except psycopg.OperationalError as error:
            raise Unavailable("the database went away; try again in a few seconds") from error


def offences(rows: Sequence[Row]) -> Offences:
    shown = [{name: row[name] for name in row if name != "n_all"} for row in rows]
    return Offences(rows[0]["n_all"] if rows else 0, shown)


def _bound(select: str, given: Mapping[str, str]) -> str:
    """COPY takes no parameters. What is put in are moments, written by ourselves."""
    for name, value in given.items():
        select = select.replace(f":{name}", f"TIMESTAMPTZ '{value}'")
    return f"COPY ({select}) TO STDOUT"


@contextmanager
def snapshot(database_url: str, span: Range) -> Generator[Snapshot]:
    """Raises `Unavailable`, also where the tables are not those of this version. Held until the
    block ends, and vacuum waits for it so long."""
    engine = create_engine(
        database_url,
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "holdfast verify",
            "tcp_user_timeout": 30_000,
            "options": _OPTIONS,
        },
    ).execution_options(postgresql_readonly=True)
    with failing_as_ours(), engine.connect() as connection:
        _need_our_tables(database_url, connection)
        yield Snapshot(connection, span)


def _need_our_tables(database_url: str, connection: Connection) -> None:
    script = ScriptDirectory.from_config(migrations.config(database_url))
    head = script.get_current_head()
    found = MigrationContext.configure(connection).get_current_revision()
    if found == head:
        return
    if found is None or found in {each.revision for each in script.walk_revisions()}:
        raise Unavailable(
            "the database is not migrated: run `holdfast migrate`"
            f" (its tables are at {found or 'nothing'}, not at {head})"
        )
    raise Unavailable(
        f"the database's tables are at {found}, which this version does not know:"
        " run the `holdfast` that made them"
    )
