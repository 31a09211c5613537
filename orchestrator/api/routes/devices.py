"""Devices: how they stand, and what an operator does with them."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import Nothing
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Cursor, Limit, Reads, refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.services import device
from orchestrator.store.listings_devices import get_device, list_devices
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.device import Device, DrainIn, PauseIn
from schemas.page import Page
from schemas.words import Scope

router = APIRouter(prefix="/v1/devices", tags=["devices"], dependencies=[Depends(refuse_unknown)])


@router.get("", responses=shows(Page[Device]))
def read_devices(
    request: Request, caller: Reads, cursor: Cursor = None, limit: Limit = DEFAULT
) -> Response:
    """Every device, by name. `batch_id` is shown where the batch is of the caller's project."""
    with reading(core_of(request).engine) as connection:
        page = list_devices(connection, caller.project, cursor=cursor, limit=limit)
    return json_answer(page.model_dump_json())


@router.get("/{name}", responses=shows(Device))
def read_device(request: Request, caller: Reads, name: str) -> Response:
    """One device."""
    with reading(core_of(request).engine) as connection:
        return json_answer(get_device(connection, caller.project, name).model_dump_json())


@router.post("/{name}/pause", responses=shows(Device))
def pause_device(
    name: str, post: Annotated[Post[PauseIn], posting(Scope.OPERATE, PauseIn)]
) -> Response:
    """Out of service from the next job on. Whoever waits for it can read the reason."""
    reason = post.body.reason
    return _change(post, name, lambda tx: device.pause(post.core, tx, name, reason))


@router.post("/{name}/resume", responses=shows(Device))
def resume_device(
    name: str, post: Annotated[Post[Nothing], posting(Scope.OPERATE, Nothing, optional=True)]
) -> Response:
    """Back in service after a pause or a drain."""
    return _change(post, name, lambda tx: device.resume(post.core, tx, name))


@router.post("/{name}/drain", responses=shows(Device))
def drain_device(
    name: str, post: Annotated[Post[DrainIn], posting(Scope.OPERATE, DrainIn)]
) -> Response:
    """Out of service: once the batch that it has is over, from the next job on (a pause), or now:
    then what runs is stopped, does not count as failed, and runs again when the device is back."""
    take_out, reason = device.TAKE_OUT[post.body.when], post.body.reason
    return _change(post, name, lambda tx: take_out(post.core, tx, name, reason))


@router.delete("/{name}", status_code=204)
def retire_device(
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scope.OPERATE))],
    name: str,
    reason: Annotated[
        str, Query(min_length=1, max_length=500, description="For those whose batch it had.")
    ] = "retired by an operator",
) -> Response:
    """Gone for good: a batch that only this device held ends in ERROR, and can be revived."""
    core = core_of(request)
    with core.transaction() as tx:
        get_device(tx.connection, caller.project, name)
        device.check_is_operators(core, tx, name)
        device.retire(core, tx, name, reason)
    return Response(status_code=204)


def _change(post: Post[Any], name: str, act: Callable[[Transaction], None]) -> Response:
    def decide(tx: Transaction) -> Report:
        # First: another project's own is not there, and so is not touched either.
        get_device(tx.connection, post.caller.project, name)
        device.check_is_operators(post.core, tx, name)
        act(tx)
        return {"device": name}

    def answer(connection: Reader, report: Report) -> str:
        return get_device(connection, post.caller.project, name).model_dump_json()

    return post.run(decide, answer)
