"""pytest-celery without containers. Its fixtures are imported here, by name, so that no other
folder's tests load the plugin; those that would ask an engine for a container are replaced."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.contrib.testing.app import setup_default_app
from pytest_celery import (  # type: ignore[import-untyped]
    CeleryTestSetup,
    RedisTestBroker,
    celery_backend_cluster_config,
    celery_broker_cluster,
    celery_broker_cluster_config,
    celery_redis_broker,
    celery_setup,
    celery_setup_cls,
    celery_setup_config,
    celery_setup_name,
    celery_setup_worker,
    celery_worker_cluster,
    celery_worker_cluster_config,
    default_worker_app,
    default_worker_command,
)

from orchestrator.broker.celery_app import celery_app
from tests.celery.nodes import DeviceWorker, DeviceWorkerContainer, ValkeyContainer
from tests.celery.orchestrator_side import OrchestratorSide
from tests.celery.plain_process import PlainProcess
from tests.integration.worker_stack import free_port
from tests.vouching import vouch

__all__ = [
    "celery_backend_cluster_config",
    "celery_broker_cluster",
    "celery_broker_cluster_config",
    "celery_redis_broker",
    "celery_setup",
    "celery_setup_cls",
    "celery_setup_config",
    "celery_setup_name",
    "celery_setup_worker",
    "celery_worker_cluster",
    "celery_worker_cluster_config",
    "default_worker_app",
    "default_worker_command",
]


@pytest.fixture
def default_redis_broker(tmp_path: Path) -> Iterator[ValkeyContainer]:
    port = free_port()
    process = PlainProcess("broker", ValkeyContainer.command("--port", str(port)), tmp_path)
    try:
        container = ValkeyContainer(process, port)
        container.ready()
        with redis.Redis(port=port) as client:
            vouch(client)
        yield container
    finally:
        process.kill()


@pytest.fixture
def celery_broker(celery_redis_broker: RedisTestBroker) -> RedisTestBroker:
    """The one broker that we support, instead of every one that is known."""
    return celery_redis_broker


@pytest.fixture
def celery_backend_cluster() -> None:
    """Results live in the database."""


@pytest.fixture
def default_worker_cls() -> type[DeviceWorker]:
    return DeviceWorker


@pytest.fixture
def default_worker_container_cls() -> type[DeviceWorkerContainer]:
    return DeviceWorkerContainer


@pytest.fixture
def default_worker_env(
    default_worker_container_cls: type[DeviceWorkerContainer],
    celery_worker_cluster_config: dict[str, Any],
    tmp_path: Path,
) -> dict[str, str]:
    return default_worker_container_cls.initial_env(
        celery_worker_cluster_config,
        {
            "HOLDFAST_JOURNAL_DIR": str(tmp_path / "journal"),
            "HOLDFAST_STORE_URL": (tmp_path / "store").as_uri(),
        },
    )


@pytest.fixture
def default_worker_container(
    default_worker_container_cls: type[DeviceWorkerContainer],
    default_worker_command: list[str],
    default_worker_env: dict[str, str],
    tmp_path: Path,
) -> Iterator[DeviceWorkerContainer]:
    process = PlainProcess("worker", default_worker_command, tmp_path, default_worker_env)
    try:
        container = default_worker_container_cls(process)
        container.ready()
        yield container
    finally:
        process.kill()


@pytest.fixture
def celery_worker(celery_setup_worker: DeviceWorker) -> DeviceWorker:
    """Without the parametrisation of the plugin's own, which would only lengthen the names."""
    return celery_setup_worker


@pytest.fixture
def celery_setup_app(celery_setup_config: dict[str, Any]) -> Generator[Celery]:
    """The orchestrator's own app. A node that restarts makes it the current one: undone here."""
    app = celery_app(celery_setup_config["broker_url"])
    with setup_default_app(app):
        yield app


@pytest.fixture
def side(celery_setup: CeleryTestSetup) -> Generator[OrchestratorSide]:
    made = OrchestratorSide(celery_setup.app)
    yield made
    made.close()
