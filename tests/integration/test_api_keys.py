"""Keys over HTTP, and the first one of a database."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace

import httpx
import psycopg
import pytest

from orchestrator import bootstrap
from orchestrator.dev.options import parse_devices
from orchestrator.services.core import Core
from schemas.device import KeyCreated
from schemas.words import Scope
from tests.integration.api_stack import Api, add_device, batch_body, new_key, serving

DEVICES = parse_devices(["emu-a:EMU_FREE:pulser", "dev-1:TEST:scripted"])
Sql = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


def make(api: Api, *scopes: str, key: str | None = None) -> httpx.Response:
    return api.call("POST", "/v1/keys", {"name": "laptop", "scopes": list(scopes)}, key=key)


def test_a_new_key_works_and_is_shown_once(api: Api) -> None:
    made = KeyCreated.model_validate(make(api, "submit").json())
    assert made.prefix == f"av_••••{made.key[-4:]}"
    assert api.post("/v1/batches", batch_body(), key=made.key)["status"] == "PENDING"
    listed = api.call("GET", "/v1/keys").text
    assert (made.prefix in listed, made.key in listed) == (True, False)


def test_the_scope_to_submit_implies_the_scope_to_read(api: Api) -> None:
    key = new_key(api.core, [Scope.SUBMIT])
    assert api.call("GET", "/v1/batches", key=key).status_code == 200


def test_a_revoked_key_is_refused_at_once(api: Api) -> None:
    made = make(api, "read").json()
    assert api.call("GET", "/v1/batches", key=made["key"]).status_code == 200
    assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert api.call("GET", "/v1/batches", key=made["key"]).status_code == 401


def test_a_key_grants_no_scope_that_it_lacks(api: Api) -> None:
    admin = new_key(api.core, [Scope.ADMIN, Scope.SUBMIT])
    assert make(api, "read", "submit", key=admin).status_code == 201
    refused = make(api, "submit", "operate", key=admin)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "scopes")
    assert "operate" in refused.json()["detail"]


def test_only_the_hash_of_a_key_is_stored(api: Api, sql: Sql) -> None:
    made = make(api, "read").json()
    row = sql.execute("SELECT hash FROM api_key WHERE id = %s", [made["id"]]).fetchone()
    assert row == (hashlib.sha256(made["key"].encode()).digest(),)
    dumped = str(sql.execute("SELECT api_key::text, event::text FROM api_key, event").fetchall())
    assert made["key"] not in dumped


def test_no_key_is_ever_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = make(api, "read").json()
    api.call("GET", "/v1/batches", key=made["key"])
    api.call("GET", "/v1/batches", key="av_wrong-but-a-secret-somewhere-else")
    logged = [record.getMessage() for record in caplog.records if "sqlalchemy" not in record.name]
    assert not [line for line in logged if made["key"] in line or "wrong-but-a-secret" in line]


@pytest.fixture
def url(core: Core) -> str:
    return core.settings.database_url


def test_the_first_key_has_every_scope(core: Core, url: str) -> None:
    first = bootstrap.prepare(url, DEVICES)
    with serving(core) as api:
        assert api.call("GET", "/v1/keys", key=first.api_key).status_code == 200
        devices = api.call("GET", "/v1/devices", key=first.api_key).json()["items"]
    assert [(each["name"], each["executor"]) for each in devices] == [
        ("dev-1", "scripted"),
        ("emu-a", "pulser"),
    ]


def test_known_credentials_are_kept(core: Core, url: str, sql: Sql) -> None:
    first = bootstrap.prepare(url, DEVICES)
    assert bootstrap.prepare(url, DEVICES, first) == first
    assert sql.execute("SELECT count(*) FROM api_key").fetchone() == (1,)


def test_credentials_that_no_longer_work_are_replaced(core: Core, url: str, sql: Sql) -> None:
    first = bootstrap.prepare(url, DEVICES)
    sql.execute("UPDATE api_key SET revoked_at = now()")
    second = bootstrap.prepare(url, DEVICES, first)
    assert second.api_key != first.api_key
    assert replace(second, api_key="") == replace(first, api_key="")


def test_a_password_is_stored_as_an_argon2_hash(core: Core, url: str, sql: Sql) -> None:
    bootstrap.prepare(url, DEVICES)
    row = sql.execute('SELECT password_hash FROM "user"').fetchone()
    assert row is not None
    assert str(row[0]).startswith("$argon2id$")
