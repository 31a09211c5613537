"""API keys of the project."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Cursor, Limit, refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.api.refusals import ShownOnce
from orchestrator.errors import NotFound
from orchestrator.services import keys as key_service
from orchestrator.store import keys
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.device import Key, KeyCreated, KeyIn
from schemas.page import Page
from schemas.words import Scope

router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[Depends(refuse_unknown)])
Admin = Annotated[Caller, Depends(requires(Scope.ADMIN))]


@router.get("", responses=shows(Page[Key]))
def read_keys(
    request: Request, caller: Admin, cursor: Cursor = None, limit: Limit = DEFAULT
) -> Response:
    """The project's keys, the revoked ones too; of each only its first characters."""
    with reading(core_of(request).engine) as connection:
        page = keys.list_keys(connection, caller.project, cursor=cursor, limit=limit)
    return json_answer(page.model_dump_json())


@router.post("", status_code=201, responses=shows(KeyCreated, 201))
def create_key(post: Annotated[Post[KeyIn], posting(Scope.ADMIN, KeyIn)]) -> Response:
    """A new key, with scopes that the caller's own key has. It is shown this once: a call that
    is repeated under the same Idempotency-Key is a 409 that names the key to revoke."""
    caller, given = post.caller, post.body
    secret: list[str] = []

    def decide(tx: Transaction) -> Report:
        made = key_service.create(
            post.core,
            tx,
            caller.project,
            caller.user,
            given.name,
            given.scopes,
            granted_by=caller.scopes,
        )
        secret.append(made.secret)
        return {"key": str(made.id)}

    def answer(connection: Reader, report: Report) -> str:
        if not secret:
            raise ShownOnce(
                f"this call has made key {report['key']} before, and a key is shown only once:"
                " revoke it and make another"
            )
        key = keys.get_key(connection, caller.project, UUID(report["key"]))
        if key is None:
            raise NotFound(f"there is no key {report['key']}")
        return KeyCreated(**key.model_dump(), key=secret[0]).model_dump_json()

    return post.run(decide, answer, status=201)


@router.delete("/{key_id}", status_code=204)
def revoke_key(request: Request, caller: Admin, key_id: UUID) -> Response:
    """From the next request on it is not valid any more."""
    core = core_of(request)
    with core.transaction() as tx:
        key_service.revoke(core, tx, caller.project, key_id)
    return Response(status_code=204)
