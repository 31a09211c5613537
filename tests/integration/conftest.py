"""Real servers for the integration tests: one pair a session, an empty database each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from orchestrator import embedded
from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.store import migrations
from tests.integration.puppet import Puppet, empty_database


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Servers]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
    folder = tmp_path_factory.mktemp("servers")
    with embedded.servers(folder, ephemeral=True, env=env) as running:
        migrations.upgrade(running.database)
        yield running


@pytest.fixture
def settings(servers: embedded.Servers, tmp_path: Path) -> Settings:
    store = tmp_path / "objects"
    store.mkdir()
    return Settings.from_env(
        {
            "HOLDFAST_DATABASE_URL": servers.database,
            "HOLDFAST_BROKER_URL": servers.broker,
            "HOLDFAST_STORE_URL": store.as_uri(),
        }
    )


@pytest.fixture
def sql(servers: embedded.Servers) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A look past our own code, at what the database holds."""
    url = servers.database.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def core(settings: Settings) -> Iterator[Core]:
    made = Core.start(settings)
    empty_database(made)
    yield made
    made.close()


@pytest.fixture
def puppet(core: Core) -> Puppet:
    """A device whose every step the test decides."""
    return Puppet.online(core, "dev-1")
