"""Keys of two kinds, members and their roles, over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from orchestrator import bootstrap
from orchestrator.api import last_used
from orchestrator.services import tokens
from orchestrator.services.core import Core
from schemas.words import Scope
from tests.integration.api_stack import Api, add_device, batch_body, new_key, serving
from tests.integration.puppet import OTHER_PROJECT
from tests.integration.remote_stack import registration

Sql = psycopg.Connection[tuple[object, ...]]
PASSWORD = "correct horse battery"


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    """Its key belongs to the owner of a project."""
    first = bootstrap.prepare(core.settings.database_url, [], username="owner")
    add_device(core, "dev-1")
    with serving(core, first.api_key) as api:
        yield api


def add(api: Api, name: str, role: str, password: str | None = PASSWORD) -> Any:
    given = {} if password is None else {"password": password}
    return api.post("/v1/members", {"username": name, "role": role} | given)


def key_of(api: Api, sql: Sql, user: str, *scopes: str) -> str:
    """A key that was made by that user."""
    made = api.post("/v1/keys", {"name": "theirs", "scopes": scopes or list(Scope)})
    sql.execute("UPDATE api_key SET user_id = %s WHERE id = %s", [user, made["id"]])
    return str(made["key"])


def may(api: Api, key: str) -> list[str]:
    """What a key can do, by trying."""
    calls = {
        "read": ("GET", "/v1/batches", None),
        "submit": ("POST", "/v1/batches", batch_body()),
        "operate": ("POST", "/v1/devices/dev-1/resume", None),
        "admin": ("GET", "/v1/keys", None),
    }
    return [word for word, call in calls.items() if api.call(*call, key=key).is_success]


def refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def runner(api: Api) -> str:
    return str(api.post("/v1/keys", {"name": "lab", "kind": "runner"})["key"])


def test_a_runner_key_reaches_nothing_but_its_one_route(api: Api) -> None:
    key = runner(api)
    assert key.startswith("rn_")
    for method, path in [("GET", "/v1/batches"), ("GET", "/v1/keys"), ("POST", "/v1/batches")]:
        refused(api.call(method, path, key=key), 403, "this is a runner key")
    door = api.call("GET", "/core-fast/api/v1/batches", key=key)
    assert (door.status_code, "runner key" in door.text) == (403, True)


def test_a_key_that_submits_makes_runner_keys_and_no_others(api: Api) -> None:
    key = new_key(api.core, [Scope.SUBMIT])
    body = {"name": "mine", "kind": "runner"}
    assert api.call("POST", "/v1/keys", body, key=key).status_code == 201
    refused(
        api.call("POST", "/v1/keys", {"name": "x", "scopes": ["read"]}, key=key),
        403,
        "runner keys only",
    )
    for lacks_it in ([Scope.READ], [Scope.ADMIN]):
        without = new_key(api.core, lacks_it)
        assert api.call("POST", "/v1/keys", body, key=without).status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "runner", "scopes": ["read"]}, "scopes"),
        ({"kind": "workspace"}, "scopes"),
        ({"scopes": ["read"], "kind": "robot"}, "kind"),
        ({"scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"scopes": ["read"], "expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"scopes": ["read"], "name": "x" * 65}, "name"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_field(api: Api, body: Any, field: str) -> None:
    answer = api.call("POST", "/v1/keys", {"name": "x"} | body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert len(api.get("/v1/keys")["items"]) == 1


def test_a_mistyped_key_is_told_from_a_revoked_one(api: Api) -> None:
    made = api.post("/v1/keys", {"name": "x", "scopes": ["read"]})
    wrong = made["key"][:-1] + ("a" if made["key"][-1] != "a" else "b")
    refused(api.call("GET", "/v1/batches", key=wrong), 401, "mistyped")
    assert api.post(f"/v1/keys/{made['id']}/revoke")["revoked_at"] is not None
    refused(api.call("GET", "/v1/batches", key=made["key"]), 401, "revoked")
    refused(api.call("GET", "/v1/batches", key="ct_abc"), 401, "controller's token")


def test_a_key_made_before_there_were_kinds_is_still_good(api: Api, sql: Sql) -> None:
    made = api.post("/v1/keys", {"name": "old", "scopes": ["read"]})
    sql.execute(
        "UPDATE api_key SET hash = sha256('hf_old'), prefix = 'hf_old', last4 = '' WHERE id = %s",
        [made["id"]],
    )
    assert api.call("GET", "/v1/batches", key="hf_old").status_code == 200
    assert "hf_old" in [each["prefix"] for each in api.get("/v1/keys")["items"]]


def test_an_expired_key_is_refused_and_says_since_when(api: Api, sql: Sql) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = api.post("/v1/keys", {"name": "x", "scopes": ["read"], "expires_at": soon.isoformat()})
    assert may(api, made["key"]) == ["read"]
    sql.execute("UPDATE api_key SET expires_at = '2026-01-02' WHERE id = %s", [made["id"]])
    refused(api.call("GET", "/v1/batches", key=made["key"]), 401, "expired at 2026-01-02")


def test_only_a_revoked_key_is_deleted(api: Api) -> None:
    made = api.post("/v1/keys", {"name": "x", "scopes": ["read"]})
    for listed in (True, False):
        assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
        ids = [each["id"] for each in api.get("/v1/keys")["items"]]
        assert (made["id"] in ids) == listed
    assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 404


def test_the_last_use_of_a_key_is_written_down_at_most_once_a_minute(api: Api, sql: Sql) -> None:
    key = new_key(api.core, [Scope.READ])

    def written(ago: str) -> bool:
        sql.execute(f"UPDATE api_key SET last_used_at = now() - interval '{ago}'")
        api.call("GET", "/v1/batches", key=key)
        last_used.write(api.core)
        row = sql.execute(
            "SELECT last_used_at > now() - interval '20 s' FROM api_key WHERE hash = sha256(%s)",
            [key.encode()],
        ).fetchone()
        return row == (True,)

    assert (written("50 s"), written("70 s")) == (False, True)


def test_a_key_does_what_the_role_of_its_user_allows_now(api: Api, sql: Sql) -> None:
    ada = add(api, "ada", "owner")
    key = key_of(api, sql, ada["user_id"])
    roles = {
        "operator": ["read", "submit", "operate"],
        "member": ["read", "submit"],
        "reader": ["read"],
        "owner": ["read", "submit", "operate", "admin"],
    }
    for role, allowed in roles.items():
        changed = api.post(f"/v1/members/{ada['user_id']}/role", {"role": role})
        assert (changed["role"], may(api, key)) == (role, allowed)


def test_the_keys_of_one_who_left_stay_dead_when_they_come_back(api: Api, sql: Sql) -> None:
    ada = add(api, "ada", "member")
    key = key_of(api, sql, ada["user_id"], "read")
    assert api.call("DELETE", f"/v1/members/{ada['user_id']}").status_code == 204
    assert api.call("GET", "/v1/batches", key=key).status_code == 401
    add(api, "ada", "member", password=None)
    assert api.call("GET", "/v1/batches", key=key).status_code == 401


def test_the_controller_of_one_who_may_not_submit_any_more_is_out(api: Api, sql: Sql) -> None:
    """Its token would go on showing it the project's jobs."""
    ada = add(api, "ada", "member")
    made = api.post("/v1/keys", {"name": "lab", "kind": "runner"})
    sql.execute("UPDATE api_key SET user_id = %s WHERE id = %s", [ada["user_id"], made["id"]])
    register = "/api/v1/controllers/register"
    controller = api.post(register, registration(), key=made["key"])["token"]

    def heard() -> int:
        path = "/api/v1/controllers/self/heartbeat"
        return api.call("POST", path, {"running": []}, key=controller).status_code

    found = [heard()]
    for role in ("reader", "operator"):
        api.post(f"/v1/members/{ada['user_id']}/role", {"role": role})
        found.append(heard())
    api.call("DELETE", f"/v1/members/{ada['user_id']}")
    assert [*found, heard()] == [200, 401, 200, 401]


