"""Who one is: tokens for a password, and one's projects."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from orchestrator.api.auth import core_of
from orchestrator.api.pasqal.bodies import Sent, read_up_to
from orchestrator.api.pasqal.callers import Reads
from orchestrator.api.pasqal.envelope import success
from orchestrator.api.problems import status_of, waiting
from orchestrator.errors import HoldfastError, TooOften, Unavailable
from orchestrator.services.tokens import TOKEN_TTL_S, log_in
from orchestrator.store import members
from orchestrator.store.listings_reading import reading

GRANTS: Final = ("password", "http://auth0.com/oauth/grant-type/password-realm")
MOST_FIELDS: Final = 50
FORM_BYTES: Final = 16 * 1024
LONGEST_NAME, LONGEST_PASSWORD = 200, 1000

projects = APIRouter(tags=["account"])
tokens = APIRouter(tags=["account"])


@projects.get("/api/v1/projects")
def get_projects(caller: Reads, project_status: str | None = None) -> Response:
    """Every project here is active."""
    if project_status not in (None, "ACTIVE"):
        return success([])
    with reading(caller.core.engine) as connection:
        found = members.projects(connection, caller.projects)
    return success([{"id": str(p.id), "name": p.name, "status": "ACTIVE"} for p in found])


async def read_form(request: Request) -> Sent:
    return await read_up_to(request, FORM_BYTES)


@tokens.post("/token")
def token(request: Request, sent: Annotated[Sent, Depends(read_form)]) -> Response:
    """The password grant, as the client sends it: realm and audience are not looked at."""
    try:
        form = parse_qs(sent.text.decode(), strict_parsing=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return _refused(400, "invalid_request", "send a form: grant_type, username, password")
    given = {name: values[-1] for name, values in form.items()}
    if given.get("grant_type") not in GRANTS:
        return _refused(400, "unsupported_grant_type", f"grant_type must be one of {GRANTS}")
    username, password = given.get("username", ""), given.get("password", "")
    if not username or not password:
        return _refused(400, "invalid_request", "username and password are required")
    if len(username) > LONGEST_NAME or len(password) > LONGEST_PASSWORD or "\0" in username:
        return _refused(400, "invalid_request", "username or password is none that we gave")
    address = request.client.host if request.client else ""
    access = log_in(core_of(request), username, password, address, datetime.now(UTC))
    if access is None:
        return _refused(403, "invalid_grant", "wrong username or password")
    return _answer(
        {"access_token": access, "token_type": "Bearer", "expires_in": TOKEN_TTL_S, "scope": ""}
    )


def install(app: FastAPI) -> None:
    """Here, too, what is refused before the form is looked at has the shape of RFC 6749."""
    app.add_exception_handler(HoldfastError, _of_ours)
    app.add_exception_handler(Exception, _of_nobody)


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    later = isinstance(error, Unavailable | TooOften)
    kind = "temporarily_unavailable" if later else "invalid_request"
    refused = _refused(status_of(error), kind, str(error))
    refused.headers.update(waiting(error))
    return refused


async def _of_nobody(request: Request, error: Exception) -> Response:
    return _refused(500, "server_error", "something broke on our side")


def _refused(status: int, error: str, description: str) -> Response:
    """As RFC 6749 has it, which is not this door's envelope."""
    return _answer({"error": error, "error_description": description}, status)


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})
