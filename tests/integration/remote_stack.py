"""A controller without a machine: the test says each of its words, over real HTTP."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import psycopg

from orchestrator.proof.report import Report
from orchestrator.proof.verify import Patience, verify
from orchestrator.services import keys
from orchestrator.services.core import Core
from orchestrator.services.remote.tend import tend
from orchestrator.services.sweep import sweep
from schemas.words import KeyKind
from tests.integration.api_stack import ALL, Api, serving
from tests.integration.puppet import PROJECT

Sql = psycopg.Connection[tuple[object, ...]]


def runner_key(core: Core, project: UUID = PROJECT) -> str:
    with core.transaction() as tx:
        made = keys.create(
            core, tx, project, None, "runner", [], granted_by=ALL, kind=KeyKind.RUNNER
        )
    return made.secret


def with_settings(core: Core, **changed: Any) -> None:
    object.__setattr__(core, "settings", replace(core.settings, **changed))


def registration(name: str = "dgx", **fields: Any) -> dict[str, Any]:
    backend = {"name": "scripted", "version": "1", "job_types": ["single_point_energy"]}
    said = {"name": name, "version": "1.0", "hostname": "h", "cores": 4, "memory_mb": 4096}
    return said | {"backends": [backend], "lanes": 1} | fields


@dataclass
class Controller:
    """One session of one name. `said` is what the server told it when it registered."""

    api: Api
    runner: str
    name: str
    said: dict[str, Any]
    requests: int = 0

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.api.call(method, path, body, key=str(self.said["token"]), **options)

    @property
    def type(self) -> str:
        return f"byoc-{self.said['controller_id']}"

    def acquire(self, wait_s: float = 0, **fields: Any) -> list[dict[str, Any]]:
        self.requests += 1
        body = {"request_id": f"r{self.requests}", "wait_s": wait_s} | fields
        answer = self.call("POST", "/api/v1/controllers/self/acquire", body)
        assert answer.status_code == 200, answer.text
        leases: list[dict[str, Any]] = answer.json()["leases"]
        return leases

    def start(self, lease: dict[str, Any], epoch: int | None = None) -> httpx.Response:
        path = f"/api/v1/assignments/{lease['assignment_id']}/start"
        return self.call("POST", path, {"epoch": epoch or lease["epoch"]})

    def begin(self, **fields: Any) -> dict[str, Any]:
        """Acquired and started."""
        [lease] = self.acquire(5, **fields)
        answer = self.start(lease)
        assert answer.status_code == 200, answer.text
        return lease

    def complete(
        self, lease: dict[str, Any], outcome: str = "done", **fields: Any
    ) -> httpx.Response:
        path = f"/api/v1/assignments/{lease['assignment_id']}/complete"
        result = {"result": {"energy": -1.5}} if outcome == "done" else {}
        body = {"epoch": lease["epoch"], "outcome": outcome, **result} | fields
        return self.call("POST", path, body)

    def beat(self, *leases: dict[str, Any]) -> list[str]:
        items = [{"assignment_id": one["assignment_id"], "epoch": one["epoch"]} for one in leases]
        answer = self.call("POST", "/api/v1/controllers/self/heartbeat", {"running": items})
        assert answer.status_code == 200, answer.text
        return [told["verdict"] for told in answer.json()["verdicts"]]

    def log(
        self, lease: dict[str, Any], text: bytes, seq: int = 0, offset: int = 0, **options: Any
    ) -> httpx.Response:
        path = f"/api/v1/assignments/{lease['assignment_id']}/logs"
        sent = options.pop("packed", None) or gzip.compress(text)
        query = {"epoch": lease["epoch"], "seq": seq, "offset": offset}
        return self.call("POST", path, params=query, content=sent, **options)

    def serve(self, lease: dict[str, Any]) -> None:
        assert self.start(lease).status_code == 200
        assert self.complete(lease).status_code == 200

    def again(self, **fields: Any) -> "Controller":
        """The name is registered anew: another process, or another machine."""
        return register(self.api, self.name, self.runner, **fields)

    def submit(self, jobs: int = 1, *, lanes: int = 1, **payload: Any) -> str:
        """A batch that came by the native door; its id."""
        listed = [{"payload": {"n": n} | payload} for n in range(jobs)]
        body = {"device_type": self.type, "jobs": listed, "lanes": lanes}
        return str(self.api.post("/v1/batches", body)["id"])

    def job_of(self, lease: dict[str, Any]) -> dict[str, Any]:
        job: dict[str, Any] = self.api.get(f"/v1/jobs/{lease['job_id']}")
        return job


def register(api: Api, name: str = "dgx", runner: str = "", **fields: Any) -> Controller:
    runner = runner or runner_key(api.core)
    path = "/api/v1/controllers/register"
    answer = api.call("POST", path, registration(name, **fields), key=runner)
    assert answer.status_code == 201, answer.text
    return Controller(api, runner, name, answer.json())


@contextmanager
def controller(core: Core, name: str = "dgx", **fields: Any) -> Iterator[Controller]:
    """A server, and a controller that is registered there. Whatever it then does or says, every
    invariant holds at the end."""
    with serving(core) as api:
        yield register(api, name, **fields)
    report = verified(core)
    assert report.clean, report.violations


def verified(core: Core) -> Report:
    given, patience = core.settings, Patience(lag_s=0)
    return verify(given.database_url, given.store_url, s3=given.s3, patience=patience)


def statuses(one: Controller, batch: str) -> list[str]:
    page = one.api.get("/v1/jobs", batch_id=batch)
    return [job["status"] for job in sorted(page["items"], key=lambda job: job["ordinal"])]


def forget(sql: Sql, one: Controller) -> None:
    """Nobody has heard of it for a day; somebody has listened all the time."""
    look_around(one.api.core)
    day = "interval '1 day'"
    sql.execute(f"UPDATE device SET heard_at = heard_at - {day} WHERE type = %s", (one.type,))
    sql.execute(f'UPDATE "window" SET lease_until = lease_until - {day}')


def look_around(core: Core) -> None:
    sweep(core)
    tend(core)
