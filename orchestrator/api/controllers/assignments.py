"""One run of one job on a controller: started, followed, ended."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.bodies import parsed
from orchestrator.api.controllers.tokens import Its, Named
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.problems import problem
from orchestrator.errors import Flaw, TooLarge
from orchestrator.services.remote import logs
from orchestrator.services.remote.complete import complete
from orchestrator.services.remote.start import start
from orchestrator.store.checkpoints import LogEnd
from schemas.controller import (
    LOG_CHUNK_BYTES,
    CheckpointIn,
    Completed,
    CompleteIn,
    LogTaken,
    Started,
    StartIn,
)

router = APIRouter(
    prefix="/api/v1/assignments", tags=["controllers"], dependencies=[Depends(refuse_unknown)]
)
EXPECTED_SEQ = "Expected-Seq"
EXPECTED_OFFSET = "Expected-Offset"


@router.post("/{assignment_id}/start", responses=shows(Started))
def start_assignment(
    request: Request, row: Its, named: Named, body: Annotated[StartIn, parsed(StartIn)]
) -> Response:
    """From now on it runs. 409: it is another's, or an earlier one of its lane is not over.
    410: it was canceled."""
    core = core_of(request)
    said = Started(
        assignment_id=str(named),
        epoch=body.epoch,
        lease_s=core.settings.controller_lease_s,
        wall_s=core.settings.job_wall_s,
        deadline_at=start(core, row, named, body.epoch),
    )
    return json_answer(said.model_dump_json())


@router.post("/{assignment_id}/complete", responses=shows(Completed))
def complete_assignment(
    request: Request, row: Its, named: Named, body: Annotated[CompleteIn, parsed(CompleteIn)]
) -> Response:
    """How it ended. The same again is harmless; of another epoch is 409, and counts for nothing."""
    replayed = complete(core_of(request), row, named, body)
    return json_answer(Completed(assignment_id=str(named), replayed=replayed).model_dump_json())


async def _packed(request: Request) -> bytes:
    """Refused as soon as it is known to be over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LOG_CHUNK_BYTES:
            raise TooLarge(f"a log chunk has at most {LOG_CHUNK_BYTES} bytes")
    return bytes(body)


@router.post("/{assignment_id}/logs", responses=shows(LogTaken))
def add_log(
    request: Request,
    row: Its,
    named: Named,
    body: Annotated[bytes, Depends(_packed)],
    epoch: Annotated[int, Query(ge=1)],
    seq: Annotated[int, Query(ge=0)],
    offset: Annotated[int, Query(ge=0, description="Bytes before it, inflated.")],
) -> Response:
    """The next chunk, as gzip. 409 tells in `Expected-Seq` and `Expected-Offset` where the log
    ends; one that came before is passed over."""
    core = core_of(request)
    following = logs.add_log(core, row, named, epoch, LogEnd(seq, offset), body)
    if following is None:
        end = logs.expected(core, named)
        flaws = [
            Flaw("seq", f"must be {end.seq}"),
            Flaw("offset", f"must be {end.offset}"),
        ]
        headers = {EXPECTED_SEQ: str(end.seq), EXPECTED_OFFSET: str(end.offset)}
        return problem(409, "log_gap", f"the next chunk is {end.seq}", flaws, headers)
    return json_answer(LogTaken(next_seq=following).model_dump_json())


@router.put("/{assignment_id}/checkpoint", status_code=204)
def keep_checkpoint(
    request: Request, row: Its, named: Named, body: Annotated[CheckpointIn, parsed(CheckpointIn)]
) -> Response:
    """Handed to whoever runs the job next, should this run not come to its end."""
    logs.keep_checkpoint(core_of(request), row, named, body)
    return Response(status_code=204)
