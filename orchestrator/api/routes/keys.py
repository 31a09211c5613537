"""API keys of the project."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import Nothing
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
    """The project's keys, the revoked ones too; of each only what tells it from others."""
    with reading(core_of(request).engine, caller.project) as connection:
        page = keys.list_keys(connection, caller.project, cursor=cursor, limit=limit)
    return json_answer(page.model_dump_json())


@router.post("", status_code=201, responses=shows(KeyCreated, 201))
def create_key(
    post: Annotated[Post[KeyIn], posting(Scope.ADMIN, KeyIn, or_else=Scope.SUBMIT)],
) -> Response:
    """A new key, with scopes that the caller's own key has. A runner key needs no more than the
    scope `submit`. It is shown this once: a call that is repeated under the same Idempotency-Key
    is a 409 that names the key to revoke."""
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
            kind=given.kind,
            expires_at=given.expires_at,
        )
        secret.append(made.secret)
        return {"key": str(made.id)}

    def answer(connection: Reader, report: Report) -> str:
        if not secret:
            raise ShownOnce(
                f"this call has made key {report['key']} before, and a key is shown only once:"
                " revoke it and make another"
            )
        key = _shown(connection, caller.project, UUID(report["key"]))
        return KeyCreated(**key.model_dump(), key=secret[0]).model_dump_json()

    return post.run(decide, answer, status=201)


@router.post("/{key_id}/revoke", responses=shows(Key))
def revoke_key(
    key_id: UUID, post: Annotated[Post[Nothing], posting(Scope.ADMIN, Nothing, optional=True)]
) -> Response:
    """From the next request on it is not valid any more, for good."""
    project = post.caller.project

    def decide(tx: Transaction) -> Report:
        key_service.revoke(post.core, tx, project, key_id)
        return {}

    def answer(connection: Reader, report: Report) -> str:
        return _shown(connection, project, key_id).model_dump_json()

    return post.run(decide, answer)


@router.delete("/{key_id}", status_code=204)
def remove_key(request: Request, caller: Admin, key_id: UUID) -> Response:
    """A valid key is revoked, as `revoke` does; one that was revoked before is deleted."""
    core = core_of(request)
    with core.transaction() as tx:
        key_service.remove(core, tx, caller.project, key_id)
    return Response(status_code=204)


def _shown(connection: Reader, project: UUID, key_id: UUID) -> Key:
    key = keys.get_key(connection, project, key_id)
    if key is None:
        raise NotFound(f"there is no key {key_id}")
    return key
