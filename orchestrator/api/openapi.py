"""The API's own description. Bodies are parsed by us, so we describe them, and every refusal."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from orchestrator.api.examples import EXAMPLES
from orchestrator.api.parameters import flat
from orchestrator.api.problems import MEDIA_TYPE
from schemas.problem import Problem

REF: Final = "#/components/schemas/{model}"
_REFUSALS: Final = {
    400: "The body is not JSON, or the Idempotency-Key cannot be one.",
    401: "No key, or one that is not valid.",
    402: "Fewer credits are available than would be held for the jobs.",
    403: "The key lacks the scope.",
    404: "There is no such thing in this project.",
    409: "Its state forbids this, or the Idempotency-Key was used for another request.",
    410: "It was canceled before it began.",
    413: "The body is over the limit.",
    415: "The body is not JSON by its own account.",
    422: "Fields that must change.",
    429: "Too many calls in a minute; try again after `Retry-After` seconds.",
    426: "The caller's program is too old.",
    500: "Something broke on our side.",
    503: "A server that is needed does not answer; try again after `Retry-After` seconds.",
}
_HOLDS: Final = ("/batches", "/jobs", "/rebatch", "/revive", "/retry", "/submit-batch")
_ONLY: Final = {
    "/submit-batch": 429,
    "/start": 410,
    "/register": 426,
    "{assignment_id}/logs": 413,
}
_CONFLICTS: Final = ("/result", "/certificate", "/checkpoint")
Schema = dict[str, Any]


def shows(
    model: type[BaseModel] | None, status: int = 200, *, stream: str | None = None
) -> dict[int | str, Schema]:
    """For a route's `responses`: what it answers when all is well."""
    shown: Schema = {"description": "As asked."} if model is None else {"model": model}
    if stream is not None:
        shown["content"] = {stream: {"schema": {"type": "string"}}}
    return {status: shown}


def describe(app: FastAPI) -> None:
    def openapi() -> Schema:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _schema(app: FastAPI) -> Schema:
    schema: Schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = schema.setdefault("components", {})
    models = components.setdefault("schemas", {})
    for dropped in ("HTTPValidationError", "ValidationError"):
        models.pop(dropped, None)
    models.update(_definitions())
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for route in (each for each in app.state.routes if each.include_in_schema):
        for method in route.methods or ():
            _complete(schema["paths"][route.path_format][method.lower()], route, method)
    return schema


def _definitions() -> Schema:
    models: list[type[BaseModel]] = [*EXAMPLES, Problem]
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(each, "validation") for each in models]
    _, definitions = models_json_schema(inputs, ref_template=REF)
    found: Schema = definitions["$defs"]
    return found


def _complete(operation: Schema, route: APIRoute, method: str) -> None:
    calls: list[Any] = [each.call for each in flat(route.dependant)]
    scopes = [call.scope for call in calls if hasattr(call, "scope")]
    bodies = [call.body_model for call in calls if hasattr(call, "body_model")]
    if scopes:
        operation["security"] = [{"key": []}]
        operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scopes[0]}`."
    if bodies:
        operation["requestBody"] = _request(bodies[0])
    for status in _statuses(route, method, guarded=bool(scopes), body=bool(bodies)):
        operation["responses"][str(status)] = {
            "description": _REFUSALS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
        }


def _request(model: type[BaseModel]) -> Schema:
    optional = not any(field.is_required() for field in model.model_fields.values())
    return {
        "required": not optional,
        "content": {
            "application/json": {
                "schema": {"$ref": REF.format(model=model.__name__)},
                "example": EXAMPLES[model],
            }
        },
    }


def _statuses(route: APIRoute, method: str, *, guarded: bool, body: bool) -> list[int]:
    if not guarded:
        return [500]
    statuses = [401, 403, 422, 500, 503]
    if "{" in route.path:
        statuses.append(404)
    if body:
        statuses += [400, 413, 415]
    if method == "POST" and route.path.endswith(_HOLDS):
        statuses.append(402)
    statuses += [status for ending, status in _ONLY.items() if route.path.endswith(ending)]
    if method in ("POST", "DELETE") or route.path.endswith(_CONFLICTS):
        statuses.append(409)
    return sorted(statuses)
