"""Batches: made, followed, closed, canceled, made again."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field, RootModel

from orchestrator.api.bodies import parse
from orchestrator.api.pasqal import shown
from orchestrator.api.pasqal.bodies import Body
from orchestrator.api.pasqal.callers import Caller, Reads, Submits
from orchestrator.api.pasqal.envelope import page, success
from orchestrator.api.pasqal.filters import chosen, wanted_batches
from orchestrator.api.pasqal.replays import create
from orchestrator.api.pasqal.translating import (
    BATCH_FIELDS,
    as_examined,
    batch_of,
    in_words,
    jobs_of,
    options_of,
    said_by_config,
    shots_of,
)
from orchestrator.errors import NotFound
from orchestrator.services import append, cancel, close, rebatch, submit, tag
from orchestrator.services.examine import examine, examine_jobs
from orchestrator.store.listings_pasqal_batches import FoundBatch, find_batches, these_batches
from orchestrator.store.listings_pasqal_jobs import these_jobs
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.programs import configuration_of, program_of
from orchestrator.store.transaction import Transaction
from schemas.batch import RebatchIn, Tag
from schemas.job import LISTED_MOST
from schemas.pasqal import (
    CancelBatches,
    ChosenJobs,
    CreateBatch,
    CreateJob,
    ListBatches,
    RebatchJobs,
)

router = APIRouter(tags=["batches"])
Jobs = RootModel[Annotated[list[CreateJob], Field(max_length=LISTED_MOST)]]
Tags = RootModel[Annotated[list[Tag], Field(max_length=50)]]


@router.post("/api/v1/batches")
def create_batch(request: Request, caller: Submits, sent: Body) -> Response:
    """All of it is accepted, or none. Sent again within a minute, it is the same batch."""
    given = parse(CreateBatch, sent.text)
    project = caller.project(given.project_id)
    call = create(request, caller, project, sent, lambda reader, new: _whole(reader, caller, new))
    if (known := call.known()) is not None:
        return known
    options = options_of(given)
    with in_words(BATCH_FIELDS):
        body = batch_of(caller.core, given, request.headers.get("user-agent", ""))
        examine(caller.core, as_examined(caller.core, given, body))
        return call.run(
            lambda tx: submit.submit(
                caller.core, tx, project, caller.user, body, options=options, key=caller.key
            )
        )


@router.get("/api/v1/batches")
def get_batches(caller: Reads, wanted: Annotated[ListBatches, Query()]) -> Response:
    """Newest first, with how many there are in all."""
    with reading(caller.core.engine) as connection:
        found = find_batches(
            connection,
            caller.projects,
            wanted_batches(wanted),
            offset=wanted.offset,
            limit=wanted.limit,
            order=wanted.order_by_direction or "DESC",
        )
    return page([shown.batch(row) for row in found.rows], wanted.offset, found.total)


@router.patch("/api/v1/batches/cancel")
def cancel_batches(caller: Submits, sent: Body) -> Response:
    """One that cannot be canceled stops no other: it is told of under `errors`."""
    ids = list(dict.fromkeys(parse(CancelBatches, sent.text).batch_ids))
    core = caller.core
    with core.transaction() as tx:
        known = these_batches(tx.connection, caller.projects, ids)
        projects = {row.id: row.project_id for row in known}
        verdicts = dict.fromkeys(ids, "not_found")
        for each in sorted(projects):
            verdicts |= cancel.cancel_batches(core, tx, projects[each], [each], interrupt=False)
        canceled = [each for each in ids if verdicts[each] == "canceled"]
        rows = these_batches(tx.connection, caller.projects, canceled)
        data = [shown.batch(row) for row in rows]
    errors = {str(each): _WHY[verdicts[each]] for each in ids if each not in canceled}
    return success({"batches": data, "errors": errors})


@router.get("/api/v2/batches/{batch_id}")
def get_batch(caller: Reads, batch_id: UUID) -> Response:
    with reading(caller.core.engine) as connection:
        return success(_whole(connection, caller, batch_id))


@router.get("/api/v1/batches/{batch_id}/status")
def get_batch_status(caller: Reads, batch_id: UUID) -> Response:
    with reading(caller.core.engine) as connection:
        row = _row(connection, caller, batch_id)
    return success({"status": shown.batch_status(row), "jobs_count_per_status": shown.counts(row)})


@router.post("/api/v2/batches/{batch_id}/jobs")
def add_jobs(request: Request, caller: Submits, batch_id: UUID, sent: Body) -> Response:
    with in_words({"body": "jobs", "": "jobs"}):
        given = parse(Jobs, sent.text).root
    core = caller.core
    with reading(core.engine) as connection:
        project = _row(connection, caller, batch_id).project_id
        config = configuration_of(connection, batch_id)
    by_config = config is not None and said_by_config(request.headers.get("user-agent", ""))
    new = jobs_of(given, shots_of(config), ignore_runs=by_config)
    examine_jobs(core, project, batch_id, new)
    with core.transaction() as tx:
        append.append(core, tx, project, batch_id, new)
        data = _brief(tx, caller, batch_id)
    return success(data)


@router.patch("/api/v2/batches/{batch_id}/complete")
def complete_batch(caller: Submits, batch_id: UUID) -> Response:
    """It takes no more jobs. Closing it again changes nothing."""
    core, project = caller.core, _project(caller, batch_id)
    with core.transaction() as tx:
        close.close(core, tx, project, batch_id)
        data = _brief(tx, caller, batch_id)
    return success(data)


@router.patch("/api/v2/batches/{batch_id}/cancel")
def cancel_batch(caller: Submits, batch_id: UUID) -> Response:
    """No waiting job of it begins any more; one that runs is left to end."""
    core, project = caller.core, _project(caller, batch_id)
    with core.transaction() as tx:
        cancel.cancel_batch(core, tx, project, batch_id, interrupt=False)
        data = _brief(tx, caller, batch_id)
    return success(data)


@router.patch("/api/v2/batches/{batch_id}/cancel/jobs")
def cancel_jobs(
    caller: Submits, batch_id: UUID, filters: Annotated[ChosenJobs, Query()]
) -> Response:
    """Those that have not begun. A job that was named, or that runs, is told of under `errors`."""
    core, project = caller.core, _project(caller, batch_id)
    with core.transaction() as tx:
        verdicts = dict(
            cancel.cancel_jobs(core, tx, project, batch_id, chosen(filters), interrupt=False)
        )
        canceled = [job for job, verdict in verdicts.items() if verdict == "canceled"]
        rows = these_jobs(tx.connection, caller.projects, canceled)
        data = shown.jobs(rows)
    named = filters.id is not None
    errors = {
        str(job): _WHY[verdict]
        for job, verdict in verdicts.items()
        if verdict == "running" or (named and verdict != "canceled")
    }
    return success({"jobs": data, "errors": errors})


@router.post("/api/v1/batches/{batch_id}/rebatch")
def rebatch_batch(
    caller: Submits, batch_id: UUID, filters: Annotated[RebatchJobs, Query()]
) -> Response:
    """A new batch from those jobs of a closed one that the filters name."""
    core, project = caller.core, _project(caller, batch_id)
    body = RebatchIn(filter=chosen(filters))
    with core.transaction() as tx:
        new = rebatch.rebatch(core, tx, project, caller.user, batch_id, body, key=caller.key)
        data = _whole(tx.connection, caller, new)
    return success(data)


@router.patch("/api/v1/batches/{batch_id}/tags")
def set_batch_tags(caller: Submits, batch_id: UUID, sent: Body) -> Response:
    """Replaces its tags."""
    given = parse(Tags, sent.text)
    core, project = caller.core, _project(caller, batch_id)
    with core.transaction() as tx:
        tag.tag(core, tx, project, batch_id, given.root)
        data = _brief(tx, caller, batch_id)
    return success(data)


_WHY = {
    "not_found": "there is no such thing in your projects",
    "ended": "it is over and cannot be canceled",
    "running": "it is running and cannot be canceled any more",
}


def _row(connection: Reader, caller: Caller, batch: UUID) -> FoundBatch:
    found = these_batches(connection, caller.projects, [batch])
    if not found:
        raise NotFound(f"there is no batch {batch}")
    return found[0]


def _project(caller: Caller, batch: UUID) -> UUID:
    """Which of the caller's projects it belongs to."""
    if len(caller.projects) == 1:
        return caller.projects[0]
    with reading(caller.core.engine) as connection:
        return _row(connection, caller, batch).project_id


def _brief(tx: Transaction, caller: Caller, batch: UUID) -> dict[str, Any]:
    """Without `jobs`: the client lists them when it needs them."""
    return shown.batch(_row(tx.connection, caller, batch))


def _whole(connection: Reader, caller: Caller, batch: UUID) -> dict[str, Any]:
    return shown.batch(_row(connection, caller, batch), program_of(connection, batch))
