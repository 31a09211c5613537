"""A database of the test's own, beside the one of the session."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from sqlalchemy import make_url

from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.store import migrations
from tests.integration.overtaking import Sql


@contextmanager
def own_database(settings: Settings, sql: Sql) -> Iterator[tuple[Core, Sql]]:
    """Whose schema the test may change."""
    sql.execute("CREATE DATABASE own")
    url = make_url(settings.database_url).set(database="own").render_as_string(hide_password=False)
    migrations.upgrade(url)
    core = Core.start(replace(settings, database_url=url))
    try:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as own:
            yield core, own
    finally:
        core.close()
        sql.execute("DROP DATABASE own WITH (FORCE)")
