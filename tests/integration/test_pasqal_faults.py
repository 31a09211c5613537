"""Whatever breaks behind the PASQAL door, its client gets an object that it can read."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from orchestrator.services import tokens
from orchestrator.services.core import Core
from tests.integration.api_stack import Api, serving


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as running:
        yield running


def test_an_unforeseen_fault_is_told_in_the_dialect(api: Api) -> None:
    with api.core.transaction() as tx:
        tx.connection.execute(text("ALTER TABLE batch RENAME TO gone"))
    try:
        answer = api.call("GET", "/core-fast/api/v1/batches")
    finally:
        with api.core.transaction() as tx:
            tx.connection.execute(text("ALTER TABLE gone RENAME TO batch"))
    assert answer.status_code == 500
    assert answer.json()["code"] == "500"
    assert answer.json()["data"]["type"] == "internal"
    assert answer.headers["X-Request-Id"]


def test_a_login_that_must_wait_is_told_to_come_again(api: Api) -> None:
    line = tokens._LINE
    taken = 0
    while line.acquire(blocking=False):
        taken += 1
    try:
        form = {"grant_type": "password", "username": "ada", "password": "x"}
        answer = httpx.post(f"{api.url}/oauth/token", data=form)
    finally:
        for _ in range(taken):
            line.release()
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"


def test_a_login_of_megabytes_is_refused_in_the_shape_of_oauth(api: Api) -> None:
    answer = httpx.post(f"{api.url}/oauth/token", content=b"x" * 1_000_000)
    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_request"


def test_nul_in_a_query_is_refused_at_the_native_door_too(api: Api) -> None:
    for path in ("/v1/batches?tag=%00", "/v1/batches?name=%00", "/v1/devices/%00"):
        answer = api.call("GET", path)
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_routes_of_both_doors_are_there(api: Api) -> None:
    for door in ("/core-fast", "/account", "/oauth"):
        assert httpx.get(f"{api.url}{door}/openapi.json").status_code == 200
