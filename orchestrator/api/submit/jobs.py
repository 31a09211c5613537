"""Jobs as their owner sees them at this door: found, renamed, canceled, deleted."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import plain_text
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import Nothing, parsed
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import Cursor, Reads, refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.api.problems import problem
from orchestrator.api.results import result_answer
from orchestrator.errors import NotFound
from orchestrator.services.share import cancel_own, delete_own, rename_own
from orchestrator.store import computations
from orchestrator.store.listings_entries import get_own, list_own
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.results import get_result
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.submit import JobOut, JobsPage, RenameIn, State, Withdrawn
from schemas.words import Scope

router = APIRouter(
    prefix="/api/v1/jobs", tags=["submit-batch"], dependencies=[Depends(refuse_unknown)]
)
operators = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(refuse_unknown)])
Submits = Annotated[Caller, Depends(requires(Scope.SUBMIT))]


@router.get("", responses=shows(JobsPage))
def read_own_jobs(
    request: Request,
    caller: Reads,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
    state: State | None = None,
    compute_target: Annotated[str | None, Query(max_length=100)] = None,
) -> JobsPage:
    """Jobs of the project, newest first, by whichever door they came."""
    with reading(core_of(request).engine) as connection:
        return list_own(
            connection,
            caller.project,
            cursor=cursor,
            limit=limit,
            state=state,
            target=compute_target,
        )


@router.get("/{job_id}", responses=shows(JobOut))
def read_own_job(request: Request, caller: Reads, job_id: UUID) -> JobOut:
    """One job."""
    with reading(core_of(request).engine, caller.project) as connection:
        return get_own(connection, caller.project, job_id)


@router.get("/{job_id}/result", responses=shows(None))
def read_own_result(
    request: Request,
    caller: Reads,
    job_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """What the job gave. 409 `result_not_ready`, with its `state`, unless it is done."""
    core = core_of(request)
    with reading(core.engine, caller.project) as connection:
        job = get_own(connection, caller.project, job_id)
        if job.state == "done":
            row = get_result(connection, caller.project, job_id)
            return result_answer(row, core.settings, if_none_match)
    why = f": {job.error}" if job.error else ""
    more = {"state": job.state, "error": job.error}
    return problem(409, "result_not_ready", f"the job is {job.state}{why}", more=more)


@router.patch("/{job_id}", responses=shows(JobOut))
def rename_own_job(
    request: Request, caller: Submits, job_id: UUID, body: Annotated[RenameIn, parsed(RenameIn)]
) -> JobOut:
    """A new name: printable, at most 120 characters."""
    core = core_of(request)
    with core.transaction() as tx:
        rename_own(tx, caller.project, job_id, body.name)
        return get_own(tx.connection, caller.project, job_id)


@router.delete("/{job_id}", status_code=204)
def delete_own_job(request: Request, caller: Submits, job_id: UUID) -> Response:
    """Not shown here any more. 409 unless the job is over."""
    with core_of(request).transaction() as tx:
        delete_own(tx, caller.project, job_id)
    return Response(status_code=204)


@router.post("/{job_id}/cancel", responses=shows(JobOut))
def cancel_own_job(
    job_id: UUID, post: Annotated[Post[Nothing], posting(Scope.SUBMIT, Nothing, optional=True)]
) -> Response:
    """As far as it can be: one that runs is stopped within seconds, one that is over stays as it
    is, and what others wait for runs on for them."""
    project = post.caller.project

    def decide(tx: Transaction) -> Report:
        cancel_own(post.core, tx, project, job_id)
        return {"id": str(job_id)}

    def answer(connection: Reader, report: Report) -> str:
        return get_own(connection, project, UUID(report["id"])).model_dump_json()

    return post.run(decide, answer)


@operators.post("/{job_id}/withdraw", responses=shows(Withdrawn))
def withdraw_result(
    job_id: UUID, post: Annotated[Post[Nothing], posting(Scope.OPERATE, Nothing, optional=True)]
) -> Response:
    """Nobody is given this job's result from the cache any more; who has it keeps it."""

    def decide(tx: Transaction) -> Report:
        if not computations.withdraw(tx, post.caller.project, job_id):
            raise NotFound(f"there is no job {job_id} with a result that others could be given")
        return {"id": str(job_id), "withdrawn": True}

    return post.run(decide, lambda _, report: plain_text(report))
