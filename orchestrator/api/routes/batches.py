"""Batches: submitted whole, followed, ended."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import added_text, created_text, json_answer, page_text, plain_text
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import Nothing, parsed
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Cursor, Limit, Moment, Reads, refuse_unknown
from orchestrator.api.posting import Post, posting
from orchestrator.api.results import JobResult
from orchestrator.services import append, cancel, close, examine, rebatch, revive, submit, tag
from orchestrator.store.listings import get_batch, list_batches
from orchestrator.store.listings_jobs import first_jobs, these_jobs
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.results import list_results
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.batch import (
    Batch,
    BatchCancelReport,
    BatchCreated,
    BatchIn,
    CancelBatchesIn,
    JobsAdded,
    RebatchIn,
    TagsIn,
)
from schemas.job import CancelIn, CancelJobsIn, CancelReport, JobsIn
from schemas.page import Page
from schemas.words import BatchStatus, Scope

router = APIRouter(prefix="/v1/batches", tags=["batches"], dependencies=[Depends(refuse_unknown)])


@router.post("", status_code=201, responses=shows(BatchCreated, 201))
def create_batch(post: Annotated[Post[BatchIn], posting(Scope.SUBMIT, BatchIn)]) -> Response:
    """Submit a batch: all of it is accepted, or none. It runs when its turn comes."""
    caller, given = post.caller, post.body
    due = examine.is_due(given.jobs, given.sequence)

    def decide(tx: Transaction) -> Report:
        batch = submit.submit(post.core, tx, caller.project, caller.user, given, key=caller.key_id)
        return {"batch": str(batch), "jobs": len(given.jobs)}

    return post.run(
        decide,
        _created(caller),
        status=201,
        location=_location,
        before=(lambda: examine.examine(post.core, given)) if due else None,
    )


@router.post("/cancel", responses=shows(BatchCancelReport))
def cancel_batches(
    post: Annotated[Post[CancelBatchesIn], posting(Scope.SUBMIT, CancelBatchesIn)],
) -> Response:
    """Cancel many: one verdict for each, in the order given; one that is over stops no other."""
    given = post.body

    def decide(tx: Transaction) -> Report:
        found = cancel.cancel_batches(
            post.core, tx, post.caller.project, given.ids, interrupt=given.interrupt
        )
        return _verdicts(found)

    return post.run(decide, _report)


@router.get("", responses=shows(Page[Batch]))
def read_batches(
    request: Request,
    caller: Reads,
    status: Annotated[list[BatchStatus] | None, Query(description="Any of these.")] = None,
    device_type: str | None = None,
    tag: str | None = None,
    open: bool | None = None,
    name: str | None = None,
    created_after: Moment = None,
    created_before: Moment = None,
    order: Literal["asc", "desc"] = "desc",
    cursor: Cursor = None,
    limit: Limit = DEFAULT,
) -> Response:
    """The project's batches, newest first."""
    with reading(core_of(request).engine) as connection:
        page = list_batches(
            connection,
            caller.project,
            cursor=cursor,
            limit=limit,
            ascending=order == "asc",
            statuses=None if status is None else [word.value for word in status],
            device_type=device_type,
            tag=tag,
            open=open,
            name=name,
            created_after=created_after,
            created_before=created_before,
        )
    return json_answer(page.model_dump_json())


@router.get("/{batch_id}", responses=shows(Batch))
def read_batch(request: Request, caller: Reads, batch_id: UUID) -> Response:
    """One batch; while it waits, with its place in the queue or why no device takes it."""
    with reading(core_of(request).engine) as connection:
        return json_answer(get_batch(connection, caller.project, batch_id).model_dump_json())


@router.get("/{batch_id}/results", responses=shows(Page[JobResult]))
def read_results(
    request: Request,
    caller: Reads,
    batch_id: UUID,
    cursor: Cursor = None,
    limit: Limit = DEFAULT,
) -> Response:
    """How each job stands and what it gave, by ordinal. A page may end early when its results are
    large; a result too large for a page is null, and to be had at `result_url`."""
    with reading(core_of(request).engine, caller.project) as connection:
        page = list_results(connection, caller.project, batch_id, cursor=cursor, limit=limit)
    return json_answer(page_text(page))


@router.post("/{batch_id}/jobs", status_code=201, responses=shows(JobsAdded, 201))
def add_jobs(
    batch_id: UUID, post: Annotated[Post[JobsIn], posting(Scope.SUBMIT, JobsIn)]
) -> Response:
    """Append jobs to an open batch, in order."""
    project, new = post.caller.project, post.body.jobs
    due = examine.is_due(new)

    def decide(tx: Transaction) -> Report:
        added = append.append(post.core, tx, project, batch_id, new)
        return {"jobs": [str(job) for job in added]}

    def answer(connection: Reader, report: Report) -> str:
        return added_text(these_jobs(connection, project, [UUID(job) for job in report["jobs"]]))

    return post.run(
        decide,
        answer,
        status=201,
        before=(lambda: examine.examine_jobs(post.core, project, batch_id, new)) if due else None,
    )


