"""The portal as it is put into the application."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from orchestrator.api import problems
from orchestrator.api.envelope import Faults
from orchestrator.api.portal import (
    access,
    batch_actions,
    batch_live,
    batches,
    bulk,
    devices,
    downloads,
    job,
    sign_in,
    submit,
)
from orchestrator.api.portal.route import problem_page
from orchestrator.api.portal.view import sealed

ROUTERS: Final[tuple[APIRouter, ...]] = (
    sign_in.router,
    batches.router,
    bulk.router,
    downloads.router,
    submit.router,
    access.router,
    batch_live.router,
    batch_actions.router,
    job.router,
    devices.router,
)
APIS: Final = ("/v1", "/api", "/core-fast", "/account", "/oauth", "/health", "/metrics")


def install(app: FastAPI) -> None:
    """What a browser asks for and nobody has is a page, too."""

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        wants_page = "text/html" in request.headers.get("accept", "")
        told = await problems.of_router(request, error)
        if not wants_page or request.url.path.startswith(APIS):
            return told
        detail = problems.WORDS.get(error.status_code, str(error.detail))
        answer = problem_page(request, error.status_code, detail)
        if "allow" in told.headers:
            answer.headers["Allow"] = told.headers["allow"]
        return sealed(answer)

    app.add_exception_handler(HTTPException, missing)


def _plain(status: int, title: str, detail: str) -> Response:
    text = f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1><p>{detail}</p>"
    return sealed(Response(text, status_code=status, media_type="text/html"))


FAULTS: Final = Faults(
    lambda: _plain(500, "Something broke on our side", "The log knows this request's id."),
    lambda: _plain(503, "No answer in time", "Try again in a few seconds."),
)
DOORS: Final = (
    "/login",
    "/logout",
    "/project",
    "/batches",
    "/jobs",
    "/devices",
    "/submit",
    "/keys",
    "/members",
)
