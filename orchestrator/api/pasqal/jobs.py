"""Jobs: listed, followed, canceled, and what they gave."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic_core import from_json, to_json

from orchestrator.api.auth import core_of
from orchestrator.api.pasqal import shown
from orchestrator.api.pasqal.callers import Caller, Reads, Submits
from orchestrator.api.pasqal.envelope import page, success
from orchestrator.api.pasqal.filters import wanted_jobs
from orchestrator.errors import Conflict, Forbidden, NotFound
from orchestrator.services import cancel
from orchestrator.services.core import Core
from orchestrator.services.links import is_open, result_link
from orchestrator.store.listings_pasqal_jobs import FoundJob, find_jobs, status_of_job, these_jobs
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.objects import read_object
from orchestrator.store.results import get_result
from schemas.pasqal import ListJobs

router = APIRouter(tags=["jobs"])


@router.get("/api/v2/jobs")
def get_jobs(caller: Reads, wanted: Annotated[ListJobs, Query()]) -> Response:
    """Newest first unless asked otherwise, with how many there are in all."""
    with reading(caller.core.engine) as connection:
        found = find_jobs(
            connection,
            caller.projects,
            wanted_jobs(wanted),
            offset=wanted.offset,
            limit=wanted.limit,
            order=wanted.order_by_direction or "DESC",
        )
    return page(shown.jobs(found.rows), wanted.offset, found.total)


@router.get("/api/v2/jobs/{job_id}")
def get_job(caller: Reads, job_id: UUID) -> Response:
    with reading(caller.core.engine, caller.only) as connection:
        return success(shown.job(_row(connection, caller, job_id), whole=True))


@router.get("/api/v1/jobs/{job_id}/status")
def get_job_status(caller: Reads, job_id: UUID) -> Response:
    with reading(caller.core.engine, caller.only) as connection:
        return success({"status": _status(connection, caller, job_id)})


@router.patch("/api/v2/jobs/{job_id}/cancel")
def cancel_job(caller: Submits, job_id: UUID) -> Response:
    """Before it begins; never after."""
    core = caller.core
    with core.transaction() as tx:
        project = _row(tx.connection, caller, job_id).project_id
        verdict = cancel.cancel_job(core, tx, project, job_id, interrupt=False)
        if verdict != "canceled":
            raise Conflict(f"the job is {verdict}: only one that has not begun can be canceled")
        data = shown.job(_row(tx.connection, caller, job_id))
    return success(data)


@router.get("/api/v1/jobs/{job_id}/results_link")
def get_results_link(request: Request, caller: Reads, job_id: UUID) -> Response:
    """Null until the job is DONE."""
    with reading(caller.core.engine, caller.only) as connection:
        done = _status(connection, caller, job_id) == "DONE"
    link = result_link(caller.core, base_of(request), job_id, datetime.now(UTC)) if done else None
    return success({"results_link": link})


@router.get("/api/v1/results/{job_id}")
def get_linked_result(
    request: Request,
    job_id: UUID,
    expires: Annotated[int, Query(ge=0, le=2**53)],
    signature: Annotated[str, Query(max_length=128)],
) -> Response:
    """The bare document, for whoever has the link and in time."""
    core = core_of(request)
    if not is_open(core, job_id, expires, signature, datetime.now(UTC)):
        raise Forbidden("this link has expired, or was never given; ask for a new one")
    return Response(
        to_json(shown.result(stored_result(core, job_id), job_id)), media_type="application/json"
    )


def base_of(request: Request) -> str:
    """Where a link begins: the operator's address for us, else the one we were reached at."""
    known: str | None = core_of(request).settings.public_url
    return known or f"{request.url.scheme}://{request.url.netloc}"


def stored_result(core: Core, job: UUID) -> Any:
    """What the device gave. Raises NotFound where there is nothing."""
    with reading(core.engine) as connection:
        row = get_result(connection, None, job)
    if row.sha256 is None:
        raise NotFound("this job has no result")
    if row.ref is None:
        return from_json(row.value or "null")
    return from_json(b"".join(read_object(core.settings.store_url, core.settings.s3, row.ref)))


def _status(connection: Reader, caller: Caller, job: UUID) -> str:
    found = status_of_job(connection, caller.projects, job)
    if found is None:
        raise NotFound(f"there is no job {job}")
    return found


def _row(connection: Reader, caller: Caller, job: UUID) -> FoundJob:
    found = these_jobs(connection, caller.projects, [job])
    if not found:
        raise NotFound(f"there is no job {job}")
    return found[0]
