"""The engine's batches and jobs in the client's words.

PAUSED, PREEMPTED and ADMITTED are not among them: a batch that has its device runs, for a user,
and one that has lost it waits.
"""

import random
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.store.listings_pasqal_batches import FoundBatch
from orchestrator.store.listings_pasqal_jobs import FoundJob
from orchestrator.store.programs import Program

NOBODY: Final = str(UUID(int=0))
"""The client insists on a user id; a batch that was submitted by a bare key has no user."""

STATUS: Final = {
    "ADMITTED": "RUNNING",
    "PAUSED": "PENDING",
    "PREEMPTED": "PENDING",
}
PRIORITIES: Final = ("LOW", "MEDIUM", "HIGH")


def batch(row: FoundBatch, program: Program | None = None) -> dict[str, Any]:
    """`program` where the sequence is asked for; `sequence_builder` is absent otherwise."""
    is_open = row.open and row.status not in BATCH_ENDS
    options = row.options or {}
    body = {
        "id": str(row.id),
        "project_id": str(row.project_id),
        "user_id": NOBODY if row.user_id is None else str(row.user_id),
        "parent_id": None if row.parent_id is None else str(row.parent_id),
        "device_type": row.device_type,
        "status": batch_status(row),
        "open": is_open,
        "complete": not is_open,
        "queue_priority": PRIORITIES[(row.priority > 0) - (row.priority < 0) + 1],
        "tags": row.tags,
        "webhook": row.webhook,
        "configuration": options.get("configuration"),
        "errors": None if row.reason is None else [row.reason],
        "jobs_count": row.jobs_total,
        "jobs_count_per_status": counts(row),
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "start_datetime": moment(row.admitted_at),
        "end_datetime": moment(row.ended_at),
    }
    if program is not None:
        body["sequence_builder"] = as_text(program.sequence)
        body["backend_configuration"] = as_text(program.backend_configuration)
        body["job_ids"] = [str(each) for each in program.jobs]
    return body


def batch_status(row: FoundBatch) -> str:
    return STATUS.get(row.status, row.status)


def counts(row: FoundBatch) -> dict[str, int]:
    return {
        "PENDING": row.jobs_left - row.jobs_running,
        "RUNNING": row.jobs_running,
        "DONE": row.jobs_done,
        "ERROR": row.jobs_failed,
        "CANCELED": row.jobs_canceled,
    }


def job(row: FoundJob, *, whole: bool = False) -> dict[str, Any]:
    """`sequence` is there when the job has its own, and, if `whole`, when it has none: the client
    sends again what a listing carried, and asks for it where there was nothing."""
    body = {
        "id": str(row.id),
        "batch_id": str(row.batch_id),
        "project_id": str(row.project_id),
        "parent_id": None if row.parent_id is None else str(row.parent_id),
        "status": row.status,
        "runs": row.runs or 0,
        "variables": row.variables,
        "creation_order": row.ordinal,
        "errors": None if row.reason is None else [row.reason],
        "created_at": moment(row.created_at),
        "updated_at": moment(row.ended_at or row.started_at or row.created_at),
        "start_timestamp": moment(row.started_at),
        "end_timestamp": moment(row.ended_at),
    }
    if whole or row.sequence is not None:
        body["sequence"] = as_text(row.sequence)
    return body


def jobs(rows: Iterable[FoundJob]) -> list[dict[str, Any]]:
    return [job(row) for row in rows]


def result(value: Any, job_id: UUID) -> dict[str, Any]:
    """The bare document behind a link. `raw` has one bitstring a shot, in an order that is the
    same whenever it is asked for; what is not of a Pulser device stands under `result`."""
    counter = counter_of(value)
    if counter is None:
        return {"counter": {}, "raw": [], "serialised_results": None, "result": value}
    raw = [bits for bits, shots in sorted(counter.items()) for _ in range(int(shots))]
    random.Random(job_id.int).shuffle(raw)
    return {
        "counter": counter,
        "raw": raw,
        "serialised_results": as_text(value.get("results")),
    }


def counter_of(value: Any) -> dict[str, int] | None:
    """{bitstring: shots}, leftmost the first atom; None where the device gave no such thing."""
    counter = value.get("counter") if isinstance(value, dict) else None
    return counter if isinstance(counter, dict) else None


def as_text(value: Any) -> str | None:
    """A serialized document is a text to the client, however it was sent."""
    return value if value is None or isinstance(value, str) else to_json(value).decode()


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
