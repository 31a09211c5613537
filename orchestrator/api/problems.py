"""The only place where errors meet HTTP: problem details (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.routing import Match

from orchestrator.api.flaws import flaws_in
from orchestrator.api.refusals import BadRequest, UnsupportedBody
from orchestrator.errors import (
    Conflict,
    Flaw,
    Forbidden,
    Gone,
    HoldfastError,
    InsufficientBalance,
    NotFound,
    Rejected,
    TooLarge,
    TooOften,
    TooOld,
    Unauthorized,
    Unavailable,
)
from schemas.problem import FieldError, Problem

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "2"
HTTP_STATUS: Final[dict[type[HoldfastError], int]] = {
    BadRequest: 400,
    Unauthorized: 401,
    InsufficientBalance: 402,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    UnsupportedBody: 415,
    Rejected: 422,
    TooOften: 429,
    TooOld: 426,
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
    more: Mapping[str, object] = MappingProxyType({}),
) -> Response:
    """`more` are members beside those of a `Problem`, which may replace them."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        errors=[FieldError(field=flaw.field, message=flaw.message) for flaw in flaws],
    )
    return Response(
        to_json({**body.model_dump(), **more}),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**HEADERS.get(status, {}), **(headers or {})},
    )


def status_of(error: HoldfastError) -> int:
    return next(HTTP_STATUS[kind] for kind in type(error).__mro__ if kind in HTTP_STATUS)


def problem_of(error: HoldfastError) -> Response:
    status = status_of(error)
    flaws = error.flaws if isinstance(error, Rejected) else ()
    more = (
        {"title": "Insufficient balance", **error.figures}
        if isinstance(error, InsufficientBalance)
        else {}
    )
    return problem(status, error.code, str(error), flaws, waiting(error), more)


def waiting(error: HoldfastError) -> dict[str, str]:
    """The headers that say for how long, where the error does."""
    if not isinstance(error, TooOften):
        return {}
    wait = {"Retry-After": str(error.wait_s)}
    return wait if error.most is None else wait | rate_headers(error.most, 0, error.wait_s)


def rate_headers(limit: int, remaining: int, reset_s: int) -> dict[str, str]:
    figures = {"Limit": limit, "Remaining": remaining, "Reset": reset_s}
    return {f"RateLimit-{name}": str(value) for name, value in figures.items()}


def internal() -> Response:
    """Nothing of the inside is told; the request id finds it in the log."""
    return problem(500, "internal", "something broke on our side; the log knows this request's id")


def too_slow() -> Response:
    return problem(503, "unavailable", "no answer in time; try again in a few seconds")


def install(app: FastAPI) -> None:
    app.add_exception_handler(HoldfastError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, of_router)


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


async def of_router(request: Request, error: Exception) -> Response:
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
