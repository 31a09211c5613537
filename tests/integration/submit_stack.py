"""The submit-batch door over real HTTP, with a managed device that a puppet plays."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.store import controllers
from schemas.controller import RegisterIn
from tests.integration.api_stack import Api, serving
from tests.integration.puppet import PROJECT, Puppet, empty_database

BATCH = "/api/v1/jobs/submit-batch"
MANY = 10**6


def water(shift: float = 0.0, **job: Any) -> dict[str, Any]:
    """A job; another `shift` is another molecule."""
    atoms = {
        "symbols": ["O", "H", "H"],
        "positions": [[0, 0, 0.1173 + shift], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]],
    }
    return {
        "job_type": "single_point_energy",
        "atoms": atoms,
        "level_of_theory": "GFN2-xTB",
        **job,
    }


def waters(n: int, **entry: Any) -> list[dict[str, Any]]:
    return [{"job": water(0.001 * k), **entry} for k in range(n)]


@contextmanager
def door(settings: Settings, **changed: Any) -> Iterator[tuple[Api, Puppet]]:
    """Without a limit of batches in a minute, unless it is among what is changed."""
    core = Core.start(replace(settings, **{"batches_per_minute": MANY, **changed}))
    empty_database(core)
    try:
        puppet = Puppet.online(core, "chem-a", device_type="managed")
        with serving(core) as api:
            yield api, puppet
    finally:
        core.close()


def send(api: Api, entries: Any, **options: Any) -> httpx.Response:
    return api.call("POST", BATCH, {"jobs": entries}, **options)


def submit(api: Api, entries: Any, **options: Any) -> Any:
    answer = send(api, entries, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def statuses(report: Any) -> list[str]:
    return [each["status"] for each in report["jobs"]]


def ids(report: Any) -> list[str]:
    return [each["job_id"] for each in report["jobs"]]


def own(api: Api, job: str) -> Any:
    return api.get(f"/api/v1/jobs/{job}")


def states(api: Api, report: Any) -> list[str]:
    return [own(api, job)["state"] for job in ids(report)]


def count(core: Core, what: str) -> int:
    with core.transaction() as tx:
        found: int = tx.connection.execute(text(f"SELECT count(*) FROM {what}")).scalar_one()
        return found


def add_controller(
    core: Core,
    name: str = "dgx",
    *,
    state: str = "online",
    online: bool = True,
    project: UUID = PROJECT,
    **said: Any,
) -> None:
    """A controller that has registered, without its machine. Its program is the puppet's, so that
    equal jobs have equal keys."""
    controller = uuid4()
    backend = {"name": "tblite", "version": "unknown", "job_types": ["single_point_energy"]}
    given = {"cores": 16, "memory_mb": 2**20, "backends": [backend], **said}
    body = RegisterIn(name=name, version="1", hostname="h", **given)
    with core.transaction() as tx:
        controllers.insert(tx, controller, project, name)
        row = controllers.register(tx, controller, None, body, controller.bytes)
        tx.connection.execute(
            text("UPDATE device SET online = :online WHERE type = :type"),
            {"online": online, "type": row.device_type},
        )
        tx.connection.execute(
            text("UPDATE controller SET state = :state WHERE id = :id"),
            {"state": state, "id": controller},
        )
