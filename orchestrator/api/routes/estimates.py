"""Estimates: when a batch is expected to begin and to end, and why it waits."""

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import Reads, refuse_unknown
from orchestrator.services.estimate import estimate
from orchestrator.store.listings_reading import reading
from schemas.estimate import Estimate

router = APIRouter(prefix="/v1/batches", tags=["batches"], dependencies=[Depends(refuse_unknown)])


@router.get("/{batch_id}/estimate", responses=shows(Estimate))
def read_estimate(request: Request, caller: Reads, batch_id: UUID) -> Response:
    """When the batch is expected to begin and to end, by what its device type has done before and
    the queue ahead of it; how often such figures came true; and why it waits."""
    with reading(core_of(request).engine) as connection:
        return json_answer(estimate(connection, caller.project, batch_id).model_dump_json())
