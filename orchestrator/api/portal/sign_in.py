"""The way in and out, and the files that every page needs."""

import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal.forms import Act, Form, acting, check_csrf, read_form
from orchestrator.api.portal.route import OPERATOR, ours, pages
from orchestrator.api.portal.view import ASSETS, go_to, is_secure, page
from orchestrator.api.portal.visitor import COOKIE, Operates, Visits, csrf_of
from orchestrator.api.problems import status_of, waiting
from orchestrator.errors import Flaw, Forbidden, NotFound, Rejected, TooOften, Unauthorized
from orchestrator.services import sessions
from schemas.words import Scope

router = pages()
BEFORE: Final = "holdfast_form"
"""The cookie that proves a sign-in form to be ours: there is no session yet."""
LONGEST_PASSWORD: Final = 1000
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_A_YEAR: Final = "public, max-age=31536000, immutable"


@router.get("/")
def home(request: Request, visitor: Visits) -> Response:
    return RedirectResponse("/batches", status_code=303)


@router.get("/login")
def login(request: Request) -> Response:
    return _form(request)


@router.post("/login")
def log_in(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """With a user name and a password, or with an API key."""
    before = request.cookies.get(BEFORE, "")
    try:
        if not before:
            raise Forbidden("your browser sent no cookie back: allow cookies for this address")
        check_csrf(form, csrf_of(before))
        secret = _begun(request, form)
    except (Unauthorized, Forbidden, TooOften, Rejected) as error:
        answer = _form(request, form, str(error), status=status_of(error))
        answer.headers.update(waiting(error))
        return answer
    answer = RedirectResponse(ours(form.get("next")), status_code=303)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(sessions.LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    answer.delete_cookie(BEFORE)
    return answer


def _begun(request: Request, form: Form) -> str:
    core = core_of(request)
    address = request.client.host if request.client else ""
    if form.get("api_key"):
        return sessions.with_key(core, form.needed("api_key"), address)
    name, password = form.needed("username"), form.all("password")[-1:]
    if not password or not 0 < len(password[0]) <= LONGEST_PASSWORD:
        raise Rejected([Flaw("password", "must not be empty")])
    return sessions.with_password(core, name, password[0], address)


def _form(
    request: Request, form: Form | None = None, trouble: str = "", *, status: int = 200
) -> Response:
    before = request.cookies.get(BEFORE) or secrets.token_urlsafe(16)
    answer = page(
        request,
        "login.html",
        status=status,
        form_csrf=csrf_of(before),
        next=form.get("next") if form else request.query_params.get("next", ""),
        username=form.get("username") if form else "",
        by_key=bool(form and form.get("api_key")),
        trouble=trouble,
    )
    answer.set_cookie(
        BEFORE, before, max_age=3600, httponly=True, samesite="strict", secure=is_secure(request)
    )
    return answer


@router.post("/logout")
def log_out(act: Annotated[Act, acting(Scope.READ)]) -> Response:
    sessions.end(act.core, act.visitor.session)
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/project")
def projects(request: Request, visitor: Visits) -> Response:
    """Which projects there are to look at."""
    found = sessions.of_user(core_of(request), visitor.user) if visitor.user else []
    return page(request, "projects.html", projects=found)


@router.post("/project")
def switch(request: Request, act: Annotated[Act, acting(Scope.READ)]) -> Response:
    try:
        project = UUID(act.form.needed("project"))
    except ValueError:
        raise NotFound("there is no such project") from None
    sessions.switch(act.core, act.visitor.session, project)
    return go_to(request, "/")


@router.get(OPERATOR)
def operator(visitor: Operates) -> Response:
    """For a proxy that asks whether to let somebody through to Flower."""
    return Response(status_code=204)


@router.get("/docs")
def reference(request: Request) -> Response:
    """The description of the API, to be read and tried; from files of our own, as all is."""
    return page(request, "reference.html")


@router.get("/assets/{name:path}")
def assets(name: str) -> Response:
    path = _assets().get(name)
    if path is None:
        raise NotFound("there is no such file")
    kind = _KINDS[path.suffix]
    return FileResponse(path, media_type=kind, headers={"Cache-Control": _A_YEAR})


@cache
def _assets() -> Mapping[str, Path]:
    """Only these: what a visitor asks for never becomes a path."""
    found = (path for path in ASSETS.rglob("*") if path.suffix in _KINDS)
    return {path.relative_to(ASSETS).as_posix(): path for path in found}
