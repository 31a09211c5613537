"""Workloads: one job with a name for what it is. Here: a closed batch of one."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from orchestrator.api.bodies import parse
from orchestrator.api.flaws import flaws_in
from orchestrator.api.pasqal import shown
from orchestrator.api.pasqal.bodies import Body
from orchestrator.api.pasqal.callers import Caller, Reads, Submits
from orchestrator.api.pasqal.envelope import success
from orchestrator.api.pasqal.jobs import base_of
from orchestrator.api.pasqal.replays import create
from orchestrator.api.pasqal.translating import WORKLOAD_FIELDS, batch_of, in_words, small
from orchestrator.errors import Flaw, NotFound, Rejected
from orchestrator.services import cancel, submit
from orchestrator.services.examine import examine
from orchestrator.services.links import result_link
from orchestrator.store.listings_pasqal_batches import FoundBatch, these_batches
from orchestrator.store.listings_pasqal_jobs import jobs_of
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.programs import program_of
from schemas.pasqal import CreateBatch, CreateJob, CreateWorkload, PulserConfig

router = APIRouter(tags=["workloads"])
PULSER: Final = "pulser"
LARGE: Final = ("sequence", "backend_configuration")
"""What of a config is kept as the batch's own, and not a second time."""


@router.post("/api/v1/workloads")
def create_workload(request: Request, caller: Submits, sent: Body) -> Response:
    given = parse(CreateWorkload, sent.text)
    project = caller.project(given.project_id)
    call = create(
        request, caller, project, sent, lambda reader, new: _shown(request, caller, reader, new)
    )
    if (known := call.known()) is not None:
        return known
    as_batch = _as_batch(given)
    rest = {name: value for name, value in given.config.items() if name not in LARGE}
    options = {"workload": {"type": given.workload_type, "config": small(rest, "config")}}
    with in_words(WORKLOAD_FIELDS):
        body = batch_of(caller.core, as_batch)
        examine(caller.core, body)
        return call.run(
            lambda tx: submit.submit(
                caller.core, tx, project, caller.user, body, options=options, key=caller.key
            )
        )


@router.get("/api/v2/workloads/{workload_id}")
def get_workload(request: Request, caller: Reads, workload_id: UUID) -> Response:
    with reading(caller.core.engine) as connection:
        return success(_shown(request, caller, connection, workload_id))


@router.put("/api/v1/workloads/{workload_id}/cancel")
def cancel_workload(request: Request, caller: Submits, workload_id: UUID) -> Response:
    core = caller.core
    with core.transaction() as tx:
        row = _row(tx.connection, caller, workload_id)
        cancel.cancel_batch(core, tx, row.project_id, workload_id, interrupt=False)
        data = _shown(request, caller, tx.connection, workload_id)
    return success(data)


def _as_batch(given: CreateWorkload) -> CreateBatch:
    if given.workload_type != PULSER:
        raise Rejected(
            [Flaw("workload_type", f"must be {PULSER!r}: {given.workload_type!r} is not run here")]
        )
    try:
        config = PulserConfig.model_validate(given.config)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise Rejected(
            flaws_in([{**each, "loc": ("config", *each["loc"])} for each in found])
        ) from None
    return CreateBatch(
        project_id=given.project_id,
        device_type=given.backend,
        sequence_builder=config.sequence,
        jobs=[CreateJob(runs=config.runs, variables=config.variables)],
        backend_configuration=config.backend_configuration,
    )


def _row(connection: Reader, caller: Caller, workload: UUID) -> FoundBatch:
    found = these_batches(connection, caller.projects, [workload])
    if not found or "workload" not in (found[0].options or {}):
        raise NotFound(f"there is no workload {workload}")
    return found[0]


def _shown(request: Request, caller: Caller, connection: Reader, workload: UUID) -> dict[str, Any]:
    row = _row(connection, caller, workload)
    job, program = jobs_of(connection, workload)[0], program_of(connection, workload)
    done = job.status == "DONE"
    link = result_link(caller.core, base_of(request), job.id, datetime.now(UTC)) if done else None
    options = (row.options or {})["workload"]
    large = {name: getattr(program, name) for name in LARGE}
    config = options["config"] | {name: part for name, part in large.items() if part is not None}
    return {
        "id": str(row.id),
        "project_id": str(row.project_id),
        "status": job.status if row.status == "DONE" else shown.batch_status(row),
        "backend": row.device_type,
        "workload_type": options["type"],
        "config": config,
        "errors": None if job.reason is None else [job.reason],
        "created_at": shown.moment(row.created_at),
        "updated_at": shown.moment(row.updated_at),
        "start_timestamp": shown.moment(job.started_at),
        "end_timestamp": shown.moment(job.ended_at),
        "result_link": link,
    }
