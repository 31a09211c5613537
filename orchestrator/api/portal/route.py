"""Routes that answer with pages, whatever happens."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from orchestrator.api.portal.view import page, sealed
from orchestrator.api.portal.visitor import NotSignedIn
from orchestrator.api.problems import HEADERS, refusal_of, status_of, waiting
from orchestrator.errors import Flaw, HoldfastError, Rejected

OPERATOR: Final = "/portal/operator"
_WORDS: Final = {
    400: "That request makes no sense here",
    401: "You are not signed in",
    402: "There are not enough credits",
    403: "You may not do that",
    404: "There is nothing here",
    409: "That is not possible now",
    410: "That is gone",
    413: "That is too much at once",
    422: "Something has to be changed first",
    429: "Not so fast",
    503: "Not available right now",
}


class PageRoute(APIRoute):
    """Whoever is not signed in is sent to sign in; every other refusal is a page that says what
    happened."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return sealed(await handle(request))
            except NotSignedIn as error:
                return sealed(_to_sign_in(request, error))
            except HoldfastError as error:
                return sealed(refused(request, error))
            except RequestValidationError as error:
                return sealed(refused(request, refusal_of(error)))

        return shown


def pages(**options: Any) -> APIRouter:
    return APIRouter(route_class=PageRoute, include_in_schema=False, **options)


def refused(request: Request, error: HoldfastError) -> Response:
    flaws = error.flaws if isinstance(error, Rejected) else ()
    status = status_of(error)
    answer = problem_page(request, status, str(error), flaws)
    answer.headers.update(HEADERS.get(status, {}) if status == 503 else waiting(error))
    return answer


def problem_page(
    request: Request, status: int, detail: str, flaws: tuple[Flaw, ...] = ()
) -> Response:
    title = _WORDS.get(status, HTTPStatus(status).phrase)
    return page(
        request, "problem.html", status=status, title=title, detail=detail, flaws=flaws, code=status
    )


def ours(path: str) -> str:
    """Only a path of this server: a link must not lead elsewhere through us."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def _to_sign_in(request: Request, error: NotSignedIn) -> Response:
    """A page that reads on by itself, or posts, is told so; a person is led there and back."""
    if request.method != "GET" or "hx-request" in request.headers:
        return refused(request, error)
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.url.path == OPERATOR:
        # A proxy asks for somebody who wants to go elsewhere.
        where = ours(request.headers.get("x-forwarded-uri", "/"))
    back = "" if where == "/" else f"?next={quote(where, safe='')}"
    return RedirectResponse(f"/login{back}", status_code=303)
