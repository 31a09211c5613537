"""What the project has, what is held of it, and every move of it. Grants are the operator's, on
the command line."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Cursor, Limit, Reads, refuse_unknown
from orchestrator.store import usage
from orchestrator.store.listings_reading import reading
from schemas.credit import Balance, TransferOut
from schemas.page import Page

router = APIRouter(prefix="/v1/credits", tags=["credits"], dependencies=[Depends(refuse_unknown)])


@router.get("", responses=shows(Balance))
def read_credits(request: Request, caller: Reads) -> Response:
    """The project's credits, in micro-credits: what new jobs can be held for, what is held for
    jobs that are not over, and what was ever spent."""
    with reading(core_of(request).engine, caller.project) as connection:
        return json_answer(usage.balance(connection, caller.project).model_dump_json())


@router.get("/transfers", responses=shows(Page[TransferOut]))
def read_transfers(
    request: Request, caller: Reads, cursor: Cursor = None, limit: Limit = DEFAULT
) -> Response:
    """Every move of the project's credits, newest first."""
    with reading(core_of(request).engine, caller.project) as connection:
        page = usage.list_transfers(connection, caller.project, cursor=cursor, limit=limit)
    return json_answer(page.model_dump_json())