def test_without_a_membership_a_key_is_dead_whatever_else_is_stored(api: Api, sql: Sql) -> None:
    ada = add(api, "ada", "member")
    key = key_of(api, sql, ada["user_id"], "read")
    sql.execute("DELETE FROM membership WHERE user_id = %s", [ada["user_id"]])
    refused(api.call("GET", "/v1/batches", key=key), 401, "left the project")


def test_the_last_owner_stays_and_stays_one(api: Api) -> None:
    (owner,) = api.get("/v1/members")["items"]
    path = f"/v1/members/{owner['user_id']}"
    refused(api.call("POST", f"{path}/role", {"role": "reader"}), 409, "last owner")
    refused(api.call("DELETE", path), 409, "last owner")
    add(api, "second", "owner")
    assert api.call("DELETE", path).status_code == 204


def test_a_new_user_needs_a_password_and_a_known_one_keeps_theirs(api: Api, sql: Sql) -> None:
    missing = api.call("POST", "/v1/members", {"username": "ada", "role": "reader"})
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "password")
    ada = add(api, "ada", "reader")
    hashes = sql.execute("SELECT password_hash FROM \"user\" WHERE username = 'ada'").fetchall()
    api.call("DELETE", f"/v1/members/{ada['user_id']}")
    again = {"username": "ada", "role": "reader", "password": "another of hers"}
    assert api.call("POST", "/v1/members", again).status_code == 422
    found = sql.execute("SELECT password_hash FROM \"user\" WHERE username = 'ada'").fetchall()
    assert (found, PASSWORD in str(hashes)) == (hashes, False)
    add(api, "ada", "reader", password=None)
    twice = api.call("POST", "/v1/members", {"username": "ada", "role": "owner"})
    refused(twice, 409, "already")


