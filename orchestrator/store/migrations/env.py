"""Alembic's entry: one transaction for all steps, one migrator at a time."""

from alembic import context
from sqlalchemy import create_engine, text

from orchestrator.store.tables import metadata

MIGRATION_LOCK = 0x68_6F_6C_64


def run() -> None:
    url = context.config.attributes["database_url"]
    engine = create_engine(url, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            context.run_migrations()
    engine.dispose()


run()
