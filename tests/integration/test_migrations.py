"""The tables go up, go down, and are what the code says they are."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql as query

from orchestrator import embedded
from orchestrator.store import migrations


@pytest.fixture
def empty(servers: embedded.Servers) -> Iterator[str]:
    """The URL of a database that has nothing in it."""
    name = f"empty_{uuid4().hex}"
    admin = servers.database.replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(query.SQL("CREATE DATABASE {}").format(query.Identifier(name)))
        yield servers.database.rpartition("/")[0] + f"/{name}"
        connection.execute(
            query.SQL("DROP DATABASE {} WITH (FORCE)").format(query.Identifier(name))
        )


def tables(url: str) -> set[str]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {str(row[0]) for row in rows}


def test_up_down_and_up_again(empty: str) -> None:
    migrations.upgrade(empty)
    full = tables(empty)
    migrations.downgrade(empty, "base")
    assert tables(empty) == {"alembic_version"}
    migrations.upgrade(empty)
    assert tables(empty) == full


def test_migrating_twice_changes_nothing(empty: str) -> None:
    migrations.upgrade(empty)
    migrations.upgrade(empty)
    assert "batch" in tables(empty)


def test_the_migrations_give_the_tables_that_the_code_expects(empty: str) -> None:
    migrations.upgrade(empty)
    command.check(migrations.config(empty))