def test_nobody_makes_a_member_who_may_more_than_their_own_key(api: Api) -> None:
    key = new_key(api.core, [Scope.ADMIN, Scope.SUBMIT])
    body = {"username": "ada", "role": "operator", "password": PASSWORD}
    answer = api.call("POST", "/v1/members", body, key=key)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "role")


def test_the_record_of_a_call_keeps_nothing_that_a_password_could_be_guessed_from(
    api: Api,
) -> None:
    """The same record, whatever the password was: so another one is the same call."""
    body = {"username": "ada", "role": "reader", "password": PASSWORD}
    known = {"Idempotency-Key": "k"}
    first = api.call("POST", "/v1/members", body, headers=known)
    again = api.call("POST", "/v1/members", body | {"password": PASSWORD * 2}, headers=known)
    assert (first.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    other = api.call("POST", "/v1/members", body | {"role": "owner"}, headers=known)
    assert other.status_code == 409


def token(api: Api, name: str, password: str = PASSWORD) -> httpx.Response:
    form = {"grant_type": "password", "username": name, "password": password}
    return api.http.post("/oauth/token", data=form)


def test_a_token_does_what_the_role_of_its_user_allows_now(api: Api) -> None:
    ada = add(api, "ada", "reader")
    headers = {"Authorization": f"Bearer {token(api, 'ada').json()['access_token']}"}
    door = "/core-fast/api/v1/batches"
    cancel = {"batch_ids": [str(UUID(int=9))]}

    def tried() -> tuple[int, int]:
        return (
            api.http.get(door, headers=headers).status_code,
            api.http.patch(f"{door}/cancel", json=cancel, headers=headers).status_code,
        )

    assert tried() == (200, 403)
    api.post(f"/v1/members/{ada['user_id']}/role", {"role": "member"})
    assert tried() == (200, 200)
    api.call("DELETE", f"/v1/members/{ada['user_id']}")
    assert tried() == (401, 401)


def test_wrong_passwords_wear_patience_out(api: Api) -> None:
    add(api, "ada", "reader")
    for _ in range(tokens.BOTH.most):
        assert token(api, "ada", "wrong").status_code == 403
    worn_out = token(api, "ada")
    assert (worn_out.status_code, worn_out.json()["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(worn_out.headers["Retry-After"]) <= tokens.BOTH.per_s
    add(api, "eve", "reader")
    assert token(api, "eve").status_code == 200


def test_members_are_their_own_projects_only(api: Api, core: Core) -> None:
    ada = add(api, "ada", "reader")
    other = new_key(core, project=OTHER_PROJECT)
    assert api.call("GET", "/v1/members", key=other).json()["items"] == []
    path = f"/v1/members/{ada['user_id']}"
    assert api.call("POST", f"{path}/role", {"role": "owner"}, key=other).status_code == 404
    assert api.call("DELETE", path, key=other).status_code == 404
