"""Whose token it is. A controller reaches its own leases with it, and nothing else."""

from typing import Annotated, Final

from fastapi import Depends, Request

from orchestrator.api.auth import LONGEST_KEY, asked_twice, core_of, secret_in
from orchestrator.domain.controller import Assignment, assignment_in
from orchestrator.domain.key import TOKEN_PREFIX
from orchestrator.errors import Forbidden, NotFound, Unauthorized
from orchestrator.services.remote.lanes import hear
from orchestrator.services.remote.register import digest_of
from orchestrator.store import controllers
from orchestrator.store.controllers import ControllerRow
from schemas import logs

_WHERE: Final = "send the controller's token in the header: Authorization: Bearer ct_..."
_NO_TOKEN: Final = "this is a key, not a controller's token: register first, and use what it gives"
_DEAD: Final = (
    "this token is dead: the name was registered again, the controller was removed, or the user"
    " whose runner key it came with may not submit any more"
)


def controller_in(request: Request) -> ControllerRow:
    """A dependency: the controller that calls. That it called is noted."""
    secret = secret_in(request, LONGEST_KEY, _WHERE)
    if not secret.startswith(TOKEN_PREFIX):
        raise Forbidden(_NO_TOKEN)
    core, digest = core_of(request), digest_of(secret)
    row = asked_twice(core, lambda reader: controllers.by_token(reader, digest))
    if row is None:
        raise Unauthorized(_DEAD)
    logs.note(project=row.project_id)
    hear(core, row)
    return row


controller_in.scope = "a controller's token"  # type: ignore[attr-defined]


def assignment_named(assignment_id: str) -> Assignment:
    """A dependency: what the address names. One that we cannot have given is not there."""
    found = assignment_in(assignment_id)
    if found is None:
        raise NotFound("there is no such assignment")
    return found


Its = Annotated[ControllerRow, Depends(controller_in)]
Named = Annotated[Assignment, Depends(assignment_named)]
