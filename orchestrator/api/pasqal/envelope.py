"""What this door answers: one envelope for what went well, one for what did not."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from orchestrator.api.problems import HEADERS, WORDS, refusal_of, status_of
from orchestrator.errors import Flaw, HoldfastError, InsufficientBalance, Rejected

_SUCCESS: Final = {"status": "success", "message": "OK.", "code": "200"}


def success(data: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    return _answer({**_SUCCESS, "data": data}, headers)


def page(data: Sequence[Any], start: int, total: int) -> Response:
    """`end` is exclusive."""
    pagination = {"total": total, "start": start, "end": start + len(data)}
    return _answer({**_SUCCESS, "data": data, "pagination": pagination})


def _answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(body), media_type="application/json", headers=headers)


def failure(
    status: int,
    description: str | Sequence[Mapping[str, Any]],
    code: str = "",
    **figures: object,
) -> Response:
    """A JSON object whatever happens: the client's typed errors are made from it."""
    body = {
        "status": "fail" if status < 500 else "error",
        "message": HTTPStatus(status).phrase,
        "code": str(status),
        "data": {"description": description, "type": code, **figures},
    }
    return Response(
        to_json(body),
        status_code=status,
        media_type="application/json",
        headers=HEADERS.get(status, {}),
    )


def failure_of(error: HoldfastError, place: str = "body") -> Response:
    if isinstance(error, Rejected):
        return failure(422, [_described(flaw, place) for flaw in error.flaws], error.code)
    figures = error.figures if isinstance(error, InsufficientBalance) else {}
    return failure(status_of(error), str(error), error.code, **figures)


def broken() -> Response:
    return failure(500, "something broke on our side; the log knows this request's id", "internal")


def too_slow() -> Response:
    return failure(503, "no answer in time; try again in a few seconds", "unavailable")


def install(app: FastAPI) -> None:
    app.add_exception_handler(HoldfastError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, _of_router)
    app.add_exception_handler(Exception, _of_nobody)


def _described(flaw: Flaw, place: str) -> dict[str, Any]:
    """`jobs[3].runs` is `["body", "jobs", 3, "runs"]`."""
    loc: list[str | int] = [place]
    for part in flaw.field.replace("[", ".[").split("."):
        if part.startswith("[") and part[1:-1].isdecimal():
            loc.append(int(part[1:-1]))
        elif part and part != "body":
            loc.append(part)
    return {"loc": loc, "msg": f"{flaw.field}: {flaw.message}", "type": "value_error"}


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    return failure_of(error)


async def _of_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return failure_of(refusal_of(error), place="query")


async def _of_nobody(request: Request, error: Exception) -> Response:
    """It is raised again behind this answer, and logged with the request's id."""
    return broken()


async def _of_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return failure(error.status_code, WORDS.get(error.status_code, str(error.detail)))
