"""The only place where errors meet HTTP: problem details (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from orchestrator.api.flaws import flaws_in
from orchestrator.api.refusals import BadRequest, UnsupportedBody
from orchestrator.errors import (
    Conflict,
    Flaw,
    Forbidden,
    HoldfastError,
    NotFound,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from schemas.problem import FieldError, Problem

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "2"
HTTP_STATUS: Final[dict[type[HoldfastError], int]] = {
    BadRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedBody: 415,
    Rejected: 422,
    HoldfastError: 500,
    Unavailable: 503,
}
HEADERS: Final[dict[int, dict[str, str]]] = {
    401: {"WWW-Authenticate": 'Bearer realm="holdfast"'},
    503: {"Retry-After": RETRY_AFTER_S},
}
WORDS: Final = {
    404: "there is nothing at this address",
    405: "this address does not take that method",
}


def problem(
    status: int,
    code: str,
    detail: str,
    flaws: Sequence[Flaw] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        errors=[FieldError(field=flaw.field, message=flaw.message) for flaw in flaws],
    )
    return Response(
        body.model_dump_json(),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**HEADERS.get(status, {}), **(headers or {})},
    )


def status_of(error: HoldfastError) -> int:
    return next(HTTP_STATUS[kind] for kind in type(error).__mro__ if kind in HTTP_STATUS)


def problem_of(error: HoldfastError) -> Response:
    status = status_of(error)
    flaws = error.flaws if isinstance(error, Rejected) else ()
    return problem(status, error.code, str(error), flaws)


def internal() -> Response:
    """Nothing of the inside is told; the request id finds it in the log."""
    return problem(500, "internal", "something broke on our side; the log knows this request's id")


def too_slow() -> Response:
    return problem(503, "unavailable", "no answer in time; try again in a few seconds")


def install(app: FastAPI) -> None:
    app.add_exception_handler(HoldfastError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, _of_router)


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    return problem_of(error)


def refusal_of(error: RequestValidationError) -> HoldfastError:
    """Of parameters. An id that cannot be one names nothing that exists."""
    found = error.errors()
    if any(each["loc"][0] == "path" for each in found):
        return NotFound("there is nothing with such an id")
    return Rejected(flaws_in([{**each, "loc": each["loc"][1:]} for each in found]))


async def _of_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_of(refusal_of(error))


async def _of_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    detail = WORDS.get(status, str(error.detail))
    headers = {"Allow": _allowed(request)} if status == 405 else error.headers
    return problem(status, code, detail, headers=headers)


def _allowed(request: Request) -> str:
    """By every route of this address; the router itself looks no further than the first."""
    routes: list[APIRoute] = request.app.state.routes
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in here for method in route.methods or ()}))
