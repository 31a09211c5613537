"""Webhooks: what was sent, where to, and what it was signed with."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import Nothing
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Cursor, Limit, Reads, refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.services import webhooks
from orchestrator.services.core import Core
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.listings_webhooks import get_endpoint, list_deliveries, list_endpoints
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.page import Page
from schemas.webhook import Delivery, EnableIn, Endpoint, SigningSecret
from schemas.words import Scope

router = APIRouter(prefix="/v1", tags=["webhooks"], dependencies=[Depends(refuse_unknown)])


@router.get("/batches/{batch_id}/deliveries", responses=shows(Page[Delivery]))
def read_deliveries(
    request: Request, caller: Reads, batch_id: UUID, cursor: Cursor = None, limit: Limit = DEFAULT
) -> Response:
    """The batch's messages, oldest first, each with its attempts and when the next one is due."""
    with reading(core_of(request).engine, caller.project) as connection:
        page = list_deliveries(connection, caller.project, batch_id, cursor=cursor, limit=limit)
    return json_answer(page.model_dump_json())


@router.get("/webhooks", responses=shows(Page[Endpoint]))
def read_endpoints(
    request: Request, caller: Reads, cursor: Cursor = None, limit: Limit = DEFAULT
) -> Response:
    """Every URL that the project's messages go to, and whether it is disabled, and why."""
    with reading(core_of(request).engine, caller.project) as connection:
        page = list_endpoints(connection, caller.project, cursor=cursor, limit=limit)
    return json_answer(page.model_dump_json())


@router.post("/webhooks/enable", responses=shows(Endpoint))
def enable_endpoint(post: Annotated[Post[EnableIn], posting(Scope.SUBMIT, EnableIn)]) -> Response:
    """Put a disabled URL back into service. What waited for it is sent."""
    project = post.caller.project

    def decide(tx: Transaction) -> Report:
        return {"endpoint": webhooks.enable(post.core, tx, project, post.body.url)}

    def answer(connection: Reader, report: Report) -> str:
        return get_endpoint(connection, project, report["endpoint"]).model_dump_json()

    return post.run(decide, answer)


@router.get("/webhooks/secret", responses=shows(SigningSecret))
def read_secret(
    request: Request, caller: Annotated[Caller, Depends(requires(Scope.ADMIN))]
) -> Response:
    """What the project's messages are signed with, as Standard Webhooks wants it."""
    return json_answer(_secret(core_of(request), caller.project))


@router.post("/webhooks/secret/rotate", responses=shows(SigningSecret))
def rotate_secret(
    post: Annotated[Post[Nothing], posting(Scope.ADMIN, Nothing, optional=True)],
) -> Response:
    """A new secret. For a day messages are signed with the old one as well."""

    def decide(tx: Transaction) -> Report:
        webhooks.rotate(post.core, tx, post.caller.project)
        return {}

    return post.run(decide, lambda _connection, _report: _secret(post.core, post.caller.project))


def _secret(core: Core, project: UUID) -> str:
    with core.transaction() as tx:
        current, *previous = webhooks.signing_secrets(core, tx, project)
    return SigningSecret(secret=current, previous=previous).model_dump_json()
