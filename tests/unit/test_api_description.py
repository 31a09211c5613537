"""The API's description is complete: bodies, examples, answers and refusals of every route."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from orchestrator.api.app import create_app
from orchestrator.api.examples import EXAMPLES
from orchestrator.api.portal.route import PageRoute
from orchestrator.config import Settings
from orchestrator.services.core import Core

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
NOWHERE = {
    "HOLDFAST_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "HOLDFAST_BROKER_URL": "redis://127.0.0.1:1/0",
}
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    core = Core.start(Settings.from_env(NOWHERE))
    yield create_app(core)
    core.close()


@pytest.fixture(scope="module")
def schema(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(schema: dict[str, Any]) -> list[Operation]:
    return [
        (method.upper(), path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


KINDS = {"csv": "text/csv", "metrics": "text/plain"}


def guarded(schema: dict[str, Any]) -> list[Operation]:
    return [each for each in operations(schema) if each[1].startswith("/v1/")]


def at_every_door(schema: dict[str, Any]) -> list[Operation]:
    return [each for each in operations(schema) if not each[1].startswith("/health/")]


def test_every_route_is_described(app: FastAPI, schema: dict[str, Any]) -> None:
    shown = [route for route in app.state.routes if not isinstance(route, PageRoute)]
    served = {(m, r.path) for r in shown for m in r.methods}
    assert {(method, path) for method, path, _ in operations(schema)} == served
    assert len(served) == 74


def test_every_refusal_is_described_as_a_problem(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        refusals = {s: r for s, r in operation["responses"].items() if s >= "400"}
        expected = {"500"} if path.startswith("/health") else {"401", "403", "422", "500", "503"}
        assert expected <= set(refusals), (method, path)
        for status, refusal in refusals.items():
            if path != "/health/ready" or status != "503":
                assert refusal["content"] == PROBLEM, (method, path, status)


def test_every_call_to_change_something_has_a_body_with_an_example(schema: dict[str, Any]) -> None:
    for method, path, operation in guarded(schema):
        if method in ("POST", "PUT"):
            content = operation["requestBody"]["content"]["application/json"]
            assert "example" in content, path
            name = content["schema"]["$ref"].rpartition("/")[2]
            assert name in schema["components"]["schemas"]


def test_every_post_takes_an_idempotency_key(schema: dict[str, Any]) -> None:
    for method, path, operation in guarded(schema):
        named = {each["name"] for each in operation.get("parameters", ())}
        assert ("Idempotency-Key" in named) == (method == "POST"), path


def test_every_guarded_route_names_its_scope(schema: dict[str, Any]) -> None:
    for _, path, operation in at_every_door(schema):
        assert operation["security"] == [{"key": []}], path
        assert "Scope: `" in operation["description"], path


def test_every_answer_with_a_body_has_a_schema(schema: dict[str, Any]) -> None:
    for _, path, operation in at_every_door(schema):
        success = next(r for s, r in operation["responses"].items() if s < "300")
        if not path.endswith("/result") and operation["responses"].get("204") is None:
            kind = KINDS.get(path.rpartition("/")[2].rpartition(".")[2], "application/json")
            assert success["content"][kind]["schema"], path


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("delete", "/v1/members/{user_id}", "409"),
        ("delete", "/api/v1/jobs/{job_id}", "409"),
        ("delete", "/api/v1/compute-targets/{name}", "409"),
        ("put", "/api/v1/assignments/{assignment_id}/checkpoint", "409"),
        ("post", "/api/v1/assignments/{assignment_id}/logs", "413"),
    ],
)
def test_refusals_that_a_few_routes_have_are_described(
    schema: dict[str, Any], method: str, path: str, status: str
) -> None:
    assert status in schema["paths"][path][method]["responses"]


def test_every_reference_is_resolved(schema: dict[str, Any]) -> None:
    assert not set(references(schema)) - set(schema["components"]["schemas"])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_every_example_is_valid(model: Any) -> None:
    assert model.model_validate(EXAMPLES[model])
