"""Schema changes, applied by `holdfast migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def config(database_url: str) -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["database_url"] = database_url
    return made


def upgrade(database_url: str, revision: str = "head") -> None:
    command.upgrade(config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    command.downgrade(config(database_url), revision)
