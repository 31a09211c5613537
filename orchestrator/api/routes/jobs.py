"""Jobs: found, read, ended, tried again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import added_text, json_answer, page_text, plain_text
from orchestrator.api.auth import core_of
from orchestrator.api.bodies import Nothing
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Cursor, Limit, Moment, Reads, refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.api.refusals import StillRunning
from orchestrator.api.results import result_answer
from orchestrator.services import append, cancel
from orchestrator.store.listings_jobs import get_job, list_jobs, these_jobs
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.results import get_result
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.batch import JobsAdded
from schemas.job import CancelIn, CancelVerdict, Job
from schemas.page import Page
from schemas.words import JobStatus, Scope

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(refuse_unknown)])


@router.get("", responses=shows(Page[Job]))
def read_jobs(
    request: Request,
    caller: Reads,
    batch_id: UUID | None = None,
    status: Annotated[list[JobStatus] | None, Query(description="Any of these.")] = None,
    created_after: Moment = None,
    created_before: Moment = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT,
) -> Response:
    """Jobs in the order of submission, of one batch or of the whole project."""
    with reading(core_of(request).engine) as connection:
        page = list_jobs(
            connection,
            caller.project,
            cursor=cursor,
            limit=limit,
            batch_id=batch_id,
            statuses=None if status is None else [word.value for word in status],
            created_after=created_after,
            created_before=created_before,
        )
    return json_answer(page_text(page))


@router.get("/{job_id}", responses=shows(Job))
def read_job(request: Request, caller: Reads, job_id: UUID) -> Response:
    """One job."""
    with reading(core_of(request).engine, caller.project) as connection:
        return json_answer(get_job(connection, caller.project, job_id))


@router.get("/{job_id}/result", responses=shows(None))
def read_result(
    request: Request,
    caller: Reads,
    job_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """What the job gave: JSON of the executor's own shape. 409 `result_not_ready` unless DONE."""
    core = core_of(request)
    with reading(core.engine, caller.project) as connection:
        row = get_result(connection, caller.project, job_id)
    return result_answer(row, core.settings, if_none_match)


@router.post("/{job_id}/cancel", responses=shows(CancelVerdict))
def cancel_job(
    job_id: UUID, post: Annotated[Post[CancelIn], posting(Scope.SUBMIT, CancelIn, optional=True)]
) -> Response:
    """Cancel one job. Without `interrupt`, one that runs is left to end, and this is a 409."""

    def decide(tx: Transaction) -> Report:
        verdict = cancel.cancel_job(
            post.core, tx, post.caller.project, job_id, interrupt=post.body.interrupt
        )
        if verdict == "running":
            raise StillRunning("the job is running: set interrupt to stop it, or let it end")
        return {"id": str(job_id), "verdict": verdict}

    return post.run(decide, lambda _, report: plain_text(report))


@router.post("/{job_id}/retry", status_code=201, responses=shows(JobsAdded, 201))
def retry_job(
    job_id: UUID, post: Annotated[Post[Nothing], posting(Scope.SUBMIT, Nothing, optional=True)]
) -> Response:
    """Append a new job like this one to its batch, which must be open."""
    project = post.caller.project

    def decide(tx: Transaction) -> Report:
        return {"job": str(append.retry(post.core, tx, project, job_id))}

    def answer(connection: Reader, report: Report) -> str:
        return added_text(these_jobs(connection, project, [UUID(report["job"])]))

    return post.run(decide, answer, status=201)
