"""The service itself: its limits and its health."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.health import Probes
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import Reads, refuse_unknown
from schemas.device import Health, Limits
from schemas.task import INLINE_LIMIT

router = APIRouter(tags=["service"], dependencies=[Depends(refuse_unknown)])


@router.get("/v1/limits", responses=shows(Limits))
def read_limits(request: Request, caller: Reads) -> Response:
    """What is refused for being too much. Bytes and seconds; null means no bound."""
    settings = core_of(request).settings
    limits = Limits(
        max_batch_size=settings.max_batch_size,
        max_body_bytes=settings.max_body_bytes,
        max_sequence_bytes=settings.max_sequence_bytes,
        max_runs=settings.max_runs,
        idle_timeout_s=settings.idle_timeout_s,
        max_idle_timeout_s=settings.max_idle_timeout_s,
        max_duration_s=settings.max_duration_s or None,
        max_lanes=settings.max_lanes,
        result_inline_bytes=INLINE_LIMIT,
    )
    return json_answer(limits.model_dump_json())


@router.get("/health/live", responses=shows(Health))
async def live() -> Response:
    """The process answers. Asks no other server, and needs no free thread."""
    return json_answer('{"status":"ok","checks":{}}')


@router.get("/health/ready", responses={**shows(Health), **shows(Health, 503)})
def ready(request: Request) -> Response:
    """200 while calls can be accepted: without Redis they are kept, and run when it is back. 503
    without Postgres."""
    probes: Probes = request.app.state.probes
    is_ready, health = probes.ready()
    return json_answer(health.model_dump_json(), status=200 if is_ready else 503)
