"""Compute targets: where a project's jobs may run, and what their owner does with them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer, list_text
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import parse, read_body
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import Reads, refuse_unknown
from orchestrator.services.core import Core
from orchestrator.services.remote import logs
from orchestrator.services.remote.leave import remove, set_state
from orchestrator.store import listings_targets
from orchestrator.store.listings_reading import reading
from schemas.controller import LogPage, WhyIn
from schemas.submit import TargetOut
from schemas.words import Scope

router = APIRouter(prefix="/api/v1", tags=["controllers"], dependencies=[Depends(refuse_unknown)])
Submits = Annotated[Caller, Depends(requires(Scope.SUBMIT))]


def _why(raw: Annotated[bytes, Depends(read_body)]) -> str | None:
    return parse(WhyIn, raw, optional=True).reason


_why.body_model = WhyIn  # type: ignore[attr-defined]
Why = Annotated[str | None, Depends(_why)]


@router.get("/compute-targets", responses=shows(list[TargetOut]))  # type: ignore[arg-type]
def list_targets(request: Request, caller: Reads) -> Response:
    """The managed pool first, then the project's controllers by name, also those offline."""
    core = core_of(request)
    with reading(core.engine) as connection:
        pool = listings_targets.managed(connection, core.settings.managed_type)
        own = listings_targets.controllers(connection, caller.project)
    shown = [target.model_dump_json() for target in ([pool] if pool else []) + own]
    return json_answer(list_text(shown))


@router.post("/compute-targets/{name}/drain", responses=shows(TargetOut))
def drain_target(request: Request, caller: Submits, name: str, reason: Why) -> Response:
    """What runs is left to end, nothing else begins; the controller then leaves."""
    return _set(core_of(request), caller, name, "draining", reason)


@router.post("/compute-targets/{name}/pause", responses=shows(TargetOut))
def pause_target(request: Request, caller: Submits, name: str, reason: Why) -> Response:
    """What runs is left to end, nothing else begins until it is resumed."""
    return _set(core_of(request), caller, name, "paused", reason)


@router.post("/compute-targets/{name}/resume", responses=shows(TargetOut))
def resume_target(request: Request, caller: Submits, name: str) -> Response:
    """It takes work again."""
    return _set(core_of(request), caller, name, "online", None)


@router.delete("/compute-targets/{name}", status_code=204)
def remove_target(
    request: Request,
    caller: Submits,
    name: str,
    force: Annotated[bool, Query(description="Cancel the jobs that it still has.")] = False,
) -> Response:
    """Gone for good; its name is free. 409 while it has jobs, unless forced."""
    remove(core_of(request), caller.project, name, force=force)
    return Response(status_code=204)


@router.get("/jobs/{job_id}/logs", responses=shows(LogPage))
def read_log(
    request: Request,
    caller: Reads,
    job_id: UUID,
    run: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    seq: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """What a controller's run wrote, from chunk `seq` on: of its last run, or of `run`."""
    core = core_of(request)
    with core.transaction() as tx:
        logs.job_exists(core, tx, caller.project, job_id)
        page = logs.read_log(tx.connection, job_id, run, seq)
    return json_answer(page.model_dump_json())


def _set(core: Core, caller: Caller, name: str, state: str, reason: str | None) -> Response:
    set_state(core, caller.project, name, state, reason)
    with reading(core.engine) as connection:
        target = listings_targets.controller(connection, caller.project, name)
    return json_answer(target.model_dump_json())
