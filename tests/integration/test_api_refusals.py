"""What is refused: with the right status, a sentence that names the field, and nothing changed."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from orchestrator.services.core import Core
from schemas.problem import Problem
from schemas.words import Scope
from tests.integration.api_stack import (
    TYPE,
    Api,
    add_device,
    batch_body,
    counts,
    new_key,
    serving,
)
from tests.integration.puppet import OTHER_PROJECT, Puppet
from tests.unit.test_sequence import VALUES, parametrized

PULSER = "EMU_FREE"


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    add_device(core, "emu-1", PULSER, "pulser")
    with serving(core) as api:
        yield api


def refused(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert (problem.status, bool(problem.detail)) == (status, True)
    return problem


def pulser_body(jobs: list[Any], sequence: Any) -> dict[str, Any]:
    return {"device_type": PULSER, "sequence": sequence, "jobs": jobs}


BAD_BATCHES: list[tuple[str, Any, str, str]] = [
    ("unknown device type", batch_body(device_type="NOPE"), "device_type", f"known: {PULSER}"),
    ("unknown field", batch_body(prioritty=3), "prioritty", "did you mean 'priority'?"),
    ("unknown field far off", batch_body(xyz=3), "xyz", "is not a field here; remove it"),
    ("missing field", {"jobs": [{}]}, "device_type", "is required; add it"),
    ("unknown device", batch_body(device="dev-9"), "device", "there is no 'dev-9'"),
    ("wrong type", batch_body(open="perhaps"), "open", "must be true or false"),
    ("wrong type of jobs", batch_body() | {"jobs": {}}, "jobs", "must be a list"),
    ("wrong type of a job", batch_body() | {"jobs": [3]}, "jobs[0]", "must be an object"),
    ("runs in quotes", batch_body() | {"jobs": [{"runs": "5"}]}, "jobs[0].runs", "whole number"),
    ("zero runs", batch_body() | {"jobs": [{}, {"runs": 0}]}, "jobs[1].runs", "at least 1"),
    ("too many runs", batch_body() | {"jobs": [{"runs": 10**7}]}, "jobs[0].runs", "at most"),
    ("typo in a job", batch_body() | {"jobs": [{"run": 1}]}, "jobs[0].run", "mean 'runs'?"),
    ("sequence of numbers", batch_body(sequence=3), "sequence", "must be text or must be an obj"),
    ("no job in a closed batch", batch_body(jobs=0), "jobs", "at least one job"),
    ("more jobs than allowed", batch_body(jobs=1001), "jobs", "send at most 1000"),
    ("priority out of range", batch_body(priority=5000), "priority", "must be at most 1000"),
    ("empty tag", batch_body(tags=[""]), "tags[0]", "must not be empty"),
    ("too many lanes", batch_body(lanes=100), "lanes", "at most 64"),
    ("too patient", batch_body(idle_timeout_s=1e9), "idle_timeout_s", "at most 3600"),
    ("no sequence", pulser_body([{"runs": 1}], None), "sequence", "missing"),
    ("invalid sequence", pulser_body([{"runs": 1}], "{}"), "sequence", ""),
    ("oversized sequence", pulser_body([{"runs": 1}], "x" * 1048577), "sequence", ""),
    ("NUL in a name", batch_body(name="a\0b"), "body", "NUL"),
    ("a list instead of an object", [], "body", "must be an object"),
]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [case[1:] for case in BAD_BATCHES],
    ids=[case[0] for case in BAD_BATCHES],
)
def test_a_bad_batch_is_refused_by_field_and_changes_nothing(
    api: Api, body: Any, field: str, message: str
) -> None:
    before = counts(api.core)
    answer = api.call("POST", "/v1/batches", body, headers={"Idempotency-Key": "bad"})
    problem = refused(answer, 422)
    said = {error.field: error.message for error in problem.errors}
    assert message in said[field], said
    assert counts(api.core) == before


def test_every_mistake_is_named_at_once(api: Api) -> None:
    body: Any = {"device_typ": TYPE, "priority": "high", "jobs": [{"runs": 0}, {"runs": -1}]}
    problem = refused(api.call("POST", "/v1/batches", body), 422)
    fields = {error.field for error in problem.errors}
    assert fields == {"device_typ", "device_type", "priority", "jobs[0].runs", "jobs[1].runs"}


def test_a_thousand_mistakes_are_not_all_recited(api: Api) -> None:
    body: Any = batch_body() | {"jobs": [{"runs": 0}] * 1000}
    problem = refused(api.call("POST", "/v1/batches", body), 422)
    assert len(problem.errors) == 51
    assert "950 more" in problem.errors[-1].message


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "omega_max"),
        ({**VALUES, "omega": 1.0}, "omega"),
    ],
    ids=["missing", "undefined"],
)
def test_missing_or_undefined_variables_are_refused(
    api: Api, variables: dict[str, Any], message: str
) -> None:
    before = counts(api.core)
    body = pulser_body([{"runs": 1, "variables": variables}], parametrized().to_abstract_repr())
    problem = refused(api.call("POST", "/v1/batches", body), 422)
    assert all(error.field.startswith("jobs[0].variables") for error in problem.errors)
    assert message in str(problem.errors)
    assert counts(api.core) == before


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code"),
    [
        (b'{"device_type": ', {}, 400, "malformed_json"),
        (b'{"device_type": "TEST", "payload": {"a": NaN}}', {}, 400, "malformed_json"),
        (b"\xff\xfe{}", {}, 400, "malformed_json"),
        (b"[" * 100_000, {}, 400, "malformed_json"),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_body"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "unsupported_body"),
        (b"{}", {"Idempotency-Key": "k" * 256}, 400, "bad_idempotency_key"),
        (b"", {}, 422, "rejected"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    api: Api, raw: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    sent = {"Content-Type": "application/json"} | headers
    before = counts(api.core)
    answer = api.call("POST", "/v1/batches", content=raw, headers=sent)
    assert refused(answer, status).code == code
    assert counts(api.core) == before


def test_text_that_only_looks_like_a_bad_value_is_taken(api: Api) -> None:
    payload = {"NaN": "Infinity", "path": "C:\\u0000"}
    created = api.post("/v1/batches", {"device_type": TYPE, "jobs": [{"payload": payload}]})
    assert created["jobs"][0]["payload"] == payload


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_refused_without_being_kept(api: Api, declared: bool) -> None:
    most = api.core.settings.max_body_bytes
    chunk = b" " * 65536
    pieces = [chunk] * (most // len(chunk) + 1)
    headers = {"Content-Length": str(len(chunk) * len(pieces))} if declared else {}
    headers["Content-Type"] = "application/json"
    answer = api.call("POST", "/v1/batches", content=iter(pieces), headers=headers)
    assert str(most) in refused(answer, 413).detail
    assert api.get("/v1/limits")["max_body_bytes"] == most


def test_a_closed_batch_takes_no_more_jobs(api: Api) -> None:
    closed = api.batch()
    before = counts(api.core)
    answer = api.call("POST", f"/v1/batches/{closed['id']}/jobs", {"jobs": [{}]})
    problem = refused(answer, 409)
    assert problem.code == "batch_closed"
    assert "rebatch" in problem.detail
    assert counts(api.core) == before


@pytest.mark.parametrize("verb", ["jobs", "close", "cancel"])
def test_a_batch_that_is_over_cannot_be_changed(api: Api, verb: str) -> None:
    path = f"/v1/batches/{api.batch(open=True)['id']}"
    api.post(f"{path}/cancel")
    before = counts(api.core)
    body: Any = {"jobs": [{}]} if verb == "jobs" else None
    assert "CANCELED" in refused(api.call("POST", f"{path}/{verb}", body), 409).detail
    assert counts(api.core) == before


def test_a_batch_that_runs_cannot_be_revived(api: Api, puppet: Puppet) -> None:
    created = api.batch(open=True)
    refused(api.call("POST", f"/v1/batches/{created['id']}/revive"), 409)


OWN_PATHS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/batches/{batch}", None),
    ("GET", "/v1/batches/{batch}/results", None),
    ("POST", "/v1/batches/{batch}/jobs", {"jobs": [{}]}),
    ("POST", "/v1/batches/{batch}/close", None),
    ("POST", "/v1/batches/{batch}/cancel", None),
    ("POST", "/v1/batches/{batch}/jobs/cancel", None),
    ("POST", "/v1/batches/{batch}/rebatch", None),
    ("POST", "/v1/batches/{batch}/revive", None),
    ("PUT", "/v1/batches/{batch}/tags", {"tags": []}),
    ("GET", "/v1/jobs/{job}", None),
    ("GET", "/v1/jobs/{job}/result", None),
    ("POST", "/v1/jobs/{job}/cancel", None),
    ("POST", "/v1/jobs/{job}/retry", None),
    ("GET", "/v1/events?batch_id={batch}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), OWN_PATHS)
def test_another_projects_rows_do_not_exist(api: Api, method: str, path: str, body: Any) -> None:
    created = api.batch(open=True)
    stranger = new_key(api.core, project=OTHER_PROJECT)
    where = path.format(batch=created["id"], job=created["jobs"][0]["id"])
    before = counts(api.core)
    refused(api.call(method, where, body, key=stranger), 404)
    assert counts(api.core) == before


def test_another_projects_rows_are_in_no_listing(api: Api) -> None:
    created = api.batch()
    stranger = new_key(api.core, project=OTHER_PROJECT)
    for path in ("batches", "jobs", "events", f"jobs?batch_id={created['id']}"):
        assert api.call("GET", f"/v1/{path}", key=stranger).json()["items"] == []


@pytest.mark.parametrize("path", ["/v1/batches/nonsense", f"/v1/jobs/{UUID(int=5)}", "/v1/nope"])
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert refused(api.call("GET", path), 404).code == "not_found"


def test_a_method_that_an_address_does_not_take_is_refused(api: Api) -> None:
    answer = api.call("DELETE", "/v1/batches")
    assert refused(answer, 405).code == "method_not_allowed"
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("staus=DONE", "staus"),
        ("status=GONE", "status[0]"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%F0%9F", "cursor"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_after=yesterday", "created_after"),
        ("order=up", "order"),
    ],
)
def test_a_bad_filter_is_refused_by_name(api: Api, query: str, field: str) -> None:
    problem = refused(api.call("GET", f"/v1/batches?{query}"), 422)
    assert [error.field for error in problem.errors] == [field]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer hf_wrong", "Basic eDp5", "Bearer " + "x" * 999]
)
def test_a_call_without_a_valid_key_is_unauthorized(api: Api, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    before = counts(api.core)
    answer = api.http.post("/v1/batches", json=batch_body(), headers=headers)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert counts(api.core) == before


@pytest.mark.parametrize(
    ("scope", "method", "path", "lacking"),
    [
        (Scope.READ, "POST", "/v1/batches", "submit"),
        (Scope.READ, "POST", "/v1/devices/dev-1/pause", "operate"),
        (Scope.SUBMIT, "POST", "/v1/devices/dev-1/resume", "operate"),
        (Scope.SUBMIT, "GET", "/v1/keys", "admin"),
        (Scope.OPERATE, "GET", "/v1/batches", "read"),
        (Scope.ADMIN, "POST", "/v1/batches", "submit"),
    ],
)
def test_a_key_without_the_scope_is_told_which_it_lacks(
    api: Api, scope: Scope, method: str, path: str, lacking: str
) -> None:
    key = new_key(api.core, [scope])
    before = counts(api.core)
    problem = refused(api.call(method, path, batch_body(), key=key), 403)
    assert f"'{lacking}'" in problem.detail
    assert counts(api.core) == before