@router.post("/{batch_id}/jobs/cancel", responses=shows(CancelReport))
def cancel_jobs(
    batch_id: UUID,
    post: Annotated[Post[CancelJobsIn], posting(Scope.SUBMIT, CancelJobsIn, optional=True)],
) -> Response:
    """Cancel the jobs that the filter names, one verdict each; no filter means all of them."""
    given = post.body

    def decide(tx: Transaction) -> Report:
        found = cancel.cancel_jobs(
            post.core, tx, post.caller.project, batch_id, given.filter, interrupt=given.interrupt
        )
        return _verdicts(found)

    return post.run(decide, _report)


@router.post("/{batch_id}/close", responses=shows(Batch))
def close_batch(
    batch_id: UUID, post: Annotated[Post[Nothing], posting(Scope.SUBMIT, Nothing, optional=True)]
) -> Response:
    """It takes no more jobs, and is DONE when those it has are over."""
    return _change(
        post, batch_id, lambda tx: close.close(post.core, tx, post.caller.project, batch_id)
    )


@router.post("/{batch_id}/cancel", responses=shows(Batch))
def cancel_batch(
    batch_id: UUID, post: Annotated[Post[CancelIn], posting(Scope.SUBMIT, CancelIn, optional=True)]
) -> Response:
    """No waiting job of it begins any more. With `interrupt` what runs is stopped, too."""
    interrupt = post.body.interrupt
    return _change(
        post,
        batch_id,
        lambda tx: cancel.cancel_batch(
            post.core, tx, post.caller.project, batch_id, interrupt=interrupt
        ),
    )


@router.post("/{batch_id}/revive", responses=shows(Batch))
def revive_batch(
    batch_id: UUID, post: Annotated[Post[Nothing], posting(Scope.SUBMIT, Nothing, optional=True)]
) -> Response:
    """Take up a batch that was CANCELED or ended in ERROR: its unfinished jobs, same id."""
    return _change(
        post, batch_id, lambda tx: revive.revive(post.core, tx, post.caller.project, batch_id)
    )


@router.post("/{batch_id}/rebatch", status_code=201, responses=shows(BatchCreated, 201))
def rebatch_batch(
    batch_id: UUID,
    post: Annotated[Post[RebatchIn], posting(Scope.SUBMIT, RebatchIn, optional=True)],
) -> Response:
    """A new batch from those jobs of this one that the filter names."""
    caller = post.caller

    def decide(tx: Transaction) -> Report:
        new = rebatch.rebatch(
            post.core, tx, caller.project, caller.user, batch_id, post.body, key=caller.key_id
        )
        jobs = get_batch(tx.connection, caller.project, new).jobs_total
        return {"batch": str(new), "jobs": jobs}

    return post.run(decide, _created(caller), status=201, location=_location)


@router.put("/{batch_id}/tags", responses=shows(Batch))
def set_tags(
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scope.SUBMIT))],
    batch_id: UUID,
    given: Annotated[TagsIn, parsed(TagsIn)],
) -> Response:
    """Replace its tags."""
    core = core_of(request)
    with core.transaction() as tx:
        tag.tag(core, tx, caller.project, batch_id, given.tags)
    return read_batch(request, caller, batch_id)


def _change(post: Post[Any], batch: UUID, act: Callable[[Transaction], None]) -> Response:
    """A verb that answers with the batch as it then is."""

    def decide(tx: Transaction) -> Report:
        act(tx)
        return {"batch": str(batch)}

    def answer(connection: Reader, report: Report) -> str:
        return get_batch(connection, post.caller.project, batch).model_dump_json()

    return post.run(decide, answer)


def _created(caller: Caller) -> Callable[[Reader, Report], str]:
    def answer(connection: Reader, report: Report) -> str:
        batch = UUID(report["batch"])
        jobs = first_jobs(connection, caller.project, batch, report["jobs"])
        return created_text(get_batch(connection, caller.project, batch), jobs)

    return answer


def _location(report: Report) -> str:
    return f"/v1/batches/{report['batch']}"


def _verdicts(found: "list[tuple[UUID, str]]") -> Report:
    return {"verdicts": [{"id": str(each), "verdict": verdict} for each, verdict in found]}


def _report(_: Reader, report: Report) -> str:
    return plain_text(report)
