"""When a server that the API needs is away: an answer in seconds, never a hang."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator import bootstrap, embedded
from orchestrator.api import problems
from orchestrator.api.envelope import Envelope
from orchestrator.config import Settings
from orchestrator.dev.options import parse_devices
from orchestrator.services.core import Core
from tests.integration.api_stack import TYPE, Api, batch_body, serving
from tests.waiting import until


@pytest.fixture(scope="module")
def own() -> Iterator[embedded.Servers]:
    """Servers that may be killed."""
    with embedded.servers(Path("unused"), ephemeral=True, env={}) as running:
        yield running


@pytest.fixture
def api(own: embedded.Servers, tmp_path: Path) -> Iterator[Api]:
    settings = {"DATABASE_URL": own.database, "BROKER_URL": own.broker}
    settings["STORE_URL"] = tmp_path.as_uri()
    core = Core.start(
        Settings.from_env({f"HOLDFAST_{name}": value for name, value in settings.items()})
    )
    known = bootstrap.prepare(own.database, parse_devices([f"dev-1:{TYPE}:scripted"]))
    with serving(core, known.api_key) as api:
        yield api
    core.close()


@contextmanager
def postgres_down(own: embedded.Servers) -> Iterator[None]:
    assert own.postgres
    own.postgres.stop()
    try:
        yield
    finally:
        own.postgres.start()


@contextmanager
def broker_down(own: embedded.Servers) -> Iterator[None]:
    assert own.valkey
    own.valkey.stop()
    try:
        yield
    finally:
        own.valkey.start()


def timed(api: Api, method: str, path: str, body: object = None) -> tuple[httpx.Response, float]:
    begun = time.monotonic()
    answer = api.call(method, path, body)
    return answer, time.monotonic() - begun


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/batches"), ("GET", "/v1/jobs")])
def test_without_postgres_a_call_is_refused_in_seconds(
    api: Api, own: embedded.Servers, method: str, path: str
) -> None:
    api.batch()
    with postgres_down(own):
        for _ in range(3):
            answer, took_s = timed(api, method, path, batch_body() if method == "POST" else None)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert answer.headers["Content-Type"] == problems.MEDIA_TYPE
            assert took_s < 6
    until(lambda: api.call("GET", "/v1/jobs").status_code == 200, 10)


def test_readiness_follows_postgres(api: Api, own: embedded.Servers) -> None:
    assert api.get("/health/ready")["checks"]["database"] == "ok"
    with postgres_down(own):
        answer, took_s = timed(api, "GET", "/health/ready")
        assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "down")
        assert took_s < 3
        assert api.get("/health/live") == {"status": "ok", "checks": {}}
    until(lambda: api.call("GET", "/health/ready").status_code == 200, 10)


def test_without_redis_batches_are_accepted_and_readiness_says_so(
    api: Api, own: embedded.Servers
) -> None:
    with broker_down(own):
        created, took_s = timed(api, "POST", "/v1/batches", batch_body())
        assert (created.status_code, took_s < 6) == (201, True)
        ready = api.get("/health/ready")
    assert (ready["status"], ready["checks"]["broker"][:4]) == ("degraded", "down")
    assert api.get(f"/v1/batches/{created.json()['id']}")["status"] == "PENDING"


def test_a_broken_pooled_connection_is_not_the_callers_problem(
    api: Api, own: embedded.Servers
) -> None:
    assert own.postgres
    api.batch()
    own.postgres.restart()
    assert api.call("GET", "/v1/batches").status_code == 200


def test_what_takes_too_long_is_refused_and_not_waited_for() -> None:
    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    status, headers = asyncio.run(through(Envelope(stuck, answer_within_s=0.05)))
    assert (status, headers["retry-after"]) == (503, "2")


def test_what_breaks_is_a_problem_with_an_id_that_the_log_knows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a secret of the inside")

    status, headers = asyncio.run(through(Envelope(broken)))
    assert (status, headers["content-type"]) == (500, problems.MEDIA_TYPE)
    assert headers["x-request-id"] in caplog.text


async def through(app: ASGIApp) -> tuple[int, dict[str, str]]:
    """Status and headers of one call."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await app(scope, receive, send)
    assert b"secret" not in sent[1]["body"]
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers
