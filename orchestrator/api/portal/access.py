"""Keys and members of a project."""

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal.forms import Act, Form, acting, parsed
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.view import go_to, page
from orchestrator.api.portal.visitor import Administers
from orchestrator.api.problems import status_of
from orchestrator.errors import HoldfastError, Rejected
from orchestrator.services import keys as key_service
from orchestrator.services import members as member_service
from orchestrator.store import keys, members
from orchestrator.store.listings_reading import reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.device import KeyIn
from schemas.member import MemberIn, RoleIn
from schemas.words import KeyKind, Role, Scope

router = pages()
DAYS: Final = {"30": 30, "90": 90, "365": 365}
Admin = Annotated[Act, acting(Scope.ADMIN)]


@router.get("/keys")
def read_keys(request: Request, visitor: Administers, cursor: str | None = None) -> Response:
    return _keys(request, visitor.project, cursor=cursor)


@router.post("/keys")
def create_key(request: Request, act: Admin) -> Response:
    """The page that shows the new key, this once: a reload sends the same form, and shows none."""
    visitor, secret = act.visitor, list[str]()
    try:
        given = _key_in(act.form)

        def decide(tx: Transaction) -> Report:
            days = DAYS.get(act.form.get("days"))
            made = key_service.create(
                act.core,
                tx,
                visitor.project,
                visitor.user,
                given.name,
                given.scopes,
                granted_by=visitor.scopes,
                kind=given.kind,
                expires_at=tx.at + timedelta(days=days) if days else None,
            )
            secret.append(made.secret)
            return {"key": str(made.id)}

        act.run(decide)
    except Rejected as error:
        return _keys(request, visitor.project, trouble=error, form=act.form)
    if not secret:
        said = "This key was made before, and a key is shown only once: revoke it, make another."
        return go_to(request, "/keys", said, kind="bad")
    return _keys(request, visitor.project, secret=secret[0])


def _key_in(form: Form) -> KeyIn:
    kind = form.get("kind", KeyKind.WORKSPACE.value)
    scopes = form.all("scope") if kind == KeyKind.WORKSPACE.value else []
    return parsed(KeyIn, {"name": form.get("name"), "kind": kind, "scopes": scopes})


@router.post("/keys/{key_id}/revoke")
def revoke_key(request: Request, act: Admin, key_id: UUID) -> Response:
    def decide(tx: Transaction) -> Report:
        key_service.revoke(act.core, tx, act.visitor.project, key_id)
        return {}

    act.run(decide)
    return go_to(request, "/keys", "Revoked: no call with it is answered any more.")


def _keys(
    request: Request,
    project: UUID,
    *,
    cursor: str | None = None,
    secret: str = "",
    trouble: HoldfastError | None = None,
    form: Form | None = None,
) -> Response:
    with reading(core_of(request).engine, project) as reader:
        found = keys.list_keys(reader, project, cursor=cursor)
    return page(
        request,
        "keys.html",
        status=200 if trouble is None else status_of(trouble),
        keys=sorted(found.items, key=lambda key: key.revoked_at is not None),
        next_cursor=found.next_cursor,
        secret=secret,
        trouble=str(trouble or ""),
        name=form.get("name") if form else "",
        days=form.get("days") if form else "90",
        kind=form.get("kind") if form else "",
        chosen=form.all("scope") if form else [Scope.READ.value, Scope.SUBMIT.value],
        scopes=[scope.value for scope in Scope],
    )


@router.get("/members")
def read_members(request: Request, visitor: Administers) -> Response:
    return _members(request, visitor.project)


@router.post("/members")
def add_member(request: Request, act: Admin) -> Response:
    """Of a known user by name alone, of a new one with a first password."""
    visitor = act.visitor
    try:
        given = _member_in(act.form)
        password_hash = member_service.hash_of(given.password)

        def decide(tx: Transaction) -> Report:
            granted = visitor.scopes
            user = member_service.add(
                *(act.core, tx, visitor.project, given.username, given.role, password_hash),
                granted_by=granted,
            )
            return {"user": str(user)}

        act.run(decide)
    except HoldfastError as error:
        return _members(request, visitor.project, trouble=error, form=act.form)
    return go_to(request, "/members", f"{given.username} is {given.role.value} now.")


def _member_in(form: Form) -> MemberIn:
    password = form.all("password")[-1:] or [""]
    given = {"username": form.get("username"), "role": form.get("role")}
    return parsed(MemberIn, given | {"password": password[0] or None})


@router.post("/members/{user_id}/role")
def change_role(request: Request, act: Admin, user_id: UUID) -> Response:
    def decide(tx: Transaction) -> Report:
        role = parsed(RoleIn, {"role": act.form.get("role")}).role
        project, granted = act.visitor.project, act.visitor.scopes
        member_service.change(act.core, tx, project, user_id, role, granted_by=granted)
        return {}

    act.run(decide)
    return go_to(request, "/members", "Changed: it bounds all their keys from now on.")


@router.post("/members/{user_id}/remove")
def remove_member(request: Request, act: Admin, user_id: UUID) -> Response:
    def decide(tx: Transaction) -> Report:
        member_service.remove(act.core, tx, act.visitor.project, user_id)
        return {}

    act.run(decide)
    return go_to(request, "/members", "Removed: their keys here are revoked.")


def _members(
    request: Request,
    project: UUID,
    *,
    trouble: HoldfastError | None = None,
    form: Form | None = None,
) -> Response:
    with reading(core_of(request).engine) as reader:
        found = members.list_members(reader, project)
    return page(
        request,
        "members.html",
        status=200 if trouble is None else status_of(trouble),
        members=found,
        roles=[role.value for role in Role],
        trouble=str(trouble or ""),
        username=form.get("username") if form else "",
        role=form.get("role") if form else Role.MEMBER.value,
    )
