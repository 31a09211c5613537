"""A controller registers, asks for work, shows that it lives, and says good-bye."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires_runner
from orchestrator.api.bodies import parsed
from orchestrator.api.controllers.polling import Polls
from orchestrator.api.controllers.tokens import Its
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import refuse_unknown
from orchestrator.services.remote import heartbeat as beats
from orchestrator.services.remote.leave import deregister
from orchestrator.services.remote.register import register
from schemas.controller import (
    LOG_CHUNK_BYTES,
    MIN_VERSION,
    POLL_S,
    Acquired,
    AcquireIn,
    Heartbeat,
    HeartbeatIn,
    Registered,
    RegisterIn,
)

router = APIRouter(
    prefix="/api/v1/controllers", tags=["controllers"], dependencies=[Depends(refuse_unknown)]
)
_polls = Polls()


@router.post("/register", status_code=201, responses=shows(Registered, 201))
def register_controller(
    request: Request,
    caller: Annotated[Caller, Depends(requires_runner())],
    body: Annotated[RegisterIn, parsed(RegisterIn)],
    takeover: Annotated[
        bool, Query(description="False: refuse (409) while the name is online.")
    ] = True,
) -> Response:
    """Take a name. Its earlier token is dead from now on. The new one is told only here."""
    core = core_of(request)
    made = register(core, caller.project, caller.user, body, takeover=takeover)
    said = Registered(
        controller_id=str(made.row.id),
        session=made.row.session,
        token=made.token,
        lease_s=core.settings.controller_lease_s,
        heartbeat_s=core.settings.controller_heartbeat_s,
        poll_s=POLL_S,
        log_chunk_bytes=LOG_CHUNK_BYTES,
        min_version=MIN_VERSION,
    )
    return json_answer(said.model_dump_json(), status=201)


@router.post("/self/acquire", responses=shows(Acquired))
async def acquire_leases(
    request: Request, row: Its, body: Annotated[AcquireIn, parsed(AcquireIn)]
) -> Response:
    """What could begin now; waits up to `wait_s` for it. Start each within 30 s."""
    found = await _polls.poll(request, row, body)
    return json_answer(found.model_dump_json())


@router.post("/self/heartbeat", responses=shows(Heartbeat))
def send_heartbeat(
    request: Request, row: Its, body: Annotated[HeartbeatIn, parsed(HeartbeatIn)]
) -> Response:
    """Every job that is named keeps its lease, if it is still the controller's own."""
    core = core_of(request)
    said = Heartbeat.model_validate(
        {
            "verdicts": beats.heartbeat(core, row, body.running),
            "state": row.state,
            "lease_s": core.settings.controller_lease_s,
            "heartbeat_s": core.settings.controller_heartbeat_s,
            "poll_s": POLL_S,
        }
    )
    return json_answer(said.model_dump_json())


@router.post("/self/deregister", status_code=204)
def say_good_bye(request: Request, row: Its) -> Response:
    """It takes no more work, and its token is dead. What it still runs is lost to it."""
    deregister(core_of(request), row)
    return Response(status_code=204)
