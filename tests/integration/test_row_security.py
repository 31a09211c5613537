"""Postgres itself keeps projects apart, where a statement forgets to."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.store import migrations, tenancy
from orchestrator.store.listings_jobs import first_jobs
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.results import get_result
from tests.integration.puppet import OTHER_PROJECT, PROJECT, Puppet, new_batch

Sql = psycopg.Connection[tuple[object, ...]]
# Of no project in the first place.
SHARED = {"device", "webhook_attempt", "webhook_delivery"}


def seen(reader: Reader, table: str) -> int:
    found: int = reader.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    return found


def test_a_reader_for_one_project_sees_nothing_of_another(core: Core, puppet: Puppet) -> None:
    new_batch(core, 2)
    with core.transaction() as tx:
        tx.connection.execute(
            text(
                "INSERT INTO result (job_id, run, value, size, sha256)"
                " SELECT id, 1, '{}', 2, '' FROM job"
            )
        )
    for table in ("batch", "job", "event", "result"):
        with reading(core.engine, PROJECT) as mine, reading(core.engine, OTHER_PROJECT) as theirs:
            assert (seen(mine, table) > 0, seen(theirs, table)) == (True, 0), table


def test_the_role_ends_with_the_reading(core: Core, puppet: Puppet) -> None:
    """On the same connection, whether the reading went well or not."""
    new_batch(core)
    one = Core.start(replace(core.settings, pool_size=1))
    with reading(one.engine, OTHER_PROJECT) as reader:
        assert seen(reader, "batch") == 0
    with reading(one.engine) as reader:
        assert seen(reader, "batch") == 1
    with pytest.raises(DBAPIError), reading(one.engine, OTHER_PROJECT) as reader:
        reader.execute(text("SELECT FROM nowhere"))
    with one.transaction() as tx:
        tx.connection.execute(text("UPDATE batch SET name = 'mine'"))
        assert seen(tx.connection, "batch") == 1
    one.close()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE batch SET name = ''", "DELETE FROM job", 'SELECT password_hash FROM "user"'],
)
def test_a_reader_for_one_project_changes_nothing_and_sees_no_passwords(
    core: Core, statement: str
) -> None:
    with pytest.raises(DBAPIError), reading(core.engine, PROJECT) as reader:
        reader.execute(text(statement))


def test_every_table_that_the_role_may_read_is_bound_to_a_project(core: Core, sql: Sql) -> None:
    """A new table that is granted to it needs a policy too."""
    open_to_it = sql.execute(
        """
        SELECT relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT relrowsecurity
            AND has_table_privilege(%s, oid, 'SELECT')
        """,
        [tenancy.ROLE],
    ).fetchall()
    assert {row[0] for row in open_to_it} == SHARED


@contextmanager
def poor_database(settings: Settings, sql: Sql) -> Iterator[str]:
    """The URL of an empty database whose owner may not make roles."""
    sql.execute("CREATE ROLE poor LOGIN PASSWORD 'poor'")
    sql.execute("CREATE DATABASE poor OWNER poor")
    url = make_url(settings.database_url).set(database="poor", username="poor", password="poor")
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        sql.execute("DROP DATABASE poor WITH (FORCE)")
        sql.execute("DROP ROLE poor")


def test_without_the_right_to_make_roles_it_is_off_and_says_so(
    settings: Settings, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    with poor_database(settings, sql) as url:
        caplog.set_level(logging.WARNING)
        migrations.upgrade(url)
        assert "row security is off" in caplog.text
        core = Core.start(replace(settings, database_url=url))
        with reading(core.engine, OTHER_PROJECT) as reader:
            assert seen(reader, "batch") == 0
            assert not tenancy.is_on(core.engine, reader)
        core.close()
        migrations.downgrade(url, "0008")


def test_once_the_role_is_given_a_second_migration_turns_it_on(
    settings: Settings, sql: Sql
) -> None:
    with poor_database(settings, sql) as url:
        migrations.upgrade(url)
        sql.execute(f"GRANT {tenancy.ROLE} TO poor")
        migrations.downgrade(url, "0008")
        migrations.upgrade(url)
        core = Core.start(replace(settings, database_url=url))
        with reading(core.engine) as reader:
            assert tenancy.is_on(core.engine, reader)
        core.close()


def test_a_job_is_read_whole_through_it(core: Core, puppet: Puppet) -> None:
    """With what it is joined to: the device that ran it."""
    batch = new_batch(core)
    puppet.serve_all()
    with reading(core.engine, PROJECT) as reader:
        (job,) = first_jobs(reader, PROJECT, batch, 1)
        assert json.loads(job)["device"] == "dev-1"
        assert get_result(reader, PROJECT, UUID(json.loads(job)["id"])).status == "DONE"
