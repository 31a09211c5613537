"""Members of the project, and their roles."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.errors import NotFound
from orchestrator.services import members as member_service
from orchestrator.store import members
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.member import Member, MemberIn, RoleIn
from schemas.page import Page
from schemas.words import Scope

router = APIRouter(prefix="/v1/members", tags=["members"], dependencies=[Depends(refuse_unknown)])
Admin = Annotated[Caller, Depends(requires(Scope.ADMIN))]


@router.get("", responses=shows(Page[Member]))
def read_members(request: Request, caller: Admin) -> Response:
    """All of them, by name."""
    with reading(core_of(request).engine) as connection:
        found = members.list_members(connection, caller.project)
    return json_answer(Page[Member](items=found).model_dump_json())


@router.post("", status_code=201, responses=shows(Member, 201))
def add_member(
    post: Annotated[Post[MemberIn], posting(Scope.ADMIN, MemberIn, secret="password")],
) -> Response:
    """One who is no user yet needs a password; one who is keeps theirs. The role may allow no
    more than the caller's own key does."""
    caller, given = post.caller, post.body
    password_hash = member_service.hash_of(given.password)

    def decide(tx: Transaction) -> Report:
        user = member_service.add(
            post.core,
            tx,
            caller.project,
            given.username,
            given.role,
            password_hash,
            granted_by=caller.scopes,
        )
        return {"user": str(user)}

    def answer(connection: Reader, report: Report) -> str:
        return _shown(connection, caller.project, UUID(report["user"]))

    return post.run(decide, answer, status=201)


@router.post("/{user_id}/role", responses=shows(Member))
def change_role(
    user_id: UUID, post: Annotated[Post[RoleIn], posting(Scope.ADMIN, RoleIn)]
) -> Response:
    """Bounds all their keys from the next request on. The last owner stays one: 409."""
    caller = post.caller

    def decide(tx: Transaction) -> Report:
        member_service.change(
            post.core, tx, caller.project, user_id, post.body.role, granted_by=caller.scopes
        )
        return {}

    return post.run(decide, lambda connection, _: _shown(connection, caller.project, user_id))


@router.delete("/{user_id}", status_code=204)
def remove_member(request: Request, caller: Admin, user_id: UUID) -> Response:
    """Their keys in the project are revoked, and their tokens are good for it no more. The last
    owner cannot leave: 409."""
    core = core_of(request)
    with core.transaction() as tx:
        member_service.remove(core, tx, caller.project, user_id)
    return Response(status_code=204)


def _shown(connection: Reader, project: UUID, user: UUID) -> str:
    member = members.get_member(connection, project, user)
    if member is None:
        raise NotFound(f"there is no member {user}")
    return member.model_dump_json()
