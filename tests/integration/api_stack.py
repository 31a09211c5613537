"""The API over real HTTP, on the servers of the session."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from orchestrator.api.serve import Server, server_for
from orchestrator.api.streaming import Streams
from orchestrator.embedded import free_port
from orchestrator.services import keys
from orchestrator.services.core import Core
from orchestrator.store import devices
from schemas.words import Scope
from tests.integration.puppet import PROJECT
from tests.waiting import until

ALL = tuple(Scope)
CHANGEABLE = ("batch", "job", "event", "submission", "api_key", "device", "device_type")
TYPE = "TEST"


@dataclass(frozen=True)
class Api:
    """One server; calls are made with `key`."""

    url: str
    core: Core
    key: str
    http: httpx.Client
    server: Server

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {key or self.key}"} | (headers or {})
        given = {} if body is None else {"json": body}
        return self.http.request(method, path, headers=sent, **given, **options)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.call("POST", path, body, **options)
        assert answer.is_success, answer.text
        return answer.json()

    @property
    def streams(self) -> Streams:
        app = self.server.config.app
        assert isinstance(app, FastAPI)
        streams: Streams = app.state.streams
        return streams

    def batch(self, jobs: int = 1, **fields: Any) -> Any:
        return self.post("/v1/batches", batch_body(jobs, **fields))


def batch_body(jobs: int = 1, **fields: Any) -> dict[str, Any]:
    listed = [{"payload": {"do": "noop"}, "runs": n} for n in range(1, jobs + 1)]
    return {"device_type": TYPE, "jobs": listed} | fields


@contextmanager
def serving(core: Core, key: str | None = None) -> Iterator[Api]:
    """A server in a thread of its own, ended with the block. Without a key, one is made."""
    url, server, thread = start_server(core)
    try:
        with httpx.Client(base_url=url, timeout=30) as http:
            yield Api(url, core, key or new_key(core), http, server)
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        assert not thread.is_alive()


def start_server(core: Core) -> tuple[str, Server, threading.Thread]:
    port = free_port()
    server = server_for(core, "127.0.0.1", port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, 10)
    return f"http://127.0.0.1:{port}", server, thread


def new_key(core: Core, scopes: Sequence[Scope] = ALL, project: UUID = PROJECT) -> str:
    with core.transaction() as tx:
        made = keys.create(core, tx, project, None, "test", scopes, granted_by=ALL)
    return made.secret


def add_device(core: Core, name: str, device_type: str = TYPE, executor: str = "scripted") -> None:
    """Known, but without a worker."""
    with core.transaction() as tx:
        devices.register(tx, name, device_type, executor)


def counts(core: Core) -> dict[str, int]:
    """Rows of each table: what a refused call must not change."""
    with core.transaction() as tx:
        return {
            name: tx.connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
            for name in CHANGEABLE
        }
